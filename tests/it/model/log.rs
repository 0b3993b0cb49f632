//! What the change log says by itself: nothing is lost without a revision that says who did it.

use setpoint_importers::Key;

use super::program::{Program, value};
use super::settings::Settings;

/// The log as far as it was read.
pub struct Log {
    revision: i64,
    /// What it adds up to.
    live: Settings,
    /// The seeds when it was last read.
    seeds: Settings,
}

impl Log {
    pub fn from(revision: i64) -> Self {
        Self { revision, live: Settings::new(), seeds: Settings::new() }
    }

    /// Reads on. Gives the newest revision.
    pub async fn read(&mut self, program: &Program, live: &Settings) -> i64 {
        let sql = "SELECT id, kind, channel, actor FROM revision WHERE id > $1 ORDER BY id";
        for row in program.rows(sql, self.revision).await {
            let [id, kind, channel, actor] = row.try_into().unwrap();
            self.revision += 1;
            assert_eq!(id, Some(self.revision.to_string()), "a gap in the revisions");
            let who = if channel.as_deref() == Some("sql") { "sql" } else { "ann" };
            assert_eq!(actor.as_deref(), Some(who), "revision {}", self.revision);
            self.replay(program, &kind.unwrap()).await;
        }
        assert_eq!(self.live, *live, "what the log adds up to is what is live");
        assert_eq!(program.revision().await, self.revision);
        self.seeds = program.seeds().await;
        self.revision
    }

    async fn replay(&mut self, program: &Program, kind: &str) {
        let sql = "SELECT key FROM resolution WHERE revision = $1";
        let chosen = program.rows(sql, self.revision).await;
        let chosen = chosen.into_iter().map(|it| Key::parse(it[0].as_ref().unwrap()).unwrap());
        let chosen: Vec<Key> = chosen.collect();
        let sql = "SELECT namespace, key, action, before, after FROM change WHERE revision = $1";
        for row in program.rows(sql, self.revision).await {
            let [namespace, key, action, before, after] = row.try_into().unwrap();
            assert_eq!(namespace.as_ref(), Some(&program.namespace));
            let key = Key::parse(&key.unwrap()).unwrap();
            let (before, after) = (before.as_deref().map(value), after.as_deref().map(value));
            let case = format!("{key} in the {kind} of revision {}", self.revision);
            assert_eq!(before.as_ref(), self.live.get(&key), "{case}: not what it was");
            let done = match (&before, &after) {
                (None, Some(_)) => "add",
                (Some(_), Some(_)) => "update",
                _ => "delete",
            };
            assert_eq!(action.as_deref(), Some(done), "{case}");
            let untouched = before.as_ref() == self.seeds.get(&key);
            let may = untouched || chosen.iter().any(|it| key.starts_with(it));
            assert!(kind != "import" || may, "{case}: it was edited, and nobody chose");
            assert_ne!(kind, "adopt", "{case}: it changes no live value");
            self.live.remove(&key);
            self.live.extend(after.map(|it| (key, it)));
        }
    }
}
