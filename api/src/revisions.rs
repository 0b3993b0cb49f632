//! `/revisions`: what has happened, and taking it back.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use serde::Serialize;
use setpoint_ops::history::{Event, Removed, Revision, Wanted, revision, revisions};
use setpoint_ops::plan::{Plan, Trial};
use setpoint_ops::revert::{Part, Target, plan};
use setpoint_ops::time::between;
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::carry_out::{finish, may, without_files};
use crate::confirm::UnconfirmedShape;
use crate::history::{EventPage, EventShape, RemovedShape, page_of, removed_before};
use crate::page::{self, LIMIT};
use crate::payload::Rendered;
use crate::plans::{StrategyName, keys, strategy};
use crate::problem::ApiResult;
use crate::service::{Service, now};
use crate::settings::key;
use crate::written::{Written, shown};

pub(crate) struct Revisions(pub Arc<Service>);

/// A plan that was applied, or an edit made in SQL.
#[derive(Object)]
#[oai(rename = "Revision")]
struct RevisionShape {
    /// 1, 2, 3 and so on, without gaps.
    id: i64,
    at: String,
    /// The name of a token, or of a user of the machine.
    actor: String,
    /// The door it came through: `cli`, `api`, `panel`, `job` or `sql`.
    channel: String,
    /// `import`, `edit`, `preset`, `revert`, `reset`, `adopt`, `restore` or `retention`.
    kind: String,
    #[oai(nullable)]
    reason: Option<String>,
    /// How many settings it changed, of those that you may see.
    changes: i64,
    /// Null until the next writer seals an edit made in SQL.
    #[oai(nullable)]
    hash: Option<String>,
    /// Missing if it does not wait to be confirmed.
    #[oai(skip_serializing_if_is_none)]
    unconfirmed: Option<UnconfirmedShape>,
}

/// Some revisions, the newest first.
#[derive(Object)]
struct RevisionsPage {
    revisions: Vec<RevisionShape>,
    /// Give it as `cursor` for what came before; missing at the end.
    #[oai(skip_serializing_if_is_none)]
    next: Option<String>,
    /// At the end, if revisions were removed.
    #[oai(skip_serializing_if_is_none)]
    removed: Option<RemovedShape>,
}

#[derive(Serialize)]
struct Page {
    revisions: Vec<Revision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Removed>,
}

/// One revision, and some of what it changed.
#[derive(Object)]
struct OneRevision {
    revision: RevisionShape,
    changed: Vec<EventShape>,
    /// Give it as `cursor` for what comes next; missing at the end.
    #[oai(skip_serializing_if_is_none)]
    next: Option<String>,
}

#[derive(Serialize)]
struct One {
    revision: Revision,
    changed: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[OpenApi(prefix_path = "/revisions", tag = "Tags::History")]
impl Revisions {
    /// List revisions
    ///
    /// The newest first. Those that changed nothing which the token is for are left out.
    #[oai(path = "/", method = "get", operation_id = "list_revisions")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those that changed something in this namespace.
        ns: Query<Option<String>>,
        /// Only those that changed this key, or one below it.
        key: Query<Option<String>>,
        /// Only those by this token or user.
        actor: Query<Option<String>>,
        /// Only those through this door: `cli`, `api`, `panel`, `job` or `sql`.
        channel: Query<Option<String>>,
        /// Not before this: `12h` ago, a day such as `2030-01-31`, or a time.
        from: Query<Option<String>>,
        /// Not after this.
        to: Query<Option<String>>,
        /// Only those that wait to be confirmed.
        unconfirmed: Query<Option<bool>>,
        /// How many at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
        /// Where the page before this one ended.
        cursor: Query<Option<String>>,
    ) -> ApiResult<Rendered<RevisionsPage>> {
        let (from, to) = between(from.as_deref(), to.as_deref(), now())?;
        let wanted = Wanted {
            namespaces: self.0.visible(&caller, ns.0)?,
            key: key.as_deref().map(self::key).transpose()?,
            actor: actor.0,
            channel: channel.0,
            from,
            to,
            unconfirmed: unconfirmed.unwrap_or_default(),
            before: cursor.0.map(|it| page::read_place(&it)).transpose()?,
            ..Wanted::default()
        };
        let limit = limit.unwrap_or(LIMIT);
        let db = self.0.reader().await?;
        let mut found = self.0.answer(revisions(&db, &wanted, limit + 1).await)?;
        let is_more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let last = found.last().filter(|_| is_more);
        let next = last.map(|it| page::cursor_at(&it.id));
        let removed = self.0.answer(removed_before(&db, is_more).await)?;
        Ok(Rendered::of(&Page { revisions: found, next, removed }))
    }

    /// Read one revision and what it changed
    ///
    /// The changes come in order of namespace, layer and key, a page at a time. The values of
    /// what is a secret by now are hidden.
    #[oai(path = "/:id", method = "get", operation_id = "get_revision")]
    async fn get(
        &self,
        caller: Caller,
        id: Path<i64>,
        /// How many changes at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
        /// Where the page before this one ended.
        cursor: Query<Option<String>>,
    ) -> ApiResult<Rendered<OneRevision>> {
        let namespaces = self.0.visible(&caller, None)?;
        let wanted = Wanted { namespaces, ..Wanted::default() };
        let db = self.0.reader().await?;
        let revision = self.0.answer(revision(&db, &wanted, id.0).await)?;
        drop(db);
        let wanted = Wanted { revision: Some(id.0), ..wanted };
        let EventPage { events, next, .. } = page_of(&self.0, &wanted, cursor.0, limit.0).await?;
        Ok(Rendered::of(&One { revision, changed: events, next }))
    }

    /// Take back what a revision did
    ///
    /// As a new revision. A key that has changed since stays as it is, and is a conflict in the
    /// plan, unless the strategy says otherwise.
    #[oai(path = "/:id/revert", method = "post", operation_id = "revert_revision")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn revert(
        &self,
        caller: Caller,
        id: Path<i64>,
        /// Only these keys and those below them.
        #[oai(default)]
        key: Query<Vec<String>>,
        /// For keys that have changed since: `theirs` is the earlier value.
        strategy: Query<Option<StrategyName>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
        /// Undo it after this time, such as `10m`, unless it is confirmed before.
        confirm_within: Query<Option<String>>,
        /// With `confirm_within`: undo it at once if more clients than this reject it; 1, if
        /// nothing is said.
        reject_limit: Query<Option<u32>>,
    ) -> ApiResult<Rendered<Written>> {
        caller.may(Role::Editor)?;
        let part = Part { keys: keys(&key)?, ..Part::default() };
        let author = caller.author(reason.0);
        let db = self.0.reader().await?;
        let plan =
            plan(&db, Target::Revision(id.0), &part, self::strategy(strategy.0), author).await;
        drop(db);
        let trial = Trial::wished(confirm_within.as_deref(), reject_limit.0)?;
        let plan = Plan { trial, ..self.0.answer(plan)? };
        may(&caller, Role::Editor, &plan)?;
        let snapshot = self.0.live.snapshot();
        let shown = shown(&plan, &snapshot);
        let mut revision = None;
        if !dry_run.unwrap_or_default() {
            let done = finish(&self.0, &caller, without_files(plan)).await?;
            revision = done.migrated.applied.revision();
        }
        Ok(Rendered::of(&Written { plan: shown, revision, setting: None }))
    }
}
