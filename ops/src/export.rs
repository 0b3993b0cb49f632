//! Settings as a document in one of the formats that can be imported.
//!
//! Whatever is written is read again with the importer of its format and compared with what
//! was meant, so a document that would come back different is an error, not a surprise.

use std::collections::HashMap;
use std::path::Path;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use setpoint_entity::seed;
use setpoint_importers::{Key, Limits, TypedValue};

use crate::setting::{Scope, Setting, list};
use crate::{Error, Result};

mod env;
mod json;
mod toml;
pub mod tree;
mod yaml;

use tree::Node;

/// A format that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    Yaml,
    Toml,
    Json,
    /// One `NAME="value"` a line; every value is text there.
    Env,
}

/// Deeper than any key or value can be: a key of 1,024 bytes has at most 512 segments.
const MAX_DEPTH: usize = 1_000;

/// The effective settings of `scope` at and below `prefix` as a document of `format`, now or
/// at the revision `at`. Keys come in the order in which the files have them.
///
/// # Errors
///
/// [`Error::NotInFormat`] names a key or value that the format cannot hold;
/// [`Error::UnknownRevision`], [`Error::Database`].
pub async fn document(
    db: &impl ConnectionTrait,
    scope: &Scope,
    prefix: Option<&Key>,
    at: Option<i64>,
    format: ExportFormat,
) -> Result<String> {
    let mut settings = list(db, scope, prefix, at).await?;
    in_file_order(db, scope, &mut settings).await?;
    let settings: Vec<(Key, TypedValue)> =
        settings.into_iter().map(|it| (it.key.clone(), it.typed())).collect();
    write(&settings, format)
}

/// The document of `settings`, in their order.
///
/// # Errors
///
/// [`Error::NotInFormat`].
pub fn write(settings: &[(Key, TypedValue)], format: ExportFormat) -> Result<String> {
    let node = || Node::of(settings.iter().map(|(key, value)| (key, value)));
    let text = match format {
        ExportFormat::Yaml => yaml::write(&node())?,
        ExportFormat::Toml => toml::write(&node())?,
        ExportFormat::Json => json::write(&node()),
        ExportFormat::Env => env::write(settings)?,
    };
    let meant = refuse_other_meaning(settings, &text, format);
    if meant.is_err() && format == ExportFormat::Yaml {
        // serde_yaml writes the key `<<` bare, and U+2028 as the line break it was in YAML 1.1.
        // JSON is YAML too, and has neither.
        let text = json::write(&node());
        return refuse_other_meaning(settings, &text, format).map(|()| text);
    }
    meant.map(|()| text)
}

fn refuse_other_meaning(
    settings: &[(Key, TypedValue)],
    text: &str,
    format: ExportFormat,
) -> Result<()> {
    let limits = Limits { size_bytes: u64::MAX, depth: MAX_DEPTH, ..Limits::default() };
    let read = setpoint_importers::read(
        Path::new("export"),
        text.as_bytes(),
        Some(format.as_str()),
        &limits,
    );
    let differs = |what: String| Error::NotInFormat {
        what,
        format: format.as_str(),
        help: "it would come back as something else; export another format".to_owned(),
    };
    let read = read.map_err(|_| differs("this document".to_owned()))?;
    let mut read: HashMap<Key, TypedValue> =
        read.entries.into_iter().map(|it| (it.key, it.value)).collect();
    for (key, value) in settings {
        let back = read.remove(key);
        let same = match format {
            ExportFormat::Env => back.is_some(),
            ExportFormat::Toml => back.as_ref() == Some(value),
            // Neither has dates: a date is its text there.
            ExportFormat::Yaml | ExportFormat::Json => {
                back.as_ref().map(|it| &it.json) == Some(&value.json)
            }
        };
        if !same {
            return Err(differs(format!("`{key}`")));
        }
    }
    match read.into_keys().next() {
        Some(key) => Err(differs(format!("`{key}`"))),
        None => Ok(()),
    }
}

async fn in_file_order(
    db: &impl ConnectionTrait,
    scope: &Scope,
    settings: &mut [Setting],
) -> Result<()> {
    let places = seed::Entity::find()
        .select_only()
        .columns([
            seed::Column::Key,
            seed::Column::Source,
            seed::Column::Line,
            seed::Column::Column,
        ])
        .filter(seed::Column::Namespace.eq(&scope.namespace))
        .filter(seed::Column::Layer.is_in(&scope.layers));
    let places: Vec<(String, String, i64, i64)> = places.into_tuple().all(db).await?;
    let places: HashMap<String, (String, i64, i64)> = places
        .into_iter()
        .map(|(key, source, line, column)| (key, (source, line, column)))
        .collect();
    settings.sort_by_cached_key(|it| {
        let place = places.get(it.key.as_str()).cloned();
        (place.is_none(), place, it.key.clone())
    });
    Ok(())
}

impl ExportFormat {
    pub const ALL: [Self; 4] = [Self::Yaml, Self::Toml, Self::Json, Self::Env];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Json => "json",
            Self::Env => "env",
        }
    }
}

#[cfg(test)]
mod tests;
