//! A backup put back: into the database that is live, in one transaction, or some of its values as
//! an ordinary plan.
//!
//! The first replaces the history by another, so no plan could say it: it starts a new epoch, with
//! a revision of its own on top, which every service notices.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait as _, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait as _,
    IntoActiveModel as _,
};
use serde::Serialize;
use setpoint_entity::head;
use setpoint_importers::Pattern;

use super::archive::{self, Archive};
use super::create::take;
use super::follows::Follows;
use super::lines::{self, Lines};
use super::record::Origin;
use super::tables::{Fate, Shape};
use super::work::Work;
use super::{BackupError, Checked, Kind, Manifest, Moment, Storage, Wish, record, replay, scratch};
use crate::apply::{self, Channel};
use crate::database::{self, Access, Database, Location, PATIENT, Settings};
use crate::edit::{self, Edits};
use crate::plan::{self, Author, Base, Change, Plan};
use crate::verify::history;
use crate::{Error, Result, confirm, setting, time};

/// How often it is begun again because somebody has written meanwhile; the last time nobody can.
const TRIES: usize = 3;

/// A backup that was read back, at the moment that is wanted, and can be restored from.
pub struct Restore {
    pub name: String,
    pub manifest: Manifest,
    /// The revision that it goes back to.
    pub revision: i64,
    /// Where its history and its settings do not hold together, in words: so they were when it
    /// was taken.
    pub problems: Vec<String>,
    /// Of the archive.
    sha256: String,
    scratch: Database,
    shapes: Vec<Shape>,
    _work: Work,
}

/// What a restore would do, or has done: the same for programs, whatever came of it.
#[derive(Debug, Serialize)]
pub struct Restoration {
    pub backup: String,
    /// The revision that it goes back to.
    pub from_revision: i64,
    /// Whether there is nothing to do: the database is at that very revision.
    pub is_there: bool,
    /// What becomes of the settings.
    pub plan: Plan,
    /// What becomes of the rest.
    pub tables: Vec<Counted>,
    /// As [`Restore::problems`].
    pub problems: Vec<String>,
    /// The revisions that waited to be confirmed at that moment, and will do so again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<i64>,
    /// What came of it; none if it was not carried out.
    #[serde(flatten)]
    pub done: Option<Restored>,
}

/// How many rows a table has and will have.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub table: &'static str,
    pub before: u64,
    pub after: u64,
}

/// What came of a restore.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// The history that began with it, and its newest revision.
    pub epoch: String,
    pub revision: i64,
    /// The backup of what was there before, if there was something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_backup: Option<String>,
    /// The revision that it took the place of, if others wrote after it was planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_revision: Option<i64>,
    /// As [`Restoration::waiting`], when it came to that.
    #[serde(skip)]
    pub waiting: Vec<i64>,
}

impl Restoration {
    /// It came of it.
    pub fn carried_out(self, done: Restored) -> Self {
        Self { waiting: done.waiting.clone(), done: Some(done), ..self }
    }
}

impl Restore {
    /// Reads the backup `name` back into a scratch database, as it was at `at`.
    ///
    /// # Errors
    ///
    /// As [`super::verify`]; [`BackupError::NoSuchMoment`].
    pub async fn open(storage: &Storage, name: &str, at: Option<&Moment>) -> Result<Self> {
        let (archive, work) = archive::open(storage, name).await?;
        let sha256 = archive.sha256()?;
        let location = scratch::extract(storage, &work, &archive).await?;
        let Archive { name, manifest, .. } = archive;
        let scratch = scratch::open(&location).await?;
        let problems = history(&scratch.connection).await?;
        let mut revision = manifest.revision;
        if let Some(at) = at {
            revision = at.revision(&scratch.connection, &name, &manifest).await?;
        }
        if revision != manifest.revision {
            replay::back_to(&scratch, revision).await?;
        }
        let shapes = Shape::of_all(&scratch.connection).await?;
        Ok(Self { name, manifest, revision, problems, sha256, scratch, shapes, _work: work })
    }

