//! TOML, as <https://toml.io/en/v1.0.0> defines it.

use serde_json::Value;
use setpoint_importers::{Format, TypedValue};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table};

use super::Node;
use crate::{Error, Result};

pub(super) fn write(document: &Node) -> Result<String> {
    let mut text = DocumentMut::new();
    if let Node::Map(members) = document {
        for (name, node) in members {
            text.insert(name, item(name, node)?);
        }
    }
    Ok(text.to_string())
}

fn item(path: &str, node: &Node) -> Result<Item> {
    match node {
        Node::Leaf(TypedValue { json, format }) => Ok(Item::Value(value(path, json, *format)?)),
        Node::Map(members) => {
            let mut table = Table::new();
            table.set_implicit(true);
            for (name, node) in members {
                table.insert(name, item(&format!("{path}.{name}"), node)?);
            }
            Ok(Item::Table(table))
        }
    }
}

fn value(path: &str, json: &Value, format: Option<Format>) -> Result<toml_edit::Value> {
    let cannot = |what: &str| Error::NotInFormat {
        what: format!("`{path}`, {what},"),
        format: "toml",
        help: "export yaml or json, or another part with --prefix".to_owned(),
    };
    Ok(match json {
        Value::Null => return Err(cannot("which is null")),
        Value::Bool(flag) => (*flag).into(),
        Value::String(text) => match format {
            Some(_) => {
                let date = text.parse::<toml_edit::Datetime>();
                date.map_err(|_| cannot("which is no date that TOML knows"))?.into()
            }
            None => text.as_str().into(),
        },
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(float)) if number.is_f64() => float.into(),
            _ => return Err(cannot("which is beyond 64 bits with a sign")),
        },
        Value::Array(items) => {
            let items = items.iter().map(|item| value(path, item, format));
            items.collect::<Result<Array>>()?.into()
        }
        Value::Object(members) => {
            let mut table = InlineTable::new();
            for (name, member) in members {
                table.insert(name, value(&format!("{path}.{name}"), member, format)?);
            }
            table.into()
        }
    })
}
