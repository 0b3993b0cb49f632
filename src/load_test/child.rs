//! A service of the test's own, on a database of its own that is gone afterwards.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use chrono::Utc;
use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use serde_json::{Value, json};
use setpoint_ops::apply::{Channel, apply};
use setpoint_ops::database::{self, Access, Database, Location, Settings};
use setpoint_ops::edit::{self, Edits};
use setpoint_ops::plan::Author;
use setpoint_ops::secret::Rules;
use setpoint_ops::{Error, Key};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// How many settings it has: as many as the application that Setpoint was first made for.
const SETTINGS: usize = 541;

/// How long it may take to be ready.
const READY: Duration = Duration::from_secs(30);

/// What it says before its address.
const LISTENING: &str = "listening on ";

pub(crate) struct OwnService {
    child: Child,
    pub url: String,
    pub location: Location,
    /// Removed with it.
    _folder: TempDir,
}

impl OwnService {
    pub async fn start() -> miette::Result<Self> {
        let folder = TempDir::with_prefix("setpoint-load-test-").into_diagnostic()?;
        let path = folder.path().join("setpoint.db");
        let location = Location::Sqlite(path);
        fill(&location).await?;

        let program = env::current_exe().into_diagnostic()?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--database", &location.name()]);
        // Nothing of what is configured here: it is not about the settings of this place.
        command.current_dir(folder.path()).env_clear();
        for name in ["PATH", "HOME", "RUST_LOG", "RUST_BACKTRACE"] {
            command.envs(env::var_os(name).map(|value| (name, value)));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().into_diagnostic().wrap_err("cannot start `setpoint serve`")?;
        let mut started = Self { child, url: String::new(), location, _folder: folder };
        started.url = started.ready().await?;
        Ok(started)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for it, and gives its address.
    async fn ready(&mut self) -> miette::Result<String> {
        let stderr = self.child.stderr.take().ok_or_else(|| miette!("it has no stderr"))?;
        let (send, mut lines) = mpsc::unbounded_channel();
        thread::spawn(move || {
            // Read to its end: who writes into a full pipe waits.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                drop(send.send(line));
            }
        });
        let mut said = String::new();
        let address = async {
            while let Some(line) = lines.recv().await {
                if let Some((_, address)) = line.split_once(LISTENING) {
                    let end = address.find(char::is_whitespace).unwrap_or(address.len());
                    return Some(address[..end].to_owned());
                }
                said.push_str(&line);
                said.push('\n');
            }
            None
        };
        let address = tokio::time::timeout(READY, address).await.ok().flatten();
        address.ok_or_else(|| {
            miette!(
                code = "load_test::no_service",
                help = "start one by yourself and give its address with --url",
                "`setpoint serve` did not come up; it said: {}",
                said.trim_end()
            )
        })
    }
}

impl Drop for OwnService {
    fn drop(&mut self) {
        // Its database goes with it, so it has nothing to finish. It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn fill(location: &Location) -> miette::Result<()> {
    let settings =
        Settings { lock_timeout: Duration::from_secs(5), connect_timeout: Duration::from_secs(5) };
    let edits = generated()?;
    let fill = async |db: &Database| {
        let author = Author { actor: "load-test".to_owned(), reason: None };
        let snapshot = db.snapshot().await?;
        let plan = edit::plan(&snapshot, "default", "base", edits, &Rules::default(), author).await;
        drop(snapshot);
        apply(db, &plan?, &[], Channel::Cli, Utc::now()).await
    };
    database::using(location, Access::Create, settings, fill).await?;
    if let Location::Sqlite(path) = location {
        let size = fs::metadata(path).into_diagnostic()?.len();
        tracing::debug!(size, "made a database for the load test");
    }
    Ok(())
}

/// Settings like those of an application, in sections and of every type.
fn generated() -> Result<Edits, Error> {
    const SECTIONS: [&str; 8] =
        ["physics", "training", "camera", "alerts", "approval", "storage", "network", "display"];
    const NAMES: [&str; 6] = ["threshold", "interval", "enabled", "label", "limits", "retries"];
    let setting = |number: usize| {
        let (section, name) = (SECTIONS[number % 8], NAMES[number % 6]);
        let text = format!("{section}.{name}_{number}");
        let value: Value = match number % 6 {
            0 => json!(number as f64 / 100.0),
            1 => json!(number),
            2 => json!(number.is_multiple_of(4)),
            3 => json!(format!("what number {number} is called on the panel")),
            4 => json!([number, number * 2]),
            _ => json!(number % 7),
        };
        let key = Key::parse(&text).map_err(|reason| Error::BadKey { key: text, reason })?;
        Ok((key, Some(value.into())))
    };
    (0..SETTINGS).map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_settings_as_are_wanted() {
        assert_eq!(generated().unwrap().len(), SETTINGS);
    }
}
