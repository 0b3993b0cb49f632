//! What goes out: JSON answers, written by serde alone, so that what is JSON already is sent as it
//! is. The schemas are those of types that look the same.

use std::borrow::Cow;
use std::marker::PhantomData;

use poem::http::HeaderValue;
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, ParseResult, ToJSON, Type};
use serde::{Serialize, Serializer};
use serde_json::Value;

pub(crate) const JSON: &str = "application/json";

/// JSON that looks as a `T` does, inside of an answer.
#[derive(Debug)]
pub(crate) struct Like<T> {
    json: Value,
    of: PhantomData<fn() -> T>,
}

impl<T> Like<T> {
    /// What serde makes of `value`, which looks as a `T` does.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        let json = serde_json::to_value(value).expect("an answer is texts, numbers and JSON");
        Self { json, of: PhantomData }
    }
}

impl<T> Serialize for Like<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<T: Type> Type for Like<T> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Value;
    type RawElementValueType = Value;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Value> {
        Some(&self.json)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
        Box::new(std::iter::once(&self.json))
    }
}

impl<T: Type> ToJSON for Like<T> {
    fn to_json(&self) -> Option<Value> {
        Some(self.json.clone())
    }
}

impl<T: Type> ParseFromJSON for Like<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(Self { json: value.unwrap_or_default(), of: PhantomData })
    }
}

/// A JSON answer that looks as `T` does.
pub(crate) struct Rendered<T> {
    text: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T> Rendered<T> {
    /// What serde makes of `value`, which looks as a `T` does.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        Self::ready(serde_json::to_vec(value).expect("an answer is texts, numbers and JSON"))
    }

    /// JSON that was made before.
    pub(crate) fn ready(text: impl Into<Vec<u8>>) -> Self {
        Self { text: text.into(), of: PhantomData }
    }
}

impl<T: Type> Payload for Rendered<T> {
    const CONTENT_TYPE: &'static str = JSON;

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Send> IntoResponse for Rendered<T> {
    fn into_response(self) -> Response {
        let mut response = Response::from(poem::Body::from_vec(self.text));
        let json = HeaderValue::from_static(JSON);
        response.headers_mut().insert(poem::http::header::CONTENT_TYPE, json);
        response
    }
}

impl<T: Type> ApiResponse for Rendered<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
