//! The schemas of wishes: serde reads them, these say what it takes.

use std::borrow::Cow;

use poem_openapi::Object;
use poem_openapi::Union;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

use super::wish::{AdoptWish, Choice, ImportWish, ResetWish, RevertWish, Wish};
use crate::document::Nested;

/// Set values.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct WishOfEdits {
    /// A nested document.
    edits: Nested,
}

/// Import declared files.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct WishOfImport {
    import: ImportWish,
}

/// Take back what was done.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct WishOfRevert {
    revert: RevertWish,
}

/// Put settings back to what their files said.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct WishOfReset {
    reset: ResetWish,
}

/// Write what is live into the files it came from.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct WishOfAdopt {
    adopt: AdoptWish,
}

/// What a plan is to be made of: one of these.
#[derive(Union)]
#[oai(one_of, rename = "Wish")]
enum AnyWish {
    Edits(WishOfEdits),
    Import(WishOfImport),
    Revert(WishOfRevert),
    Reset(WishOfReset),
    Adopt(WishOfAdopt),
}

impl Type for Wish {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        AnyWish::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        AnyWish::schema_ref()
    }

    fn register(registry: &mut Registry) {
        AnyWish::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl Type for Choice {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "Choice".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let side = MetaSchema {
            enum_items: vec!["ours".into(), "theirs".into()],
            ..MetaSchema::new("string")
        };
        let value = MetaSchema {
            required: vec!["value"],
            properties: vec![("value", Value::schema_ref())],
            max_properties: Some(1),
            ..MetaSchema::new("object")
        };
        let one_of = [side, value].map(|it| MetaSchemaRef::Inline(Box::new(it)));
        MetaSchemaRef::Inline(Box::new(MetaSchema { one_of: one_of.into(), ..MetaSchema::ANY }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for Choice {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }
}

impl ParseFromJSON for Choice {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
    }
}
