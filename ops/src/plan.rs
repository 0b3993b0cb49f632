//! A set of changes that has not happened yet: shown, hashed, bound to what it came from.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use setpoint_entity::head;
use setpoint_importers::{Key, Place, TypedValue};

use crate::source::{Declared, Interpretation};
use crate::{Error, Result, hash, time};

mod hashed;
mod wire;

/// What would happen, to be looked at and then given to [`crate::apply::apply`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub kind: Kind,
    /// Of everything else in here: two plans with the same hash do the same.
    pub hash: String,
    pub base: Base,
    #[serde(flatten)]
    pub author: Author,
    pub summary: Summary,
    /// The files it was computed from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<PlannedSource>,
    /// How conflicts are settled, to be remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolutions: Vec<Resolution>,
    /// Keys that have another name now. They move first: the changes are those after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
    /// Secrets in the files: their values are in no plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<FoundSecret>,
    /// In order of namespace, layer and key.
    pub changes: Vec<Change>,
    /// How it is carried out and not what it does: it is not hashed, and in no file.
    #[serde(skip)]
    pub trial: Option<Trial>,
}

/// A plan that is taken back unless somebody confirms it in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// How long that is, as [`crate::time::length`] takes it.
    pub within: chrono::Duration,
    /// How many clients may reject it.
    pub reject_limit: u32,
}

impl Trial {
    /// How many may reject a plan where nothing is said: one client may have its own trouble.
    pub const REJECT_LIMIT: u32 = 1;

    /// The trial that somebody wishes in texts, if it is one.
    ///
    /// # Errors
    ///
    /// [`Error::BadLength`], [`Error::LimitWithoutTrial`].
    pub fn wished(within: Option<&str>, reject_limit: Option<u32>) -> Result<Option<Self>> {
        match (within, reject_limit) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::LimitWithoutTrial),
            (Some(text), limit) => Ok(Some(Self {
                within: time::length(text)?,
                reject_limit: limit.unwrap_or(Self::REJECT_LIMIT),
            })),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Files into the database, by the three-way merge.
    Import,
    /// What somebody asked for.
    Edit,
    /// Values that go together and have a name: the reason.
    Preset,
    /// Back to earlier values.
    Revert,
    /// Back to what the files said.
    Reset,
    /// Into the files, which say now what is live.
    Adopt,
    /// Back to what a backup says.
    Restore,
    /// Removes revisions that no rule keeps. It changes nothing, and comes in no file.
    #[serde(skip_deserializing)]
    Retention,
}

/// The moment a plan was computed at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Null while there is no history.
    pub epoch: Option<String>,
    pub revision: i64,
}

/// Who asked for it, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Author {
    /// Refuses what cannot be written down.
    ///
    /// # Errors
    ///
    /// [`Error::NulCharacter`].
    pub fn check(&self) -> Result<()> {
        let refuse = |what, text: &str| match text.contains('\0') {
            true => Err(Error::NulCharacter { what }),
            false => Ok(()),
        };
        refuse("the name of the author", &self.actor)?;
        refuse("the reason", self.reason.as_deref().unwrap_or_default())
    }
}

/// How many changes there are of each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub add: usize,
    pub update: usize,
    pub delete: usize,
    pub keep: usize,
    pub converge: usize,
    pub conflict: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSource {
    pub namespace: String,
    pub layer: String,
    pub path: String,
    #[serde(flatten)]
    pub interpretation: Interpretation,
    pub status: SourceStatus,
    pub raw_hash: String,
}

/// A conflict that somebody has settled: the same three values are not asked about again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Of the place and of (base, ours, theirs).
    pub hash: String,
    pub namespace: String,
    pub layer: String,
    pub key: Key,
    pub choice: Choice,
    /// What was chosen, if it is neither of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<TypedValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    Ours,
    Theirs,
    /// A value that neither side has.
    Value,
}

/// A key of a layer that gets another name: its seed and its live value go with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub namespace: String,
    pub layer: String,
    pub from: Key,
    pub to: Key,
    /// The live value that moves; none if only the seed does.
    pub live: Option<TypedValue>,
}

/// A secret that a file holds. Its value is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundSecret {
    pub namespace: String,
    pub layer: String,
    pub key: Key,
    pub origin: Origin,
    /// What the setting becomes instead, such as `env:NAME`; none if it is left out.
    pub reference: Option<String>,
    /// Whether the database has a value of it from before it was one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_live: bool,
    /// Whether it is left out because it repeats the value of a secret.
    #[serde(default, skip_serializing_if = "is_false")]
    pub repeats: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A file against its last import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceStatus {
    New,
    Changed,
    /// Other bytes that say the same.
    SameMeaning,
    Unchanged,
    /// It says what it said, and conflicts over it are open.
    Open,
    /// It says something else, which somebody chose not to take.
    Skipped,
}

