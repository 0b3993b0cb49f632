//! The OpenAPI document as it is served.

use poem::endpoint::make_sync;
use poem::web::Html;
use poem::{Endpoint, IntoResponse};
use poem_openapi::OpenApiService;

/// The document. A test makes it of the code, and fails where this is not what the code says: a
/// service that starts has nothing to make.
pub(crate) const DOCUMENT: &str = include_str!("../openapi.json");

pub(crate) fn document() -> impl Endpoint {
    make_sync(|_| DOCUMENT.with_content_type("application/json"))
}

/// The page that shows it.
pub(crate) fn docs() -> impl Endpoint {
    make_sync(|_| {
        let empty = OpenApiService::new((), "", "");
        Html(empty.swagger_ui_html().replacen(&empty.spec(), DOCUMENT, 1))
    })
}
