//! What the tests of every format share.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::{Document, ImportError, Limits};

/// Reads `text` as if it were a file of that name.
pub(crate) fn read(name: &str, text: &str) -> Result<Document, ImportError> {
    crate::read(Path::new(name), text.as_bytes(), None, &Limits::default())
}

/// The settings and notes of a file that has no faults, one a line.
pub(crate) fn settings(name: &str, text: &str) -> String {
    let document = read(name, text).unwrap();
    let mut out = String::new();
    for entry in &document.entries {
        let format = entry.value.format.map(|it| format!(" ({})", it.as_str())).unwrap_or_default();
        let (line, column) = (entry.place.line, entry.place.column);
        let text = entry.value.text();
        writeln!(out, "{line}:{column} {} = {text}{format}", entry.key).unwrap();
    }
    for note in &document.notes {
        writeln!(out, "{}:{} note: {}", note.place.line, note.place.column, note.message).unwrap();
    }
    out
}

/// The faults of a file, one a line.
pub(crate) fn faults(name: &str, text: &str) -> String {
    let faults = read(name, text).unwrap_err().faults();
    faults.iter().fold(String::new(), |mut out, (place, message)| {
        writeln!(out, "{}:{} {message}", place.line, place.column).unwrap();
        out
    })
}

/// A refusal as people see it.
pub(crate) fn drawn(error: &ImportError) -> String {
    let mut out = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    handler.with_width(80).render_report(&mut out, error).unwrap();
    out
}

/// A folder beside the workspace's manifest, or beside the workspace.
pub(crate) fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Every file below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}
