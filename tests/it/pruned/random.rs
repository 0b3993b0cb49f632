//! Random histories, pruned again and again: what is left is what it was, and can be told.
//!
//! The stories are the same each time; SETPOINT_CASES asks for so many others.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::Duration;

use chrono::{DateTime, TimeZone as _, Utc};
use proptest::prelude::*;
use proptest::test_runner::RngAlgorithm::ChaCha;
use proptest::test_runner::{TestRng, TestRunner};
use sea_orm::{ConnectionTrait as _, QueryResult, Statement};
use serde_json::json;
use setpoint_ops::apply::{Channel, apply_newest, head};
use setpoint_ops::audit::{BackupEnd, Pruning, plan_pruning, prune};
use setpoint_ops::database::{Access, Database, Location, Settings, open};
use setpoint_ops::edit;
use setpoint_ops::explain::explain;
use setpoint_ops::history::diff;
use setpoint_ops::live::Policy as Declared;
use setpoint_ops::plan::Author;
use setpoint_ops::retention::revisions::Policy;
use setpoint_ops::secret::Rules;
use setpoint_ops::setting::{Scope, list};
use setpoint_ops::{Error, Key, Limits, verify};

use crate::world::{World, block_on};

const KEYS: [&str; 6] = ["a", "b.c", "b.d", "e", "f", "g.h"];

#[derive(Clone, Debug)]
enum Step {
    /// Values of some keys; null deletes.
    Edit(Vec<(usize, Option<i64>)>),
    Sql(usize, Option<i64>),
    /// A backup that is only said to be there.
    Backup,
    Prune(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let value = || prop::option::weighted(0.6, 0..4_i64);
    let key = || 0..KEYS.len();
    prop_oneof![
        8 => prop::collection::vec((key(), value()), 1..3).prop_map(Step::Edit),
        3 => (key(), value()).prop_map(|it| Step::Sql(it.0, it.1)),
        2 => Just(Step::Backup),
        2 => (1..5_u32).prop_map(Step::Prune),
    ]
}

#[test]
fn whatever_has_happened_what_is_left_is_what_it_was_on_sqlite() {
    let world = World::sqlite();
    let location = Location::Sqlite(world.path("setpoint.db"));

    follow(location, 20);
}

#[test]
fn whatever_has_happened_what_is_left_is_what_it_was_on_postgres() {
    let world = World::postgres();
    let location = Location::parse(&world.database());

    follow(location, 8);
}

/// Tells `cases` stories, each a part of one history.
fn follow(location: Location, cases: u32) {
    let more = env::var("SETPOINT_CASES").ok().map(|it| it.parse().unwrap());
    let config = ProptestConfig {
        cases: more.unwrap_or(cases),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    };
    let mut runner = match more {
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(ChaCha)),
        Some(_) => TestRunner::new(config),
    };
    let wait = Duration::from_secs(5);
    let settings = Settings { lock_timeout: wait, connect_timeout: wait };
    let db = block_on(open(&location, Access::Create, settings)).unwrap();

    let steps = prop::collection::vec(step(), 1..30);
    let told = runner.run(&steps, |steps| {
        block_on(tell(&db, steps));
        Ok(())
    });

    told.unwrap_or_else(|error| panic!("{error}"));
}

async fn tell(db: &Database, steps: Vec<Step>) {
    let mut ends = Vec::new();
    for step in steps {
        match step {
            Step::Edit(edits) => edit(db, edits).await,
            Step::Sql(key, value) => sql(db, KEYS[key], value).await,
            Step::Backup => {
                let head = head(&db.connection).await.unwrap();
                ends.push(BackupEnd {
                    name: "said".to_owned(),
                    epoch: head.epoch,
                    revision: head.revision,
                    head_hash: head.hash,
                });
            }
            Step::Prune(keep) => pruned(db, &ends, keep).await,
        }
    }
}

async fn edit(db: &Database, edits: Vec<(usize, Option<i64>)>) {
    let edits: edit::Edits = edits
        .into_iter()
        .map(|(key, value)| (Key::parse(KEYS[key]).unwrap(), value.map(|it| json!(it).into())))
        .collect();
    let make = async |db: &sea_orm::DatabaseTransaction| {
        edit::plan(db, "default", "base", edits.clone(), &Rules::default(), author()).await
    };
    apply_newest(db, make, Channel::Cli, now()).await.unwrap();
}

