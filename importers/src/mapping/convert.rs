//! Conversion of one value to another type or unit, and back.
//!
//! Exact or refused: nothing is rounded, guessed or cut off.

use std::fmt;

use serde_json::Value;

use super::decimal::Decimal;
use super::refusal::Refusal;
use super::unit::Scale;
use crate::value::{TypedValue, ValueType};
use crate::{Limits, json, resolve};

/// What becomes of the values of some keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Convert {
    /// Without one, a number in another unit keeps its type.
    pub to: Option<Target>,
    /// Only with a number as target, or without a target.
    pub scale: Option<Scale>,
}

/// The type that a value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    String,
    Integer,
    Float,
    Boolean,
    /// What a JSON text says.
    Json,
    /// The texts between the commas of a text, without the spaces around them.
    List,
}

impl Convert {
    /// What the file's `value` becomes.
    pub fn forward(self, value: TypedValue) -> Result<TypedValue, Refusal> {
        let Some(scale) = self.scale else {
            return self.to.map_or(Ok(value.clone()), |to| to.convert(value));
        };
        let target = match (self.to, &value.json) {
            (Some(to), _) => to,
            (None, Value::Number(_)) => Target::of(value.value_type()),
            (None, _) => return Err(Refusal::UnitOfNoNumber),
        };
        target.number(scale.apply(decimal(&value.json)?)?)
    }

    /// What the file must say for `value` to come out; `written` is the type it has there now.
    pub fn back(
        self,
        value: &TypedValue,
        written: Option<ValueType>,
    ) -> Result<TypedValue, Refusal> {
        let usual = [ValueType::Integer, ValueType::Float];
        let types = match (written, self.scale) {
            (Some(written), _) => vec![Some(written)],
            (None, Some(_)) => usual.map(Some).to_vec(),
            (None, None) => vec![None, Some(ValueType::String)],
        };
        let mut first_refusal = None;
        for written in types {
            match self.back_as(value, written).and_then(|it| self.proven(it, value)) {
                Ok(found) => return Ok(found),
                Err(refusal) => _ = first_refusal.get_or_insert(refusal),
            }
        }
        Err(first_refusal.unwrap_or(Refusal::OneWay))
    }

    /// `found`, if it becomes `value` again.
    fn proven(self, found: TypedValue, value: &TypedValue) -> Result<TypedValue, Refusal> {
        match self.forward(found.clone())? == *value {
            true => Ok(found),
            false => Err(Refusal::OneWay),
        }
    }

    fn back_as(
        self,
        value: &TypedValue,
        written: Option<ValueType>,
    ) -> Result<TypedValue, Refusal> {
        let Some(written) = written else { return Ok(value.clone()) };
        if let Some(scale) = self.scale {
            let Value::Number(number) = &value.json else { return Err(Refusal::UnitOfNoNumber) };
            return Target::of(written).number(scale.inverse().apply(Decimal::of(number)?)?);
        }
        match (self.to, written) {
            (Some(Target::List), ValueType::String) => joined(&value.json),
            (Some(Target::Json), ValueType::String) => Ok(Value::from(value.text()).into()),
            (_, ValueType::Json) => Ok(value.clone()),
            _ => Target::of(written).convert(value.clone()),
        }
    }
}

impl Target {
    pub const ALL: [(&str, Self); 6] = [
        ("string", Self::String),
        ("integer", Self::Integer),
        ("float", Self::Float),
        ("boolean", Self::Boolean),
        ("json", Self::Json),
        ("list", Self::List),
    ];

    pub fn as_str(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|(_, target)| *target == self);
        named.expect("all targets have a name").0
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, target)| target)
    }

    pub fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Float)
    }

    fn of(value_type: ValueType) -> Self {
        match value_type {
            ValueType::String => Self::String,
            ValueType::Integer => Self::Integer,
            ValueType::Float => Self::Float,
            ValueType::Boolean => Self::Boolean,
            ValueType::Json => Self::Json,
        }
    }

    /// The value as this type; as it is if it has that type already.
    fn convert(self, value: TypedValue) -> Result<TypedValue, Refusal> {
        match (self, &value.json) {
            (_, Value::Array(_)) if matches!(self, Self::Json | Self::List) => Ok(value),
            _ if value.value_type() != ValueType::Json && self == Self::of(value.value_type()) => {
                Ok(value)
            }
            (Self::Integer | Self::Float, it) => self.number(decimal(it)?),
            (Self::String, Value::Number(_) | Value::Bool(_)) => {
                Ok(Value::from(value.text()).into())
            }
            (Self::Boolean, Value::String(text)) => {
                let flag = text.parse::<bool>().map_err(|_| Refusal::NotABoolean)?;
                Ok(Value::from(flag).into())
            }
            (Self::Json, Value::String(text)) => json_of(text),
            (Self::Json, _) => Ok(value),
            (Self::List, Value::String(text)) => Ok(split(text)),
            _ => Err(Refusal::OtherType),
        }
    }

    /// The number as this type; for a text, as it is written.
    fn number(self, number: Decimal) -> Result<TypedValue, Refusal> {
        let number = match self {
            Self::Integer => number.integer()?,
            Self::Float => number.float()?,
            Self::String => {
                let number = number.integer().or_else(|_| number.float())?;
                return Ok(Value::from(number.to_string()).into());
            }
            Self::Boolean | Self::Json | Self::List => return Err(Refusal::OtherType),
        };
        Ok(Value::Number(number).into())
    }
}

/// What a value is to become, with its article.
impl fmt::Display for Convert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.to {
            Some(Target::String) => "a string",
            Some(Target::Integer) => "an integer",
            Some(Target::Float) => "a float",
            Some(Target::Boolean) => "a boolean",
            Some(Target::Json) => "what a JSON text says",
            Some(Target::List) => "a list",
            None => "a number of the same type",
        })?;
        f.write_str(if self.scale.is_some() { " in another unit" } else { "" })
    }
}

fn decimal(value: &Value) -> Result<Decimal, Refusal> {
    match value {
        Value::Number(number) => Decimal::of(number),
        Value::String(text) => Decimal::parse(text),
        _ => Err(Refusal::OtherType),
    }
}

/// Read as a file of JSON would be: a name that is there twice and a number that does not fit
/// are refused.
fn json_of(text: &str) -> Result<TypedValue, Refusal> {
    let limits = Limits::default();
    let (tree, faults) = json::line(text, &limits).map_err(|_| Refusal::NotJson)?;
    let root = tree.root.filter(|_| faults.is_empty()).ok_or(Refusal::NotJson)?;
    match resolve::value(&tree, &limits, root).map_err(|_| Refusal::NotJson)? {
        Value::Object(members) if !members.is_empty() => Err(Refusal::JsonMap),
        json => Ok(json.into()),
    }
}

fn split(text: &str) -> TypedValue {
    let items = text.split(',').map(|item| Value::from(item.trim()));
    let items = if text.trim().is_empty() { Vec::new() } else { items.collect() };
    Value::Array(items).into()
}

fn joined(list: &Value) -> Result<TypedValue, Refusal> {
    let items = list.as_array().ok_or(Refusal::OtherType)?.iter().map(Value::as_str);
    let items: Option<Vec<&str>> = items.collect();
    let text = items.ok_or(Refusal::NotJoinable)?.join(",");
    match split(&text).json == *list {
        true => Ok(Value::from(text).into()),
        false => Err(Refusal::NotJoinable),
    }
}

#[cfg(test)]
mod tests;
