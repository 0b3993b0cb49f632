//! `/sources`: the files that settings come from.

use std::path::PathBuf;
use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;
use setpoint_ops::edit;
use setpoint_ops::import::Import;
use setpoint_ops::migrate::Migrated;
use setpoint_ops::plan::{Class, Kind, Plan, SourceStatus, Trial};
use setpoint_ops::source::{imported, list};
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::body::{Body, File};
use crate::carry_out::finish;
use crate::document::Document;
use crate::payload::{Like, Rendered};
use crate::plan_shape::PlanShape;
use crate::plans::{ImportWish, import_plan};
use crate::problem::ApiResult;
use crate::service::{Service, aside};
use crate::settings::key;
use crate::written::{Written, shown};

pub(crate) struct Sources(pub Arc<Service>);

/// A source that is declared, or was imported once.
#[derive(Object)]
#[oai(rename = "Source")]
struct SourceShape {
    namespace: String,
    layer: String,
    path: String,
    /// The importer that is named for it; by the file's extension if there is none.
    #[oai(skip_serializing_if_is_none)]
    format: Option<String>,
    /// Whether it is declared, and not only known from its import.
    declared: bool,
    /// Whether the file follows the database.
    write_back: bool,
    state: State,
    /// Why the file cannot be read.
    #[oai(skip_serializing_if_is_none)]
    reason: Option<String>,
    #[oai(skip_serializing_if_is_none)]
    imported: Option<LastImport>,
}

/// A file against its last import.
#[derive(Enum)]
#[oai(rename = "SourceState", rename_all = "kebab-case")]
enum State {
    /// It was never imported.
    New,
    /// It says something else.
    Changed,
    UpToDate,
    /// It says what it said, and conflicts over it are open.
    Open,
    /// It says something else, which somebody chose not to take.
    Skipped,
    Missing,
    Unreadable,
}

/// The last import of a source.
#[derive(Object)]
struct LastImport {
    namespace: String,
    path: String,
    layer: String,
    format: String,
    raw_hash: String,
    tree_hash: String,
    declaration_hash: String,
    /// How often it was imported.
    version: i64,
    open_conflicts: i64,
    imported_at: String,
    imported_by: String,
    revision: i64,
    #[oai(nullable)]
    skipped_hash: Option<String>,
    #[oai(nullable)]
    skipped_by: Option<String>,
}

/// What became of an import.
#[derive(Object, Serialize)]
struct MigratedSources {
    plan: Like<PlanShape>,
    /// The revision it is now; missing if nothing had to change, or with `dry_run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    revision: Option<i64>,
    /// How many keys are in conflict and stay as they are until someone chooses.
    conflicts: u64,
    /// How many values were read back and compared.
    verified: u64,
    /// The folder that the files were copied to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    originals: Option<String>,
    notes: Vec<Note>,
}

/// Something that was accepted but is worth saying.
#[derive(Object, Serialize)]
struct Note {
    path: String,
    line: u32,
    column: u32,
    message: String,
}

/// What became of a file that was sent.
#[derive(Object, Serialize)]
struct ImportedFile {
    #[serde(flatten)]
    #[oai(flatten)]
    written: Written,
    notes: Vec<Note>,
}

