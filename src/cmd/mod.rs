//! The commands: each parses, calls `ops` and shows.

use std::collections::HashMap;
use std::path::PathBuf;

use chrono::Utc;
use clap::{Args, Parser, Subcommand};
use sea_orm::DatabaseTransaction;
use setpoint_ops::apply::{Applied, Channel, apply_newest};
use setpoint_ops::database::{self, Access, Database, Location};
use setpoint_ops::import::Options;
use setpoint_ops::live::{self, KeptOut, Policy};
use setpoint_ops::migrate::migrate as carry_out;
use setpoint_ops::plan::{Author, Plan};
use setpoint_ops::secret::{Rules, refuse_plan};
use setpoint_ops::setting::{Scope, is_of_user};
use setpoint_ops::source::{Declared, imported};
use setpoint_ops::{Error, Key};

use crate::config::{self, BASE, Flags, Loaded, LogFormat};
use crate::console::{self, Exit, Failure};
use crate::seeds::{self, Bundle};

mod adopt;
mod apply_plan;
mod audit;
mod backup;
mod completions;
mod config_show;
mod confirm;
mod database_steps;
mod diff;
mod doctor;
mod drift;
mod drift_report;
mod explain;
mod export;
mod get;
mod health;
mod history;
mod ignore;
mod import;
mod jobs;
mod list;
mod load_test;
mod man;
mod migrate;
mod pick;
mod plan_show;
mod reseed;
mod reset;
mod revert;
mod search;
mod serve;
mod set;
mod sources;
mod suggest;
mod token;
mod unset;
mod validate;
mod verify;
mod view;
mod watch;
mod write_back;

/// Moves an application's configuration files into a database and keeps the two reconciled
#[derive(Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,

    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Print JSON, errors too
    #[arg(long, global = true)]
    json: bool,

    /// The settings of which application
    #[arg(long, short, global = true, value_name = "NAME")]
    namespace: Option<String>,

    /// Path of an SQLite file, or a postgres:// URL
    #[arg(long, global = true, value_name = "WHERE")]
    database: Option<String>,

    /// The configuration file [default: setpoint.toml, if there is one]
    #[arg(long, env = "SETPOINT_CONFIG", global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Who is named in the history [default: the user]
    #[arg(long, global = true, value_name = "NAME")]
    actor: Option<String>,

    /// A folder of seeds that are imported on first use, in place of those in the program
    #[arg(long, global = true, value_name = "FOLDER")]
    seeds: Option<PathBuf>,

    /// How log lines are written to stderr; RUST_LOG says which
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

#[derive(Subcommand)]
enum Command {
    Migrate(migrate::Args),
    Reseed(reseed::Args),
    Drift(drift::Args),
    Adopt(adopt::Args),
    Ignore(ignore::Args),
    Reset(reset::Args),
    WriteBack(write_back::Args),
    Validate(validate::Args),
    Get(get::Args),
    Set(set::Args),
    Unset(unset::Args),
    List(list::Args),
    Search(search::Args),
    Explain(explain::Args),
    History(history::Args),
    Diff(diff::Args),
    Revert(revert::Args),
    Confirm(confirm::Args),
    Export(export::Args),
    Import(import::Args),
    Plan(plan_show::Args),
    Apply(apply_plan::Args),
    Verify(verify::Args),
    Watch(watch::Args),
    LoadTest(load_test::Args),
    #[command(subcommand)]
    Backup(backup::Command),
    #[command(subcommand)]
    Audit(audit::Command),
    #[command(subcommand)]
    Token(token::Command),
    #[command(subcommand)]
    Jobs(jobs::Command),
    Serve(serve::Args),
    Health(health::Args),
    #[command(subcommand)]
    Database(database_steps::Command),
    #[command(subcommand)]
    Config(config_show::Command),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// Whether it answers many at a time.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }

    /// Whether it runs beside others and has no use for much memory at once.
    pub(crate) fn keeps_little(&self) -> bool {
        matches!(self.command, Command::Serve(_) | Command::Backup(_) | Command::Jobs(_))
    }

