//! A plan as it is hashed: values as texts, fields in order of their names.

use serde::Serialize;
use setpoint_importers::TypedValue;

use super::{Choice, Class, Kind, SourceStatus};

#[derive(Serialize)]
pub(super) struct Plan<'a> {
    pub actor: &'a str,
    pub changes: Vec<Change<'a>>,
    pub epoch: Option<&'a str>,
    pub kind: Kind,
    pub reason: Option<&'a str>,
    pub resolutions: Vec<(&'a str, Choice)>,
    pub revision: i64,
    pub sources: Vec<Source<'a>>,
}

#[derive(Serialize)]
pub(super) struct Change<'a> {
    pub after: Option<Side>,
    pub before: Option<Side>,
    pub class: Class,
    pub column: Option<u32>,
    pub file: Option<&'a str>,
    pub key: &'a str,
    pub layer: &'a str,
    pub line: Option<u32>,
    pub namespace: &'a str,
    pub seed: Option<Side>,
}

#[derive(Serialize)]
pub(super) struct Side {
    format: Option<&'static str>,
    value: String,
}

#[derive(Serialize)]
pub(super) struct Source<'a> {
    pub format: Option<&'a str>,
    pub layer: &'a str,
    pub namespace: &'a str,
    pub path: &'a str,
    pub prefix: Option<&'a str>,
    pub raw_hash: &'a str,
    pub status: SourceStatus,
}

impl From<&TypedValue> for Side {
    fn from(value: &TypedValue) -> Self {
        Self { format: value.format.map(|it| it.as_str()), value: value.text() }
    }
}
