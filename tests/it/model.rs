//! Random files, edits, SQL, choices and crashes against the table: the library without the
//! command line.
//!
//! The stories are the same each time; SETPOINT_CASES asks for so many others. One that fails is
//! told again, shorter.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::env;

use proptest::prelude::*;
use proptest::test_runner::RngAlgorithm::ChaCha;
use proptest::test_runner::{TestRng, TestRunner};
use setpoint_importers::{Key, Limits};
use setpoint_ops::database::Location;
use setpoint_ops::import::{Options, Strategy as Choice};
use setpoint_ops::plan::{Class, Plan};
use setpoint_ops::verify;

use self::log::Log;
use self::program::Program;
use self::settings::{Settings, keys_of};
use self::story::{Act, Crash, Story, story};
use crate::table::Table;
use crate::world::{World, block_on};

mod log;
mod program;
pub mod settings;
mod story;

#[test]
fn whatever_happens_the_program_follows_the_table_on_sqlite() {
    let world = World::sqlite();
    let location = Location::Sqlite(world.path("setpoint.db"));

    follow(&world, location, 220);
}

#[test]
fn whatever_happens_the_program_follows_the_table_on_postgres() {
    let world = World::postgres();
    let location = Location::parse(&world.database());

    follow(&world, location, 110);
}

/// Tells `cases` stories, each in a namespace of its own.
fn follow(world: &World, location: Location, cases: u32) {
    let more = env::var("SETPOINT_CASES").ok().map(|it| it.parse().unwrap());
    let config = ProptestConfig {
        cases: more.unwrap_or(cases),
        max_shrink_iters: 2000,
        failure_persistence: None,
        ..Default::default()
    };
    let mut runner = match more {
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(ChaCha)),
        Some(_) => TestRunner::new(config),
    };
    let program = RefCell::new(block_on(Program::start(location, world.folder())));
    let told = Cell::new(0);

    let followed = runner.run(&story(), |story| {
        told.set(told.get() + 1);
        let mut program = program.borrow_mut();
        block_on(async {
            program.open(format!("case-{}", told.get()), &story).await;
            tell(&mut program, &story).await;
            program.forget().await;
        });
        Ok(())
    });

    followed.unwrap_or_else(|error| panic!("{error}"));
    let database = &program.borrow().database;
    let report = block_on(verify::everything(&database.connection, &Limits::default())).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

/// What was at some revision.
#[derive(Clone)]
struct Point {
    revision: i64,
    live: Settings,
}

/// A story as it is told.
struct Telling<'a> {
    program: &'a mut Program,
    table: Table,
    log: Log,
    points: Vec<Point>,
    /// Every text that the file has had.
    texts: Vec<(Settings, String)>,
}

async fn tell(program: &mut Program, story: &Story) {
    let revision = program.revision().await;
    let points = vec![Point { revision, live: Settings::new() }];
    let mut telling = Telling {
        log: Log::from(revision),
        table: Table::default(),
        points,
        texts: Vec::new(),
        program,
    };
    telling.write(Settings::new());
    for step in &story.steps {
        let act = step.act(&telling.table, &telling.points, &telling.texts);
        telling.act(&act, step.crash).await;
        if story.write_back {
            telling.act(&Act::Follow, step.crash_to_follow).await;
        }
    }
    if story.write_back {
        telling.act(&Act::Follow, None).await;
    }
}