    pub(crate) fn json(&self) -> bool {
        self.global.json
    }

    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let mut before = Vec::new();
        self.run_after(&mut before).await.map_err(|report| Failure { report, before })
    }

    /// Notes in `before` what has changed before the command begins.
    async fn run_after(self, before: &mut Vec<String>) -> miette::Result<Exit> {
        match self.command {
            Command::Completions(args) => return completions::run(&args),
            Command::Man(args) => return man::run(&args),
            _ => {}
        }
        // A service has nobody who looks at what a command prints.
        let usual = if self.is_service() { "warn,setpoint=info" } else { "warn" };
        let mut context = self.global.context(usual)?;
        // One looks with it for what is wrong, seeds too.
        if !matches!(self.command, Command::Config(_)) {
            context.seeds = seeds::load(&context.loaded)?;
        }
        if self.command.writes_settings() {
            *before = confirm::undo_due(&context).await;
        }
        if self.command.uses_settings() {
            context.import_seeds().await?;
        }
        match self.command {
            Command::Migrate(args) => migrate::run(&context, args).await,
            Command::Reseed(args) => reseed::run(&context, args).await,
            Command::Drift(args) => drift::run(&context, args).await,
            Command::Adopt(args) => adopt::run(&context, args).await,
            Command::Ignore(args) => ignore::run(&context, args).await,
            Command::Reset(args) => reset::run(&context, args).await,
            Command::WriteBack(args) => write_back::run(&context, args).await,
            Command::Validate(args) => validate::run(&context, args),
            Command::Get(args) => get::run(&context, args).await,
            Command::Set(args) => set::run(&context, args).await,
            Command::Unset(args) => unset::run(&context, args).await,
            Command::List(args) => list::run(&context, args).await,
            Command::Search(args) => search::run(&context, args).await,
            Command::Explain(args) => explain::run(&context, args).await,
            Command::History(args) => history::run(&context, args).await,
            Command::Diff(args) => diff::run(&context, args).await,
            Command::Revert(args) => revert::run(&context, args).await,
            Command::Confirm(args) => confirm::run(&context, args).await,
            Command::Export(args) => export::run(&context, args).await,
            Command::Import(args) => import::run(&context, args).await,
            Command::Plan(args) => plan_show::run(&context, args).await,
            Command::Apply(args) => apply_plan::run(&context, args).await,
            Command::Verify(args) => verify::run(&context, args).await,
            Command::Watch(args) => watch::run(&context, args).await,
            Command::LoadTest(args) => load_test::run(&context, args).await,
            Command::Backup(command) => backup::run(&context, command).await,
            Command::Audit(command) => audit::run(&context, command).await,
            Command::Token(command) => token::run(&context, command).await,
            Command::Jobs(command) => jobs::run(&context, command).await,
            Command::Serve(args) => serve::run(context, args).await,
            Command::Health(args) => health::run(&context, args).await,
            Command::Database(command) => database_steps::run(&context, command).await,
            Command::Config(command) => config_show::run(&context, command),
            Command::Doctor(args) => doctor::run(&context, args).await,
            Command::Completions(_) | Command::Man(_) => unreachable!("they need no context"),
        }
    }
}

impl Command {
    /// Whether it is about the settings, which the seeds are to be among. A dry run writes
    /// nothing, so not them either.
    fn uses_settings(&self) -> bool {
        !self.is_dry()
            && !matches!(
                self,
                Self::Migrate(_)
                    | Self::Reseed(_)
                    | Self::Validate(_)
                    | Self::Plan(_)
                    | Self::Apply(_)
                    | Self::Verify(_)
                    | Self::Watch(_)
                    | Self::LoadTest(_)
                    | Self::Backup(_)
                    | Self::Audit(_)
                    | Self::Token(_)
                    | Self::Jobs(_)
                    | Self::Database(_)
                    | Self::Config(_)
                    | Self::Doctor(_)
                    | Self::Health(_)
            )
    }

    /// Whether it changes settings: what was not confirmed in time is undone before.
    fn writes_settings(&self) -> bool {
        !self.is_dry()
            && matches!(
                self,
                Self::Migrate(_)
                    | Self::Reseed(_)
                    | Self::Adopt(_)
                    | Self::Reset(_)
                    | Self::WriteBack(_)
                    | Self::Set(_)
                    | Self::Unset(_)
                    | Self::Revert(_)
                    | Self::Confirm(_)
                    | Self::Import(_)
                    | Self::Apply(_)
                    | Self::Backup(backup::Command::Restore(_))
                    | Self::Audit(audit::Command::Prune { .. })
            )
    }

