//! A backup put back, or the plan of it.

use std::sync::Arc;

use setpoint_ops::Pattern;
use setpoint_ops::apply::Channel;
use setpoint_ops::backup::{Restoration, Restore};

use super::shape::{RestoredShape, table};
use super::storage;
use crate::access::Caller;
use crate::carry_out::{check, finish, without_files};
use crate::problem::ApiResult;
use crate::service::{Service, now};
use crate::written::shown;

/// What somebody asks for.
pub(super) struct Asked {
    /// The keys that are put back; all of the backup if there are none.
    pub only: Vec<Pattern>,
    /// Where those keys are; everywhere if there is none.
    pub namespace: Option<String>,
    pub reason: Option<String>,
    pub is_dry: bool,
}

pub(super) async fn restored(
    service: &Arc<Service>,
    caller: &Caller,
    restore: &Restore,
    asked: Asked,
) -> ApiResult<RestoredShape> {
    match asked.only.is_empty() {
        true => all(service, caller, restore, asked).await,
        false => values(service, caller, restore, asked).await,
    }
}

async fn all(
    service: &Arc<Service>,
    caller: &Caller,
    restore: &Restore,
    asked: Asked,
) -> ApiResult<RestoredShape> {
    // What lies in the place of the file that is served is not to be restored into, nor is another
    // to be made.
    service.answer(service.live.writer())?;
    let (location, settings) = (service.live.location(), service.setup.load().database);
    let author = caller.author(asked.reason);
    let planned = service.answer(restore.plan(location, settings, author.clone()).await)?;
    let Restoration { backup, from_revision, is_there, plan, tables, problems, waiting, .. } =
        planned;
    let mut answer = RestoredShape {
        backup,
        from_revision,
        is_there,
        plan: shown(&plan, &service.live.snapshot()),
        tables: tables.into_iter().map(table).collect(),
        problems,
        epoch: None,
        revision: None,
        safety_backup: None,
        replaced_revision: None,
        waiting: revisions(waiting),
    };
    if asked.is_dry || is_there {
        return Ok(answer);
    }
    let storage = storage(service);
    let done = restore.carry_out(location, settings, &storage, &plan, Channel::Api, now()).await;
    let meters = &service.meters;
    let meter = if done.is_ok() { &meters.write } else { &meters.write_failed };
    meter.increment(1);
    // Whether it was written may not be known.
    let caught_up = service.live.catch_up().await;
    let done = service.answer(done)?;
    if let Err(error) = caught_up {
        tracing::error!(%error, "a backup was restored, and is not live yet");
    }
    let (backup, revision) = (&answer.backup, done.revision);
    tracing::info!(backup, revision, actor = author.actor, "restored a backup");
    answer.epoch = Some(done.epoch);
    answer.revision = Some(done.revision);
    answer.safety_backup = done.safety_backup;
    answer.replaced_revision = done.replaced_revision;
    answer.waiting = revisions(done.waiting);
    Ok(answer)
}

fn revisions(waiting: Vec<i64>) -> Option<Vec<i64>> {
    Some(waiting).filter(|it| !it.is_empty())
}

/// Some values: an ordinary plan, on the history as it is.
async fn values(
    service: &Arc<Service>,
    caller: &Caller,
    restore: &Restore,
    asked: Asked,
) -> ApiResult<RestoredShape> {
    let Restore { name, revision, .. } = restore;
    let reason = asked.reason.unwrap_or_else(|| format!("from backup {name}, revision {revision}"));
    let (location, settings) = (service.live.location(), service.setup.load().database);
    service.answer(restore.refuse_other(location, settings).await)?;
    let db = service.reader().await?;
    let (namespace, author) = (asked.namespace.as_deref(), caller.author(Some(reason)));
    let plan = restore.values(&db, &asked.only, namespace, author).await;
    drop(db);
    let plan = service.answer(plan)?;
    service.answer(check(service, &plan))?;
    let mut answer = RestoredShape {
        backup: name.clone(),
        from_revision: *revision,
        is_there: plan.is_empty(),
        plan: shown(&plan, &service.live.snapshot()),
        tables: Vec::new(),
        problems: restore.problems.clone(),
        epoch: None,
        revision: None,
        safety_backup: None,
        replaced_revision: None,
        waiting: None,
    };
    if !asked.is_dry {
        let done = finish(service, caller, without_files(plan)).await?;
        answer.revision = done.migrated.applied.revision();
    }
    Ok(answer)
}
