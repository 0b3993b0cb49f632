//! A change as it travels.
//!
//! `before` and `after` are null both where there is no value and where the value is null;
//! `before_type` and `after_type` are there in the second case only.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use setpoint_importers::{Format, Key, TypedValue, ValueType};

use super::{Class, Origin, Provenance};

#[derive(Serialize, Deserialize)]
pub(super) struct Change {
    namespace: String,
    layer: String,
    key: Key,
    class: Class,
    before: Value,
    after: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<Value>,
    origin: Option<Origin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provenance: Option<Box<Provenance>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before_type: Option<ValueType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before_format: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_type: Option<ValueType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_format: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed_type: Option<ValueType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed_format: Option<Format>,
}

impl From<super::Change> for Change {
    fn from(change: super::Change) -> Self {
        let kind = |side: &Option<TypedValue>| side.as_ref().map(TypedValue::value_type);
        let format = |side: &Option<TypedValue>| side.as_ref().and_then(|it| it.format);
        Self {
            before_type: kind(&change.before),
            before_format: format(&change.before),
            after_type: kind(&change.after),
            after_format: format(&change.after),
            seed_type: kind(&change.seed),
            seed_format: format(&change.seed),
            namespace: change.namespace,
            layer: change.layer,
            key: change.key,
            class: change.class,
            before: change.before.map_or(Value::Null, |it| it.json),
            after: change.after.map_or(Value::Null, |it| it.json),
            seed: change.seed.map(|it| it.json),
            origin: change.origin,
            provenance: change.provenance,
        }
    }
}

impl From<Change> for super::Change {
    fn from(wire: Change) -> Self {
        let side = |json: Value, kind: Option<ValueType>, format| {
            kind.map(|_| TypedValue { json, format })
        };
        Self {
            namespace: wire.namespace,
            layer: wire.layer,
            key: wire.key,
            class: wire.class,
            before: side(wire.before, wire.before_type, wire.before_format),
            after: side(wire.after, wire.after_type, wire.after_format),
            seed: side(wire.seed.unwrap_or_default(), wire.seed_type, wire.seed_format),
            origin: wire.origin,
            provenance: wire.provenance,
        }
    }
}
