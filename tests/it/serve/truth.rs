//! What really happened: the change log, read by SQL, and what it adds up to at each revision.
//! Written a second time, without the service's own code: layers, trees and patterns too.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::as_told;
use super::history::Wants;
use crate::world::{World, text};

/// The histories there were, the newest last.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    pub epochs: Vec<Epoch>,
}

#[derive(Clone, Debug, Default)]
pub struct Epoch {
    pub name: String,
    /// The declared layers of the namespace `default`, the lowest first.
    pub layers: Vec<String>,
    /// Revision 1 is the first.
    pub revisions: Vec<Revision>,
}

#[derive(Clone, Debug)]
pub struct Revision {
    pub id: i64,
    pub at: String,
    pub actor: String,
    pub channel: String,
    pub kind: String,
    pub reason: Option<String>,
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug)]
pub struct Change {
    pub layer: String,
    pub key: String,
    /// The value; none if it was deleted.
    pub after: Option<Value>,
}

/// The settings that somebody has who was told everything, by key, as they travel.
pub type Settings = BTreeMap<String, Arc<Value>>;

impl Truth {
    /// Reads the log. What the service keeps out, by its own table, is no part of it.
    pub fn of(world: &World) -> Self {
        Self { epochs: vec![Epoch::of(world)] }
    }

    /// The same, with what there was before.
    pub fn after(mut self, earlier: Truth) -> Self {
        self.epochs.splice(0..0, earlier.epochs);
        self
    }

    pub fn epoch(&self, name: &str) -> Option<&Epoch> {
        self.epochs.iter().find(|it| it.name == name)
    }

    pub fn newest(&self) -> &Epoch {
        self.epochs.last().unwrap()
    }
}

impl Epoch {
    fn of(world: &World) -> Self {
        let kept_out = "SELECT 1 FROM invalid_change i WHERE i.revision = c.revision
            AND i.namespace = c.namespace AND i.layer = c.layer AND i.key = c.key";
        let changes = rows(
            world,
            &["revision", "layer", "key", "after"],
            &format!("change c WHERE namespace = 'default' AND NOT EXISTS ({kept_out})"),
        );
        let columns = ["id", "at", "actor", "channel", "kind", "reason"];
        let revisions = rows(world, &columns, "revision ORDER BY id").into_iter().map(|row| {
            let own = changes.iter().filter(|it| it["revision"] == row["id"]);
            let own = own.map(|it| Change {
                layer: text(&it["layer"]).to_owned(),
                key: text(&it["key"]).to_owned(),
                after: it["after"].as_str().map(|it| serde_json::from_str(it).unwrap()),
            });
            Revision {
                id: row["id"].as_i64().unwrap(),
                at: text(&row["at"]).to_owned(),
                actor: text(&row["actor"]).to_owned(),
                channel: text(&row["channel"]).to_owned(),
                kind: text(&row["kind"]).to_owned(),
                reason: row["reason"].as_str().map(str::to_owned),
                changes: own.collect(),
            }
        });
        let epoch = Self {
            name: as_told(world, &world.sql("SELECT epoch FROM head")),
            layers: vec!["base".to_owned(), "site".to_owned()],
            revisions: revisions.collect(),
        };
        let head = world.sql("SELECT revision FROM head");
        assert_eq!(epoch.last().to_string(), head);
        assert!(epoch.revisions.iter().zip(1..).all(|(it, number)| it.id == number), "a gap");
        epoch
    }

    pub fn last(&self) -> i64 {
        self.revisions.len().try_into().unwrap()
    }

    pub fn revision(&self, id: i64) -> &Revision {
        &self.revisions[usize::try_from(id - 1).unwrap()]
    }

    /// What somebody has who was told everything: at revision 0, 1, 2 and so on.
    pub fn settings(&self, wants: &Wants) -> Vec<Settings> {
        let mut layers = BTreeMap::<&str, Settings>::new();
        let mut all = vec![Settings::new()];
        let own = wants.user.as_ref().map(|it| format!("user:{it}"));
        let counting = || self.layers.iter().chain(&own);
        for revision in &self.revisions {
            for change in &revision.changes {
                let entries = layers.entry(&change.layer).or_default();
                match &change.after {
                    Some(value) => entries
                        .insert(change.key.clone(), Arc::new(setting(revision, change, value))),
                    None => entries.remove(&change.key),
                };
            }
            let mut settings = Settings::new();
            for entries in counting().filter_map(|it| layers.get(it.as_str())) {
                for key in entries.keys() {
                    settings.retain(|lower, _| !is_below(lower, key) && !is_below(key, lower));
                }
                settings.extend(entries.iter().map(|(key, it)| (key.clone(), it.clone())));
            }
            settings.retain(|key, _| is_wanted(wants, key));
            all.push(settings);
        }
        all
    }
}

/// Rows as objects.
fn rows(world: &World, columns: &[&str], from: &str) -> Vec<Value> {
    let function = if world.is_postgres() { "json_build_object" } else { "json_object" };
    let members: Vec<String> = columns.iter().map(|it| format!("'{it}', {it}")).collect();
    let printed = world.sql(&format!("SELECT {function}({}) FROM {from}", members.join(", ")));
    printed.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// A setting as it travels.
fn setting(revision: &Revision, change: &Change, value: &Value) -> Value {
    let value_type = match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        _ => "json",
    };
    json!({
        "namespace": "default",
        "layer": change.layer,
        "key": change.key,
        "type": value_type,
        "value": value,
        "revision": revision.id,
        "updated_at": revision.at,
        "updated_by": revision.actor,
    })
}

fn is_below(lower: &str, upper: &str) -> bool {
    lower.strip_prefix(upper).is_some_and(|it| it.starts_with('.'))
}

pub fn is_wanted(wants: &Wants, key: &str) -> bool {
    let key: Vec<&str> = key.split('.').collect();
    let fits = |pattern: &String| fits(&pattern.split('.').collect::<Vec<_>>(), &key);
    wants.patterns.is_empty() || wants.patterns.iter().any(fits)
}

fn fits(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=key.len()).any(|taken| fits(rest, &key[taken..])),
        (["*", rest @ ..], [_, others @ ..]) => fits(rest, others),
        ([one, rest @ ..], [other, others @ ..]) => one == other && fits(rest, others),
        _ => false,
    }
}