    /// Whether it only shows what it would do.
    fn is_dry(&self) -> bool {
        match self {
            Self::Backup(command) => command.is_dry(),
            Self::Audit(command) => command.is_dry(),
            Self::Migrate(args) => args.bring.how.is_dry(),
            Self::Reseed(args) => args.bring.how.is_dry(),
            Self::Set(args) => args.how.is_dry(),
            Self::Unset(args) => args.how.is_dry(),
            Self::Import(args) => args.how.is_dry(),
            Self::Revert(args) => args.how.is_dry(),
            Self::Reset(args) => args.how.is_dry(),
            Self::Adopt(args) => args.dry_run,
            Self::Confirm(args) => args.list,
            _ => false,
        }
    }
}

impl Global {
    /// `usual` is what is logged if nothing is said of that.
    fn context(&self, usual: &str) -> miette::Result<Context> {
        let flags = Flags {
            file: self.config.clone(),
            namespace: self.namespace.clone(),
            database: self.database.clone(),
            actor: self.actor.clone(),
            seeds: self.seeds.clone(),
            log_format: self.log_format,
        };
        let loaded = config::load(&flags)?;
        crate::log::start(&loaded.config.log, usual)?;
        let only = self.namespace.clone();
        Ok(Context { loaded, flags, only, seeds: None, json: self.json })
    }
}

/// What a service under `policy` keeps out of these settings.
async fn kept_out(
    db: &DatabaseTransaction,
    scope: &Scope,
    prefix: Option<&Key>,
    policy: Option<&Policy>,
) -> Result<Vec<KeptOut>, Error> {
    match policy {
        Some(policy) => live::kept_out(db, scope, prefix, policy).await,
        None => Ok(Vec::new()),
    }
}

/// What every command has.
struct Context {
    loaded: Loaded,
    /// What the command line says, for whoever reads the configuration again.
    flags: Flags,
    /// The namespace that was asked for, if one was.
    only: Option<String>,
    seeds: Option<Bundle>,
    json: bool,
}

impl Context {
    fn namespace(&self) -> &str {
        &self.loaded.config.namespace
    }

    fn location(&self) -> Location {
        self.loaded.location()
    }

    fn author(&self, reason: Option<String>) -> Author {
        Author { actor: self.loaded.config.actor.clone(), reason }
    }

    /// What a service goes by, for whoever reads what is live now; at `at` it was another.
    fn policy(&self, at: Option<i64>) -> miette::Result<Option<Policy>> {
        Ok(at.is_none().then(|| serve::policy(&self.loaded)).transpose()?)
    }

    /// Does `work` on one moment of the database; again if somebody wrote meanwhile and no
    /// lock was held.
    async fn read<T>(
        &self,
        work: impl AsyncFn(&DatabaseTransaction) -> Result<T, Error>,
    ) -> miette::Result<T> {
        Ok(database::reading(&self.location(), self.loaded.database_settings(), work).await?)
    }

    /// Applies the plan that `make` makes, unless it is to be only shown. If somebody else
    /// changed the same keys in between, it is made again.
    async fn edit(
        &self,
        how: &How,
        make: impl AsyncFn(&DatabaseTransaction) -> Result<Plan, Error>,
    ) -> miette::Result<Exit> {
        let (rules, schemas, trial) = (self.rules()?, self.loaded.schemas()?, how.trial.wished()?);
        let make = async |db: &DatabaseTransaction| {
            let plan = Plan { trial, ..make(db).await? };
            refuse_plan(&plan, &rules)?;
            schemas.check(&plan)?;
            Ok(plan)
        };
        if how.is_dry() {
            return view::planned(self, how, &self.read(make).await?);
        }
        let work = async |db: &Database| apply_newest(db, make, Channel::Cli, Utc::now()).await;
        let settings = self.loaded.database_settings();
        let (plan, applied) =
            database::using(&self.location(), Access::Write, settings, work).await?;
        tracing::info!(?applied, changes = plan.changes.len(), "applied a plan");
        let exit = view::applied(self, &plan, applied)?;
        match applied {
            Applied::Nothing => confirm::tell_waiting(self).await?,
            applied => confirm::tell(&plan, applied),
        }
        write_back::after(self).await;
        Ok(exit)
    }

