use std::time::Duration;

use miette::IntoDiagnostic as _;
use serde::Serialize;
use setpoint_api::{Feed, Wants};
use setpoint_client::types::{Change, Changed, Hello, ReloadReason, Reloaded, ServerFrame};
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
    let mut feed = Feed::from_now(live, wants);
    loop {
        let message = feed.next().await;
        let goes_on = match serde_json::from_str(&message.text).into_diagnostic()? {
            ServerFrame::SettingChanged(changed)
            | ServerFrame::SettingsBatchChanged(changed)
            | ServerFrame::PresetApplied(changed) => lines.show(&changed)?,
            ServerFrame::SettingsReloaded(all) => lines.reloaded(&all)?,
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
            Event::Reloaded(all) => lines.reloaded(&all)?,
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

    /// Tells that everything may be otherwise. False once nobody reads any more.
    fn reloaded(&self, all: &Reloaded) -> miette::Result<bool> {
        console::tell(format_args!(
            "note: {}; there are {} as of revision {}",
            why(all.reason),
            console::counted(all.settings.len(), "setting"),
            all.position.revision
        ));
        Ok(!self.json || document(all)?)
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
