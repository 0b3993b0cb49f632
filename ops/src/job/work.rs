//! What jobs do: the one place where each verb is carried out.

use std::collections::HashMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend};
use setpoint_importers::Limits;

use super::drift::drift;
use super::{Claim, Ended, Job, Verb};
use crate::database::Database;
use crate::live::Live;
use crate::report::{self, Report};
use crate::secret::Rules;
use crate::source::{self, Declared, State as SourceState, imported};
use crate::{Result, audit, expire};

/// What is declared, as far as jobs need it.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    /// The sources, with the seeds of the program.
    pub sources: Vec<Declared>,
    /// The folder that their paths are relative to.
    pub root: PathBuf,
    pub limits: Limits,
    /// What is declared of the secrets of each namespace.
    pub rules: HashMap<String, Rules>,
    /// Those that webhooks may lead to.
    pub webhook_hosts: Vec<String>,
}

/// The database, of a service or of a command.
#[derive(Clone, Copy)]
pub enum Store<'a> {
    Live(&'a Live),
    Plain(&'a Database),
}

/// What is written in the transaction that ends a run: only if the run is still its holder's.
#[derive(Debug)]
pub enum Effect {
    Nothing,
    /// Takes away what has long expired.
    Expire,
    /// Stores a report; `told` if nobody waits to be told of it.
    Report {
        report: Box<Report>,
        told: bool,
    },
}

impl Effect {
    pub(super) async fn write(
        &self,
        db: &DatabaseTransaction,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Expire => expire::expire(db, now).await.map(drop),
            Self::Report { report, told } => {
                report::store(db, report, &claim.scheduled_for, *told).await
            }
        }
    }
}

impl Store<'_> {
    /// One moment of the database.
    ///
    /// # Errors
    ///
    /// As [`Live::reader`], [`Database::snapshot`].
    pub async fn reader(&self) -> Result<DatabaseTransaction> {
        match self {
            Self::Live(live) => live.reader().await,
            Self::Plain(db) => db.snapshot().await,
        }
    }

    /// The database, to be written.
    ///
    /// # Errors
    ///
    /// As [`Live::writer`].
    pub fn writer(&self) -> Result<&Database> {
        match self {
            Self::Live(live) => live.writer(),
            Self::Plain(db) => Ok(db),
        }
    }
}

/// Does what `job` is for. What it finds wrong is the result of a run, as an error is.
pub(super) async fn carry_out(
    store: Store<'_>,
    ground: &Ground,
    job: &Job,
    now: DateTime<Utc>,
) -> Ended {
    let done = match &job.verb {
        Verb::AuditVerify => audit_verify(store).await,
        Verb::Drift { webhook } => drift(store, ground, &job.name, webhook.as_ref(), now).await,
        Verb::Expire => expiring(store, now).await,
        Verb::ReseedCheck => reseed_check(store, ground).await,
        Verb::Vacuum => vacuum(store).await,
    };
    done.unwrap_or_else(|error| Ended::failed(error.in_a_line()))
}

fn told(output: String) -> Result<Ended> {
    Ok(Ended { result: Ok(output), effect: Effect::Nothing })
}

async fn audit_verify(store: Store<'_>) -> Result<Ended> {
    let verdict = audit::verify(&store.reader().await?).await?;
    match verdict.first_bad {
        Some(bad) => Ok(Ended::failed(format!("revision {}: {}", bad.revision, bad.reason))),
        None => told(format!(
            "{} revisions hold together, {} of them not sealed yet; the newest hash is {}",
            verdict.revisions, verdict.unsealed, verdict.head_hash
        )),
    }
}

async fn expiring(store: Store<'_>, now: DateTime<Utc>) -> Result<Ended> {
    let expired = expire::find(&store.reader().await?, now).await?;
    Ok(Ended { result: Ok(expired.to_string()), effect: Effect::Expire })
}

async fn reseed_check(store: Store<'_>, ground: &Ground) -> Result<Ended> {
    let known = imported(&store.reader().await?).await?;
    let listed = source::list(&ground.sources, &known, &ground.root, &ground.limits)?;
    let is_new = |it: SourceState| matches!(it, SourceState::New | SourceState::Changed);
    let new: Vec<String> = listed
        .iter()
        .filter(|it| is_new(it.state))
        .map(|it| format!("{} of {}", it.path, it.namespace))
        .collect();
    match new.is_empty() {
        true => told(format!("{} sources, all as they were imported", listed.len())),
        false => told(format!("an update is available: {}", new.join(", "))),
    }
}

async fn vacuum(store: Store<'_>) -> Result<Ended> {
    let db = store.writer()?;
    let statements: &[&str] = match db.backend() {
        // The server vacuums by itself.
        DbBackend::Postgres => &["ANALYZE"],
        _ => &["VACUUM", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"],
    };
    for statement in statements {
        db.connection.execute_unprepared(statement).await?;
    }
    told("done".to_owned())
}
