//! Plans that more belongs to than new values: files, originals, what is kept before. They are
//! carried out on the database, and live when that is answered.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use poem::http::StatusCode;
use setpoint_ops::Result;
use setpoint_ops::apply::{Applied, Channel, applied_before};
use setpoint_ops::import::Import;
use setpoint_ops::migrate::{Migrated, carry_out};
use setpoint_ops::plan::{Kind, Plan};
use setpoint_ops::reset::{before, keep};
use setpoint_ops::secret::refuse_plan;
use setpoint_ops::token::Role;

use crate::access::Caller;
use crate::problem::{ApiError, ApiResult};
use crate::service::{Service, aside, now};
use crate::written::log;

/// What became of a plan.
pub(crate) struct Done {
    pub plan: Plan,
    pub migrated: Migrated,
    /// Where the settings are kept that a reset has changed.
    pub kept: Option<PathBuf>,
}

/// Refuses a plan that `caller` may not see, or carry out.
pub(crate) fn may(caller: &Caller, role: Role, plan: &Plan) -> ApiResult<()> {
    caller.may(role)?;
    let changed = plan.changes.iter().map(|it| it.namespace.as_str());
    let moved = plan.moves.iter().map(|it| it.namespace.as_str());
    let read = plan.sources.iter().map(|it| it.namespace.as_str());
    let namespaces: BTreeSet<&str> = changed.chain(moved).chain(read).collect();
    namespaces.into_iter().try_for_each(|it| caller.may_in(role, it))
}

/// The role that a plan of this kind needs: what reads or writes files or backups
/// is for admins.
pub(crate) fn role_for(kind: Kind) -> Role {
    match kind {
        Kind::Import | Kind::Adopt | Kind::Restore | Kind::Retention => Role::Admin,
        Kind::Edit | Kind::Preset | Kind::Revert | Kind::Reset => Role::Editor,
    }
}

/// Carries out `import` for `caller`, who may do so. It goes on if the caller goes away.
pub(crate) async fn finish(
    service: &Arc<Service>,
    caller: &Caller,
    import: Import,
) -> ApiResult<Done> {
    may(caller, role_for(import.plan.kind), &import.plan)?;
    let work = |service: Arc<Service>| async move {
        let finished = finished(&service, import).await;
        let meters = &service.meters;
        let meter = if finished.is_ok() { &meters.write } else { &meters.write_failed };
        meter.increment(1);
        service.answer(finished)
    };
    let done = aside(service, work).await?;
    log(&done.plan, done.migrated.applied, Channel::Api);
    Ok(done)
}

async fn finished(service: &Service, import: Import) -> Result<Done> {
    let live = &service.live;
    check(service, &import.plan)?;
    let db = live.writer()?;
    let backups = service.setup.load().backups.folder().to_owned();
    if let Some(id) = applied_before(&db.connection, &import.plan).await? {
        let migrated = Migrated { applied: Applied::Before(id), originals: None, verified: 0 };
        return Ok(Done { plan: import.plan, migrated, kept: None });
    }
    let mut kept = None;
    if import.plan.kind == Kind::Reset && !import.plan.is_empty() {
        let documents = before(&live.reader().await?, &import.plan).await?;
        kept = Some(keep(&documents, &backups, now())?);
    }
    let migrated = carry_out(db, &import, &backups, Channel::Api, now()).await;
    // Something may be written although not all went well.
    let caught_up = live.catch_up().await;
    let migrated = migrated?;
    if let Err(error) = caught_up {
        // What was done is done, and is live with the next look at the database.
        tracing::error!(%error, "a plan was carried out, and is not live yet");
    }
    Ok(Done { plan: import.plan, migrated, kept })
}

/// Refuses a plan that has secrets in it, or values that the schema does not allow. What is in
/// files is checked against it when it is read.
pub(crate) fn check(service: &Service, plan: &Plan) -> Result<()> {
    refuse_plan(plan, service.rules())?;
    if matches!(plan.kind, Kind::Import | Kind::Adopt) {
        return Ok(());
    }
    let snapshot = service.live.snapshot();
    for effect in plan.effects() {
        let Some(after) = effect.after else { continue };
        snapshot.declared(effect.namespace).check(effect.key, after)?;
    }
    Ok(())
}

/// A plan that no file belongs to.
pub(crate) fn without_files(plan: Plan) -> Import {
    Import { plan, sources: Vec::new(), rewrites: Vec::new() }
}

/// Refuses an import that would delete all that a file said, unless that was asked for.
pub(crate) fn refuse_emptied(import: &Import, allowed: bool) -> ApiResult<()> {
    let emptied = import.emptied();
    let Some((path, deleted)) = emptied.first().filter(|_| !allowed) else { return Ok(()) };
    let detail = format!("{path} is empty now, and {deleted} settings would go with it");
    Err(ApiError::new(StatusCode::CONFLICT, "source::emptied", detail)
        .help("nothing was changed; say `allow_empty` if that is meant"))
}