    /// What [`Restore::carry_out`] would do to the database at `location`. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`] if the database knows another archive by this name;
    /// [`Error::NulCharacter`]; as [`database::open`], except that there need not be a database.
    pub async fn plan(
        &self,
        location: &Location,
        settings: Settings,
        author: Author,
    ) -> Result<Restoration> {
        author.check()?;
        self.refuse_other(location, settings).await?;
        let work = async |live: &DatabaseTransaction| self.plan_for(live, author.clone()).await;
        match database::reading(location, settings, work).await {
            Err(Error::NoDatabase { .. } | Error::EmptyDatabase { .. }) => {
                database::reading(&Location::Memory, settings, work).await
            }
            planned => planned,
        }
    }

    /// Refuses an archive that is not the one which the database knows by this name.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`].
    pub async fn refuse_other(&self, location: &Location, settings: Settings) -> Result<()> {
        record::refuse_other(location, settings, &self.name, &self.sha256).await
    }

    async fn plan_for(&self, live: &impl ConnectionTrait, author: Author) -> Result<Restoration> {
        let head = apply::head(live).await?;
        let base = Base::of(&head);
        let changes = self.changes(live, |_, _| true).await?;
        let plan = Plan::new(plan::Kind::Restore, base, author, Vec::new(), changes);
        let then = apply::head(&self.scratch.connection).await?;
        let follows = Follows::of(live, &head, &self.scratch.connection, &then).await?;
        let mut tables = Vec::new();
        for table in self.shapes.iter().map(|it| it.table) {
            let before = lines::count(live, table.name).await?;
            match table.fate {
                Fate::Replaced => {}
                Fate::Kept if before == 0 => {}
                Fate::Kept | Fate::Own | Fate::Head => continue,
            }
            let after = lines::count(&self.scratch.connection, table.name).await?;
            let after = follows.counted(table.name, after);
            tables.push(Counted { table: table.name, before, after });
        }
        let mut is_there = (&head.epoch, head.revision) == (&self.manifest.epoch, self.revision)
            && plan.is_empty()
            && tables.iter().all(|it| it.before == it.after);
        if is_there && self.problems.is_empty() {
            // Somebody may have edited the history behind our backs.
            is_there = history(live).await?.is_empty();
        }
        let confirmed = confirm::confirmed(live, &then.epoch).await?;
        let waiting = match is_there {
            true => Vec::new(),
            false => confirm::foresee(&self.scratch.connection, &confirmed, &then).await?,
        };
        let (backup, from_revision) = (self.name.clone(), self.revision);
        let (problems, done) = (self.problems.clone(), None);
        Ok(Restoration { backup, from_revision, is_there, plan, tables, problems, waiting, done })
    }

    /// Plans to give the keys that `only` names the values that they have in the backup, in one
    /// namespace or all: an ordinary plan, on the history as it is.
    ///
    /// # Errors
    ///
    /// [`BackupError::NoSuchKeys`]; [`Error::NotATree`] if they cannot stand beside what is live;
    /// [`Error::Database`].
    pub async fn values(
        &self,
        live: &impl ConnectionTrait,
        only: &[Pattern],
        namespace: Option<&str>,
        author: Author,
    ) -> Result<Plan> {
        let base = Base::of(&apply::head(live).await?);
        let mut is_found = false;
        let is_meant = |place: &str, key: &crate::Key| {
            let is_meant = namespace.is_none_or(|it| it == place)
                && only.iter().any(|pattern| pattern.matches(key));
            is_found |= is_meant;
            is_meant
        };
        let changes = self.changes(live, is_meant).await?;
        if !is_found {
            let patterns: Vec<_> = only.iter().map(ToString::to_string).collect();
            let (name, patterns) = (self.name.clone(), patterns.join(", "));
            return Err(BackupError::NoSuchKeys { name, patterns }.into());
        }
        Ok(Plan::new(plan::Kind::Restore, base, author, Vec::new(), changes))
    }

