//! Random files, edits and choices against the table: the library without the command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use setpoint_importers::{Key, Limits, TypedValue};
use setpoint_ops::apply::{Applied, Channel, apply};
use setpoint_ops::database::{Access, Database, Location, Settings as Opening, open};
use setpoint_ops::edit::{self, Edits};
use setpoint_ops::import::{self, Strategy as Choice};
use setpoint_ops::plan::{Author, Class, Plan};
use setpoint_ops::secret::Rules;
use setpoint_ops::setting::{Scope, list};
use setpoint_ops::source::{Interpretation, Named, declare};
use setpoint_ops::{Error, verify};

use crate::table::{Merged, Settings, Table};
use crate::world::block_on;

/// Keys that can and that cannot stand beside one another.
const KEYS: [&str; 8] = ["a", "a.b", "a.b.c", "a.d", "e", "e.\"f.g\"", "h", "i.j"];

#[derive(Clone, Debug)]
enum Step {
    Set(usize, Value),
    Unset(usize),
    File(Settings),
    Migrate(Choice),
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

fn step() -> impl Strategy<Value = Step> {
    let choice = prop::sample::select(vec![
        Choice::Ask,
        Choice::Ask,
        Choice::Ours,
        Choice::Theirs,
        Choice::Fail,
    ]);
    prop_oneof![
        2 => (0..KEYS.len(), value()).prop_map(|(key, value)| Step::Set(key, value)),
        1 => (0..KEYS.len()).prop_map(Step::Unset),
        2 => file().prop_map(Step::File),
        3 => choice.prop_map(Step::Migrate),
    ]
}

/// The program under test, in a namespace of its own.
struct Program<'a> {
    database: &'a Database,
    folder: &'a Path,
    namespace: String,
}

impl Program<'_> {
    async fn edit(&self, key: &Key, value: Option<TypedValue>) -> Result<Applied, Error> {
        let snapshot = self.database.snapshot().await?;
        let edits = Edits::from([(key.clone(), value)]);
        let plan =
            edit::plan(&snapshot, &self.namespace, "base", edits, &Rules::default(), author())
                .await;
        drop(snapshot);
        apply(self.database, &plan?, &[], Channel::Cli, DateTime::default()).await
    }

    /// Migrates the file. Gives the plan, and whether a revision came of it.
    async fn migrate(&self, choice: Choice) -> Result<(Plan, Applied), Error> {
        let named = Named {
            path: self.folder.join(format!("{}.json", self.namespace)),
            namespace: self.namespace.clone(),
            layer: "base".to_owned(),
            interpretation: Interpretation::default(),
            write_back: false,
        };
        let (declared, _) = declare(&[named], self.folder)?;
        let snapshot = self.database.snapshot().await?;
        let limits = Limits::default();
        let import =
            import::plan(&snapshot, &declared, self.folder, &choice.into(), &limits, author())
                .await;
        drop(snapshot);
        let import = import?;
        let (plan, sources) = (&import.plan, &import.sources);
        let applied =
            apply(self.database, plan, sources, Channel::Cli, DateTime::default()).await?;
        Ok((import.plan, applied))
    }

    async fn live(&self) -> Settings {
        let scope = Scope { namespace: self.namespace.clone(), layers: vec!["base".to_owned()] };
        let found = list(&self.database.connection, &scope, None, None).await.unwrap();
        found.into_iter().map(|it| (it.key.clone(), it.typed())).collect()
    }

    fn write(&self, file: &Settings) {
        let mut root = Value::Object(Map::new());
        for (key, value) in file {
            let mut node = &mut root;
            for segment in key.segments() {
                let members = node.as_object_mut().unwrap();
                node = members.entry(segment).or_insert_with(|| Value::Object(Map::new()));
            }
            *node = value.json.clone();
        }
        let path = self.folder.join(format!("{}.json", self.namespace));
        fs::write(path, root.to_string()).unwrap();
    }
}

fn author() -> Author {
    Author { actor: "ann".to_owned(), reason: None }
}

/// Whether `key` may get a value in `table`: none of it stands above or below.
fn fits(table: &Table, key: &Key) -> bool {
    !table.live.keys().any(|it| it != key && (it.starts_with(key) || key.starts_with(it)))
}

async fn follow(program: &Program<'_>, steps: &[Step]) {
    let mut table = Table::default();
    let mut file = Settings::new();
    program.write(&file);
    for step in steps {
        match step {
            Step::File(next) => {
                file = next.clone();
                program.write(&file);
            }
            Step::Set(key, value) => {
                let key = Key::parse(KEYS[*key]).unwrap();
                let set = program.edit(&key, Some(value.clone().into())).await;
                assert_eq!(set.is_ok(), fits(&table, &key), "{key}: {set:?}");
                if set.is_ok() {
                    table.live.insert(key, value.clone().into());
                }
            }
            Step::Unset(key) => {
                let key = Key::parse(KEYS[*key]).unwrap();
                program.edit(&key, None).await.unwrap();
                table.live.remove(&key);
            }
            Step::Migrate(choice) => migrate(program, &mut table, &file, *choice).await,
        }
        assert_eq!(program.live().await, table.live, "after {step:?}");
    }
}

async fn migrate(program: &Program<'_>, table: &mut Table, file: &Settings, choice: Choice) {
    let Merged { classes, open } = table.migrate(file, choice);
    let migrated = program.migrate(choice).await;
    if choice == Choice::Fail && !open.is_empty() {
        let failed = matches!(migrated, Err(Error::Conflicts { count }) if count == open.len());
        assert!(failed, "{migrated:?}");
        return;
    }
    let (plan, _) = migrated.unwrap();
    let settled = classes.iter().filter(|it| *it.1 == Class::Conflict && !open.contains(it.0));
    let settled: Vec<&Key> = settled.map(|it| it.0).collect();
    let is_settled = |key: &Key| settled.iter().any(|it| key.starts_with(it));
    let planned = plan.changes.into_iter().map(|it| (it.key, it.class));
    let planned: BTreeMap<Key, Class> = planned.filter(|it| !is_settled(&it.0)).collect();
    let expected = classes.iter().filter(|it| !is_settled(it.0)).map(|it| (it.0.clone(), *it.1));
    let expected: BTreeMap<Key, Class> = expected.collect();
    // A file that says what it said is not looked into.
    let nothing_new = planned.is_empty() && expected.values().all(|it| *it == Class::Keep);
    assert!(nothing_new || planned == expected, "{planned:?} is not {expected:?}");

    let again = program.migrate(choice).await.unwrap().1;
    assert_eq!(again, Applied::Nothing, "the second time");
}

#[test]
fn whatever_happens_the_program_follows_the_table() {
    let folder = tempfile::TempDir::new().unwrap();
    let opening =
        Opening { lock_timeout: Duration::from_secs(5), connect_timeout: Duration::from_secs(5) };
    let location = Location::Sqlite(folder.path().join("setpoint.db"));
    let database = block_on(open(&location, Access::Create, opening)).unwrap();
    let config = ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() };
    let mut case = 0;
    let counter = std::cell::RefCell::new(&mut case);

    let followed = TestRunner::new(config).run(&prop::collection::vec(step(), 1..16), |steps| {
        **counter.borrow_mut() += 1;
        let namespace = format!("case-{}", counter.borrow());
        let program = Program { database: &database, folder: folder.path(), namespace };
        block_on(follow(&program, &steps));
        Ok(())
    });

    followed.unwrap_or_else(|error| panic!("{error}"));
    let report = block_on(verify::everything(&database.connection, &Limits::default())).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}
