//! Why a file was not edited, and what to do about it.

use std::fmt::Write;

use miette::Diagnostic;
use thiserror::Error;

use crate::{ImportError, Key, Place};

/// Why a file was not edited, and what to do about it.
#[derive(Debug, Error, Diagnostic)]
pub enum EditError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreadable(#[from] ImportError),

    #[error("`{path}` is read by `setpoint-import-{name}`, which cannot write")]
    #[diagnostic(
        code(edit::external),
        help("change the file by hand, or keep its settings in YAML, TOML, JSON or dotenv")
    )]
    External { path: String, name: String },

    #[error("{}", listed(.path, .refusals))]
    #[diagnostic(
        code(edit::refused),
        help("nothing was changed; edit the file by hand there, or leave those keys as they are")
    )]
    Refused {
        path: String,
        /// All of them, in order of place.
        refusals: Vec<RefusedEdit>,
    },
}

/// One edit that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEdit {
    pub key: Key,
    /// Where the key stands, or what it would have to be put into.
    pub place: Place,
    pub reason: String,
}

impl EditError {
    pub(super) fn refused(path: String, mut refusals: Vec<RefusedEdit>) -> Self {
        refusals.sort_by(|a, b| (a.place, &a.key).cmp(&(b.place, &b.key)));
        refusals.dedup();
        Self::Refused { path, refusals }
    }

    /// Every edit that cannot be made; none if the file was refused for another reason.
    pub fn refusals(&self) -> &[RefusedEdit] {
        match self {
            Self::Refused { refusals, .. } => refusals,
            _ => &[],
        }
    }
}

fn listed(path: &str, refusals: &[RefusedEdit]) -> String {
    let mut out = format!("`{path}` cannot be changed as asked");
    for RefusedEdit { key, place: at, reason } in refusals {
        write!(out, "\n{path}:{}:{}: `{key}`: {reason}", at.line, at.column)
            .expect("a String takes any text");
    }
    out
}