    /// What has to change for the settings that `is_meant` to be those of the backup.
    async fn changes(
        &self,
        live: &impl ConnectionTrait,
        mut is_meant: impl FnMut(&str, &crate::Key) -> bool,
    ) -> Result<Vec<Change>> {
        let scratch = &self.scratch.connection;
        let mut layers = BTreeSet::new();
        layers.extend(setting::layers(live).await?);
        layers.extend(setting::layers(scratch).await?);
        let mut changes = Vec::new();
        for (namespace, layer) in layers {
            let now = setting::layer(live, &namespace, &layer).await?;
            let then = setting::layer(scratch, &namespace, &layer).await?;
            let gone = now.keys().filter(|it| !then.contains_key(*it)).map(|it| (it.clone(), None));
            let mut edits: Edits = gone.collect();
            edits.extend(then.into_iter().map(|(key, value)| (key, Some(value))));
            edits.retain(|key, _| is_meant(&namespace, key));
            changes.extend(edit::changes(&namespace, &layer, &now, edits)?);
        }
        Ok(changes)
    }

    /// Replaces what is in the database at `location`, which is made if there is none, after a
    /// backup of it, as `planned` by its author. Tokens and the record of backups stay, and what is
    /// known of files that follow the database: [`crate::write_back::follow`] writes them then.
    ///
    /// # Errors
    ///
    /// As [`super::create`]; [`Error::Locked`], [`Error::DiskFull`], [`BackupError::Overtaken`],
    /// [`Error::Database`]: nothing has changed then. [`Error::Unanswered`]: that is not known.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn carry_out(
        &self,
        location: &Location,
        settings: Settings,
        storage: &Storage,
        planned: &Plan,
        channel: Channel,
        now: DateTime<Utc>,
    ) -> Result<Restored> {
        let author = &planned.author;
        author.check()?;
        database::refuse_missing_folder(location)?;
        self.refuse_other(location, settings).await?;
        let mut safe: Option<Checked> = None;
        let work = async |db: &Database| {
            for turn in 1..=TRIES {
                let seen = apply::head(&db.connection).await?;
                // There is one connection on SQLite, and the transaction may be about to take it.
                let is_empty = is_new(&db.connection).await?;
                let transaction = if turn == TRIES { Some(self.begin(db).await?) } else { None };
                if !is_empty {
                    let wish = self.safety(turn, now);
                    safe = Some(take(location, settings, storage, wish, author, now).await?);
                }
                let (transaction, head) = match transaction {
                    Some(begun) => begun,
                    None => self.begin(db).await?,
                };
                let held = safe.as_ref().map(|it| &it.verified.manifest);
                let held = held.map(|it| (&it.epoch, it.revision));
                if (&head.epoch, head.revision) != held.unwrap_or((&seen.epoch, seen.revision)) {
                    // Somebody has written what the safety backup does not hold.
                    transaction.rollback().await?;
                    if let Some(useless) = safe.take() {
                        discard(storage, &useless.verified.name).await;
                    }
                    continue;
                }
                let done = self.replace(&transaction, &head, author, channel, now).await;
                let mut done = done.map_err(|error| error.at(db.place()))?;
                let committed = transaction.commit().await;
                committed.map_err(|error| Error::of_commit(error, db.place()))?;
                if let Some(safe) = &safe {
                    record::keep(location, settings, safe, Origin::Taken).await;
                }
                done.safety_backup = safe.as_ref().map(|it| it.verified.name.clone());
                let is_other = safe.is_some() && Base::of(&head) != planned.base;
                done.replaced_revision = is_other.then_some(head.revision);
                return Ok(done);
            }
            Err(BackupError::Overtaken.into())
        };
        let done = database::using(location, Access::Create, settings, work).await;
        if let (Err(error), Some(safe)) = (&done, &safe) {
            match error {
                // It may be needed.
                Error::Unanswered { .. } => {
                    let backup = &safe.verified.name;
                    tracing::warn!(backup, "what was there before is in a backup");
                }
                _ => discard(storage, &safe.verified.name).await,
            }
        }
        done
    }

    async fn begin(&self, db: &Database) -> Result<(DatabaseTransaction, head::Model)> {
        let transaction = db.begin().await?;
        if transaction.get_database_backend() == DbBackend::Postgres {
            // It may wait for a safety backup, and is not to be ended for that.
            transaction.execute_unprepared(PATIENT).await?;
        }
        let head = apply::lock_head(&transaction).await;
        Ok((transaction, head.map_err(|error| error.at(db.place()))?))
    }

    fn safety(&self, turn: usize, now: DateTime<Utc>) -> Wish {
        let stamp = time::file_stamp(now);
        let name = match turn {
            1 => format!("pre-restore-{stamp}"),
            turn => format!("pre-restore-{stamp}-{turn}"),
        };
        let note = format!("before the restore of {}", self.name);
        Wish { name: Some(name), kind: Kind::PreRestore, note: Some(note), pin: false }
    }

    /// What is there before is not backed up by this.
    async fn replace(
        &self,
        live: &DatabaseTransaction,
        live_head: &head::Model,
        author: &Author,
        channel: Channel,
        now: DateTime<Utc>,
    ) -> Result<Restored> {
        scratch::silence(live).await?;
        let then = apply::head(&self.scratch.connection).await?;
        let follows = Follows::of(live, live_head, &self.scratch.connection, &then).await?;
        let confirmed = confirm::confirmed(live, &then.epoch).await?;
        let mut shapes = Vec::new();
        for shape in &self.shapes {
            let is_empty = lines::count(live, shape.table.name).await? == 0;
            match shape.table.fate {
                Fate::Replaced => shapes.push(shape),
                Fate::Kept if is_empty => shapes.push(shape),
                Fate::Kept | Fate::Own | Fate::Head => {}
            }
        }
        for shape in shapes.iter().rev() {
            let table = shape.table.name;
            live.execute_unprepared(&format!("DELETE FROM \"{table}\"")).await?;
        }
        for shape in &shapes {
            let mut written = 0;
            let mut pieces = Lines::of(&self.scratch.connection, shape);
            while let Some(piece) = pieces.next().await? {
                lines::insert(live, shape, &piece.text).await?;
                written += piece.rows;
            }
            if lines::count(live, shape.table.name).await? != written {
                let table = shape.table.name;
                let reason = format!("the rows of {table} do not fit into it");
                return Err(BackupError::Damaged { name: self.name.clone(), reason }.into());
            }
        }
        let from = then.epoch.clone();
        let head = head::Model { epoch: new_epoch()?, applying: None, ..then };
        self.move_head(live, &head).await?;
        let waiting = confirm::carry_on(live, &from, &confirmed, &head, now).await?;
        let plan = Plan::new(
            plan::Kind::Restore,
            Base::of(&head),
            self.signed(author),
            Vec::new(),
            Vec::new(),
        );
        apply::append(live, &head, &[(plan, channel, now)]).await?;
        let (epoch, revision) = (head.epoch, head.revision + 1);
        follows.keep(live, revision).await?;
        let (safety_backup, replaced_revision) = (None, None);
        Ok(Restored { epoch, revision, safety_backup, replaced_revision, waiting })
    }

    async fn move_head(&self, live: &DatabaseTransaction, head: &head::Model) -> Result<()> {
        let row = head.clone().into_active_model().reset_all();
        // It is the one row that is changed and not replaced: who listens hears of it.
        head::Entity::update(row).exec(live).await?;
        Ok(())
    }

    /// The reason in the history: it is the only trace of where its settings came from.
    fn signed(&self, author: &Author) -> Author {
        let Self { name, revision, manifest, .. } = self;
        let what = format!("backup {name}, revision {revision} of {}", manifest.epoch);
        let reason = match &author.reason {
            Some(reason) => format!("{reason} ({what})"),
            None => what,
        };
        Author { actor: author.actor.clone(), reason: Some(reason) }
    }

    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn close(self) -> Result<()> {
        self.scratch.close().await
    }
}

/// Removes a safety backup that nobody needs. What is restored does not depend on it.
async fn discard(storage: &Storage, name: &str) {
    if let Err(error) = storage.remove(name).await {
        tracing::warn!(backup = name, %error, "a backup that nobody needs could not be removed");
    }
}

/// Whether a database has nothing that could be lost.
async fn is_new(db: &impl ConnectionTrait) -> Result<bool> {
    for shape in Shape::of_all(db).await? {
        let is_empty = lines::count(db, shape.table.name).await? == 0;
        if shape.table.fate != Fate::Head && !is_empty {
            return Ok(false);
        }
    }
    Ok(true)
}

fn new_epoch() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::NoRandomness { reason: error.to_string() })?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}
