//! A plan as it is hashed: values as texts, fields in order of their names.

use serde::Serialize;
use setpoint_importers::TypedValue;

use crate::source::Interpretation;

use super::{Choice, Class, Kind, SourceStatus};

#[derive(Serialize)]
pub(super) struct Plan<'a> {
    pub actor: &'a str,
    pub changes: Vec<Change<'a>>,
    pub epoch: Option<&'a str>,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move<'a>>,
    pub reason: Option<&'a str>,
    pub resolutions: Vec<Resolution<'a>>,
    pub revision: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret<'a>>,
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
    pub interpretation: &'a Interpretation,
    pub layer: &'a str,
    pub namespace: &'a str,
    pub path: &'a str,
    pub raw_hash: &'a str,
    pub status: SourceStatus,
}

#[derive(Serialize)]
pub(super) struct Move<'a> {
    from: &'a str,
    layer: &'a str,
    live: Option<Side>,
    namespace: &'a str,
    to: &'a str,
}

#[derive(Serialize)]
pub(super) struct Resolution<'a> {
    choice: Choice,
    hash: &'a str,
    value: Option<Side>,
}

#[derive(Serialize)]
pub(super) struct Secret<'a> {
    key: &'a str,
    layer: &'a str,
    namespace: &'a str,
    reference: Option<&'a str>,
}

impl<'a> From<&'a super::Move> for Move<'a> {
    fn from(one: &'a super::Move) -> Self {
        Self {
            from: one.from.as_str(),
            layer: &one.layer,
            live: one.live.as_ref().map(Side::from),
            namespace: &one.namespace,
            to: one.to.as_str(),
        }
    }
}

impl<'a> From<&'a super::Resolution> for Resolution<'a> {
    fn from(one: &'a super::Resolution) -> Self {
        Self { choice: one.choice, hash: &one.hash, value: one.value.as_ref().map(Side::from) }
    }
}

impl<'a> From<&'a super::FoundSecret> for Secret<'a> {
    fn from(one: &'a super::FoundSecret) -> Self {
        Self {
            key: one.key.as_str(),
            layer: &one.layer,
            namespace: &one.namespace,
            reference: one.reference.as_deref(),
        }
    }
}

impl From<&TypedValue> for Side {
    fn from(value: &TypedValue) -> Self {
        Self { format: value.format.map(|it| it.as_str()), value: value.text() }
    }
}
