//! `/drift`: where files, their last import and the settings disagree, and what is done about it.

use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use setpoint_client::types::ValueType;
use setpoint_ops::drift::{Drift, Report, report};
use setpoint_ops::plan::{Plan, Trial};
use setpoint_ops::token::Role;
use setpoint_ops::{Error, ignore, reset, time};

use crate::Tags;
use crate::access::Caller;
use crate::body::{Body, given};
use crate::carry_out::{finish, may, without_files};
use crate::payload::{Like, Rendered};
use crate::plan_shape::{Origin, PlanShape};
use crate::plans::{AdoptWish, ResetWish, adopt_plan};
use crate::problem::ApiResult;
use crate::service::{Service, aside, now};
use crate::written::shown;

pub(crate) struct DriftApi(pub Arc<Service>);

/// Everything that is out of line.
#[derive(Object)]
struct DriftReport {
    /// How many files were compared.
    files: u64,
    /// How many are left alone, which are listed with `all=true` only.
    ignored: u64,
    /// In order of namespace, layer and key. What concerns a whole file comes first.
    drift: Vec<DriftShape>,
}

#[derive(Serialize)]
struct Found<'a> {
    files: usize,
    ignored: usize,
    drift: Vec<&'a Drift>,
}

/// One key, or one file, that is out of line.
#[derive(Object)]
#[oai(rename = "Drift")]
struct DriftShape {
    namespace: String,
    layer: String,
    /// Null if it is the file as a whole.
    #[oai(nullable)]
    key: Option<String>,
    kind: DriftKind,
    /// The file that has the key, or had it.
    #[oai(nullable)]
    source: Option<String>,
    /// What the file says. Null where it says nothing, too; the type is there if it does.
    file: Value,
    /// What it said when it was last imported.
    seed: Value,
    live: Value,
    #[oai(nullable)]
    origin: Option<Origin>,
    #[oai(skip_serializing_if_is_none)]
    file_type: Option<ValueType>,
    #[oai(skip_serializing_if_is_none)]
    seed_type: Option<ValueType>,
    #[oai(skip_serializing_if_is_none)]
    live_type: Option<ValueType>,
    /// Why the file cannot be read.
    #[oai(skip_serializing_if_is_none)]
    reason: Option<String>,
    /// Of the three values: an ignored drift is told again when it is another.
    hash: String,
    /// Null if nobody does.
    #[oai(nullable)]
    ignored: Option<IgnoredShape>,
}

#[derive(Enum)]
#[oai(rename_all = "kebab-case")]
enum DriftKind {
    FileMissing,
    FileUnreadable,
    /// The file was never imported: what of it is live is not known.
    ImportUnknown,
    EditedHere,
    UpdateAvailable,
    KeyRemoved,
    Both,
    UnknownKey,
}

/// Who leaves a drift alone, why, and how long.
#[derive(Object)]
#[oai(rename = "Ignored")]
struct IgnoredShape {
    author: String,
    #[oai(nullable)]
    reason: Option<String>,
    at: String,
    #[oai(nullable)]
    until: Option<String>,
    /// Whether that day has come.
    expired: bool,
}

/// What became of it.
#[derive(Object, Serialize)]
struct Settled {
    plan: Like<PlanShape>,
    /// The revision it is now; missing if nothing had to change, or with `dry_run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    revision: Option<i64>,
    /// Keys that are left out, because no file can be made to say them.
    left: Vec<LeftOut>,
    /// The folder on the service's machine that keeps what was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    kept: Option<String>,
}

/// A key that stays out of line.
#[derive(Object, Serialize)]
struct LeftOut {
    key: String,
    reason: String,
}

/// What is to be left alone, or told again.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
struct Ignore {
    /// Keys, and those below them; or files.
    #[oai(validator(min_items = 1))]
    names: Vec<String>,
    /// How long: `12h`, `30d`, a day or a time; until it changes without this.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none)]
    until: Option<String>,
    /// Tell of it again.
    #[serde(default)]
    #[oai(default)]
    stop: bool,
}

impl Example for Ignore {
    fn example() -> Self {
        Self { names: vec!["http.port".to_owned()], until: Some("30d".to_owned()), stop: false }
    }
}

/// How many are left alone, or told again.
#[derive(Object, Serialize)]
struct Left {
    count: u64,
}

#[OpenApi(prefix_path = "/drift", tag = "Tags::Sources")]
impl DriftApi {
    /// Where files and settings disagree
    ///
    /// Compared is what they mean: order, comments and formatting never count.
    #[oai(path = "/", method = "get", operation_id = "get_drift")]
    async fn report(
        &self,
        caller: Caller,
        /// Only in this namespace.
        ns: Query<Option<String>>,
        /// List what is ignored, too.
        all: Query<Option<bool>>,
    ) -> ApiResult<Rendered<DriftReport>> {
        let visible = self.0.visible(&caller, ns.0)?;
        let mut report = self.found().await?;
        report.keep(|it| visible.as_ref().is_none_or(|all| all.iter().any(|one| one == it)));
        let rules = self.0.rules();
        for one in &mut report.drift {
            one.hide(&rules(&one.namespace));
        }
        let ignored = report.drift.len() - report.open().count();
        let drift = match all.unwrap_or_default() {
            true => report.drift.iter().collect(),
            false => report.open().collect(),
        };
        Ok(Rendered::of(&Found { files: report.file_count(), ignored, drift }))
    }

