//! What can be wrong with a mapping, or with a file that it is applied to.

use std::fmt;

use miette::Diagnostic;
use thiserror::Error;

use super::refusal::Refusal;
use super::unit;
use crate::key::{Key, KeyError};
use crate::pattern::PatternError;
use crate::place::Place;
use crate::value::ValueType;

/// What can be wrong with a mapping, or with a file that it is applied to.
///
/// It names keys, places and types, never a value: that may be a secret.
#[derive(Clone, Debug, Error, Diagnostic, PartialEq, Eq)]
pub enum MappingFault {
    #[error("`{rule}` has a pattern that cannot be read: {reason}")]
    #[diagnostic(
        code(mapping::bad_pattern),
        help("write it like `physics.**`, `*.api_key` or `hosts.\"a.b\".*`")
    )]
    BadPattern { rule: &'static str, reason: PatternError },

    #[error("`{rule}` has a key that cannot be read: {reason}")]
    #[diagnostic(
        code(mapping::bad_key),
        help(
            "`{rule}` takes whole keys, such as `ui.theme`; patterns are for drop, rename, convert and split"
        )
    )]
    BadKey { rule: &'static str, reason: KeyError },

    #[error("`{rule}` names `{key}` twice, in different spellings")]
    #[diagnostic(code(mapping::twice), help("keep one of the two"))]
    Twice { rule: &'static str, key: String },

    #[error("`rename` of `{from}` to `{to}`: the wildcards of one are not those of the other")]
    #[diagnostic(
        code(mapping::wildcards),
        help("write as many `*` and as many `**` in both; they are filled in order")
    )]
    Wildcards { from: String, to: String },

    #[error("there is no case `{name}`")]
    #[diagnostic(code(mapping::unknown_case), help("use one of snake, camel, kebab"))]
    UnknownCase { name: String },

    #[error("`convert` of `{key}`: there is no type `{name}`")]
    #[diagnostic(
        code(mapping::unknown_type),
        help("use one of string, integer, float, boolean, json, list")
    )]
    UnknownType { key: String, name: String },

    #[error("`convert` of `{key}` says neither a type nor a unit")]
    #[diagnostic(
        code(mapping::no_conversion),
        help("write a type, or {{ to = \"float\", unit = \"ms -> s\" }}")
    )]
    NoConversion { key: String },

    #[error("`convert` of `{key}`: there is no unit `{name}`")]
    #[diagnostic(code(mapping::unknown_unit), help("use one of {}", unit::names()))]
    UnknownUnit { key: String, name: String },

    #[error("`convert` of `{key}`: `{unit}` is not from one unit to another")]
    #[diagnostic(code(mapping::bad_unit), help("write two units with an arrow: `ms -> s`"))]
    BadUnit { key: String, unit: String },

    #[error("`convert` of `{key}`: `{unit}` goes from one quantity to another")]
    #[diagnostic(
        code(mapping::other_quantity),
        help("both must be of time, of size, of an angle, or one percent and one ratio")
    )]
    OtherQuantity { key: String, unit: String },

    #[error("`convert` of `{key}` has a unit, and `{to}` is no number")]
    #[diagnostic(
        code(mapping::unit_without_number),
        help("convert to integer or float, or leave out the unit")
    )]
    UnitWithoutNumber { key: String, to: &'static str },

    #[error("`{raw}`{} cannot be named as the mapping says: {reason}", at(.place))]
    #[diagnostic(code(mapping::target), help("rename or move it to another key"))]
    Target { raw: Key, place: Option<Place>, reason: KeyError },

    #[error("`{raw}`{} is {} and cannot become {to}: {reason}", at(.place), a(*.from))]
    #[diagnostic(
        code(mapping::conversion),
        help("correct the value in the file, or `convert` of this key in setpoint.toml")
    )]
    Conversion {
        raw: Key,
        place: Option<Place>,
        from: ValueType,
        /// With its article.
        to: String,
        reason: Refusal,
    },

    #[error("`{raw}`{} cannot be split by `{field}`: {reason}", at(.place))]
    #[diagnostic(
        code(mapping::split),
        help(
            "each item must be a map with its own text or integer as `{field}`; or take this key out of `split`"
        )
    )]
    Split { raw: Key, place: Option<Place>, field: String, reason: SplitRefusal },

    #[error(
        "`{first}`{} and `{second}`{} both become `{key}`",
        at(&Some(*.first_place)),
        at(&Some(*.second_place))
    )]
    #[diagnostic(
        code(mapping::collision),
        help("rename one of the two, or drop the one that is not used")
    )]
    Collision { key: Key, first: Key, first_place: Place, second: Key, second_place: Place },

    #[error(
        "`{lower}`{} becomes `{lower_key}`, which lies below `{upper_key}`, what `{upper}`{} becomes",
        at(&Some(*.lower_place)),
        at(&Some(*.upper_place))
    )]
    #[diagnostic(
        code(mapping::overlap),
        help("a setting cannot be a value and a map at once: rename one of the two, or drop it")
    )]
    Overlap {
        upper: Key,
        upper_key: Key,
        upper_place: Place,
        lower: Key,
        lower_key: Key,
        lower_place: Place,
    },

    #[error("`{raw}` is part of a list that was split, and cannot be written back by its key")]
    #[diagnostic(code(mapping::split_setting), help("change the list in the file"))]
    SplitSetting { raw: Key },

    #[error("{} cannot be written back to `{raw}`{}: {reason}", a(*.from), as_type(.written))]
    #[diagnostic(
        code(mapping::one_way),
        help("change it in the file, or set a value that `convert` of this key can reach")
    )]
    OneWay { raw: Key, from: ValueType, written: Option<ValueType>, reason: Refusal },
}

/// Why a list was not split.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SplitRefusal {
    #[error("it is no list")]
    NoList,
    #[error("item {position} is no map")]
    NoMap { position: usize },
    #[error("item {position} has no such text or integer")]
    NoName { position: usize },
    #[error("items {first} and {second} have the same")]
    SameName { first: usize, second: usize },
    #[error("item {position} makes a key that is too long")]
    TooLong { position: usize },
}

impl MappingFault {
    /// The same fault with its place in the file.
    pub(super) fn at(mut self, found: Place) -> Self {
        match &mut self {
            Self::Target { place, .. }
            | Self::Conversion { place, .. }
            | Self::Split { place, .. } => *place = Some(found),
            _ => {}
        }
        self
    }

    /// Where in the file; the second of two places. None if the mapping itself is at fault.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Target { place, .. }
            | Self::Conversion { place, .. }
            | Self::Split { place, .. } => *place,
            Self::Collision { second_place, .. } => Some(*second_place),
            Self::Overlap { lower_place, upper_place, .. } => Some(*lower_place.max(upper_place)),
            _ => None,
        }
    }
}

fn at(place: &Option<Place>) -> impl fmt::Display {
    match place {
        Some(Place { line, column }) => format!(" (line {line}, column {column})"),
        None => String::new(),
    }
}

fn as_type(written: &Option<ValueType>) -> impl fmt::Display {
    written.map(|it| format!(", which is {} there", a(it))).unwrap_or_default()
}

/// The type with its article.
fn a(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::String => "a string",
        ValueType::Integer => "an integer",
        ValueType::Float => "a float",
        ValueType::Boolean => "a boolean",
        ValueType::Json => "a list, null or an empty map",
    }
}
