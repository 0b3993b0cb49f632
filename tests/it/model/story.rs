//! What may happen: drawn at random, and made definite when it is its turn.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use setpoint_importers::{Key, TypedValue};
use setpoint_ops::import::{Choices, Options, Resolve, Strategy as Choice};
use setpoint_ops::plan::Class;
use setpoint_ops::revert::Target;

use super::Point;
use super::settings::{Settings, keys_of};
use crate::table::Table;

/// Keys that can and that cannot stand beside one another.
const KEYS: [&str; 8] = ["a", "a.b", "a.b.c", "a.d", "e", "e.\"f.g\"", "h", "i.j"];

#[derive(Clone, Debug)]
pub struct Story {
    pub format: Format,
    pub write_back: bool,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
pub enum Format {
    Json,
    Yaml,
}

#[derive(Clone, Debug)]
pub struct Step {
    what: What,
    pub crash: Option<Crash>,
    /// While the file follows it.
    pub crash_to_follow: Option<Crash>,
}

/// How it ends before it is done.
#[derive(Clone, Copy, Debug)]
pub enum Crash {
    /// After so many hundredths of the polls that it has taken at most.
    At(usize),
    /// When there are so many left of these, if it takes so many.
    Before(usize),
    /// When the files are written and the database is not: SQLite only.
    BetweenTheTwo,
}

/// As drawn: numbers stand for what there will be to choose from.
#[derive(Clone, Debug)]
enum What {
    File(Settings),
    Back(usize),
    Edit(Vec<(usize, Option<Value>)>),
    Sql(Sql, usize, usize, Value),
    Migrate { strategy: Choice, by_key: Vec<(usize, Resolve)>, take_skipped: bool },
    Skip,
    Reset(Option<usize>, bool),
    Revert { point: usize, to: bool, prefix: Option<usize>, strategy: Choice },
    Adopt(Option<usize>),
}

#[derive(Clone, Copy, Debug)]
enum Sql {
    Upsert,
    Insert,
    Update,
    Delete,
    Rename,
    Wipe,
}

/// As done.
#[derive(Clone, Debug)]
pub enum Act {
    File(Settings),
    Text(Settings, String),
    Edit(Vec<(Key, Option<TypedValue>)>),
    /// None if it is to be refused.
    Sql {
        sql: String,
        after: Option<Settings>,
    },
    Migrate(Options),
    Skip,
    Reset {
        prefix: Option<Key>,
        purge: bool,
    },
    Revert {
        target: Target,
        before: Settings,
        after: Settings,
        prefix: Option<Key>,
        strategy: Choice,
    },
    Adopt(Option<Key>),
    Follow,
}

fn value() -> impl Strategy<Value = Value> {
    let values = [json!(1), json!(1.0), json!("1"), json!(true), json!(null), json!([]), json!({})];
    prop::sample::select(values.to_vec())
}

/// A file: some of the keys, where none stands above another.
fn file() -> impl Strategy<Value = Settings> {
    prop::collection::vec(prop::option::of(value()), KEYS.len()).prop_map(|values| {
        let mut file = Settings::new();
        for (key, value) in KEYS.iter().zip(values) {
            let (key, Some(value)) = (Key::parse(key).unwrap(), value) else { continue };
            if !file.keys().any(|it| key.starts_with(it)) {
                file.insert(key, value.into());
            }
        }
        file
    })
}

fn what() -> impl Strategy<Value = What> {
    let strategies = [Choice::Ask, Choice::Ask, Choice::Ours, Choice::Theirs, Choice::Fail];
    let strategy = || prop::sample::select(strategies.to_vec());
    let texts = ["2", "1", "x", "[]", "{}", "null", "true", "1.5"];
    let resolve = prop_oneof![
        Just(Resolve::Ours),
        Just(Resolve::Theirs),
        prop::sample::select(texts.to_vec()).prop_map(|it| Resolve::Value(it.to_owned())),
    ];
    let by_key = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec((0..8_usize, resolve), 1..3),
    ];
    let sql =
        [Sql::Upsert, Sql::Insert, Sql::Update, Sql::Update, Sql::Delete, Sql::Rename, Sql::Wipe];
    let sql = prop::sample::select(sql.to_vec());
    let key = || 0..KEYS.len();
    let prefix = || prop::option::of(0..KEYS.len() + 1);
    let edits = prop::collection::vec((key(), prop::option::weighted(0.7, value())), 1..3);
    prop_oneof![
        6 => edits.prop_map(What::Edit),
        4 => file().prop_map(What::File),
        2 => (0..8_usize).prop_map(What::Back),
        3 => (sql, key(), key(), value()).prop_map(|it| What::Sql(it.0, it.1, it.2, it.3)),
        6 => (strategy(), by_key, prop::bool::weighted(0.2)).prop_map(
            |(strategy, by_key, take_skipped)| What::Migrate { strategy, by_key, take_skipped }
        ),
        1 => Just(What::Skip),
        2 => (prefix(), any::<bool>()).prop_map(|it| What::Reset(it.0, it.1)),
        2 => (0..8_usize, any::<bool>(), prop::option::weighted(0.2, 0..KEYS.len()), strategy())
            .prop_map(|(point, to, prefix, strategy)| What::Revert { point, to, prefix, strategy }),
        3 => prefix().prop_map(What::Adopt),
    ]
}

