//! Why a file was refused, and what to do about it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource};
use thiserror::Error;

use crate::IMPORTERS;
use crate::conceal::{self, Concealed, IsSecret};
use crate::fault::{self, Fault};
use crate::place::{Lines, Place};

/// As many faults of one file are drawn; [`ImportError::faults`] has them all.
const MAX_DRAWN: usize = 100;

/// A longer line, in bytes, is not drawn: nobody finds a place in it by eye.
const MAX_DRAWN_LINE: usize = 500;

/// Why a file was refused, and what to do about it.
#[derive(Debug, Error, Diagnostic)]
pub enum ImportError {
    #[error("no importer reads `{path}`")]
    #[diagnostic(
        code(import::unknown_format),
        help(
            "name its format, one of {}; or put an executable `setpoint-import-NAME` on PATH",
            names()
        )
    )]
    UnknownFormat { path: String },

    #[error("`{path}` has {size} bytes; the limit is {limit}")]
    #[diagnostic(
        code(import::too_large),
        help("is this a file of settings? split it if it is, or raise the limit")
    )]
    TooLarge { path: String, size: u64, limit: u64 },

    #[error("`{path}` is not UTF-8 text")]
    #[diagnostic(
        code(import::not_utf8),
        help("save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8` or -f LATIN1")
    )]
    NotUtf8 {
        path: String,
        /// Of the first byte that is no UTF-8.
        place: Place,
        #[source_code]
        file: Arc<NamedSource<String>>,
        #[label("byte {byte:#04x} is not UTF-8 here")]
        at: miette::SourceSpan,
        byte: u8,
    },

    #[error("`{path}` has {}{}", count(.places.len()), listed(.drawn, .places))]
    #[diagnostic(code(import::faulty), help("{}", faulty_help(.places.len())))]
    Faulty {
        path: String,
        #[source_code]
        file: Arc<NamedSource<String>>,
        /// Those that are drawn.
        #[label(collection)]
        drawn: Vec<LabeledSpan>,
        /// All of them, in order of place.
        places: Vec<(Place, String)>,
    },

    #[error("`{name}` cannot be the name of an importer")]
    #[diagnostic(
        code(import::external_name),
        help("use letters, digits, `_` and `-`, as in `setpoint-import-ini`")
    )]
    ExternalName { name: String },

    #[error("there is no importer `{name}`, and no `setpoint-import-{name}` on PATH")]
    #[diagnostic(
        code(import::external_not_found),
        help("use one of {}, or install the executable and make it executable", names())
    )]
    ExternalNotFound { name: String },

    #[error("`setpoint-import-{name}` could not be run: {source}")]
    #[diagnostic(
        code(import::external_broken),
        help("run it by hand with the file on its standard input")
    )]
    ExternalBroken { name: String, source: io::Error },

    #[error("`setpoint-import-{name}` failed with {status}{}", said(.stderr))]
    #[diagnostic(
        code(import::external_failed),
        help("run it by hand with the file on its standard input")
    )]
    ExternalFailed { name: String, status: String, stderr: String },

    #[error("`setpoint-import-{name}` did not end within {seconds} s")]
    #[diagnostic(
        code(import::external_timeout),
        help("it must read all of its standard input, print, and exit")
    )]
    ExternalTimeout { name: String, seconds: u64 },

    #[error("`setpoint-import-{name}` printed more than {limit} bytes")]
    #[diagnostic(
        code(import::external_too_much),
        help("it should print one line of JSON a setting, and nothing else")
    )]
    ExternalTooMuch { name: String, limit: u64 },
}

impl ImportError {
    /// Every fault in the file, in order of place; none if it was refused for another reason.
    pub fn faults(&self) -> Vec<(Place, String)> {
        match self {
            Self::Faulty { places, .. } => places.clone(),
            Self::NotUtf8 { place, byte, .. } => {
                vec![(*place, format!("byte {byte:#04x} is not UTF-8 here"))]
            }
            _ => Vec::new(),
        }
    }