/// What becomes of one key, or in a conflict over a whole subtree of its root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "wire::Change", into = "wire::Change")]
pub struct Change {
    pub namespace: String,
    pub layer: String,
    pub key: Key,
    pub class: Class,
    /// The live value.
    pub before: Option<TypedValue>,
    /// The value that it gets; in a conflict the one it does not get, the file's.
    pub after: Option<TypedValue>,
    /// What the source gave when it was last imported. Told for conflicts only.
    pub seed: Option<TypedValue>,
    /// Where the file says it.
    pub origin: Option<Origin>,
    /// Where the two other sides of a conflict come from.
    pub provenance: Option<Box<Provenance>>,
}

/// Where the seed and the live value of a conflict come from. Not part of a plan's hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Where the seed stood in its file.
    pub seed: Option<Origin>,
    /// Who set the live value.
    pub live: Option<Edited>,
}

/// The revision that set a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    pub revision: i64,
    pub at: String,
    pub actor: String,
}

/// What applying a plan does to one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect<'a> {
    pub namespace: &'a str,
    pub layer: &'a str,
    pub key: &'a Key,
    pub before: Option<&'a TypedValue>,
    pub after: Option<&'a TypedValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Add,
    Update,
    Delete,
    /// A user's edit that stays.
    Keep,
    /// Only the seed learns what is live already.
    Converge,
    /// Both moved; nothing happens until someone chooses.
    Conflict,
}

/// The place a value comes from: a path and the line and column in it, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl Plan {
    /// Sorts `changes`, counts them and hashes the whole.
    pub fn new(
        kind: Kind,
        base: Base,
        author: Author,
        sources: Vec<PlannedSource>,
        mut changes: Vec<Change>,
    ) -> Self {
        changes.sort_by(|a, b| {
            (&a.namespace, &a.layer, &a.key).cmp(&(&b.namespace, &b.layer, &b.key))
        });
        let summary = Summary::of(&changes);
        let hash = String::new();
        let (resolutions, moves, secrets) = (Vec::new(), Vec::new(), Vec::new());
        let mut plan = Self {
            kind,
            hash,
            base,
            author,
            summary,
            sources,
            resolutions,
            moves,
            secrets,
            changes,
            trial: None,
        };
        plan.hash = plan.computed_hash();
        plan
    }

    /// The same plan, with what an import finds besides: conflicts that are settled, keys that
    /// move, secrets.
    pub fn with(
        mut self,
        resolutions: Vec<Resolution>,
        moves: Vec<Move>,
        secrets: Vec<FoundSecret>,
    ) -> Self {
        if resolutions.is_empty() && moves.is_empty() && secrets.is_empty() {
            return self;
        }
        (self.resolutions, self.moves, self.secrets) = (resolutions, moves, secrets);
        self.hash = self.computed_hash();
        self
    }

    /// The same plan by somebody else, who is named in the history with it. Made of the same plan
    /// for the same person it is the same, so that applying it twice stays harmless.
    pub fn by(mut self, actor: &str) -> Self {
        if self.author.actor == actor {
            return self;
        }
        let planned = format!("planned by {}", self.author.actor);
        let reason = match self.author.reason.take() {
            Some(reason) => format!("{reason} ({planned})"),
            None => planned,
        };
        self.author = Author { actor: actor.to_owned(), reason: Some(reason) };
        self.hash = self.computed_hash();
        self
    }

    /// Whether applying it would leave everything as it is.
    pub fn is_empty(&self) -> bool {
        let effects = |it: &Change| !matches!(it.class, Class::Keep | Class::Conflict);
        let moved =
            |it: &PlannedSource| matches!(it.status, SourceStatus::New | SourceStatus::Changed);
        self.moves.is_empty()
            && !self.changes.iter().any(effects)
            && !self.sources.iter().any(moved)
    }

    /// What applying it writes, each key once: the moves with the changes on top of them.
    pub fn effects(&self) -> Vec<Effect<'_>> {
        let writes = self
            .changes
            .iter()
            .filter(|it| matches!(it.class, Class::Add | Class::Update | Class::Delete));
        let writes = writes.map(|it| Effect {
            namespace: &it.namespace,
            layer: &it.layer,
            key: &it.key,
            before: it.before.as_ref(),
            after: it.after.as_ref(),
        });
        if self.moves.is_empty() {
            return writes.collect();
        }
        let mut effects = BTreeMap::new();
        let live = self.moves.iter().filter_map(|it| Some((it, it.live.as_ref()?)));
        for (one, value) in live.clone() {
            let from = Effect { before: Some(value), ..Effect::nothing(one, &one.from) };
            effects.insert(from.place(), from);
        }
        for (one, value) in live {
            let to = Effect::nothing(one, &one.to);
            effects.entry(to.place()).or_insert(to).after = Some(value);
        }
        for write in writes {
            effects.entry(write.place()).or_insert(write).after = write.after;
        }
        effects.into_values().filter(|it| it.before != it.after).collect()
    }

    /// Reads a plan that was written as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::BadPlan`] if it is none, or is not what was hashed.
    pub fn from_json(text: &str) -> Result<Self> {
        let plan: Self = serde_json::from_str(text)
            .map_err(|error| Error::BadPlan { reason: error.to_string() })?;
        if plan.hash != plan.computed_hash() || plan.summary != Summary::of(&plan.changes) {
            let reason = "its content is not what its hash was made of".to_owned();
            return Err(Error::BadPlan { reason });
        }
        Ok(plan)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    fn computed_hash(&self) -> String {
        let changes = self.changes.iter().map(|change| hashed::Change {
            after: change.after.as_ref().map(hashed::Side::from),
            before: change.before.as_ref().map(hashed::Side::from),
            class: change.class,
            column: change.origin.as_ref().map(|it| it.column),
            file: change.origin.as_ref().map(|it| it.file.as_str()),
            key: change.key.as_str(),
            layer: &change.layer,
            line: change.origin.as_ref().map(|it| it.line),
            namespace: &change.namespace,
            seed: change.seed.as_ref().map(hashed::Side::from),
        });
        let sources = self.sources.iter().map(|source| hashed::Source {
            interpretation: &source.interpretation,
            layer: &source.layer,
            namespace: &source.namespace,
            path: &source.path,
            raw_hash: &source.raw_hash,
            status: source.status,
        });
        let document = hashed::Plan {
            actor: &self.author.actor,
            changes: changes.collect(),
            epoch: self.base.epoch.as_deref(),
            kind: self.kind,
            moves: self.moves.iter().map(hashed::Move::from).collect(),
            reason: self.author.reason.as_deref(),
            resolutions: self.resolutions.iter().map(hashed::Resolution::from).collect(),
            revision: self.base.revision,
            secrets: self.secrets.iter().map(hashed::Secret::from).collect(),
            sources: sources.collect(),
        };
        hash::of_json("", &document)
    }
}

