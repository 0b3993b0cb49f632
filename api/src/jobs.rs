//! `/jobs`: what is done by itself, and when. The runs tell of all namespaces.

use std::slice;
use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;
use setpoint_ops::job::{self, Listed, Run, Store, named};
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::page::{self, LIMIT};
use crate::payload::Rendered;
use crate::problem::ApiResult;
use crate::service::{Service, aside, now};

pub(crate) struct Jobs(pub Arc<Service>);

/// A job that is declared, and how it stands.
#[derive(Object)]
#[oai(rename = "Job")]
struct JobShape {
    name: String,
    /// What it does, such as `drift`.
    verb: String,
    cron: String,
    /// The zone that `cron` is meant in.
    time_zone: String,
    enabled: bool,
    /// Since when it rests; null if it does not.
    #[oai(nullable)]
    paused_at: Option<String>,
    #[oai(nullable)]
    paused_by: Option<String>,
    /// When it is due next, by the clocks of its zone; nothing while it rests.
    next: Vec<String>,
    /// The newest run; null if there was none.
    #[oai(nullable)]
    last: Option<RunShape>,
}

/// A run of a job.
#[derive(Object)]
#[oai(rename = "JobRun")]
struct RunShape {
    job: String,
    scheduled_for: String,
    trigger: Trigger,
    verb: String,
    state: State,
    /// How often it was begun.
    attempt: i64,
    /// When one that has failed is tried again; null if it is not.
    #[oai(nullable)]
    retry_at: Option<String>,
    /// Who has it, or had it.
    #[oai(nullable)]
    instance: Option<String>,
    #[oai(nullable)]
    started_at: Option<String>,
    #[oai(nullable)]
    finished_at: Option<String>,
    #[oai(nullable)]
    duration_ms: Option<i64>,
    /// What it has found or done.
    #[oai(nullable)]
    output: Option<String>,
    /// Why it failed.
    #[oai(nullable)]
    error: Option<String>,
    /// What is to be said of it besides, such as runs that were missed.
    #[oai(nullable)]
    note: Option<String>,
}

/// What a run was begun by.
#[derive(Enum)]
#[oai(rename = "JobTrigger", rename_all = "lowercase")]
enum Trigger {
    Cron,
    Manual,
}

/// How far a run has come.
#[derive(Enum)]
#[oai(rename = "JobState", rename_all = "lowercase")]
enum State {
    /// It is due, and waits for an instance, or to be tried again.
    Queued,
    Running,
    Succeeded,
    Failed,
    /// It was let go: missed, or the one before it still went on.
    Skipped,
    /// Whoever had it died, as often as that may happen.
    Abandoned,
}

/// Runs of a job, the newest first.
#[derive(Object)]
struct RunsPage {
    runs: Vec<RunShape>,
    /// Give it as `cursor` for those before; missing at the end.
    #[oai(skip_serializing_if_is_none)]
    next: Option<String>,
}

#[derive(Serialize)]
struct Runs {
    runs: Vec<Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[OpenApi(prefix_path = "/jobs", tag = "Tags::Operation")]
impl Jobs {
    /// List jobs
    ///
    /// As they are declared: when each is due next, and how it last ended.
    #[oai(path = "/", method = "get", operation_id = "list_jobs")]
    async fn list(&self, caller: Caller) -> ApiResult<Rendered<Vec<JobShape>>> {
        caller.may_everywhere(Role::Viewer)?;
        let (db, setup) = (self.0.reader().await?, self.0.setup.load_full());
        Ok(Rendered::of(&self.0.answer(job::list(&db, &setup.jobs.jobs, now()).await)?))
    }

    /// List the runs of a job
    ///
    /// The newest first. It need not be declared any more.
    #[oai(path = "/:name/history", method = "get", operation_id = "list_job_runs")]
    async fn history(
        &self,
        caller: Caller,
        name: Path<String>,
        /// How many at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
        /// Where the page before this one ended.
        cursor: Query<Option<String>>,
    ) -> ApiResult<Rendered<RunsPage>> {
        caller.may_everywhere(Role::Viewer)?;
        let before = cursor.as_deref().map(page::read).transpose()?;
        let limit = limit.unwrap_or(LIMIT) as usize;
        let db = self.0.reader().await?;
        let found = job::older(&db, &name, before.as_deref(), limit as u64 + 1).await;
        drop(db);
        let mut runs = self.0.answer(found)?;
        if runs.is_empty() && before.is_none() {
            named(&self.0.setup.load().jobs.jobs, &name)?;
        }
        let is_more = runs.len() > limit;
        runs.truncate(limit);
        let last = runs.last().filter(|_| is_more);
        let next = last.map(|it| page::cursor(&it.scheduled_for));
        Ok(Rendered::of(&Runs { runs, next }))
    }

    /// Run a job now
    ///
    /// Whether or not it is paused. The answer comes when it has ended, and says how; it goes on
    /// if whoever asked goes away. For admins.
    #[oai(path = "/:name/run", method = "post", operation_id = "run_job")]
    async fn run(&self, caller: Caller, name: Path<String>) -> ApiResult<Rendered<RunShape>> {
        caller.may_everywhere(Role::Admin)?;
        let work = |service: Arc<Service>| async move {
            let setup = service.setup.load().jobs.clone();
            let (job, store) = (named(&setup.jobs, &name)?, Store::Live(&service.live));
            let ran = job::run_now(store, job, &setup.holder, &setup.ground, now).await;
            let ran = service.answer(ran)?;
            let state = ran.recorded.state.as_str();
            tracing::info!(job = job.name, state, actor = &*caller.name, "ran a job");
            Ok(ran.run)
        };
        Ok(Rendered::of(&aside(&self.0, work).await?))
    }

    /// Have a job rest
    ///
    /// No instance begins it until it is resumed. Times that pass meanwhile are not made up for; a
    /// run that goes on is not stopped. For admins.
    #[oai(path = "/:name/pause", method = "post", operation_id = "pause_job")]
    async fn pause(&self, caller: Caller, name: Path<String>) -> ApiResult<Rendered<JobShape>> {
        Ok(Rendered::of(&self.rest(&caller, &name, true).await?))
    }

    /// Have a job be run again
    ///
    /// From its next time on. For admins.
    #[oai(path = "/:name/resume", method = "post", operation_id = "resume_job")]
    async fn resume(&self, caller: Caller, name: Path<String>) -> ApiResult<Rendered<JobShape>> {
        Ok(Rendered::of(&self.rest(&caller, &name, false).await?))
    }
}

impl Jobs {
    async fn rest(&self, caller: &Caller, name: &str, rests: bool) -> ApiResult<Listed> {
        caller.may_everywhere(Role::Admin)?;
        let setup = self.0.setup.load_full();
        let job = named(&setup.jobs.jobs, name)?;
        let db = self.0.answer(self.0.live.writer())?;
        let changed = match rests {
            true => job::pause(db, job, &caller.name, now()).await,
            false => job::resume(db, job, now()).await,
        };
        if self.0.answer(changed)? {
            tracing::info!(job = name, actor = &*caller.name, rests, "a job rests, or runs again");
        }
        let db = self.0.reader().await?;
        let mut listed = self.0.answer(job::list(&db, slice::from_ref(job), now()).await)?;
        Ok(listed.swap_remove(0))
    }
}
