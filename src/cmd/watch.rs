use std::collections::BTreeMap;
use std::time::Duration;

use miette::IntoDiagnostic as _;
use serde::Serialize;
use setpoint_api::{Feed, Wants};
use setpoint_client::types::{
    Change, Changed, Hello, ReloadReason, Reloaded, ServerFrame, Setting,
};
use setpoint_client::{ClientError, Event, Follower, Service};
use setpoint_ops::Pattern;
use setpoint_ops::database::Access;
use setpoint_ops::live::{Following, Live};
use unicode_width::UnicodeWidthStr as _;

use super::serve::policy;
use super::{Context, Exit};
use crate::console;

/// Print each change the moment it is made, whoever makes it
///
/// It follows the database itself, or a service if there is a --url. Ends with ctrl-c. If the
/// service goes away, it waits for it and tells what has changed meanwhile.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only these keys, such as 'physics.**'; several are possible
    #[arg(long = "pattern", value_name = "PATTERN")]
    patterns: Vec<String>,

    /// Where the service is, as in http://127.0.0.1:8080 [default: the database alone]
    #[arg(long, env = "SETPOINT_URL", value_name = "URL")]
    url: Option<String>,

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
    let mut lines = Lines { json: context.json, once: args.once, key_width: 0 };
    let watched = async {
        match args.url.clone() {
            Some(url) => watch_service(context, args, &url, &mut lines).await,
            None => watch_database(context, args, &mut lines).await,
        }
    };
    tokio::select! {
        ended = watched => ended?,
        pressed = tokio::signal::ctrl_c() => pressed.into_diagnostic()?,
    }
    Ok(Exit::Done)
}

async fn watch_service(
    context: &Context,
    args: Args,
    url: &str,
    lines: &mut Lines,
) -> miette::Result<()> {
    let service = Service::new(url, args.token)?;
    let hello = Hello {
        client: Some(format!("setpoint watch {}", env!("CARGO_PKG_VERSION"))),
        namespace: context.only.clone(),
        patterns: args.patterns,
        user: args.user,
        position: None,
    };
    let mut follower = Follower::new(service, hello);
    let ended = follow(&mut follower, lines).await;
    follower.close().await;
    ended
}

/// The same without a service: what it would tell, from here on.
async fn watch_database(context: &Context, args: Args, lines: &mut Lines) -> miette::Result<()> {
    let patterns = args.patterns.iter().map(|it| it.parse::<Pattern>());
    let wants = Wants {
        namespace: context.namespace().to_owned(),
        patterns: patterns.collect::<Result<_, _>>().into_diagnostic()?,
        user: args.user,
    };
    let poll = Duration::from_millis(context.loaded.config.server.poll_ms);
    let following = Following { enabled: true, poll };
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let policy = policy(&context.loaded)?;
    let (live, closing) =
        Live::open(&location, Access::Follow, settings, policy, following).await?;
    let mut feed = Feed::of_one(live, wants);
    let mut known = Known::default();
    loop {
        let message = feed.next().await;
        let goes_on = match serde_json::from_str(&message.text).into_diagnostic()? {
            ServerFrame::SettingChanged(changed)
            | ServerFrame::SettingsBatchChanged(changed)
            | ServerFrame::PresetApplied(changed) => known.changed(&changed, lines)?,
            ServerFrame::SettingsReloaded(all) => known.reloaded(&all, lines)?,
            _ => true,
        };
        if !goes_on {
            break;
        }
    }
    drop(feed);
    Ok(closing.close().await?)
}

