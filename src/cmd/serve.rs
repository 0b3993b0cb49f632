use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use miette::{Diagnostic, IntoDiagnostic};
use setpoint_api::{Setup, Tls, bind};
use setpoint_ops::database::Access;
use setpoint_ops::job::Scheduler;
use setpoint_ops::live::{self, Following, Live, Policy};
use setpoint_ops::plan::Author;
use setpoint_ops::schema::Schema;
use setpoint_ops::source::Declared;
use setpoint_ops::write_back::{Followed, follow};
use setpoint_ops::{Error, Limits};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::{Context, Exit, jobs, sources, write_back};
use crate::config::{self, ConfigError, Loaded};
use crate::{console, memory};

/// Serve settings over HTTP, and tell of every change
///
/// Programs read and change settings below /api, and hear of changes over WebSockets and
/// server-sent events, whoever made them. /docs describes it, /metrics is for Prometheus.
///
/// Without a token it answers this machine alone; `setpoint token create` makes one. SIGHUP reads
/// the configuration again and says what of it needs a restart, SIGTERM ends it once everything
/// is answered.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// A PEM file with the certificate and its chain: serve https
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// A PEM file with the key of the certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("there is no token, and {address} can be reached by others")]
#[diagnostic(
    code(serve::open),
    help(
        "make one first: `setpoint token create NAME --role admin`; or listen on 127.0.0.1, where \
         none is needed"
    )
)]
struct Open {
    address: String,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("server.tls_cert and server.tls_key belong together")]
#[diagnostic(code(config::invalid), help("give both, or none"))]
struct HalfTls;

pub(super) async fn run(context: Context, args: Args) -> miette::Result<Exit> {
    let server = &context.loaded.config.server;
    let address = args.listen.as_deref().unwrap_or(&server.listen);
    let bound = bind(address, tls(&context.loaded, &args)?).await?;

    let following =
        Following { enabled: server.watch, poll: Duration::from_millis(server.poll_ms) };
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let (live, closing) =
        Live::open(&location, Access::Serve, settings, policy(&context.loaded)?, following).await?;
    let is_local = bound.address().ip().is_loopback();
    if !is_local && live.keys().is_empty() {
        return Err(Open { address: bound.address().to_string() }.into());
    }
    let (url, connections) = (bound.url(), server.connections);
    let scheduled = jobs::setup(&context)?;
    let setup = setup(&context, is_local, scheduled.clone())?;
    // Nobody is told what is not to be live any more.
    if let Err(error) = live.undo_due(Utc::now()).await {
        tracing::error!(%error, "what was not confirmed is not undone yet");
    }
    let started = Arc::new(context);
    let follower = Follower {
        live: live.clone(),
        context: Mutex::new(started.clone()),
        configured: Notify::new(),
    };
    let confirming = live.clone();
    let running = bound.start(live, setup, connections)?;
    // What it measures is counted from here on.
    let scheduled = jobs::start(&follower.live, scheduled);
    let mut terminate = signal(SignalKind::terminate()).into_diagnostic()?;
    let mut interrupt = signal(SignalKind::interrupt()).into_diagnostic()?;
    let mut hangup = signal(SignalKind::hangup()).into_diagnostic()?;
    console::tell(format_args!("listening on {url}"));
    notify(&[sd_notify::NotifyState::Ready]);
    {
        let mut following = std::pin::pin!(follower.run());
        let mut is_following = true;
        let mut undoing = std::pin::pin!(confirming.undo_unconfirmed(Utc::now));
        let mut giving_back = std::pin::pin!(memory::give_back());
        loop {
            tokio::select! {
                () = &mut giving_back => {}
                () = &mut undoing => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = &mut following, if is_following => is_following = false,
                () = heard(&mut hangup) => {
                    notify(&reloading());
                    match reload(&started, &running, &scheduled, is_local).await {
                        Err(report) => {
                            running.stays_as_it_was();
                            tell_faults(&report);
                        }
                        Ok(again) => {
                            let waiting = needs_restart(&started.loaded, &again.loaded);
                            follower.reconfigure(again);
                            tracing::info!(needs_restart = waiting, "read the configuration again");
                            if !waiting.is_empty() {
                                console::tell(format_args!("these need a restart: {waiting}"));
                            }
                        }
                    }
                    notify(&[sd_notify::NotifyState::Ready]);
                }
            }
        }
    }
    drop((follower, confirming));
    console::tell("stopping once everything is answered");
    notify(&[sd_notify::NotifyState::Stopping]);
    let (stopped, ()) = tokio::join!(running.stop(), scheduled.stop());
    stopped.into_diagnostic()?;
    closing.close().await?;
    Ok(Exit::Done)
}

async fn heard(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Tells systemd, if it has started this.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::debug!(%error, "cannot tell the service manager");
    }
}

fn reloading() -> Vec<sd_notify::NotifyState<'static>> {
    let mut states = vec![sd_notify::NotifyState::Reloading];
    states.extend(sd_notify::NotifyState::monotonic_usec_now().ok());
    states
}

async fn reload(
    context: &Context,
    running: &setpoint_api::Running,
    scheduled: &Scheduler,
    is_local: bool,
) -> miette::Result<Context> {
    let loaded = config::load(&context.flags)?;
    let again = Context {
        loaded,
        flags: context.flags.clone(),
        only: context.only.clone(),
        seeds: context.seeds.clone(),
        json: context.json,
    };
    let jobs = jobs::setup(&again)?;
    let (setup, policy) = (setup(&again, is_local, jobs.clone())?, policy(&again.loaded)?);
    running.reconfigure(setup, policy).await?;
    scheduled.reconfigure(jobs);
    Ok(again)
}

