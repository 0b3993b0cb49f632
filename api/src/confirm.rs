//! Changes that stay only if somebody confirms them: asked for, and confirmed.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;
use setpoint_ops::confirm::confirm;
use setpoint_ops::history::{Wanted, namespaces, revision};
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::payload::Rendered;
use crate::problem::ApiResult;
use crate::service::{Service, now};

pub(crate) struct Confirm(pub Arc<Service>);

/// Until when a revision waits to be confirmed.
#[derive(Object)]
#[oai(rename = "Unconfirmed")]
pub(crate) struct UnconfirmedShape {
    revision: i64,
    /// From then on it is undone.
    until: String,
    /// Who applied it.
    asked_by: String,
    /// It is undone when more clients than these reject it.
    reject_limit: i64,
    /// How many do.
    rejections: u64,
}

/// A revision that stays.
#[derive(Object, Serialize)]
struct Confirmed {
    revision: i64,
}

#[OpenApi(prefix_path = "/revisions", tag = "Tags::History")]
impl Confirm {
    /// Keep what was applied with `confirm_within`
    ///
    /// Twice is harmless. 409 if the time is over, or too many clients have rejected it: it is
    /// undone, as a revision of its own.
    #[oai(path = "/:id/confirm", method = "post", operation_id = "confirm_revision")]
    async fn confirm(&self, caller: Caller, id: Path<i64>) -> ApiResult<Rendered<Confirmed>> {
        caller.may(Role::Editor)?;
        let visible = self.0.visible(&caller, None)?;
        let db = self.0.reader().await?;
        let wanted = Wanted { namespaces: visible, ..Wanted::default() };
        self.0.answer(revision(&db, &wanted, id.0).await)?;
        let changed = self.0.answer(namespaces(&db, id.0).await)?;
        drop(db);
        changed.iter().try_for_each(|it| caller.may_in(Role::Editor, it))?;
        let work = async { confirm(self.0.live.writer()?, Some(id.0), &caller.name, now()).await };
        let revision = self.0.answer(work.await)?;
        tracing::info!(revision, actor = %caller.name, "confirmed a revision");
        Ok(Rendered::of(&Confirmed { revision }))
    }
}
