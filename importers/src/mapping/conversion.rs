//! A conversion as it is declared: `"integer"`, or `{ to = "float", unit = "ms -> s" }`.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a value becomes. As text it is a type alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    /// `string`, `integer`, `float`, `boolean`, `json` or `list`.
    pub to: Option<String>,
    /// Such as `ms -> s`. Without a type, numbers keep theirs.
    pub unit: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
}

impl Serialize for Conversion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.to, &self.unit) {
            (Some(to), None) => serializer.serialize_str(to),
            (to, unit) => Table { to: to.clone(), unit: unit.clone() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Conversion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TypeOrTable)
    }
}

/// Not serde's untagged enum, which could only say that neither fits.
struct TypeOrTable;

impl<'de> Visitor<'de> for TypeOrTable {
    type Value = Conversion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type such as \"integer\", or { to = \"float\", unit = \"ms -> s\" }")
    }

    fn visit_str<E: Error>(self, to: &str) -> Result<Conversion, E> {
        Ok(Conversion { to: Some(to.to_owned()), unit: None })
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Conversion, M::Error> {
        let Table { to, unit } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Conversion { to, unit })
    }
}
