//! A set of changes that has not happened yet: shown, hashed, bound to what it came from.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use setpoint_importers::{Format, Key, TypedValue, ValueType};

use crate::{Error, Result, hash};

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
    /// In order of namespace, layer and key.
    pub changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Files into the database, by the three-way merge.
    Import,
    /// What somebody asked for.
    Edit,
    /// Back to earlier values.
    Revert,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Key>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    pub status: SourceStatus,
    pub raw_hash: String,
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
    pub origin: Option<Origin>,
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
        let mut plan = Self { kind, hash, base, author, summary, sources, changes };
        plan.hash = plan.computed_hash();
        plan
    }

    /// Whether applying it would leave everything as it is.
    pub fn is_empty(&self) -> bool {
        let effects = |it: &Change| !matches!(it.class, Class::Keep | Class::Conflict);
        let moved =
            |it: &PlannedSource| matches!(it.status, SourceStatus::New | SourceStatus::Changed);
        !self.changes.iter().any(effects) && !self.sources.iter().any(moved)
    }

    /// The changes that write a setting.
    pub fn writes(&self) -> impl Iterator<Item = &Change> {
        self.changes
            .iter()
            .filter(|it| matches!(it.class, Class::Add | Class::Update | Class::Delete))
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
            format: source.format.as_deref(),
            layer: &source.layer,
            namespace: &source.namespace,
            path: &source.path,
            prefix: source.prefix.as_ref().map(Key::as_str),
            raw_hash: &source.raw_hash,
            status: source.status,
        });
        let document = hashed::Plan {
            actor: &self.author.actor,
            changes: changes.collect(),
            epoch: self.base.epoch.as_deref(),
            kind: self.kind,
            reason: self.author.reason.as_deref(),
            revision: self.base.revision,
            sources: sources.collect(),
        };
        hash::of_json("", &document)
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

impl SourceStatus {
    /// Whether what the file says has to be compared with what is live.
    pub fn is_merged(self) -> bool {
        matches!(self, Self::New | Self::Changed | Self::Open)
    }
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Edit => "edit",
            Self::Revert => "revert",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A plan as it is hashed: values as texts, fields in order of their names.
mod hashed {
    use serde::Serialize;
    use setpoint_importers::TypedValue;

    use super::{Class, Kind, SourceStatus};

    #[derive(Serialize)]
    pub(super) struct Plan<'a> {
        pub actor: &'a str,
        pub changes: Vec<Change<'a>>,
        pub epoch: Option<&'a str>,
        pub kind: Kind,
        pub reason: Option<&'a str>,
        pub revision: i64,
        pub sources: Vec<Source<'a>>,
    }

    #[derive(Serialize)]
    pub(super) struct Change<'a> {
        pub after: Option<Side>,
        pub before: Option<Side>,
        pub class: Class,
        pub column: Option<u32>,
        pub file: Option<&'a str>,
        pub key: &'a str,
        pub layer: &'a str,
        pub line: Option<u32>,
        pub namespace: &'a str,
        pub seed: Option<Side>,
    }

    #[derive(Serialize)]
    pub(super) struct Side {
        format: Option<&'static str>,
        value: String,
    }

    #[derive(Serialize)]
    pub(super) struct Source<'a> {
        pub format: Option<&'a str>,
        pub layer: &'a str,
        pub namespace: &'a str,
        pub path: &'a str,
        pub prefix: Option<&'a str>,
        pub raw_hash: &'a str,
        pub status: SourceStatus,
    }

    impl From<&TypedValue> for Side {
        fn from(value: &TypedValue) -> Self {
            Self { format: value.format.map(|it| it.as_str()), value: value.text() }
        }
    }
}

/// A change as it travels. `before` and `after` are null both where there is no value and
/// where the value is null; `before_type` and `after_type` are there in the second case only.
mod wire {
    use super::{Class, Deserialize, Format, Key, Origin, Serialize, TypedValue, Value, ValueType};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Change {
        namespace: String,
        layer: String,
        key: Key,
        class: Class,
        before: Value,
        after: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<Value>,
        origin: Option<Origin>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before_type: Option<ValueType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before_format: Option<Format>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_type: Option<ValueType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_format: Option<Format>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed_type: Option<ValueType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed_format: Option<Format>,
    }

    impl From<super::Change> for Change {
        fn from(change: super::Change) -> Self {
            let kind = |side: &Option<TypedValue>| side.as_ref().map(TypedValue::value_type);
            let format = |side: &Option<TypedValue>| side.as_ref().and_then(|it| it.format);
            Self {
                before_type: kind(&change.before),
                before_format: format(&change.before),
                after_type: kind(&change.after),
                after_format: format(&change.after),
                seed_type: kind(&change.seed),
                seed_format: format(&change.seed),
                namespace: change.namespace,
                layer: change.layer,
                key: change.key,
                class: change.class,
                before: change.before.map_or(Value::Null, |it| it.json),
                after: change.after.map_or(Value::Null, |it| it.json),
                seed: change.seed.map(|it| it.json),
                origin: change.origin,
            }
        }
    }

    impl From<Change> for super::Change {
        fn from(wire: Change) -> Self {
            let side = |json: Value, kind: Option<ValueType>, format| {
                kind.map(|_| TypedValue { json, format })
            };
            Self {
                namespace: wire.namespace,
                layer: wire.layer,
                key: wire.key,
                class: wire.class,
                before: side(wire.before, wire.before_type, wire.before_format),
                after: side(wire.after, wire.after_type, wire.after_format),
                seed: side(wire.seed.unwrap_or_default(), wire.seed_type, wire.seed_format),
                origin: wire.origin,
            }
        }
    }
}