#[OpenApi(prefix_path = "/sources", tag = "Tags::Sources")]
impl Sources {
    /// List sources
    ///
    /// Those that are declared, and those that were imported once, each as its file is now.
    #[oai(path = "/", method = "get", operation_id = "list_sources")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those of this namespace.
        ns: Query<Option<String>>,
    ) -> ApiResult<Rendered<Vec<SourceShape>>> {
        let visible = self.0.visible(&caller, ns.0)?;
        let setup = self.0.setup.load_full();
        let db = self.0.reader().await?;
        let known = self.0.answer(imported(&db).await)?;
        drop(db);
        let read = |service: Arc<Service>| async move {
            service.answer(list(&setup.sources, &known, &setup.root, &setup.limits))
        };
        let mut listed = aside(&self.0, read).await?;
        listed.retain(|it| visible.as_ref().is_none_or(|all| all.contains(&it.namespace)));
        Ok(Rendered::of(&listed))
    }

    /// Set everything that a file says
    ///
    /// The file is the body, of whatever content type. It is not remembered as a source: these
    /// are edits, and no later version of a file overwrites them. One revision, or nothing.
    #[oai(path = "/import", method = "post", operation_id = "import_file")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn import(
        &self,
        caller: Caller,
        body: File,
        /// What it is called, such as `settings.yaml`: its extension says how it is read.
        name: Query<String>,
        /// How it is read: `yaml`, `toml`, `json`, `env`, or an importer of your own.
        format: Query<Option<String>>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// The layer that is changed: `base`, a declared one, or `user:ID`.
        layer: Query<Option<String>>,
        /// The key that everything goes below.
        prefix: Query<Option<String>>,
        /// Whether keys that the file does not have are unset.
        replace: Query<Option<bool>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
        /// Undo it after this time, such as `10m`, unless it is confirmed before.
        confirm_within: Query<Option<String>>,
        /// With `confirm_within`: undo it at once if more clients than this reject it; 1, if
        /// nothing is said.
        reject_limit: Query<Option<u32>>,
    ) -> ApiResult<Rendered<ImportedFile>> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Editor, ns.0)?;
        let layer = self.0.layer(&snapshot, &namespace, layer.0)?;
        let prefix = prefix.as_deref().map(key).transpose()?;
        let setup = self.0.setup.load_full();
        let rules = snapshot.declared(&namespace).secrets.clone();
        let (path, below) = (PathBuf::from(&name.0), prefix.clone());
        let read = |service: Arc<Service>| async move {
            let (mut text, format) = (body.0.as_slice(), format.0.as_deref());
            let (below, limits) = (below.as_ref(), &setup.limits);
            service.answer(edit::read(&path, &mut text, format, below, &rules, limits))
        };
        let wanted = aside(&self.0, read).await?;
        let document = Document {
            namespace,
            layer,
            prefix,
            edits: wanted.edits,
            replace: replace.unwrap_or_default(),
            kind: Kind::Edit,
            author: caller.author(reason.0),
            condition: None,
            trial: Trial::wished(confirm_within.as_deref(), reject_limit.0)?,
        };
        let done = document.write(&self.0, dry_run.unwrap_or_default()).await?;
        let notes = wanted.notes.into_iter().map(|(place, message)| Note {
            path: name.0.clone(),
            line: place.line,
            column: place.column,
            message,
        });
        Ok(Rendered::of(&ImportedFile { written: done.answer(None), notes: notes.collect() }))
    }

    /// Bring declared files and settings together
    ///
    /// As `setpoint migrate` does: what changed in files goes in, edits stay. A key that both
    /// have changed is in conflict and stays as it is, unless the strategy or a choice for it
    /// says otherwise. The files are copied first. For admins.
    #[oai(path = "/migrate", method = "post", operation_id = "migrate_sources")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn migrate(
        &self,
        caller: Caller,
        body: Body<ImportWish>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
        /// Undo it after this time, such as `10m`, unless it is confirmed before.
        confirm_within: Query<Option<String>>,
        /// With `confirm_within`: undo it at once if more clients than this reject it; 1, if
        /// nothing is said.
        reject_limit: Query<Option<u32>>,
    ) -> ApiResult<Rendered<MigratedSources>> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Admin, ns.0)?;
        let author = caller.author(reason.0);
        let trial = Trial::wished(confirm_within.as_deref(), reject_limit.0)?;
        let mut import = import_plan(&self.0, &body.0, &namespace, author).await?;
        import.plan.trial = trial;
        let notes = notes(&import);
        let plan = shown(&import.plan, &snapshot);
        let conflicts = conflicts(&import.plan);
        let mut done = None;
        if !dry_run.unwrap_or_default() {
            done = Some(finish(&self.0, &caller, import).await?.migrated);
        }
        let Migrated { applied, originals, verified } = done.unwrap_or(Migrated {
            applied: setpoint_ops::apply::Applied::Nothing,
            originals: None,
            verified: 0,
        });
        Ok(Rendered::of(&MigratedSources {
            plan,
            revision: applied.revision(),
            conflicts,
            verified: verified as u64,
            originals: originals.map(|it| it.display().to_string()),
            notes,
        }))
    }
}

fn conflicts(plan: &Plan) -> u64 {
    plan.changes.iter().filter(|it| it.class == Class::Conflict).count() as u64
}

/// What is worth saying of the files.
fn notes(import: &Import) -> Vec<Note> {
    let mut notes = Vec::new();
    for source in &import.sources {
        let path = &source.declared.path;
        notes.extend(source.meaning.iter().flat_map(|it| &it.notes).map(|it| Note {
            path: path.clone(),
            line: it.place.line,
            column: it.place.column,
            message: it.message.clone(),
        }));
        if source.status == SourceStatus::Skipped {
            let message = "it says something new, which is skipped".to_owned();
            notes.push(Note { path: path.clone(), line: 1, column: 1, message });
        }
    }
    notes
}
