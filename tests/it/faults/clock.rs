//! A clock that goes back between two revisions.

use std::time::Duration;

use chrono::{DateTime, Utc};
use setpoint_ops::apply::{Applied, Channel, apply};
use setpoint_ops::database::{self, Access, Location, Settings};
use setpoint_ops::plan::Author;
use setpoint_ops::secret::Rules;
use setpoint_ops::{Key, TypedValue, audit, edit};

use super::assert_sound;
use crate::world::{World, block_on};

on_both![revisions_stay_in_order_when_the_clock_goes_back];

fn revisions_stay_in_order_when_the_clock_goes_back(world: &World) {
    let times = ["2026-05-02T00:00:00Z", "2026-05-01T00:00:00Z", "1999-12-31T23:59:59Z"];

    let applied = block_on(async {
        let wait = Duration::from_secs(5);
        let settings = Settings { lock_timeout: wait, connect_timeout: wait };
        let location = match world.is_postgres() {
            true => Location::parse(&world.database()),
            false => Location::Sqlite(world.path("setpoint.db")),
        };
        let db = database::open(&location, Access::Create, settings).await.unwrap();
        let mut applied = Vec::new();
        for (value, now) in (1..).zip(times) {
            let value = TypedValue::from(serde_json::Value::from(value));
            let edits = [(Key::parse("a").unwrap(), Some(value))].into();
            let author = Author { actor: "ann".to_owned(), reason: None };
            let plan =
                edit::plan(&db.connection, "default", "base", edits, &Rules::default(), author)
                    .await
                    .unwrap();
            let now: DateTime<Utc> = now.parse().unwrap();
            applied.push(apply(&db, &plan, &[], Channel::Cli, now).await.unwrap());
        }
        assert_eq!(audit::verify(&db.connection).await.unwrap().first_bad, None);
        db.close().await.unwrap();
        applied
    });

    assert_eq!(applied, [1, 2, 3].map(Applied::Revision));
    let history = world.json(&["history"]);
    let listed = history.as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap());
    assert_eq!(listed.collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!((world.get("a"), world.ok(&["get", "a", "--at", "2"])), ("3".into(), "2\n".into()));
    assert_sound(world, "the clock went back");
}
