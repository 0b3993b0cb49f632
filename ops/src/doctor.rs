//! Looking for what is wrong before it hurts. Each look gives what it found: what is well too.
//! Nothing is mended here.

use std::path::PathBuf;

use miette::Diagnostic;
use serde::Serialize;

mod database;
mod jobs;
mod storage;

pub use database::database;
pub use jobs::webhooks;
pub use storage::storage;

/// Whoever only looks does not ask whether something was changed.
const NOTHING_WAS: [&str; 3] =
    ["nothing was changed; ", "nothing was done; ", "; nothing was done"];

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub check: &'static str,
    pub ok: bool,
    /// What it is, or what is wrong and what to do.
    pub says: String,
}

impl Check {
    pub fn well(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, ok: true, says: says.into() }
    }

    pub fn wrong(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, ok: false, says: says.into() }
    }

    pub fn failed(check: &'static str, error: &impl Diagnostic) -> Self {
        let help = error.help().map(|it| format!("; {it}")).unwrap_or_default();
        let help = NOTHING_WAS.iter().fold(help, |help, it| help.replace(it, ""));
        Self::wrong(check, format!("{error}{help}"))
    }
}

/// The files of sources that cannot be found.
pub fn sources(paths: impl IntoIterator<Item = PathBuf>) -> Vec<Check> {
    let missing = paths.into_iter().filter_map(|path| {
        let error = std::fs::metadata(&path).err()?;
        Some(Check::wrong("source", format!("{}: {error}", path.display())))
    });
    missing.collect()
}
