use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Exit};
use crate::console;

/// Print the completions for a shell
#[derive(clap::Args)]
pub(super) struct Args {
    shell: Shell,
}

pub(super) fn run(args: &Args) -> miette::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "setpoint", &mut script);
    console::show(String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
