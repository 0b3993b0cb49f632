//! Every source there is, and how its file stands to its last import.

use std::io;
use std::path::Path;

use serde::Serialize;
use setpoint_importers::Limits;

use super::{Declared, Imported, read, with_known};
use crate::plan::SourceStatus;
use crate::{Error, Result};

/// A source that is declared, or was imported once.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    pub namespace: String,
    pub layer: String,
    pub path: String,
    /// The importer that is named for it; by the file's extension if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Whether it is declared, and not only known from its import.
    pub declared: bool,
    pub write_back: bool,
    pub state: State,
    /// Why the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its last import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// A file against its last import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was never imported.
    New,
    /// It says something else.
    Changed,
    UpToDate,
    /// It says what it said, and conflicts over it are open.
    Open,
    /// It says something else, which somebody chose not to take.
    Skipped,
    Missing,
    Unreadable,
}

/// Reads every file of `declared` sources, and of those that are `known` besides.
///
/// # Errors
///
/// If what the database remembers of a source is not understood. A file that cannot be read is
/// told as such.
pub fn list(
    declared: &[Declared],
    known: &[Imported],
    root: &Path,
    limits: &Limits,
) -> Result<Vec<Listed>> {
    let all = with_known(declared, known, root)?;
    let mut listed: Vec<Listed> = all
        .into_iter()
        .map(|one| {
            let (state, reason) = state_of(&one, known, limits);
            Listed {
                state,
                reason,
                declared: declared.iter().any(|it| it.is_same(&one)),
                imported: known.iter().find(|it| it.is_of(&one)).cloned(),
                namespace: one.namespace,
                layer: one.layer,
                path: one.path,
                format: one.interpretation.format,
                write_back: one.write_back,
            }
        })
        .collect();
    listed.sort_by(|a, b| (&a.namespace, &a.path).cmp(&(&b.namespace, &b.path)));
    Ok(listed)
}

fn state_of(declared: &Declared, known: &[Imported], limits: &Limits) -> (State, Option<String>) {
    let found = read(std::slice::from_ref(declared), known, limits);
    let status = found.map(|it| it.into_iter().next().map(|it| it.status));
    let state = match status {
        Ok(Some(SourceStatus::New)) => State::New,
        Ok(Some(SourceStatus::Changed)) => State::Changed,
        Ok(Some(SourceStatus::Open)) => State::Open,
        Ok(Some(SourceStatus::Skipped)) => State::Skipped,
        Ok(Some(SourceStatus::SameMeaning | SourceStatus::Unchanged) | None) => State::UpToDate,
        Err(Error::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            State::Missing
        }
        Err(error) => return (State::Unreadable, Some(error.in_a_line())),
    };
    (state, None)
}
