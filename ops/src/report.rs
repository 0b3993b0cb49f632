//! Reports of drift: what was out of line at a time, without the values of secrets, and what of
//! it is new since somebody was last told.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, Order,
    QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde::{Deserialize, Serialize};
use setpoint_entity::drift_report as reports;
use setpoint_importers::TypedValue;

use crate::clock::latest;
use crate::drift::{self, Drift, refuse_without_source};
use crate::job::Ground;
use crate::{Result, apply, time};

mod html;
mod markdown;

pub use html::html;
pub use markdown::markdown;

/// What was out of line at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The job that made it; none if somebody asked for it.
    pub job: Option<String>,
    pub at: String,
    pub epoch: String,
    pub revision: i64,
    /// How many files were compared.
    pub files: usize,
    /// How many are left alone on purpose.
    pub ignored: usize,
    /// The same of each namespace that a source is of; none in a report that is older than this.
    #[serde(default)]
    pub namespaces: BTreeMap<String, Looked>,
    /// In order of namespace, layer and key.
    pub drift: Vec<Item>,
}

/// What was looked at in a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    pub files: usize,
    pub ignored: usize,
}

/// One key, or one file, that is out of line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub namespace: String,
    pub layer: String,
    /// Its key, or its file where it is that as a whole.
    pub name: String,
    pub kind: String,
    pub source: Option<String>,
    /// Values as JSON text.
    pub file: Option<String>,
    pub seed: Option<String>,
    pub live: Option<String>,
    /// Where the file says it.
    pub origin: Option<String>,
    /// Why the file cannot be read.
    pub reason: Option<String>,
    pub hash: String,
    /// Whether it was not in the report before.
    pub new: bool,
}

/// What somebody was told of, as [`Item::id`].
pub type Known = HashSet<String>;

/// Reports of a job that are remembered.
const REMEMBERED: u64 = 100;

/// Compares everything, now.
///
/// # Errors
///
/// As [`drift::report`].
pub async fn make(
    db: &DatabaseTransaction,
    ground: &Ground,
    job: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Report> {
    let head = apply::head(db).await?;
    let known = known(db, job, now).await?;
    let (root, limits) = (&ground.root, &ground.limits);
    let mut found = drift::report(db, &ground.sources, root, &[], limits, now).await?;
    for one in &mut found.drift {
        one.hide(&ground.rules.get(&one.namespace).cloned().unwrap_or_default());
    }
    let looked = |(namespace, files): (&String, &usize)| {
        let ignored = found.drift.iter().filter(|it| it.namespace == *namespace && it.is_ignored());
        (namespace.clone(), Looked { files: *files, ignored: ignored.count() })
    };
    let namespaces = found.files.iter().map(looked).collect();
    let ignored = found.drift.len() - found.open().count();
    let mut items: Vec<Item> = found.open().map(Item::of).collect();
    for item in &mut items {
        item.new = !known.contains(&item.id());
    }
    Ok(Report {
        job: job.map(str::to_owned),
        at: time::stamp(now),
        epoch: head.epoch,
        revision: head.revision,
        files: found.file_count(),
        ignored,
        namespaces,
        drift: items,
    })
}

/// The newest report that was stored; one of now if there is none, or it is to be `fresh`, which
/// is not stored. Of one namespace if it is to be of that `only`, and of now if what was stored
/// does not tell of it.
///
/// # Errors
///
/// [`crate::Error::NoSource`]; as [`make`].
pub async fn show(
    db: &DatabaseTransaction,
    ground: &Ground,
    only: Option<&str>,
    fresh: bool,
    now: DateTime<Utc>,
) -> Result<Report> {
    let tells = |it: &Report| only.is_none_or(|only| it.namespaces.contains_key(only));
    let mut report = match newest(db, now).await?.filter(|it| !fresh && tells(it)) {
        Some(report) => report,
        None => make(db, ground, None, now).await?,
    };
    if let Some(only) = only {
        refuse_without_source(only, report.namespaces.keys())?;
        report.keep(|it| it == only);
    }
    Ok(report)
}

/// The newest report that was stored.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub async fn newest(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Option<Report>> {
    newest_first(reports::Entity::find(), now).one(db).await?.map(read).transpose()
}

/// What the last report said that everybody was told of: of a job, or of any.
async fn known(db: &impl ConnectionTrait, job: Option<&str>, now: DateTime<Utc>) -> Result<Known> {
    let mut told = reports::Entity::find().filter(reports::Column::Told.eq(true));
    if let Some(job) = job {
        told = told.filter(reports::Column::Job.eq(job));
    }
    let last = newest_first(told, now).one(db).await?.map(read).transpose()?;
    Ok(last.into_iter().flat_map(|it| it.drift).map(|it| it.id()).collect())
}