pub fn story() -> impl Strategy<Value = Story> {
    let crash = prop_oneof![
        2 => (0..100_usize).prop_map(Crash::At),
        4 => (0..8_usize).prop_map(Crash::Before),
        1 => Just(Crash::BetweenTheTwo),
    ];
    let crash = prop::option::weighted(0.2, crash);
    let step = (what(), crash.clone(), crash).prop_map(|(what, crash, crash_to_follow)| Step {
        what,
        crash,
        crash_to_follow,
    });
    let format = prop_oneof![Just(Format::Json), Just(Format::Yaml)];
    (format, prop::bool::weighted(0.4), prop::collection::vec(step, 1..16))
        .prop_map(|(format, write_back, steps)| Story { format, write_back, steps })
}

/// One of the keys, or a map that has no value of its own.
fn key(number: usize) -> Key {
    Key::parse(KEYS.get(number).unwrap_or(&"i")).unwrap()
}

impl Step {
    pub fn act(&self, table: &Table, points: &[Point], texts: &[(Settings, String)]) -> Act {
        match &self.what {
            What::File(file) => Act::File(file.clone()),
            What::Back(number) => {
                let (file, text) = &texts[texts.len() - 1 - number % texts.len()];
                Act::Text(file.clone(), text.clone())
            }
            What::Edit(edits) => {
                let edits = edits.iter().map(|it| (key(it.0), it.1.clone().map(TypedValue::from)));
                let edits: std::collections::BTreeMap<_, _> = edits.collect();
                Act::Edit(edits.into_iter().collect())
            }
            What::Sql(sql, one, two, value) => sql.act(table, &key(*one), &key(*two), value),
            What::Migrate { strategy, by_key, take_skipped } => {
                let conflicts = keys_of(&table.classes(), &[Class::Conflict]);
                let pick = |number: usize| match conflicts.len() {
                    0 => key(number),
                    count => conflicts.iter().nth(number % (count + 1)).cloned().unwrap_or(key(7)),
                };
                let by_key = by_key.iter().map(|it| (pick(it.0), it.1.clone())).collect();
                let choices = Choices { strategy: *strategy, by_key, ..Choices::default() };
                Act::Migrate(Options { choices, take_skipped: *take_skipped, ..Options::default() })
            }
            What::Skip => Act::Skip,
            What::Reset(prefix, purge) => Act::Reset { prefix: prefix.map(key), purge: *purge },
            What::Revert { point, to, prefix, strategy } => {
                let at = points.len() - 1 - point % points.len();
                let earlier = &points[at];
                let next = points.get(at + 1).filter(|it| it.revision == earlier.revision + 1);
                let (target, after) = match next {
                    Some(next) if !to => (Target::Revision(next.revision), next.live.clone()),
                    _ => (Target::To(earlier.revision), table.live.clone()),
                };
                Act::Revert {
                    target,
                    before: earlier.live.clone(),
                    after,
                    prefix: prefix.map(key),
                    strategy: *strategy,
                }
            }
            What::Adopt(prefix) => Act::Adopt(prefix.map(key)),
        }
    }
}

