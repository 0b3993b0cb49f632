//! Puts values back into a file, and leaves every other byte of it alone.
//!
//! Nothing is ever printed anew: an edit is a list of spans and what takes their place. Whatever
//! was done, the result is read again and given out only if it says exactly what was meant.

use std::path::Path;

pub use error::{EditError, RefusedEdit};

use self::meant::Meant;
use self::work::Work;
use crate::{Key, Limits, TypedValue, format_of, importer, read};

mod align;
mod blame;
mod brackets;
mod dotenv;
mod error;
mod flow;
mod json;
mod meant;
mod toml;
mod work;
mod yaml;

#[cfg(test)]
mod tests;

/// What a key is to be in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub key: Key,
    /// `None` takes the key out.
    pub value: Option<TypedValue>,
}

/// `bytes`, the content of `path`, with `edits` made in it; every other byte is as it was.
///
/// A value is changed where it stands and keeps its style if it can be said in it. A new key goes
/// after the last one of its map. A map that loses its last key is taken out as well.
///
/// # Errors
///
/// [`EditError`]: a file that cannot be read, a format that is not ours, or every edit that
/// cannot be made, with the reason; then no edit is made.
pub fn edit(
    path: &Path,
    bytes: &[u8],
    format: Option<&str>,
    limits: &Limits,
    edits: &[Edit],
) -> Result<Vec<u8>, EditError> {
    let shown = path.to_string_lossy().into_owned();
    if importer(path, format).is_none()
        && let Some(name) = format.map(str::to_owned).or_else(|| format_of(path))
    {
        return Err(EditError::External { path: shown, name });
    }
    let before = read(path, bytes, format, limits)?;
    let text = std::str::from_utf8(bytes).expect("the importer read this as UTF-8");
    let unmarked = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mark = &text[..text.len() - unmarked.len()];
    let mut work = Work::new(unmarked, edits);

    let meant = Meant::of(&before, edits, &mut work);
    if work.refusals.is_empty() && meant.wish.below.is_empty() {
        return Ok(bytes.to_vec());
    }
    match before.format.as_str() {
        "yaml" => yaml::plan(&mut work, &meant, limits),
        "toml" => toml::plan(&mut work, &meant, limits),
        "json" => json::plan(&mut work, &meant),
        _ => dotenv::plan(&mut work, &meant),
    }
    let edited = work.applied().map(|text| format!("{mark}{text}").into_bytes());
    if let Some(edited) = edited
        && work.refusals.is_empty()
    {
        let faults = match read(path, &edited, format, limits) {
            Ok(after) => meant.differences(&after),
            Err(_) => meant.wish.edits(),
        };
        if faults.is_empty() {
            return Ok(edited);
        }
        blame::explain(&mut work, &before, limits, faults);
    }
    Err(EditError::refused(shown, work.into_refusals()))
}