/// Those of times that have not come yet come last: a clock that was ahead has made them.
fn newest_first(found: Select<reports::Entity>, now: DateTime<Utc>) -> Select<reports::Entity> {
    let is_ahead = Expr::col(reports::Column::CreatedAt).gt(latest(now));
    found.order_by(is_ahead, Order::Asc).order_by_desc(reports::Column::CreatedAt)
}

/// Stores a report as that of a run; `told` if nobody waits to be told of it.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(crate) async fn store(
    db: &DatabaseTransaction,
    report: &Report,
    scheduled_for: &str,
    told: bool,
) -> Result<()> {
    let job = report.job.clone().unwrap_or_default();
    let text = serde_json::to_string(report);
    let row = reports::Model {
        job: job.clone(),
        scheduled_for: scheduled_for.to_owned(),
        created_at: report.at.clone(),
        epoch: report.epoch.clone(),
        revision: report.revision,
        told,
        report: text.map_err(|error| DbErr::Json(error.to_string()))?,
    };
    // The run may have been tried before.
    reports::Entity::delete_by_id((job.clone(), scheduled_for.to_owned())).exec(db).await?;
    reports::Entity::insert(row.into_active_model()).exec_without_returning(db).await?;

    let last: Option<String> = reports::Entity::find()
        .select_only()
        .column(reports::Column::CreatedAt)
        .filter(reports::Column::Job.eq(&job))
        .order_by_desc(reports::Column::CreatedAt)
        .offset(REMEMBERED)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    if let Some(last) = last {
        reports::Entity::delete_many()
            .filter(reports::Column::Job.eq(&job))
            .filter(reports::Column::CreatedAt.lte(last))
            .exec(db)
            .await?;
    }
    Ok(())
}

fn read(row: reports::Model) -> Result<Report> {
    let read = serde_json::from_str(&row.report);
    Ok(read.map_err(|error| DbErr::Type(format!("a stored report is none: {error}")))?)
}

impl Report {
    pub fn new_ones(&self) -> impl Iterator<Item = &Item> {
        self.drift.iter().filter(|it| it.new)
    }

    /// Leaves out all namespaces but those that `is_shown`.
    pub fn keep(&mut self, is_shown: impl Fn(&str) -> bool) {
        self.drift.retain(|it| is_shown(&it.namespace));
        if self.namespaces.is_empty() {
            return;
        }
        self.namespaces.retain(|namespace, _| is_shown(namespace));
        self.files = self.namespaces.values().map(|it| it.files).sum();
        self.ignored = self.namespaces.values().map(|it| it.ignored).sum();
    }

    /// How many whole days ago it was made.
    pub fn days_old(&self, now: DateTime<Utc>) -> i64 {
        time::read(&self.at).map_or(0, |at| (now - at).num_days())
    }

    /// How many there are of each kind in each namespace.
    pub fn counts(&self) -> BTreeMap<(&str, &str), usize> {
        let mut counts = BTreeMap::new();
        for item in &self.drift {
            *counts.entry((item.namespace.as_str(), item.kind.as_str())).or_default() += 1;
        }
        counts
    }

    /// All of it in a line.
    pub fn summary(&self) -> String {
        let (open, new) = (self.drift.len(), self.new_ones().count());
        let (ignored, files) = (self.ignored, self.files);
        format!("{open} out of line, {new} of them new, {ignored} ignored; files compared: {files}")
    }
}

impl Item {
    fn of(drift: &Drift) -> Self {
        let text = |it: &Option<TypedValue>| it.as_ref().map(TypedValue::text);
        Self {
            namespace: drift.namespace.clone(),
            layer: drift.layer.clone(),
            name: drift.name().to_owned(),
            kind: drift.kind.name().to_owned(),
            source: drift.source.clone(),
            file: text(&drift.file),
            seed: text(&drift.seed),
            live: text(&drift.live),
            origin: drift.origin.as_ref().map(ToString::to_string),
            reason: drift.reason.clone(),
            hash: drift.hash.clone(),
            new: true,
        }
    }

    /// Where it is and what it says, which makes it the same in the next report.
    fn id(&self) -> String {
        [&self.namespace, &self.layer, &self.name, &self.kind, &self.hash]
            .map(String::as_str)
            .join("\n")
    }

    /// What each side says, by its name.
    fn sides(&self) -> [(&'static str, &str); 3] {
        let sides = [("file", &self.file), ("seed", &self.seed), ("live", &self.live)];
        sides.map(|(name, it)| (name, it.as_deref().unwrap_or("(none)")))
    }
}

#[cfg(test)]
mod tests;
