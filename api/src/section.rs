//! `/config/{section}`: all settings below a key, as one nested document.

use std::sync::Arc;

use poem::http::StatusCode;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::{ApiResponse, OpenApi};
use setpoint_ops::export::tree::Node;
use setpoint_ops::live::{Snapshot, View};
use setpoint_ops::plan::{Kind, Trial};
use setpoint_ops::token::Role;
use setpoint_ops::{Key, TypedValue};

use crate::Tags;
use crate::access::Caller;
use crate::body::Text;
use crate::document::{self, Document, Nested};
use crate::etag;
use crate::payload::Rendered;
use crate::problem::{ApiError, ApiResult};
use crate::service::{Service, view};
use crate::settings::{key, unknown};
use crate::update::Null;
use crate::written::Wrote;

pub(crate) struct Sections(pub Arc<Service>);

#[derive(ApiResponse)]
enum Found {
    /// The section.
    #[oai(status = 200)]
    Ok(Rendered<Nested>, #[oai(header = "ETag")] String),
    /// It is what `If-None-Match` says.
    #[oai(status = 304)]
    NotModified(#[oai(header = "ETag")] String),
}

#[OpenApi(prefix_path = "/config", tag = "Tags::Settings")]
impl Sections {
    /// Read a section as one document
    ///
    /// The settings below a key, nested: of `http.port` and `http.host` the section `http` is
    /// `{"port": …, "host": …}`. The ETag is that of the namespace.
    #[oai(path = "/:section", method = "get", operation_id = "get_section")]
    async fn get(
        &self,
        caller: Caller,
        /// The first segment of keys, or several.
        section: Path<String>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// Only this layer.
        layer: Query<Option<String>>,
        /// With the preferences of this user on top.
        user: Query<Option<String>>,
        /// An ETag that is known: the answer is 304 if it is still that.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> ApiResult<Found> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Viewer, ns.0)?;
        let view = view(&snapshot, &namespace, layer.as_deref(), user.as_deref())?;
        let section = key(&section)?;
        let etag = etag::of_space(&snapshot, &namespace);
        let document = nested(&snapshot, &caller, &namespace, view, &section)?;
        self.0.meters.read.increment(1);
        match if_none_match.0 {
            Some(known) if etag::lists(&known, &etag) => Ok(Found::NotModified(etag)),
            _ => Ok(Found::Ok(Rendered::of(&document), etag)),
        }
    }

    /// Change a section by a document
    ///
    /// Everything in it becomes one revision, or nothing of it. Keys that it does not have stay
    /// as they are, or are unset with `replace=true`.
    #[oai(path = "/:section", method = "post", operation_id = "post_section")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn post(
        &self,
        caller: Caller,
        /// The first segment of keys, or several.
        section: Path<String>,
        body: Text<Nested>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// The layer that is changed: `base`, a declared one, or `user:ID`.
        layer: Query<Option<String>>,
        /// Whether keys that the document does not have are unset.
        replace: Query<Option<bool>>,
        /// What null means: a value, if nothing is said.
        null: Query<Option<Null>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
        /// Undo it after this time, such as `10m`, unless it is confirmed before.
        confirm_within: Query<Option<String>>,
        /// With `confirm_within`: undo it at once if more clients than this reject it; 1, if
        /// nothing is said.
        reject_limit: Query<Option<u32>>,
        /// The ETag that the namespace has to have.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<Wrote> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Editor, ns.0)?;
        let layer = self.0.layer(&snapshot, &namespace, layer.0)?;
        let section = key(&section)?;
        let (bytes, unset) = (&body.bytes, null.0 == Some(Null::Unset));
        let edits = document::read(&self.0, &snapshot, &namespace, bytes, Some(&section), unset)?;
        let document = Document {
            namespace: namespace.clone(),
            layer,
            prefix: Some(section),
            edits,
            replace: replace.unwrap_or_default(),
            kind: Kind::Edit,
            author: caller.author(reason.0),
            condition: if_match.0.map(|it| etag::condition(&it)).transpose()?,
            trial: Trial::wished(confirm_within.as_deref(), reject_limit.0)?,
        };
        let done = document.write(&self.0, dry_run.unwrap_or_default()).await?;
        Ok(Wrote::of(&done, &namespace))
    }
}

/// The document below `section`.
fn nested(
    snapshot: &Snapshot,
    caller: &Caller,
    namespace: &str,
    view: View<'_>,
    section: &Key,
) -> ApiResult<serde_json::Value> {
    let found = snapshot.list(namespace, view, Some(section), None);
    let found: Vec<(&Key, TypedValue)> =
        found.map(|it| (&it.setting.key, it.setting.typed())).collect();
    let root = Node::of(found.iter().map(|(key, value)| (*key, value)));
    match root.at(section) {
        Some(map @ Node::Map(_)) => Ok(map.to_json()),
        Some(Node::Leaf(_)) => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "section::value",
            format!("`{section}` is a value and no section"),
        )
        .help(format!("GET /api/settings/{section} reads it"))),
        None => Err(unknown(snapshot, caller, namespace, view, section).into()),
    }
}
