//! Files, database and people that go on changing: updates, drift, adopt, reset and mappings,
//! as a user meets them.

use serde_json::Value;

use crate::world::{Files, World, text};

mod adopt;
mod ignore;
mod mapping;
pub mod picker;
mod rename;
mod reset;
mod resolve;
mod skip;
mod sources;
mod suggest;
mod tell;
mod updates;

/// Files, settings and history.
type Everything = (Files, String, i64);

fn everything(world: &World) -> Everything {
    let files = world.files().into_iter().filter(|(name, _)| !name.starts_with("setpoint.db"));
    (files.collect(), world.run(&["list", "--json"]).stdout, world.revision())
}

/// How a command is refused, after which everything is as it was.
#[track_caller]
fn refused(world: &World, arguments: &[&str]) -> String {
    let before = everything(world);
    let refusal = world.refusal(arguments);
    assert!(everything(world) == before, "{arguments:?} left a trace: {refusal}");
    refusal
}

/// The faults that a command is refused for, a line each, after which everything is as it was.
#[track_caller]
fn faults(world: &World, arguments: &[&str]) -> String {
    let before = everything(world);
    let ran = world.run(&[arguments, &["--json"]].concat());
    assert!(everything(world) == before, "{arguments:?} left a trace: {ran}");
    let problem = ran.problem();
    let related = problem["related"].as_array().unwrap().iter();
    let line = |it: &Value| format!("{} {}\n", text(&it["code"]), text(&it["message"]));
    let lines: String = related.map(line).collect();
    format!("{} {}\n{lines}", ran.status, text(&problem["code"]))
}

/// Every setting as `key = value`, in one line.
fn settings(world: &World) -> String {
    let listed = world.json(&["list"]);
    let listed = listed.as_array().unwrap().iter();
    let setting = |it: &Value| format!("{} = {}", text(&it["key"]), it["value"]);
    listed.map(setting).collect::<Vec<_>>().join(", ")
}

/// What `drift` tells, as `name: kind`, in one line.
fn drift(world: &World) -> String {
    let told = world.json(&["drift"]);
    let told = told["drift"].as_array().unwrap().iter();
    let one = |it: &Value| {
        let name = it["key"].as_str().or(it["source"].as_str()).unwrap();
        format!("{name}: {}", text(&it["kind"]))
    };
    told.map(one).collect::<Vec<_>>().join(", ")
}
