//! A setting's value: JSON, and for the dates that TOML has, what kind of text it is.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One value. `1` and `1.0` differ, the order of keys inside a map does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypedValue {
    #[serde(rename = "value")]
    pub json: Value,
    /// Set for text, and for arrays whose every element is such text, that a file wrote as a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// What a setting holds, as the database and the API name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    String,
    Integer,
    Float,
    Boolean,
    /// Null, an array or an empty map.
    Json,
}

/// TOML's kinds of date, see <https://toml.io/en/v1.0.0#offset-date-time>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    DateTime,
    Date,
    Time,
}

impl TypedValue {
    pub fn value_type(&self) -> ValueType {
        match &self.json {
            Value::String(_) => ValueType::String,
            Value::Number(number) if number.is_f64() => ValueType::Float,
            Value::Number(_) => ValueType::Integer,
            Value::Bool(_) => ValueType::Boolean,
            Value::Null | Value::Array(_) | Value::Object(_) => ValueType::Json,
        }
    }

    /// The value as the JSON text that is stored: a float always has a point or an exponent.
    pub fn text(&self) -> String {
        self.json.to_string()
    }
}

impl From<Value> for TypedValue {
    fn from(json: Value) -> Self {
        Self { json, format: None }
    }
}

impl ValueType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Format {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DateTime => "date-time",
            Self::Date => "date",
            Self::Time => "time",
        }
    }

    /// The format of that name, as [`Format::as_str`] gives it.
    pub fn named(name: &str) -> Option<Self> {
        [Self::DateTime, Self::Date, Self::Time].into_iter().find(|it| it.as_str() == name)
    }
}
