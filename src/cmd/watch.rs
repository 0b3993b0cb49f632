use std::time::Duration;

use miette::IntoDiagnostic as _;
use serde::Serialize;
use setpoint_client::types::{Change, Changed, Hello, ReloadReason};
use setpoint_client::{ClientError, Event, Follower, Service};
use unicode_width::UnicodeWidthStr as _;

use super::{Context, Exit};
use crate::console;

/// Print each change the moment it is made, whoever makes it
///
/// Ends with ctrl-c. If the service goes away, it waits for it and tells what has changed
/// meanwhile.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only these keys, such as 'physics.**'; several are possible
    #[arg(long = "pattern", value_name = "PATTERN")]
    patterns: Vec<String>,

    /// Where the service is, as in http://127.0.0.1:8080
    #[arg(long, env = "SETPOINT_URL", value_name = "URL")]
    url: String,

    /// What the service knows you by
    #[arg(long, env = "SETPOINT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,

    /// With the preferences of this user on top
    #[arg(long, value_name = "ID")]
    user: Option<String>,

    /// End after the first change
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let service = Service::new(&args.url, args.token)?;
    let hello = Hello {
        client: Some(format!("setpoint watch {}", env!("CARGO_PKG_VERSION"))),
        namespace: context.only.clone(),
        patterns: args.patterns,
        user: args.user,
        position: None,
    };
    let mut follower = Follower::new(service, hello);
    let mut lines = Lines { json: context.json, once: args.once, key_width: 0 };
    let ended = tokio::select! {
        ended = follow(&mut follower, &mut lines) => ended,
        pressed = tokio::signal::ctrl_c() => pressed.into_diagnostic(),
    };
    follower.close().await;
    ended.map(|()| Exit::Done)
}

/// Prints what a service tells until nobody wants to read more.
async fn follow(follower: &mut Follower, lines: &mut Lines) -> miette::Result<()> {
    let mut was_connected = false;
    loop {
        let goes_on = match follower.next().await? {
            Event::Connected(_) => {
                if was_connected {
                    console::tell("connected again");
                }
                was_connected = true;
                true
            }
            Event::Changed(changed) => lines.show(&changed)?,
            Event::Reloaded(all) if all.reason == ReloadReason::Hello => true,
            Event::Reloaded(all) => {
                console::tell(format_args!(
                    "note: {}; there are {} as of revision {}",
                    why(all.reason),
                    console::counted(all.settings.len(), "setting"),
                    all.position.revision
                ));
                !lines.json || document(&all)?
            }
            Event::Unchanged(_) => true,
            // Nobody waits for a service that was never there.
            Event::Lost { error, .. } if !was_connected => return Err(error.into()),
            Event::Lost { error, retry_in } | Event::Gap { error, retry_in } => {
                tell(&error, retry_in);
                true
            }
        };
        if !goes_on {
            return Ok(());
        }
    }
}

fn why(reason: ReloadReason) -> &'static str {
    match reason {
        ReloadReason::Hello => "everything is told",
        ReloadReason::Resync => "the history is another one, or what is missed is too old to tell",
        ReloadReason::Overflow => "there were more changes than could be read",
        ReloadReason::Reconfigured => "the service is configured otherwise by now",
    }
}

fn tell(error: &ClientError, retry_in: Duration) {
    let seconds = retry_in.as_secs_f64();
    console::tell(format_args!("note: {error}; trying again in {seconds:.1} s"));
}

/// How changes are printed, wherever they are heard of.
pub(super) struct Lines {
    pub json: bool,
    /// Whether the first change is the last.
    pub once: bool,
    /// Of the widest key so far: the columns move only when they have to.
    pub key_width: usize,
}

/// No key is padded to more columns.
const ROOM: usize = 40;

/// No value is cut to fewer columns; a terminal that is narrower breaks the line.
const VALUE: usize = 10;

impl Lines {
    /// Prints a line a change, or everything as one JSON document a line. False once there is
    /// nothing more to print: it was the only one that was wanted, or nobody reads any more.
    pub fn show(&mut self, changed: &Changed) -> miette::Result<bool> {
        let is_read = if self.json {
            document(changed)?
        } else {
            let keys = changed.changes.iter().map(|it| it.key.width().min(ROOM));
            self.key_width = self.key_width.max(keys.max().unwrap_or_default());
            let lines = changed.changes.iter().map(|it| self.line(changed, it) + "\n");
            console::show_if_read(lines.collect::<String>())?
        };
        let was_the_one = self.once && !changed.changes.is_empty();
        Ok(is_read && !was_the_one)
    }

    fn line(&self, changed: &Changed, change: &Change) -> String {
        let value = match &change.setting {
            Some(setting) => setting.value.to_string(),
            None => "(none)".to_owned(),
        };
        let Changed { at, actor, position, .. } = changed;
        let padding = self.key_width.saturating_sub(change.key.width());
        let begin = format!("{at}  {:>6}  {}{:padding$}", position.revision, change.key, "");
        let value = match console::width() {
            None => value,
            Some(columns) => {
                let taken = begin.width() + actor.width() + 4;
                console::cut(&value, usize::from(columns).saturating_sub(taken).max(VALUE))
            }
        };
        format!("{begin}  {value}  {actor}")
    }
}

fn document(value: &impl Serialize) -> miette::Result<bool> {
    let text = serde_json::to_string(value).into_diagnostic()?;
    console::show_if_read(text + "\n")
}

#[cfg(test)]
mod tests {
    use setpoint_client::types::Position;

    use super::*;

    fn changed(keys: &[&str]) -> Changed {
        let changes = keys.iter().map(|it| Change { key: (*it).to_owned(), setting: None });
        Changed {
            after: 11,
            position: Position { epoch: "e".to_owned(), revision: 12 },
            namespace: "default".to_owned(),
            changes: changes.collect(),
            at: "2026-05-01T12:00:00.000Z".to_owned(),
            actor: "ann".to_owned(),
            channel: "api".to_owned(),
            kind: "edit".to_owned(),
            reason: None,
        }
    }

    #[test]
    fn a_line_tells_when_which_revision_what_and_who() {
        let lines = Lines { json: false, once: false, key_width: 6 };
        let changed = changed(&["a.b"]);

        let line = lines.line(&changed, &changed.changes[0]);

        assert_eq!(line, "2026-05-01T12:00:00.000Z      12  a.b     (none)  ann");
    }

    #[test]
    fn the_first_change_can_be_the_last() {
        let mut lines = Lines { json: false, once: true, key_width: 0 };

        assert!(lines.show(&changed(&[])).unwrap());
        assert!(!lines.show(&changed(&["a"])).unwrap());
        assert_eq!(lines.key_width, 1);
    }
}