    /// The file, if the fault is the file's and not an external importer's.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::UnknownFormat { path }
            | Self::TooLarge { path, .. }
            | Self::NotUtf8 { path, .. }
            | Self::Faulty { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The same without the values of more secrets: those whose names in the file, as they are
    /// written there, `is_secret`. What looks like a secret is left out already.
    #[must_use]
    pub fn masked(self, is_secret: &dyn Fn(&str) -> bool) -> Self {
        match self {
            Self::Faulty { path, file, drawn, places } => {
                let (file, concealed) = masked_source(&path, &file, is_secret);
                let hide = |message: String| concealed.message(&message);
                let places = places.into_iter().map(|(place, it)| (place, hide(it))).collect();
                let relabel = |label: LabeledSpan| {
                    let message = label.label().map(|it| concealed.message(it));
                    LabeledSpan::new(message, label.offset(), label.len())
                };
                let drawn = drawn.into_iter().map(relabel).collect();
                Self::Faulty { path, file, drawn, places }
            }
            Self::NotUtf8 { path, place, file, at, byte } => {
                let (file, _) = masked_source(&path, &file, is_secret);
                Self::NotUtf8 { path, place, file, at, byte }
            }
            Self::ExternalFailed { name, status, stderr } => {
                let stderr = conceal::without_pairs(&stderr, is_secret);
                Self::ExternalFailed { name, status, stderr }
            }
            other => other,
        }
    }

    pub(crate) fn faulty(path: &Path, text: &str, mut faults: Vec<Fault>) -> Self {
        let concealed = Concealed::new(text, &conceal::none);
        for fault in &mut faults {
            let part = fault.span.start..fault.span.end;
            fault.message = concealed.fault(&fault.message, text, part);
        }
        fault::in_order(&mut faults);
        let lines = Lines::new(text);
        let drawable = faults.iter().take(MAX_DRAWN).all(|it| line_at(text, it) <= MAX_DRAWN_LINE);
        let drawn = match drawable {
            true => faults.iter().take(MAX_DRAWN).map(|fault| label(text, fault)).collect(),
            false => Vec::new(),
        };
        let places =
            faults.into_iter().map(|it| (lines.place(it.span.start), it.message)).collect();
        let path = path.to_string_lossy().into_owned();
        let file = Arc::new(NamedSource::new(&path, concealed.text));
        Self::Faulty { path, file, drawn, places }
    }

    /// For bytes that are UTF-8 up to `valid`.
    pub(crate) fn not_utf8(path: &Path, bytes: &[u8], valid: usize) -> Self {
        let printable = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
        let before: String =
            String::from_utf8_lossy(&bytes[..valid]).chars().map(printable).collect();
        let after = &bytes[valid..bytes.len().min(valid + 40)];
        let after = after.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let after: String = String::from_utf8_lossy(after).chars().map(printable).collect();
        let place = Lines::new(&before).place(before.len());
        let path = path.to_string_lossy().into_owned();
        let at = (before.len(), 3).into();
        // In UTF-16 every other byte is 0, and no name can be found.
        let shown = before + &after;
        let shown = match bytes.contains(&0) {
            true => conceal::starred(&shown, std::slice::from_ref(&(0..shown.len()))),
            false => Concealed::new(&shown, &conceal::none).text,
        };
        let file = Arc::new(NamedSource::new(&path, shown));
        let byte = bytes.get(valid).copied().unwrap_or_default();
        Self::NotUtf8 { path, place, file, at, byte }
    }
}

/// The file as it is drawn, without more secrets.
fn masked_source(
    path: &str,
    file: &NamedSource<String>,
    is_secret: IsSecret,
) -> (Arc<NamedSource<String>>, Concealed) {
    let mut concealed = Concealed::new(file.inner(), is_secret);
    let text = std::mem::take(&mut concealed.text);
    (Arc::new(NamedSource::new(path, text)), concealed)
}

/// The length in bytes of the line that a fault begins on.
fn line_at(text: &str, fault: &Fault) -> usize {
    let start = fault.span.start.min(text.len());
    let begin = text.as_bytes()[..start].iter().rposition(|it| *it == b'\n').map_or(0, |at| at + 1);
    let rest = text.as_bytes()[start..].iter().position(|it| *it == b'\n');
    rest.map_or(text.len(), |at| start + at) - begin
}

/// The faults as lines of text, where their lines are too long to be drawn.
fn listed(drawn: &[LabeledSpan], places: &[(Place, String)]) -> String {
    if !drawn.is_empty() {
        return String::new();
    }
    let lines = places
        .iter()
        .take(MAX_DRAWN)
        .map(|(place, message)| format!("\n{}:{}: {message}", place.line, place.column));
    lines.collect()
}

/// The fault as it is drawn: on one line, and at least one character of it.
fn label(text: &str, fault: &Fault) -> LabeledSpan {
    let start = fault.span.start.min(text.len());
    let rest = &text[start..fault.span.end.clamp(start, text.len())];
    let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
    LabeledSpan::new(Some(fault.message.clone()), start, length)
}

fn count(faults: usize) -> String {
    match faults {
        1 => "a fault".to_owned(),
        faults => format!("{faults} faults"),
    }
}

fn faulty_help(faults: usize) -> String {
    let what = "nothing of this file was taken; mend it and import it again";
    match faults.saturating_sub(MAX_DRAWN) {
        0 => what.to_owned(),
        more => format!("{what} ({more} more are not shown; --json lists them all)"),
    }
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

fn names() -> String {
    let names: Vec<&str> = IMPORTERS.iter().map(|it| it.name()).collect();
    names.join(", ")
}
