//! JSON bodies, read and written by serde alone: what is unknown or missing is refused, and what
//! is JSON already is sent as it is. The schemas are those of the same types.

use std::marker::PhantomData;

use poem::http::{HeaderValue, StatusCode};
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{
    MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::ApiError;

const JSON: &str = "application/json";

/// A body as serde reads it.
pub(crate) struct Body<T>(pub T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = JSON;

    fn check_content_type(content_type: &str) -> bool {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case(JSON)
    }

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
        let read = serde_json::from_slice(&bytes).map_err(|error| {
            let (code, status) = match error.classify() {
                serde_json::error::Category::Data => {
                    ("request::invalid", StatusCode::UNPROCESSABLE_ENTITY)
                }
                _ => ("request::malformed", StatusCode::BAD_REQUEST),
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
        if request.content_type().is_some_and(Self::check_content_type) {
            return <Self as ParsePayload>::from_request(request, body).await;
        }
        let problem = ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "request::media_type",
            "the body is no application/json",
        )
        .help("nothing was changed; send it with Content-Type: application/json");
        Err(poem::Error::from_response(problem.into_response()))
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
