//! A JSON Schema of the settings of a namespace: which values are valid, and what keys are called.
//!
//! Each setting is checked by the part of the schema that describes its key. What a schema says of
//! several keys together (`required`, `dependentRequired`, `minProperties`) is not looked at: one
//! setting at a time changes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use setpoint_importers::{Key, TypedValue, ValueType};

use crate::plan::{Kind, Plan};
use crate::setting::Setting;
use crate::{Error, Result};

/// A schema that was read, with the checks of its parts.
pub struct Schema {
    document: Value,
    /// Of each key that was asked for; none where the schema says nothing of it.
    parts: RwLock<HashMap<Key, Option<Arc<Part>>>>,
}

/// The schemas of namespaces that have one.
#[derive(Debug, Default)]
pub struct Schemas(HashMap<String, Schema>);

impl Schemas {
    pub fn insert(&mut self, namespace: String, schema: Schema) {
        self.0.insert(namespace, schema);
    }

    /// Refuses what somebody asks for and is not valid. What files say, and what was live before,
    /// is not looked at: an application that takes it may have another schema by now.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`] for the first such key.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        if plan.kind != Kind::Edit {
            return Ok(());
        }
        for effect in plan.effects() {
            if let (Some(schema), Some(after)) = (self.0.get(effect.namespace), effect.after) {
                schema.check(effect.key, after)?;
            }
        }
        Ok(())
    }
}

/// What a schema says of one key.
pub struct Part {
    validator: Validator,
    pub label: Option<String>,
    pub description: Option<String>,
}

impl Schema {
    /// # Errors
    ///
    /// Why the text is no JSON Schema.
    pub fn read(text: &str) -> Result<Self, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
        if !document.is_object() {
            return Err("is no JSON Schema: it is no map".to_owned());
        }
        build(&document).map_err(|error| format!("is no JSON Schema: {error}"))?;
        Ok(Self { document, parts: RwLock::default() })
    }

    /// The schema as it was written.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// # Errors
    ///
    /// [`Error::Schema`] with every rule that the value breaks. It is not in the error: it might
    /// be a secret.
    pub fn check(&self, key: &Key, value: &TypedValue) -> Result<()> {
        let Some(part) = self.part(key) else { return Ok(()) };
        let faults = part.validator.iter_errors(&value.json);
        let reasons: Vec<String> = faults.map(|it| it.masked().to_string()).collect();
        match reasons.is_empty() {
            true => Ok(()),
            false => Err(Error::Schema { key: key.to_string(), reasons }),
        }
    }

    /// What the schema says of `key`, if it says something.
    pub fn part(&self, key: &Key) -> Option<Arc<Part>> {
        // Whoever panicked while holding the lock left the map whole.
        let known = self.parts.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(part) = known {
            return part;
        }
        let part = self.find(key).map(Arc::new);
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        if parts.len() < MOST_PARTS {
            parts.insert(key.clone(), part.clone());
        }
        part
    }

    fn find(&self, key: &Key) -> Option<Part> {
        let mut here = vec![&self.document];
        for segment in key.segments() {
            here = here.into_iter().flat_map(|it| self.members(it, &segment, DEPTH)).collect();
        }
        if here.is_empty() {
            return None;
        }
        let text = |name: &str| here.iter().find_map(|it| Some(it.get(name)?.as_str()?.to_owned()));
        let (label, description) = (text("title"), text("description"));
        // References in the part lead into the whole.
        let mut document = Map::new();
        for name in ["$schema", "$id", "$defs", "definitions"] {
            if let Some(said) = self.document.get(name) {
                document.insert(name.to_owned(), said.clone());
            }
        }
        document.insert("allOf".to_owned(), here.into_iter().cloned().collect());
        let validator = build(&Value::Object(document)).ok()?;
        Some(Part { validator, label, description })
    }

    /// The schemas of the member `name` of what `schema` describes.
    fn members<'a>(&'a self, schema: &'a Value, name: &str, depth: u8) -> Vec<&'a Value> {
        let mut found = Vec::new();
        if let Some(member) = schema.get("properties").and_then(|it| it.get(name)) {
            found.push(member);
        }
        for (pattern, member) in
            schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten()
        {
            let probe = json!({ "type": "string", "pattern": pattern });
            if build(&probe).is_ok_and(|it| it.is_valid(&Value::from(name))) {
                found.push(member);
            }
        }
        if found.is_empty()
            && let Some(rest) = schema.get("additionalProperties")
        {
            found.push(rest);
        }
        if depth == 0 {
            return found;
        }
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|it| self.document.pointer(it.strip_prefix('#')?));
        let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
        for other in parts.chain(target) {
            found.extend(self.members(other, name, depth - 1));
        }
        found
    }
}

