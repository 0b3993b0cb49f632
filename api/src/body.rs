//! What comes in: bodies, read by serde alone, so that what is unknown or missing is refused. The
//! schemas are those of the same types.

use std::marker::PhantomData;

use poem::http::StatusCode;
use poem::{FromRequest, IntoResponse, Request, RequestBody};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use setpoint_ops::edit;

use crate::payload::JSON;
use crate::problem::ApiError;

/// A body as serde reads it.
pub(crate) struct Body<T>(pub T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = JSON;

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: DeserializeOwned + Send> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        let read = from_map(&bytes).map_err(|error| {
            let (code, status) = match serde_json::from_slice::<IgnoredAny>(&bytes) {
                Ok(_) => ("request::invalid", StatusCode::UNPROCESSABLE_ENTITY),
                Err(_) => ("request::malformed", StatusCode::BAD_REQUEST),
            };
            let problem = ApiError::new(status, code, format!("the body is wrong: {error}"))
                .help("nothing was changed; /docs shows what it looks like");
            poem::Error::from_response(problem.into_response())
        });
        read.map(Self)
    }
}

impl<'a, T: Type + DeserializeOwned + Send> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        refuse_other_types(request)?;
        <Self as ParsePayload>::from_request(request, body).await
    }
}

/// A JSON body that looks as a `T` does, as it came: who reads it tells the places of faults.
pub(crate) struct Text<T> {
    pub bytes: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<'a, T: Type> ApiExtractor<'a> for Text<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        refuse_other_types(request)?;
        let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        Ok(Self { bytes, of: PhantomData })
    }
}

/// As [`Text`], of a body that there need not be.
pub(crate) struct OptionalText<T>(pub Option<Vec<u8>>, PhantomData<fn() -> T>);

impl<'a, T: Type> ApiExtractor<'a> for OptionalText<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Text::<T>::request_meta().map(|it| MetaRequest { required: false, ..it })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        if bytes.is_empty() {
            return Ok(Self(None, PhantomData));
        }
        refuse_other_types(request)?;
        Ok(Self(Some(bytes), PhantomData))
    }
}

/// For members that are maps: serde would take a list of values as one, too.
pub(crate) fn map<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    from_map(raw.get().as_bytes()).map_err(D::Error::custom)
}

/// Reads a body, or a part of one, that is to be a map.
fn from_map<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    match bytes.trim_ascii_start().first() {
        Some(b'[') => {
            serde_json::from_slice::<IgnoredAny>(bytes)?;
            Err(serde_json::Error::custom("it is a list, where a map is wanted"))
        }
        _ => serde_json::from_slice(bytes),
    }
}

/// For members that may be missing, and are not null where they are there.
pub(crate) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A file as the body, whatever it calls itself.
pub(crate) struct File(pub Vec<u8>);

impl<'a> ApiExtractor<'a> for File {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchema::new_with_format("string", "binary");
        let schema = MetaSchemaRef::Inline(Box::new(schema));
        let content = vec![MetaMediaType { content_type: "application/octet-stream", schema }];
        Some(MetaRequest { description: Some("The file."), content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(<Vec<u8> as FromRequest>::from_request(request, body).await?))
    }
}

/// Whether a Content-Type is that of JSON.
pub(crate) fn is_json(it: &str) -> bool {
    it.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON)
}

fn refuse_other_types(request: &Request) -> poem::Result<()> {
    if request.content_type().is_some_and(is_json) {
        return Ok(());
    }
    let problem = ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "request::media_type",
        "the body is no application/json",
    )
    .help("nothing was changed; send it with Content-Type: application/json");
    Err(poem::Error::from_response(problem.into_response()))
}

/// Any JSON value, read as files are: what would not be kept as it is written is refused.
pub(crate) fn exact<'de, D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
    let text = Box::<RawValue>::deserialize(from)?;
    edit::json_value(text.get()).map_err(D::Error::custom)
}
