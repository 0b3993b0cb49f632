use chrono::Utc;
use clap::Subcommand;
use miette::miette;
use serde::Serialize;
use setpoint_ops::database::{self, Access, Database};
use setpoint_ops::setting;
use setpoint_ops::time;
use setpoint_ops::token::{self, Listed, Role, Secret, State, Token};

use super::{Context, Exit};
use crate::console;

/// Say who may use the service
#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, this once
    ///
    /// It goes to standard output, alone. What is kept is its hash, so it cannot be shown again.
    Create {
        /// What it is called, also in the history. A name is never used again
        name: String,

        /// What it may do
        #[arg(long, value_name = "ROLE")]
        role: Allowed,

        /// In this namespace and no other; can be repeated
        #[arg(long, value_name = "NAMESPACE")]
        only: Vec<String>,

        /// How long: 12h, 90d, 8w, or a day such as 2030-01-31 [default: until it is revoked]
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// List the tokens: those that are revoked too, with who made and revoked them
    List,
    /// Have a token refused from now on
    Revoke {
        name: String,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Allowed {
    /// Read
    Viewer,
    /// Read and change settings
    Editor,
    /// Everything, tokens too
    Admin,
}

pub(super) async fn run(context: &Context, command: Command) -> miette::Result<Exit> {
    match command {
        Command::Create { name, role, only, expires } => {
            create(context, &name, role, only, expires.as_deref()).await
        }
        Command::List => list(context).await,
        Command::Revoke { name, yes } => revoke(context, &name, yes).await,
    }
}

async fn create(
    context: &Context,
    name: &str,
    role: Allowed,
    only: Vec<String>,
    expires: Option<&str>,
) -> miette::Result<Exit> {
    // Whoever says it elsewhere means to restrict what is done to it.
    if context.only.is_some() {
        return Err(miette!(
            code = "token::namespace",
            help = "there is no new token; --only NAMESPACE makes one for that namespace alone",
            "a token is for all namespaces, whatever --namespace says"
        ));
    }
    let now = Utc::now();
    let expires = expires.map(|it| time::until(it, now)).transpose()?;
    let namespaces = (!only.is_empty()).then_some(only);
    let author = &context.loaded.config.actor;
    let work = async |db: &Database| {
        let known = setting::namespaces(&db.connection).await?;
        let made = token::create(db, name, role.into(), namespaces, expires, author, now).await?;
        Ok((known, made))
    };
    let settings = context.loaded.database_settings();
    let (known, (token, secret)) =
        database::using(&context.location(), Access::Write, settings, work).await?;
    let declared = &context.loaded.config.namespaces;
    let is_known = |it: &&String| known.contains(it) || declared.contains_key(*it);
    for other in token.namespaces.iter().flatten().filter(|it| !is_known(it)) {
        console::tell(format_args!("warning: there is no namespace `{other}` yet"));
    }
    tracing::info!(token = token.name, role = token.role.as_str(), "created a token");
    hand_over(context, &token, &secret).map_err(|error| {
        miette!(
            code = "token::not_shown",
            help = "revoke it with `setpoint token revoke`, and make another by another name",
            "token `{name}` was made, but could not be printed: {error}"
        )
    })?;
    Ok(Exit::Done)
}

fn hand_over(context: &Context, token: &Token, secret: &Secret) -> miette::Result<()> {
    #[derive(Serialize)]
    struct Created<'a> {
        #[serde(flatten)]
        about: &'a Token,
        token: &'a str,
    }
    if context.json {
        return console::show_json(&Created { about: token, token: secret.reveal() });
    }
    console::show(format_args!("{}\n", secret.reveal()))?;
    let until = match &token.expires_at {
        Some(at) => format!("until {at}"),
        None => "until it is revoked".to_owned(),
    };
    let (name, role, namespaces) = (&token.name, token.role.as_str(), namespaces(token));
    console::tell(format_args!("token `{name}`: {role} of {namespaces}, {until}"));
    console::tell("it is shown this once: keep it where secrets are kept");
    Ok(())
}

async fn list(context: &Context) -> miette::Result<Exit> {
    let now = Utc::now();
    let listed = context.read(async |db| token::list(db, now).await).await?;

    if context.json {
        console::show_json(&listed)?;
        return Ok(Exit::Done);
    }
    let rows = listed.into_iter().map(|it| {
        let state = state(&it);
        let namespaces = namespaces(&it.token);
        let Token { name, role, created_at, created_by, expires_at, .. } = it.token;
        let expires = expires_at.unwrap_or_else(|| "never".to_owned());
        vec![name, role.as_str().to_owned(), namespaces, created_at, created_by, expires, state]
    });
    let head = ["name", "role", "namespaces", "created", "by", "expires", "state"];
    console::show(console::table(&head, &rows.collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

fn state(listed: &Listed) -> String {
    let state = listed.state.as_str();
    match (listed.state, &listed.token.revoked_at, &listed.token.revoked_by) {
        (State::Revoked, Some(at), Some(by)) => format!("{state} {at} by {by}"),
        _ => state.to_owned(),
    }
}

fn namespaces(token: &Token) -> String {
    token.namespaces.as_ref().map_or("all namespaces".to_owned(), |it| it.join(", "))
}

async fn revoke(context: &Context, name: &str, yes: bool) -> miette::Result<Exit> {
    let token = context.read(async |db| token::revocable(db, name).await).await?;
    let what = format!("{} of {}", token.role.as_str(), namespaces(&token));
    console::confirm(&format!("Revoke token `{name}`, {what}? It cannot be undone."), yes)?;

    let author = &context.loaded.config.actor;
    let work = async |db: &Database| token::revoke(db, name, author, Utc::now()).await;
    let settings = context.loaded.database_settings();
    let token = database::using(&context.location(), Access::Write, settings, work).await?;
    tracing::info!(token = token.name, "revoked a token");
    match context.json {
        true => console::show_json(&token)?,
        false => console::tell(format_args!("token `{name}` is refused from now on")),
    }
    Ok(Exit::Done)
}

impl From<Allowed> for Role {
    fn from(allowed: Allowed) -> Self {
        match allowed {
            Allowed::Viewer => Self::Viewer,
            Allowed::Editor => Self::Editor,
            Allowed::Admin => Self::Admin,
        }
    }
}
