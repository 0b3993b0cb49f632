//! What a JSON Schema says of secrets: `"writeOnly": true` or `"format": "password"`.
//!
//! See <https://json-schema.org/draft/2020-12/json-schema-validation>, 7.3 and 9.4. It follows
//! `properties`, `patternProperties`, `additionalProperties`, `items`, `allOf`, `anyOf`, `oneOf`
//! and references within the document, and looks at nothing else of it.

use serde_json::Value;
use setpoint_importers::{Key, Pattern};

/// The patterns of the settings that the schema in `text` calls secrets.
///
/// # Errors
///
/// That the text is no JSON, or a name in it no part of a key.
pub fn in_schema(text: &str) -> Result<Vec<Pattern>, String> {
    let root: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    if !root.is_object() {
        return Err("is no JSON Schema: it is no map".to_owned());
    }
    let mut walk = Walk { root: &root, following: Vec::new(), found: Vec::new(), wrong: None };
    walk.visit(&root, "");
    match walk.wrong {
        Some(reason) => Err(reason),
        None => Ok(walk.found),
    }
}

struct Walk<'a> {
    root: &'a Value,
    /// References that are being followed: one that leads to itself is followed once.
    following: Vec<String>,
    found: Vec<Pattern>,
    wrong: Option<String>,
}

impl Walk<'_> {
    /// Looks at `schema`, which describes what lies at `path`.
    fn visit(&mut self, schema: &Value, path: &str) {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
            && !self.following.iter().any(|it| it == reference)
            && let Some(target) = reference.strip_prefix('#').and_then(|it| self.root.pointer(it))
        {
            self.following.push(reference.to_owned());
            self.visit(target, path);
            self.following.pop();
        }
        let is_secret = schema.get("writeOnly") == Some(&Value::Bool(true))
            || schema.get("format").and_then(Value::as_str) == Some("password");
        if is_secret && !path.is_empty() {
            self.found_at(path);
            return;
        }
        for member in members(schema, "properties") {
            let Ok(name) = Key::from_segments([member.0]) else { continue };
            self.visit(member.1, &below(path, name.as_str()));
        }
        for member in members(schema, "patternProperties") {
            self.visit(member.1, &below(path, "*"));
        }
        if let Some(rest) = schema.get("additionalProperties") {
            self.visit(rest, &below(path, "*"));
        }
        // A list is one value: a secret in it makes it one.
        if let Some(items) = schema.get("items") {
            let before = self.found.len();
            self.visit(items, path);
            if self.found.len() > before {
                self.found.truncate(before);
                self.found_at(path);
            }
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            for part in schema.get(name).and_then(Value::as_array).into_iter().flatten() {
                self.visit(part, path);
            }
        }
    }

    /// A map that is a secret makes everything below it one.
    fn found_at(&mut self, path: &str) {
        for pattern in [path.to_owned(), below(path, "**")] {
            match Pattern::parse(&pattern) {
                Ok(pattern) if !self.found.contains(&pattern) => self.found.push(pattern),
                Ok(_) => {}
                Err(error) => self.wrong = Some(error.to_string()),
            }
        }
    }
}

fn members<'a>(schema: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    schema.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_wherever_a_schema_can_say_so() {
        let schema = r##"{
            "properties": {
                "name": {"type": "string"},
                "password": {"type": "string", "format": "password"},
                "db.main": {"$ref": "#/$defs/login"},
                "users": {"type": "array", "items": {"$ref": "#/$defs/login"}},
                "hosts": {"additionalProperties": {"allOf": [{"$ref": "#/$defs/login"}]}},
                "vault": {"type": "object", "writeOnly": true}
            },
            "$defs": {"login": {"properties": {"pin": {"writeOnly": true}, "up": {"$ref": "#/$defs/login"}}}}
        }"##;

        let found = in_schema(schema).unwrap();
        let is_secret = |key: &str| found.iter().any(|it| it.matches(&Key::parse(key).unwrap()));

        for key in ["password", "\"db.main\".pin", "users", "hosts.a.pin", "vault.x.y"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["name", "\"db.main\".name", "hosts.a", "hosts.a.b.c"] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        assert!(in_schema("[]").is_err());
        assert!(in_schema("{").is_err());
    }
}