    /// Imports the seeds that the database has never seen.
    async fn import_seeds(&self) -> miette::Result<()> {
        let Some(bundle) = &self.seeds else { return Ok(()) };
        let name = bundle.name();
        let (location, settings) = (self.location(), self.loaded.database_settings());
        let backups = self.loaded.backups();
        for tries in 0.. {
            let new = self.new_seeds(bundle).await?;
            if new.is_empty() {
                return Ok(());
            }
            let options = Options::default();
            let import = migrate::planned(self, &new, &options, Some(&name)).await?;
            let now = Utc::now();
            match carry_out(&location, settings, &import, &backups, Channel::Cli, now).await {
                // Another process has begun to use the same database.
                Err(Error::Stale { .. } | Error::Locked { .. }) if tries < TRIES => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    console::tell(format_args!("{name}: {}", import.plan.summary));
                    let secrets = view::secrets(&import.plan);
                    if !secrets.is_empty() {
                        console::tell(secrets.trim_end());
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The seeds that the database has never seen.
    async fn new_seeds(&self, bundle: &Bundle) -> miette::Result<Vec<Declared>> {
        let known = match self.read(async |db| imported(db).await).await {
            Err(error) if is_missing(&error) => Vec::new(),
            known => known?,
        };
        let is_new = |it: &&Declared| !known.iter().any(|row| row.is_of(it));
        Ok(bundle.sources.iter().filter(is_new).cloned().collect())
    }

    /// The same of every namespace.
    fn rules(&self) -> Result<impl Fn(&str) -> Rules, config::ConfigError> {
        let mut rules = HashMap::new();
        for namespace in self.loaded.config.namespaces.keys() {
            rules.insert(namespace.clone(), self.loaded.secrets(namespace)?);
        }
        Ok(move |namespace: &str| rules.get(namespace).cloned().unwrap_or_default())
    }

    /// What somebody has said of the secrets of this namespace.
    fn secrets(&self) -> Result<Rules, config::ConfigError> {
        self.loaded.secrets(self.namespace())
    }

    /// One layer, or all that are declared; with the preferences of a user on top.
    fn scope(&self, which: &Which) -> Result<Scope, Error> {
        let mut scope = self.loaded.scope(self.namespace());
        if let Some(layer) = &which.layer {
            scope.layers = vec![self.layer(layer)?];
        }
        if let Some(user) = &which.user {
            scope.layers.push(self.layer(&format!("user:{user}"))?);
        }
        Ok(scope)
    }

    /// The layer of that name, if it is declared.
    fn layer(&self, layer: &str) -> Result<String, Error> {
        let scope = self.loaded.scope(self.namespace());
        if is_of_user(layer) || scope.layers.iter().any(|it| it == layer) {
            return Ok(layer.to_owned());
        }
        Err(Error::UnknownLayer { namespace: scope.namespace, layer: layer.to_owned() })
    }
}

/// How often something is tried again that another process has come between.
const TRIES: usize = 5;

fn is_missing(error: &miette::Report) -> bool {
    let error = error.downcast_ref();
    matches!(error, Some(Error::NoDatabase { .. } | Error::EmptyDatabase { .. }))
}

/// Which layers are read.
#[derive(Args)]
struct Which {
    /// Only this layer
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,

    /// With the preferences of this user on top
    #[arg(long, value_name = "ID", conflicts_with = "layer")]
    user: Option<String>,
}

/// Where an edit goes.
#[derive(Args)]
struct InLayer {
    /// The layer that is changed
    #[arg(long, value_name = "NAME", default_value = BASE)]
    layer: String,
}

/// How a plan is carried out.
#[derive(Args)]
struct How {
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Write the plan to a file for `setpoint apply`, and change nothing
    #[arg(long, value_name = "FILE", conflicts_with = "confirm_within")]
    out: Option<PathBuf>,

    /// With --dry-run: exit with 2 if there is something to change
    #[arg(long)]
    exit_code: bool,

    /// Why, for the history
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    trial: confirm::Wanted,
}

impl How {
    /// Whether the plan is only shown or written down.
    fn is_dry(&self) -> bool {
        self.dry_run || self.out.is_some()
    }
}

/// What is done with conflicts.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Strategy {
    /// The live value stays
    Ours,
    /// The other value wins
    Theirs,
    /// Change nothing if there is a conflict
    Fail,
}

fn strategy(chosen: Option<Strategy>) -> setpoint_ops::import::Strategy {
    use setpoint_ops::import::Strategy as Chosen;
    match chosen {
        None => Chosen::Ask,
        Some(Strategy::Ours) => Chosen::Ours,
        Some(Strategy::Theirs) => Chosen::Theirs,
        Some(Strategy::Fail) => Chosen::Fail,
    }
}

fn key(text: &str) -> Result<Key, Error> {
    Key::parse(text).map_err(|reason| Error::BadKey { key: text.to_owned(), reason })
}