impl Telling<'_> {
    fn write(&mut self, file: Settings) {
        let text = self.program.format.text(&file);
        self.write_text(file, text);
    }

    fn write_text(&mut self, file: Settings, text: String) {
        self.program.write(&text);
        self.texts.push((file.clone(), text.clone()));
        (self.table.file, self.table.text) = (file, text);
    }

    /// Does `act` in both, and compares. What crashes is done again.
    async fn act(&mut self, act: &Act, crash: Option<Crash>) {
        match act {
            Act::File(file) => self.write(file.clone()),
            Act::Text(file, text) => self.write_text(file.clone(), text.clone()),
            _ => {}
        }
        let before = self.table.clone();
        let dump = self.program.dump(crash).await;
        let done = self.program.act(act, crash).await;
        let text = self.program.text();
        match done {
            Some(done) => {
                let classes = done_by(&mut self.table, act, &text);
                assert_eq!(classes.is_some(), done.is_ok(), "{act:?}: {done:?}");
                let is_rewritten = self.table.file != before.file;
                assert_eq!(text != before.text, is_rewritten, "the bytes after {act:?}: {text}");
                if let (Act::Migrate(_), Ok(Some(plan)), Some(classes)) = (act, &done, classes) {
                    assert_planned(plan, &classes, &self.table);
                }
                self.compare(act).await;
            }
            None => {
                self.program.reopen().await;
                let mut after = before.clone();
                done_by(&mut after, act, &text);
                let is_done = self.program.dump(crash).await != dump;
                if is_done {
                    self.table = after;
                } else if text != before.text {
                    // The file is written already; the database learns of it the next time.
                    (self.table.file, self.table.text) = (after.file, text);
                }
                self.compare(act).await;
                // A statement is not made to be repeated, and the file follows after the next step.
                let stays = is_done && matches!(act, Act::Sql { .. }) || matches!(act, Act::Follow);
                if !stays {
                    Box::pin(self.act(act, None)).await;
                }
            }
        }
        if let (Act::Migrate(Options { choices, .. }), None) = (act, crash)
            && choices.by_key.is_empty()
            && choices.strategy != Choice::Fail
        {
            let revision = self.program.revision().await;
            self.program.act(act, None).await.unwrap().unwrap();
            assert_eq!(self.program.revision().await, revision, "the second time");
        }
    }

    async fn compare(&mut self, act: &Act) {
        let (program, table) = (&*self.program, &self.table);
        let live = program.live().await;
        assert_eq!(live, table.live, "live values after {act:?}");
        assert_eq!(program.seeds().await, table.seed, "seeds after {act:?}");
        assert_eq!(program.file(), table.file, "the file after {act:?}: {}", program.text());
        let revision = self.log.read(program, &live).await;
        assert_eq!(program.drift().await, table.drift(), "drift after {act:?}");
        if self.points.last().is_none_or(|it| it.revision < revision) {
            self.points.push(Point { revision, live });
        }
    }
}

/// Does `act` in the model, after which the file is `text`. Gives what a migration finds;
/// nothing if it is refused.
fn done_by(table: &mut Table, act: &Act, text: &str) -> Option<BTreeMap<Key, Class>> {
    text.clone_into(&mut table.text);
    let done = match act {
        Act::File(_) | Act::Text(..) => true,
        Act::Edit(edits) => {
            let mut live = table.live.clone();
            live.retain(|key, _| edits.iter().all(|it| it.0 != *key));
            live.extend(edits.iter().filter_map(|it| Some((it.0.clone(), it.1.clone()?))));
            table.put(live)
        }
        Act::Sql { after, .. } => after.clone().is_some_and(|it| table.put(it)),
        Act::Migrate(options) => return table.migrate(&options.choices, options.take_skipped),
        Act::Skip => table.skip(),
        Act::Reset { prefix, purge } => table.reset(prefix.as_ref(), *purge),
        Act::Revert { before, after, prefix, strategy, .. } => {
            table.revert([before, after], prefix.as_ref(), *strategy)
        }
        Act::Adopt(key) => table.adopt(key.as_ref()),
        Act::Follow => table.follow(),
    };
    done.then(BTreeMap::new)
}

/// The plan has the classes of the table; of those that were settled, whatever came of it.
fn assert_planned(plan: &Plan, classes: &BTreeMap<Key, Class>, after: &Table) {
    let conflicts = |classes| keys_of(classes, &[Class::Conflict]);
    let settled = &conflicts(classes) - &conflicts(&after.classes());
    let is_settled = |key: &Key| settled.iter().any(|it| key.starts_with(it));
    let planned = plan.changes.iter().map(|it| (&it.key, it.class));
    let planned: Vec<_> = planned.filter(|it| !is_settled(it.0)).collect();
    let expected = classes.iter().map(|it| (it.0, *it.1));
    let expected: Vec<_> = expected.filter(|it| !is_settled(it.0)).collect();
    // A file that says what it said is not looked into.
    let nothing_new = planned.is_empty() && expected.iter().all(|it| it.1 == Class::Keep);
    assert!(nothing_new || planned == expected, "{planned:?} is not {expected:?}");
}