/// Says that a configuration is not taken, and everything that is wrong with it.
fn tell_faults(report: &miette::Report) {
    tracing::error!(error = %report, "the configuration stays as it was");
    console::tell(format_args!("the configuration stays as it was: {report}"));
    for fault in faults(report.as_ref()) {
        let help = fault.help().map(|it| it.to_string());
        tracing::error!(%fault, help, "this is wrong in the configuration");
    }
}

/// What `error` consists of: itself, or each of those that it holds.
fn faults(error: &dyn Diagnostic) -> Vec<&dyn Diagnostic> {
    match error.related() {
        Some(related) => related.flat_map(faults).collect(),
        None => vec![error],
    }
}

/// What of `again` cannot be taken while the service runs that was `started`, if it is another.
fn needs_restart(started: &Loaded, again: &Loaded) -> String {
    const FIXED: [&str; 10] = [
        "/database",
        "/sqlite",
        "/postgres",
        "/server/listen",
        "/server/connections",
        "/server/tls_cert",
        "/server/tls_key",
        "/server/watch",
        "/server/poll_ms",
        "/log",
    ];
    let both = [&started.config, &again.config];
    let [started, again] = both.map(|it| serde_json::to_value(it).unwrap_or_default());
    let moved = FIXED.iter().filter(|it| started.pointer(it) != again.pointer(it));
    moved.map(|it| it[1..].replace('/', ".")).collect::<Vec<_>>().join(", ")
}

fn tls(loaded: &Loaded, args: &Args) -> miette::Result<Option<Tls>> {
    let server = &loaded.config.server;
    let configured = |path: &Option<PathBuf>| path.as_ref().map(|it| loaded.root.join(it));
    let certificate = args.tls_cert.clone().or_else(|| configured(&server.tls_cert));
    let key = args.tls_key.clone().or_else(|| configured(&server.tls_key));
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(Tls::read(&certificate, &key)?)),
        _ => Err(HalfTls.into()),
    }
}

fn setup(
    context: &Context,
    is_local: bool,
    jobs: Arc<setpoint_ops::job::Setup>,
) -> miette::Result<Setup> {
    let (loaded, server) = (&context.loaded, &context.loaded.config.server);
    Ok(Setup {
        namespace: context.namespace().to_owned(),
        root: loaded.root.clone(),
        sources: sources::configured(context)?,
        limits: loaded.limits(),
        backups: jobs.ground.backups.clone(),
        database: loaded.database_settings(),
        jobs,
        open: is_local,
        hosts: server.hosts.clone(),
        origins: server.origins.clone(),
        body_bytes: server.body_size_bytes,
        upload_bytes: server.upload_size_bytes,
        depth: server.depth,
        rate: NonZeroU32::new(server.rate_per_second),
        heartbeat: Duration::from_millis(server.heartbeat_ms),
        client_timeout: Duration::from_millis(server.client_timeout_ms),
        stale_after: Duration::from_millis(server.stale_after_ms),
    })
}

/// What is declared of namespaces.
pub(super) fn policy(loaded: &Loaded) -> Result<Policy, ConfigError> {
    let mut spaces = HashMap::new();
    for namespace in loaded.config.namespaces.keys() {
        let declared = live::Declared {
            layers: loaded.scope(namespace).layers.into(),
            secrets: loaded.secrets(namespace)?,
            schema: loaded.schema(namespace)?.map(Arc::<Schema>::new),
        };
        spaces.insert(namespace.clone(), declared);
    }
    Ok(Policy::new(spaces))
}

/// Writes what changes into the files that follow the database.
struct Follower {
    live: Live,
    /// As it was configured last.
    context: Mutex<Arc<Context>>,
    /// Told when it is another.
    configured: Notify,
}

impl Follower {
    async fn run(&self) {
        let mut news = self.live.news();
        loop {
            let context = self.context.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.write(&context).await;
            // What could not be written is tried again with the next change, or in a while.
            let changed = tokio::time::timeout(Duration::from_secs(60), news.changed());
            tokio::select! {
                changed = changed => if matches!(changed, Ok(Err(_))) {
                    return;
                },
                () = self.configured.notified() => {}
            }
        }
    }

    fn reconfigure(&self, context: Context) {
        *self.context.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(context);
        self.configured.notify_one();
    }

    async fn write(&self, context: &Context) {
        if !context.loaded.config.sources.iter().any(|it| it.write_back) {
            return;
        }
        let declared: Vec<Declared> = match sources::configured(context) {
            Ok(declared) => declared,
            Err(error) => return tracing::error!(%error, "no file follows the database"),
        };
        let (limits, author) = (context.loaded.limits(), context.author(None));
        match self.follow(&declared, &limits, &author).await {
            Ok(followed) => write_back::tell(&followed),
            Err(error) => tracing::error!(%error, "the files that follow are not written yet"),
        }
    }

    async fn follow(
        &self,
        declared: &[Declared],
        limits: &Limits,
        author: &Author,
    ) -> Result<Vec<Followed>, Error> {
        let followed = follow(self.live.writer()?, declared, limits, author, Utc::now()).await?;
        self.live.catch_up().await?;
        Ok(followed)
    }
}
