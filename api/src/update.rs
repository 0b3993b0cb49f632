//! `POST /settings/update`: many values at once.

use std::sync::Arc;

use poem::http::StatusCode;
use poem_openapi::param::{Header, Query};
use poem_openapi::{Enum, OpenApi};
use setpoint_ops::plan::{Kind, Trial};
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::body::Text;
use crate::document::{self, Document, Nested};
use crate::etag;
use crate::problem::{ApiError, ApiResult};
use crate::service::Service;
use crate::written::Wrote;

pub(crate) struct Update(pub Arc<Service>);

/// What a null in a document means.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum Null {
    /// The value null.
    Set,
    /// That the key is to be unset.
    Unset,
}

#[OpenApi(prefix_path = "/settings", tag = "Tags::Settings")]
impl Update {
    /// Set many values at once
    ///
    /// A nested document, such as `{"http": {"port": 8080}}`: everything in it becomes one
    /// revision, or nothing of it. Keys that it does not have stay as they are.
    #[oai(path = "/update", method = "post", operation_id = "update_settings")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn update(
        &self,
        caller: Caller,
        body: Text<Nested>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// The layer that is changed: `base`, a declared one, or `user:ID`.
        layer: Query<Option<String>>,
        /// What null means: a value, if nothing is said.
        null: Query<Option<Null>>,
        /// That this is a preset of that name, which is the reason then.
        preset: Query<Option<String>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
        /// Undo it after this time, such as `10m`, unless it is confirmed before.
        confirm_within: Query<Option<String>>,
        /// With `confirm_within`: undo it at once if more clients than this reject it; 1, if
        /// nothing is said.
        reject_limit: Query<Option<u32>>,
        /// The ETag that the namespace has to have: that of an answer of this or of a section.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<Wrote> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Editor, ns.0)?;
        let layer = self.0.layer(&snapshot, &namespace, layer.0)?;
        let (kind, reason) = match (preset.0, reason.0) {
            (None, reason) => (Kind::Edit, reason),
            (Some(name), None) if !name.trim().is_empty() => (Kind::Preset, Some(name)),
            (Some(_), None) => return Err(bad_preset("a preset has a name")),
            (Some(_), Some(_)) => {
                return Err(bad_preset("the name of a preset is its reason; give one of the two"));
            }
        };
        let unset_nulls = null.0 == Some(Null::Unset);
        let edits = document::read(&self.0, &snapshot, &namespace, &body.bytes, None, unset_nulls)?;
        let document = Document {
            namespace: namespace.clone(),
            layer,
            prefix: None,
            edits,
            replace: false,
            kind,
            author: caller.author(reason),
            condition: if_match.0.map(|it| etag::condition(&it)).transpose()?,
            trial: Trial::wished(confirm_within.as_deref(), reject_limit.0)?,
        };
        let done = document.write(&self.0, dry_run.unwrap_or_default()).await?;
        Ok(Wrote::of(&done, &namespace))
    }
}

fn bad_preset(detail: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "request::preset", detail)
        .help("nothing was changed; give `preset=NAME`")
}