async fn sql(db: &Database, key: &str, value: Option<i64>) {
    let here = format!("WHERE namespace = 'default' AND key = '{key}'");
    let sql = match value {
        None => format!("DELETE FROM setting {here}"),
        Some(value) => format!(
            "INSERT INTO setting (namespace, layer, key, value, value_type)
             VALUES ('default', 'base', '{key}', '{value}', 'integer')
             ON CONFLICT (namespace, layer, key) DO UPDATE SET value = excluded.value"
        ),
    };
    db.connection.execute_unprepared(&sql).await.unwrap();
}

/// Prunes, and holds everything that is left against what it was.
async fn pruned(db: &Database, ends: &[BackupEnd], keep: u32) {
    let connection = &db.connection;
    let before = log(db).await;
    let newest = head(connection).await.unwrap().revision;
    let mut moments = BTreeMap::new();
    // The oldest ones are told by fewer and fewer.
    for at in (0..=newest).rev().take(40) {
        moments.insert(at, list(connection, &scope(), None, Some(at)).await.ok());
    }
    let policy: Policy = serde_json::from_value(json!({ "keep_last": keep })).unwrap();
    let declared = Declared::new(Default::default());
    let plan = || plan_pruning(connection, ends, &policy, &declared, now());
    let planned = plan().await.unwrap();
    let done = prune(db, &planned, &author(), Channel::Cli, now()).await.unwrap();

    let after = log(db).await;
    assert_eq!(done.is_empty(), gone(&planned).is_empty());
    let kept: BTreeMap<_, _> = before.iter().filter(|it| !gone(&planned).contains(it.0)).collect();
    let same: BTreeMap<_, _> = after.iter().filter(|it| *it.0 <= newest).collect();
    assert_eq!(same, kept, "a revision that is kept is kept whole");
    assert!(done.iter().all(|it| after[it][0].contains(" ann cli retention ")), "{done:?}");
    assert_eq!(plan().await.unwrap().count(), 0, "a second time nothing goes");

    let report = verify::everything(connection, &Limits::default()).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    for setting in list(connection, &scope(), None, None).await.unwrap() {
        let told = explain(connection, &scope(), &setting.key).await.unwrap();
        assert_eq!(told.history[0].revision, setting.revision, "{}", setting.key);
    }
    for (at, before) in moments {
        match list(connection, &scope(), None, Some(at)).await {
            Ok(told) => assert_eq!(Some(told), before, "what was live at {at}"),
            Err(Error::Pruned { .. }) => assert!(at < planned.horizon || before.is_none()),
            Err(error) => panic!("{at}: {error}"),
        }
        let net = diff(connection, at, newest).await;
        let is_whole = before_to(&after, at, newest);
        assert_eq!(net.is_ok(), is_whole, "what happened since {at}");
    }
}

/// Whether every revision after `low` up to `high` is there.
fn before_to(log: &Log, low: i64, high: i64) -> bool {
    (low + 1..=high).all(|it| log.contains_key(&it))
}

fn gone(planned: &Pruning) -> BTreeSet<i64> {
    let goes = planned.ranges.iter().filter(|it| !it.is_kept());
    goes.flat_map(|it| it.first..=it.last).collect()
}

/// Of each revision what it is and what it changed, as text.
type Log = BTreeMap<i64, [String; 2]>;

/// Every revision with its changes, without hashes: edits in SQL are sealed later.
async fn log(db: &Database) -> Log {
    let sql = "SELECT r.id, r.at || ' ' || r.actor || ' ' || r.channel || ' ' || r.kind || ' ' ||
                   coalesce(r.reason, '') || ' ' || coalesce(r.plan_hash, '') AS said,
               coalesce((SELECT string_agg(t.told, ';') FROM
                   (SELECT c.key || ' ' || c.action || ' ' || coalesce(c.before, '') || ' ' ||
                       coalesce(c.after, '') AS told FROM change c WHERE c.revision = r.id
                    ORDER BY c.key) t), '') AS changed FROM revision r";
    let ask = Statement::from_string(db.backend(), sql);
    let rows = db.connection.query_all_raw(ask).await.unwrap();
    let cell = |row: &QueryResult, at| row.try_get_by_index::<String>(at).unwrap();
    rows.iter()
        .map(|row| (row.try_get_by_index(0).unwrap(), [cell(row, 1), cell(row, 2)]))
        .collect()
}

fn scope() -> Scope {
    Scope { namespace: "default".to_owned(), layers: vec!["base".to_owned()] }
}

fn author() -> Author {
    Author { actor: "ann".to_owned(), reason: None }
}

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 5, 1, 12, 0, 0).unwrap()
}