/// Prints what a service tells until nobody wants to read more.
async fn follow(follower: &mut Follower, lines: &mut Lines) -> miette::Result<()> {
    let mut was_connected = false;
    let mut known = Known::default();
    loop {
        let goes_on = match follower.next().await? {
            Event::Connected(_) => {
                if was_connected {
                    console::tell("connected again");
                }
                was_connected = true;
                true
            }
            Event::Changed(changed) => known.changed(&changed, lines)?,
            Event::Reloaded(all) => known.reloaded(&all, lines)?,
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
        ReloadReason::Hello | ReloadReason::Resync => {
            "the service does not remember what was missed; this is what it has come to"
        }
        ReloadReason::Overflow => {
            "there were more changes than could be read; the last of each key"
        }
        ReloadReason::Reconfigured => "the service is configured otherwise by now",
    }
}

fn tell(error: &ClientError, retry_in: Duration) {
    let seconds = retry_in.as_secs_f64();
    console::tell(format_args!("note: {error}; trying again in {seconds:.1} s"));
}

/// What has been told so far, to find what has changed where everything is told again.
#[derive(Default)]
struct Known {
    is_started: bool,
    settings: BTreeMap<String, Setting>,
}

impl Known {
    /// Takes and prints what has changed. False once there is nothing more to print.
    fn changed(&mut self, changed: &Changed, lines: &mut Lines) -> miette::Result<bool> {
        self.take(changed);
        lines.show(changed)
    }

    /// Takes everything, and prints what is otherwise than it was; at first there was nothing.
    fn reloaded(&mut self, all: &Reloaded, lines: &mut Lines) -> miette::Result<bool> {
        if !self.is_started {
            self.replace(all);
            return Ok(true);
        }
        console::tell(format_args!("note: {}", why(all.reason)));
        let changes = self.replace(all);
        if lines.json { document(all) } else { lines.show_missed(all, &changes) }
    }

    fn take(&mut self, changed: &Changed) {
        for change in &changed.changes {
            match &change.setting {
                Some(setting) => drop(self.settings.insert(change.key.clone(), setting.clone())),
                None => drop(self.settings.remove(&change.key)),
            }
        }
    }

    /// Knows `all`, and gives what is different by it.
    fn replace(&mut self, all: &Reloaded) -> Vec<Change> {
        self.is_started = true;
        let mut before = std::mem::take(&mut self.settings);
        let mut changes = Vec::new();
        for setting in &all.settings {
            let key = setting.key.clone();
            if before.remove(&key).as_ref() != Some(setting) {
                changes.push(Change { key: key.clone(), setting: Some(setting.clone()) });
            }
            self.settings.insert(key, setting.clone());
        }
        changes.extend(before.into_keys().map(|key| Change { key, setting: None }));
        changes
    }
}

/// How changes are printed, wherever they are heard of.
pub(super) struct Lines {
    pub json: bool,
    /// Whether the first change is the last.
    pub once: bool,
    /// Of the widest key so far: the columns move only when they have to.
    pub key_width: usize,
}

/// As wide as a time.
const UNKNOWN_TIME: &str = "?                       ";

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
            self.widen(&changed.changes);
            let Changed { at, actor, position, .. } = changed;
            let lines = changed.changes.iter();
            let lines = lines.map(|it| self.line(at, position.revision, it, actor) + "\n");
            console::show_if_read(lines.collect::<String>())?
        };
        let was_the_one = self.once && !changed.changes.is_empty();
        Ok(is_read && !was_the_one)
    }

    /// Prints what has changed while nobody told. Who has deleted something is not known then.
    fn show_missed(&mut self, all: &Reloaded, changes: &[Change]) -> miette::Result<bool> {
        self.widen(changes);
        let line = |change: &Change| match &change.setting {
            Some(it) => self.line(&it.updated_at, it.revision, change, &it.updated_by),
            None => self.line(UNKNOWN_TIME, all.position.revision, change, "?"),
        };
        let lines = changes.iter().map(|it| line(it) + "\n");
        let is_read = console::show_if_read(lines.collect::<String>())?;
        let was_the_one = self.once && !changes.is_empty();
        Ok(is_read && !was_the_one)
    }

    fn widen(&mut self, changes: &[Change]) {
        let keys = changes.iter().map(|it| it.key.width().min(ROOM));
        self.key_width = self.key_width.max(keys.max().unwrap_or_default());
    }

    fn line(&self, at: &str, revision: i64, change: &Change, actor: &str) -> String {
        let value = match &change.setting {
            Some(setting) => setting.value.to_string(),
            None => "(none)".to_owned(),
        };
        let padding = self.key_width.saturating_sub(change.key.width());
        let begin = format!("{at}  {revision:>6}  {}{:padding$}", change.key, "");
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
    use setpoint_client::types::{Position, ValueType};

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

        let line = lines.line(&changed.at, 12, &changed.changes[0], "ann");

        assert_eq!(line, "2026-05-01T12:00:00.000Z      12  a.b     (none)  ann");
        assert_eq!(UNKNOWN_TIME.len(), changed.at.len());
    }

    #[test]
    fn what_was_missed_is_found_where_everything_is_told_again() {
        let setting = |key: &str, revision: i64| Setting {
            namespace: "default".to_owned(),
            layer: "base".to_owned(),
            key: key.to_owned(),
            value_type: ValueType::Integer,
            value: revision.into(),
            format: None,
            revision,
            updated_at: "2026-05-01T12:00:00.000Z".to_owned(),
            updated_by: "ann".to_owned(),
        };
        let all = |settings: &[Setting]| Reloaded {
            position: Position { epoch: "e".to_owned(), revision: 5 },
            namespace: "default".to_owned(),
            reason: ReloadReason::Resync,
            settings: settings.to_vec(),
        };
        let mut known = Known::default();
        known.replace(&all(&[setting("gone", 1), setting("moved", 2), setting("same", 3)]));

        let changes = known.replace(&all(&[setting("moved", 4), setting("same", 3)]));

        let changes = changes.into_iter().map(|it| (it.key, it.setting.map(|it| it.revision)));
        let wanted = [("moved".to_owned(), Some(4)), ("gone".to_owned(), None)];
        assert_eq!(changes.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn the_first_change_can_be_the_last() {
        let mut lines = Lines { json: false, once: true, key_width: 0 };

        assert!(lines.show(&changed(&[])).unwrap());
        assert!(!lines.show(&changed(&["a"])).unwrap());
        assert_eq!(lines.key_width, 1);
    }
}
