//! What jobs do: the one place where each verb is carried out.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};
use setpoint_importers::Limits;

use super::drift::drift;
use super::{Claim, Ended, Job, Verb};
use crate::amount::{counted, size};
use crate::apply::Channel;
use crate::backup::{self, Checked, Storage, Verified, Wish};
use crate::clock::Clocks;
use crate::database::{self, Access, Database, Location, Settings};
use crate::live::{self, Live};
use crate::plan::Author;
use crate::report::{self, Report};
use crate::retention::{Policy, revisions};
use crate::secret::Rules;
use crate::source::{self, Declared, State as SourceState, imported};
use crate::{Error, Result, audit, confirm, expire};

/// What is declared, as far as jobs need it.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The database that backups are taken of.
    pub location: Location,
    pub settings: Settings,
    /// Where they are kept.
    pub backups: Storage,
    /// Which of them stay; all if there is none.
    pub retention: Option<Policy>,
    /// Which revisions stay; all if there is none.
    pub revisions: Option<revisions::Policy>,
    /// What is declared of namespaces.
    pub declared: Arc<live::Policy>,
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
    /// Removes the ignored drift that is long over.
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
        Verb::Backup => take_backup(ground, &job.name, now).await,
        Verb::Drift { webhook } => drift(store, ground, &job.name, webhook.as_ref(), now).await,
        Verb::Expire => expiring(store, now).await,
        Verb::ReseedCheck => reseed_check(store, ground).await,
        Verb::Retention => retention(store, ground, &job.name, now).await,
        Verb::Vacuum => vacuum(ground).await,
        Verb::VerifyBackups => verify_backups(ground, now).await,
    };
    done.unwrap_or_else(|error| Ended::failed(error.in_a_line()))
}

async fn audit_verify(store: Store<'_>) -> Result<Ended> {
    let verdict = audit::verify(&store.reader().await?).await?;
    Ok(match verdict.first_bad {
        Some(_) => Ended::found(verdict.to_string()),
        None => Ended::done(format!("{verdict}; the newest hash is {}", verdict.head_hash)),
    })
}

async fn take_backup(ground: &Ground, job: &str, now: DateTime<Utc>) -> Result<Ended> {
    let Ground { location, settings, backups, .. } = ground;
    let wish =
        Wish { name: None, kind: backup::Kind::Job, note: Some(format!("job {job}")), pin: false };
    let author = Author { actor: format!("job:{job}"), reason: None };
    let made = backup::create(location, *settings, backups, wish, &author, now).await?;
    let Verified { name, manifest, size_bytes, .. } = &made.verified;
    let (revision, size) = (manifest.revision, size(*size_bytes));
    let taken = format!("{name}: revision {revision}, {size}, read back whole");
    match (&made.problems, damaged_history(&made)) {
        (None, _) => {
            Ok(Ended::done(format!("{taken}; its history is long, and left to verify-backups")))
        }
        (Some(_), None) => Ok(Ended::done(taken)),
        (Some(_), Some(damaged)) => Ok(Ended::found(format!("{damaged}; {taken}"))),
    }
}

/// What is told of a backup of a damaged history, in the log too.
fn damaged_history(checked: &Checked) -> Option<String> {
    let (name, problem) = (&checked.verified.name, checked.problems.as_ref()?.first()?);
    tracing::warn!(backup = name, problem, "a backup holds a damaged history");
    Some(format!("the history in {name} is damaged: {problem}"))
}

async fn verify_backups(ground: &Ground, now: DateTime<Utc>) -> Result<Ended> {
    let Ground { location, settings, backups, .. } = ground;
    let (mut bad, mut is_final) = (Vec::new(), true);
    let told_of = |name: &str, checked: Result<Checked>| {
        match checked {
            Ok(checked) => bad.extend(damaged_history(&checked)),
            Err(error) => {
                // Another try may find it whole.
                is_final &= error.damage().is_some();
                bad.push(format!("{name}: {}", error.in_a_line()));
            }
        }
        Ok::<(), Error>(())
    };
    let count = backup::verify_each(location, *settings, backups, None, || now, told_of).await?;
    match bad.is_empty() {
        true => Ok(Ended::done(format!("{}, each read back whole", counted(count, "backup")))),
        false => Ok(Ended { is_final, ..Ended::failed(bad.join("; ")) }),
    }
}