    /// Write what is live into the files it came from
    ///
    /// In place: comments, order and quoting stay. The files are copied first. For admins.
    #[oai(path = "/adopt", method = "post", operation_id = "adopt_drift")]
    async fn adopt(
        &self,
        caller: Caller,
        body: Body<AdoptWish>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
    ) -> ApiResult<Rendered<Settled>> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Admin, ns.0)?;
        let author = caller.author(reason.0);
        let adoption = adopt_plan(&self.0, &body.0, namespace, author).await?;
        let left = adoption.left.into_iter();
        let left = left.map(|it| LeftOut { key: it.key.to_string(), reason: it.reason }).collect();
        let plan = shown(&adoption.import.plan, &snapshot);
        let mut settled = Settled { plan, revision: None, left, kept: None };
        if !dry_run.unwrap_or_default() {
            let done = finish(&self.0, &caller, adoption.import).await?.migrated;
            settled.revision = done.applied.revision();
            settled.kept = done.originals.map(|it| it.display().to_string());
        }
        Ok(Rendered::of(&settled))
    }

    /// Put settings back to what their files said
    ///
    /// When they were last imported. Keys that no file has stay, unless they are purged. The
    /// settings as they were are kept in a folder, and a revert takes the reset back.
    #[oai(path = "/reset", method = "post", operation_id = "reset_drift")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn reset(
        &self,
        caller: Caller,
        body: Body<ResetWish>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// Only this layer.
        layer: Query<Option<String>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
        /// Undo it after this time, such as `10m`, unless it is confirmed before.
        confirm_within: Query<Option<String>>,
        /// With `confirm_within`: undo it at once if more clients than this reject it; 1, if
        /// nothing is said.
        reject_limit: Query<Option<u32>>,
    ) -> ApiResult<Rendered<Settled>> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Editor, ns.0)?;
        let layer = layer.0.map(|it| self.0.layer(&snapshot, &namespace, Some(it))).transpose()?;
        let target = body.0.target(namespace, layer)?;
        let db = self.0.reader().await?;
        let plan = reset::plan(&db, &target, caller.author(reason.0)).await;
        drop(db);
        let trial = Trial::wished(confirm_within.as_deref(), reject_limit.0)?;
        let plan = Plan { trial, ..self.0.answer(plan)? };
        may(&caller, Role::Editor, &plan)?;
        let mut settled =
            Settled { plan: shown(&plan, &snapshot), revision: None, left: Vec::new(), kept: None };
        if !dry_run.unwrap_or_default() {
            let done = finish(&self.0, &caller, without_files(plan)).await?;
            settled.revision = done.migrated.applied.revision();
            settled.kept = done.kept.map(|it| it.display().to_string());
        }
        Ok(Rendered::of(&settled))
    }

    /// Leave drift alone until it changes
    ///
    /// No setting changes. When one of the values becomes another, or the day has come, it is
    /// told again.
    #[oai(path = "/ignore", method = "post", operation_id = "ignore_drift")]
    async fn ignore(
        &self,
        caller: Caller,
        body: Body<Ignore>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// Why.
        reason: Query<Option<String>>,
        /// Tell how many it would be, and change nothing.
        dry_run: Query<Option<bool>>,
    ) -> ApiResult<Rendered<Left>> {
        let namespace = self.0.namespace(&self.0.live.snapshot(), &caller, Role::Editor, ns.0)?;
        let is_dry = dry_run.unwrap_or_default();
        let until = body.0.until.as_deref().map(|it| time::until(it, now())).transpose()?;
        let report = self.found().await?;
        let is_meant = |it: &&Drift, name: &str| it.namespace == namespace && it.is_at(name);
        let mut chosen: Vec<Drift> = Vec::new();
        for name in &body.0.names {
            let before = chosen.len();
            let found = report.drift.iter().filter(|it| is_meant(it, name));
            chosen.extend(found.filter(|it| !body.0.stop || it.is_ignored()).cloned());
            if chosen.len() == before {
                return Err(Error::NoDrift { namespace, key: name.clone() }.into());
            }
        }
        // A key that two of the names mean is one.
        chosen.sort_by(|a, b| (&a.layer, a.name()).cmp(&(&b.layer, b.name())));
        chosen.dedup_by(|a, b| (&a.layer, a.name()) == (&b.layer, b.name()));
        if !is_dry {
            let work = async {
                let (db, author) = (self.0.live.writer()?, caller.author(reason.0));
                match body.0.stop {
                    true => drop(ignore::remove(db, &namespace, &body.0.names).await?),
                    false => ignore::add(db, &chosen, &author, until, now()).await?,
                }
                Ok::<_, Error>(())
            };
            self.0.answer(work.await)?;
        }
        Ok(Rendered::of(&Left { count: chosen.len() as u64 }))
    }
}

impl DriftApi {
    async fn found(&self) -> ApiResult<Report> {
        let work = |service: Arc<Service>| async move {
            let setup = service.setup.load_full();
            let db = service.reader().await?;
            let found = report(&db, &setup.sources, &setup.root, &[], &setup.limits, now()).await;
            service.answer(found)
        };
        aside(&self.0, work).await
    }
}
