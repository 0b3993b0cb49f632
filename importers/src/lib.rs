//! Reads configuration files into a flat list of settings.
//!
//! An importer sees text and nothing else: no database, no clock, no network.
//! A new format is one file beside this one and one line in [`IMPORTERS`]. [`edit()`] puts values
//! back into such a text.

use std::path::Path;

use written::Written;

pub use edit::{Edit, EditError, RefusedEdit, edit};
pub use error::ImportError;
pub use fault::Fault;
pub use key::{Key, KeyError, MAX_KEY_BYTES};
pub use mapping::{Case, Conversion, Mapped, Mapper, Mapping, MappingFault, Refusal, SplitRefusal};
pub use mask::{Masked, comments_tell_secrets, is_telling, masked};
pub use pattern::{Pattern, PatternError};
pub use place::{Place, Span};
pub use secret::{is_reference, is_secret_name, looks_secret, secrets_in};
pub use suggest::{Because, Renamed, SuggestedRule, Suggestion, suggest_renames};
pub use value::{Format, TypedValue, ValueType};

mod conceal;
mod dotenv;
mod edit;
mod error;
mod external;
mod fault;
mod json;
mod key;
mod mapping;
mod mask;
mod number;
mod pattern;
mod place;
mod recover;
mod resolve;
mod secret;
mod suggest;
mod toml;
mod tree;
mod value;
mod written;
mod yaml;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

/// Every format we read ourselves, in the order the help text lists them.
pub static IMPORTERS: &[&dyn Importer] = &[&yaml::Yaml, &toml::Toml, &json::Json, &dotenv::Dotenv];

/// One file format.
pub trait Importer: Sync {
    /// What people call it, as `--format` takes it.
    fn name(&self) -> &'static str;

    /// File extensions of this format, without the dot.
    fn extensions(&self) -> &'static [&'static str];

    /// Whether a file of this name is of this format, whatever its extension.
    fn claims(&self, _file_name: &str) -> bool {
        false
    }

    /// Reads all it can of `text`: each setting it understood and each fault it met.
    fn read(&self, text: &str, limits: &Limits) -> Reading;
}

/// What an importer made of one file. Its entries are in the file's order.
#[derive(Debug, Default)]
pub struct Reading {
    pub entries: Vec<Entry>,
    pub faults: Vec<Fault>,
    pub notes: Vec<Note>,
    pub(crate) written: Written,
}

/// One setting, and where the file says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: Key,
    pub value: TypedValue,
    /// Where the value is written.
    pub place: Place,
    /// The bytes of the value, counted after a byte order mark; none if an external importer
    /// read it. Through an alias it is the value that the alias stands for.
    pub span: Span,
}

/// Something that was accepted but is worth saying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub message: String,
    pub place: Place,
}

/// A file without faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The name of the importer that read it.
    pub format: String,
    /// In the file's order.
    pub entries: Vec<Entry>,
    pub notes: Vec<Note>,
}

/// How large a file may be, and what may be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub size_bytes: u64,
    /// Maps and lists inside each other.
    pub depth: usize,
    /// Values that aliases and merge keys make in one file; 64 bytes of text count as one more.
    pub alias_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size_bytes: 16 << 20, depth: 64, alias_nodes: 250_000 }
    }
}

/// Reads every setting in `bytes`, the content of `path`, in its format or the one given.
///
/// # Errors
///
/// [`ImportError`]: an unknown format, a file over the limits, text that is not UTF-8, an
/// external importer that failed, or all the faults in the file at once; then nothing of it is
/// returned.
pub fn read(
    path: &Path,
    bytes: &[u8],
    format: Option<&str>,
    limits: &Limits,
) -> Result<Document, ImportError> {
    let shown = || path.to_string_lossy().into_owned();
    let size = bytes.len() as u64;
    if size > limits.size_bytes {
        return Err(ImportError::TooLarge { path: shown(), size, limit: limits.size_bytes });
    }
    let Some(importer) = importer(path, format) else {
        let name = format.map(str::to_owned).or_else(|| format_of(path));
        let name = name.ok_or_else(|| ImportError::UnknownFormat { path: shown() })?;
        let text = String::from_utf8_lossy(bytes);
        let reading = external::read(&name, bytes, &text, limits)?;
        return document(path, &text, name, reading);
    };

    let text = std::str::from_utf8(bytes)
        .map_err(|error| ImportError::not_utf8(path, bytes, error.valid_up_to()))?;
    let unmarked = text.strip_prefix('\u{feff}');
    let mut reading = importer.read(unmarked.unwrap_or(text), limits);
    if unmarked.is_some() {
        let message = "a byte order mark, which was left out".to_owned();
        reading.notes.insert(0, Note { message, place: Place::START });
    }
    document(path, unmarked.unwrap_or(text), importer.name().to_owned(), reading)
}

/// The name of the importer for a file of this name: one of ours, or one on PATH.
pub fn format_of(path: &Path) -> Option<String> {
    built_in(path).map(|it| it.name().to_owned()).or_else(|| {
        let extension = path.extension()?.to_str()?;
        external::find(extension).map(|_| extension.to_owned())
    })
}

/// The importer of ours for a file: that of the format, or if none is given, that of its name.
fn importer(path: &Path, format: Option<&str>) -> Option<&'static &'static dyn Importer> {
    match format {
        Some(name) => IMPORTERS.iter().find(|it| it.name() == name),
        None => built_in(path),
    }
}

fn built_in(path: &Path) -> Option<&'static &'static dyn Importer> {
    let name = path.file_name()?.to_str()?;
    let extension = path.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
    let by_extension = extension.and_then(|extension| {
        IMPORTERS.iter().find(|it| it.extensions().contains(&extension.as_str()))
    });
    by_extension.or_else(|| IMPORTERS.iter().find(|it| it.claims(name)))
}

fn document(
    path: &Path,
    text: &str,
    format: String,
    reading: Reading,
) -> Result<Document, ImportError> {
    let Reading { entries, faults, mut notes, .. } = reading;
    if !faults.is_empty() {
        return Err(ImportError::faulty(path, text, faults));
    }
    notes.sort_by_key(|note| note.place);
    Ok(Document { format, entries, notes })
}