/// The backups first: what revisions may go depends on those that are left.
async fn retention(
    store: Store<'_>,
    ground: &Ground,
    job: &str,
    now: DateTime<Utc>,
) -> Result<Ended> {
    let (mut done, mut is_whole) = (Vec::new(), true);
    if let Some(policy) = &ground.retention {
        let pruned = prune_backups(ground, policy, now).await;
        is_whole &= pruned.is_ok();
        done.push(pruned.unwrap_or_else(|error| format!("backups: {}", error.in_a_line())));
    }
    if let Some(policy) = &ground.revisions {
        let pruned = prune_revisions(store, ground, policy, job, now).await;
        is_whole &= pruned.is_ok();
        let failed = |error: Error| format!("no revisions went: {}", error.in_a_line());
        done.push(pruned.unwrap_or_else(failed));
    }
    match done.is_empty() {
        true => Err(Error::NoRetention),
        false if is_whole => Ok(Ended::done(done.join("; "))),
        false => Ok(Ended::failed(done.join("; "))),
    }
}

async fn prune_revisions(
    store: Store<'_>,
    ground: &Ground,
    policy: &revisions::Policy,
    job: &str,
    now: DateTime<Utc>,
) -> Result<String> {
    let Ground { location, settings, backups, declared, .. } = ground;
    let ends = backup::ends(location, *settings, backups).await?;
    let reader = store.reader().await?;
    let pruning = audit::plan_pruning(&reader, &ends, policy, declared, now).await;
    drop(reader);
    let pruning = pruning?;
    if let Some(name) = pruning.relies_on() {
        backup::prove(location, *settings, backups, name, now).await?;
    }
    let author = Author { actor: format!("job:{job}"), reason: None };
    audit::prune(store.writer()?, &pruning, &author, Channel::Job, now).await?;
    Ok(pruning.carried_out())
}

async fn prune_backups(ground: &Ground, policy: &Policy, now: DateTime<Utc>) -> Result<String> {
    let Ground { location, settings, backups, .. } = ground;
    let decided = backup::prune(location, *settings, backups, policy, now).await?;
    let removed: Vec<_> =
        decided.iter().filter(|it| !it.is_kept()).map(|it| it.name.as_str()).collect();
    Ok(match removed.is_empty() {
        true => format!("{}, all kept", counted(decided.len(), "backup")),
        false => {
            let kept = decided.len() - removed.len();
            format!("backups: {kept} kept, removed {}", removed.join(", "))
        }
    })
}

async fn expiring(store: Store<'_>, now: DateTime<Utc>) -> Result<Ended> {
    let db = store.reader().await?;
    let Clocks { now, .. } = Clocks::read(&db, now).await?;
    let expired = expire::find(&db, now).await?;
    drop(db);
    let undone = confirm::undo(store.writer()?, now).await?;
    if let Store::Live(live) = store
        && !undone.is_empty()
    {
        live.catch_up().await?;
    }
    let undone = match undone.is_empty() {
        true => "nothing had to be undone".to_owned(),
        false => undone.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    Ok(Ended { effect: Effect::Expire, ..Ended::done(format!("{expired}; {undone}")) })
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
        true => Ok(Ended::done(format!("{}, all as imported", counted(listed.len(), "source")))),
        false => Ok(Ended::done(format!("an update is available: {}", new.join(", ")))),
    }
}

/// On a connection of its own: those who write wait for a lock, and are told so.
async fn vacuum(ground: &Ground) -> Result<Ended> {
    let work = async |db: &Database| {
        let run = async |sql: &str| db.connection.execute_unprepared(sql).await.map(drop);
        let done = async {
            if db.backend() == DbBackend::Postgres {
                // The server vacuums by itself.
                run("ANALYZE").await?;
                return Ok("analysed".to_owned());
            }
            let (free, pages) =
                (pages(db, "freelist_count").await?, pages(db, "page_count").await?);
            // It writes the whole file anew: not for a little.
            let is_worth_it = free * WORTH_IT >= pages.max(1);
            if is_worth_it {
                run("VACUUM").await?;
            }
            run("ANALYZE").await?;
            run("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            let vacuumed = if is_worth_it { "vacuumed and analysed" } else { "analysed" };
            Ok(format!("{vacuumed}; {free} of {pages} pages were free"))
        };
        done.await.map_err(|error: Error| error.at(db.place()))
    };
    Ok(Ended::done(database::using(&ground.location, Access::Write, ground.settings, work).await?))
}

/// One page in so many has to be free.
const WORTH_IT: i64 = 10;

async fn pages(db: &Database, pragma: &str) -> Result<i64> {
    let ask = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {pragma}"));
    let row = db.connection.query_one_raw(ask).await?;
    Ok(row.map(|it| it.try_get_by_index(0)).transpose()?.unwrap_or_default())
}
