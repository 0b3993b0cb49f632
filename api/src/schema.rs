//! `/settings/schema`: which values there may be.

use std::sync::Arc;

use poem_openapi::param::{Header, Query};
use poem_openapi::{ApiResponse, OpenApi};
use setpoint_ops::hash::of_bytes;
use setpoint_ops::live::View;
use setpoint_ops::schema;
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::document::Nested;
use crate::etag;
use crate::payload::Rendered;
use crate::problem::ApiResult;
use crate::service::Service;

pub(crate) struct Schemas(pub Arc<Service>);

#[derive(ApiResponse)]
enum Found {
    /// A JSON Schema of the whole namespace as one nested document.
    #[oai(status = 200)]
    Ok(Rendered<Nested>, #[oai(header = "ETag")] String),
    /// It is what `If-None-Match` says.
    #[oai(status = 304)]
    NotModified(#[oai(header = "ETag")] String),
}

#[OpenApi(prefix_path = "/settings", tag = "Tags::Settings")]
impl Schemas {
    /// The JSON Schema of a namespace
    ///
    /// The one that is declared for it, or one that is made of what is live: with the types
    /// that the settings have.
    #[oai(path = "/schema", method = "get", operation_id = "get_schema")]
    async fn schema(
        &self,
        caller: Caller,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// An ETag that is known: the answer is 304 if it is still that.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> ApiResult<Found> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Viewer, ns.0)?;
        let document = match &snapshot.declared(&namespace).schema {
            Some(declared) => declared.document().clone(),
            None => {
                let live = snapshot.list(&namespace, View::Effective, None, None);
                schema::of_settings(live.map(|it| &it.setting))
            }
        };
        let text = document.to_string();
        let etag = format!("\"{}\"", of_bytes(text.as_bytes()));
        match if_none_match.0 {
            Some(known) if etag::lists(&known, &etag) => Ok(Found::NotModified(etag)),
            _ => Ok(Found::Ok(Rendered::ready(text), etag)),
        }
    }
}
