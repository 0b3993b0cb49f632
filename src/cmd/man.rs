use std::path::PathBuf;

use clap::{CommandFactory as _, ValueHint};
use miette::{IntoDiagnostic, WrapErr};

use super::{Cli, Exit};

/// Write the manual pages to a folder
#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(value_hint = ValueHint::DirPath)]
    folder: PathBuf,
}

pub(super) fn run(args: &Args) -> miette::Result<Exit> {
    let written = std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.folder));
    let written = written.into_diagnostic();
    written.wrap_err_with(|| format!("cannot write to {}", args.folder.display()))?;
    Ok(Exit::Done)
}
