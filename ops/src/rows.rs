//! Between the texts in rows and the values they stand for.

use sea_orm::DbErr;
use serde_json::Value;
use setpoint_entity::seed;
use setpoint_importers::{Format, Key, TypedValue};

use crate::plan::Origin;

/// The value that `text` and `format` of a row stand for.
///
/// # Errors
///
/// If the text is no JSON, which the table's own check refuses.
pub(crate) fn value(text: &str, format: Option<&str>) -> Result<TypedValue, DbErr> {
    let json: Value = serde_json::from_str(text)
        .map_err(|error| DbErr::Type(format!("a stored value is no JSON: {error}")))?;
    Ok(TypedValue { json, format: format.and_then(Format::named) })
}

/// As [`value`], for the sides of a change, which may be absent.
pub(crate) fn side(text: Option<&str>, format: Option<&str>) -> Result<Option<TypedValue>, DbErr> {
    text.map(|text| value(text, format)).transpose()
}

/// Where a seed stood in its file.
pub(crate) fn origin(row: &seed::Model) -> Origin {
    Origin {
        file: row.source.clone(),
        line: u32::try_from(row.line).unwrap_or_default(),
        column: u32::try_from(row.column).unwrap_or_default(),
    }
}

/// The key that a row names.
///
/// # Errors
///
/// If it is none: the row was written by hand while the triggers were gone.
pub(crate) fn key(text: String) -> Result<Key, DbErr> {
    Key::try_from(text).map_err(|error| DbErr::Type(format!("a stored key is none: {error}")))
}