impl<'a> Effect<'a> {
    fn nothing(one: &'a Move, key: &'a Key) -> Self {
        let (namespace, layer) = (&one.namespace, &one.layer);
        Self { namespace, layer, key, before: None, after: None }
    }

    pub(crate) fn place(&self) -> (&'a str, &'a str, &'a Key) {
        (self.namespace, self.layer, self.key)
    }
}

impl Summary {
    fn of(changes: &[Change]) -> Self {
        let mut summary = Self::default();
        for change in changes {
            *match change.class {
                Class::Add => &mut summary.add,
                Class::Update => &mut summary.update,
                Class::Delete => &mut summary.delete,
                Class::Keep => &mut summary.keep,
                Class::Converge => &mut summary.converge,
                Class::Conflict => &mut summary.conflict,
            } += 1;
        }
        summary
    }
}

/// `3 added, 1 updated, 2 conflicts`
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conflicts = if self.conflict == 1 { "conflict" } else { "conflicts" };
        let counts = [
            (self.add, "added"),
            (self.update, "updated"),
            (self.delete, "deleted"),
            (self.keep, "kept"),
            (self.converge, "converged"),
            (self.conflict, conflicts),
        ];
        let mut parts = counts.into_iter().filter(|(count, _)| *count > 0).peekable();
        if parts.peek().is_none() {
            return f.write_str("nothing to change");
        }
        for (at, (count, word)) in parts.enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{count} {word}")?;
        }
        Ok(())
    }
}

impl Base {
    /// The moment at which `head` is the newest.
    pub fn of(head: &head::Model) -> Self {
        let epoch = (head.revision > 0).then(|| head.epoch.clone());
        Self { epoch, revision: head.revision }
    }
}

impl FoundSecret {
    /// One that no setting is made of.
    pub fn left_out(declared: &Declared, key: Key, place: Place) -> Self {
        let Place { line, column } = place;
        Self {
            namespace: declared.namespace.clone(),
            layer: declared.layer.clone(),
            key,
            origin: Origin { file: declared.path.clone(), line, column },
            reference: None,
            is_live: false,
            repeats: false,
        }
    }
}

impl SourceStatus {
    /// Whether what the file says has to be compared with what is live.
    pub fn is_merged(self) -> bool {
        matches!(self, Self::New | Self::Changed | Self::Open)
    }
}

impl Choice {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
            Self::Value => "value",
        }
    }
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Edit => "edit",
            Self::Preset => "preset",
            Self::Revert => "revert",
            Self::Reset => "reset",
            Self::Adopt => "adopt",
            Self::Restore => "restore",
            Self::Retention => "retention",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