/// How many references are followed from one schema to the next.
const DEPTH: u8 = 16;

/// Keys whose checks are kept: nobody can fill the memory by asking for others.
const MOST_PARTS: usize = 200_000;

fn build(document: &Value) -> Result<Validator, String> {
    let built = jsonschema::options().should_validate_formats(true).build(document);
    built.map_err(|error| error.to_string())
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

/// A schema of `settings` as one nested document: with the types that they have.
pub fn of_settings<'a>(settings: impl Iterator<Item = &'a Setting>) -> Value {
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
    });
    for setting in settings {
        let mut here = &mut root;
        for segment in setting.key.segments() {
            here = &mut here["properties"][segment.as_ref()];
            if here.is_null() {
                *here = json!({ "type": "object" });
            }
        }
        *here = of_value(setting);
    }
    root
}

fn of_value(setting: &Setting) -> Value {
    let of_json = |value: &Value| match value {
        Value::Null => json!({}),
        Value::Array(_) => json!({ "type": "array" }),
        _ => json!({ "type": "object" }),
    };
    match (setting.value_type, setting.format) {
        (ValueType::String, Some(format)) => {
            json!({ "type": "string", "format": format.as_str() })
        }
        (ValueType::String, None) => json!({ "type": "string" }),
        (ValueType::Integer, _) => json!({ "type": "integer" }),
        (ValueType::Float, _) => json!({ "type": "number" }),
        (ValueType::Boolean, _) => json!({ "type": "boolean" }),
        (ValueType::Json, _) => of_json(&setting.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r##"{
        "properties": {
            "physics": {"$ref": "#/$defs/physics"},
            "hosts": {"additionalProperties": {"properties": {"port": {"type": "integer"}}}},
            "closed": {"properties": {"a": {}}, "additionalProperties": false}
        },
        "$defs": {"physics": {"properties": {
            "damping": {"title": "Damping", "type": "number", "minimum": 0, "maximum": 1},
            "mode": {"enum": ["fast", "exact"]},
            "at": {"type": "string", "format": "date-time"}
        }}}
    }"##;

    #[test]
    fn each_key_is_checked_by_its_part_of_the_schema() {
        let schema = Schema::read(SCHEMA).unwrap();
        let valid = |key: &str, value: Value| {
            schema.check(&Key::parse(key).unwrap(), &value.into()).is_ok()
        };

        for (key, value) in [
            ("physics.damping", json!(0.5)),
            ("physics.mode", json!("fast")),
            ("physics.at", json!("2026-05-01T12:00:00Z")),
            ("physics.unknown", json!([])),
            ("hosts.a.port", json!(1)),
            ("closed.a", json!("x")),
            ("elsewhere", json!(null)),
        ] {
            assert!(valid(key, value), "{key}");
        }
        for (key, value) in [
            ("physics.damping", json!(1.5)),
            ("physics.damping", json!("0.5")),
            ("physics.mode", json!("slow")),
            ("physics.at", json!("yesterday")),
            ("hosts.a.port", json!("1")),
            ("closed.b", json!(1)),
        ] {
            assert!(!valid(key, value), "{key}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_value() {
        let schema = Schema::read(SCHEMA).unwrap();
        let wrong = schema.check(&Key::parse("physics.mode").unwrap(), &json!("canary").into());

        let Err(Error::Schema { reasons, .. }) = wrong else { panic!("it is none of the two") };
        assert!(!reasons.is_empty() && !reasons.concat().contains("canary"), "{reasons:?}");
    }

    #[test]
    fn a_reference_to_itself_comes_to_an_end() {
        let schema = Schema::read(r##"{"allOf": [{"$ref": "#"}]}"##).unwrap();

        assert!(schema.part(&Key::parse("a.b.c").unwrap()).is_none());
    }
}