impl Sql {
    /// The statement; the namespace is `$1`.
    fn act(self, table: &Table, one: &Key, two: &Key, value: &Value) -> Act {
        let mut live = table.live.clone();
        let known = live.get(one).cloned();
        let value = TypedValue::from(value.clone());
        // As a person types it. The same value in another text would be a change all the same.
        let text = match value.text().as_str() {
            _ if known.as_ref() == Some(&value) => value.text(),
            "1.0" => "1.00".to_owned(),
            "{}" => "{ }".to_owned(),
            other => other.to_owned(),
        };
        let kind = value.value_type();
        let here = "namespace = $1 AND layer = 'base'";
        let insert = format!(
            "INSERT INTO setting (namespace, layer, key, value, value_type)
             VALUES ($1, 'base', '{one}', '{text}', '{kind}')"
        );
        let mut may = true;
        let sql = match self {
            Self::Upsert => {
                live.insert(one.clone(), value);
                format!(
                    "{insert} ON CONFLICT (namespace, layer, key)
                     DO UPDATE SET value = excluded.value, value_type = excluded.value_type"
                )
            }
            Self::Insert => {
                may = known.is_none();
                live.insert(one.clone(), value);
                insert
            }
            Self::Update => {
                live.extend(known.map(|_| (one.clone(), value)));
                format!(
                    "UPDATE setting SET value = '{text}', value_type = '{kind}'
                     WHERE {here} AND key = '{one}'"
                )
            }
            Self::Delete => {
                live.remove(one);
                format!("DELETE FROM setting WHERE {here} AND key = '{one}'")
            }
            Self::Rename => {
                may = known.is_none() || one == two || !live.contains_key(two);
                if let Some(known) = known {
                    live.remove(one);
                    live.insert(two.clone(), known);
                }
                format!("UPDATE setting SET key = '{two}' WHERE {here} AND key = '{one}'")
            }
            Self::Wipe => {
                let map = one.segments().next().unwrap();
                live.retain(|key, _| key.segments().next().unwrap() != map);
                format!("DELETE FROM setting WHERE {here} AND key LIKE '{map}%'")
            }
        };
        Act::Sql { sql, after: may.then_some(live) }
    }
}

impl Format {
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
        }
    }

    /// A file that says `settings`.
    pub fn text(self, settings: &Settings) -> String {
        let mut root = Value::Object(Map::new());
        for (key, value) in settings {
            let mut node = &mut root;
            for segment in key.segments() {
                let members = node.as_object_mut().unwrap();
                node = members.entry(segment).or_insert_with(|| Value::Object(Map::new()));
            }
            *node = value.json.clone();
        }
        match self {
            Self::Json => format!("{root:#}\n"),
            Self::Yaml if settings.is_empty() => "# nothing\n{}\n".to_owned(),
            Self::Yaml => {
                let mut text = "# These are settings.\n".to_owned();
                write_yaml(&root, 0, &mut text);
                text
            }
        }
    }
}

fn write_yaml(node: &Value, depth: usize, text: &mut String) {
    for (name, value) in node.as_object().unwrap() {
        *text += &format!("{}{name}:", "  ".repeat(depth));
        match value {
            Value::Object(members) if !members.is_empty() => {
                *text += "\n";
                write_yaml(value, depth + 1, text);
            }
            _ => *text += &format!(" {value}  # about {name}\n"),
        }
    }
}
