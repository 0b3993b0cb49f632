//! Tokens: who may use the service, what they may do, and where. They are no settings: to make
//! or to revoke one is no revision, but its row says who did it and when, and is never removed.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};
use serde::Serialize;
use setpoint_entity::token;

use crate::database::Database;
use crate::{Error, Result, time};

mod keyring;
mod secret;

pub use keyring::{Keyring, Refused};
pub use secret::Secret;

/// All that may be known of a token: everything but its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    pub name: String,
    pub role: Role,
    /// Those it is for; none if it is for all.
    pub namespaces: Option<Vec<String>>,
    pub created_at: String,
    pub created_by: String,
    /// From then on it is refused.
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
    pub revoked_by: Option<String>,
    /// `expires_at`, read once and not with each request.
    #[serde(skip)]
    expiry: Option<DateTime<Utc>>,
}

/// What somebody with a token may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read.
    Viewer,
    /// Change settings.
    Editor,
    /// Everything, tokens too.
    Admin,
}

/// Whether a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Active,
    Expired,
    Revoked,
}

/// A token as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    #[serde(flatten)]
    pub token: Token,
    pub state: State,
}

/// Makes a token. Its text is nowhere but in what is returned.
///
/// `namespaces` are those it is for; none if it is for all. A name is never used again, so that
/// the history means one token by it.
///
/// # Errors
///
/// [`Error::BadTokenName`], [`Error::TakenTokenName`], [`Error::TokenForName`], [`Error::BadNamespaces`],
/// [`Error::TokenExpiry`] if `expires_at` has come already, [`Error::TokenExists`];
/// [`Error::NoRandomness`], [`Error::Locked`], [`Error::Database`]. There is no token then.
pub async fn create(
    db: &Database,
    name: &str,
    role: Role,
    namespaces: Option<Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
    author: &str,
    now: DateTime<Utc>,
) -> Result<(Token, Secret)> {
    refuse_name(name)?;
    if let Some(at) = expires_at.filter(|it| *it <= now) {
        return Err(Error::TokenExpiry { at: time::stamp(at) });
    }
    let token = Token {
        name: name.to_owned(),
        role,
        namespaces: namespaces.map(in_order).transpose()?,
        created_at: time::stamp(now),
        created_by: author.to_owned(),
        expires_at: expires_at.map(time::stamp),
        revoked_at: None,
        revoked_by: None,
        expiry: expires_at,
    };
    let secret = Secret::random()?;
    let row = token.row(secret.hash());
    let work = async {
        let transaction = db.begin().await?;
        let same_name = OnConflict::column(token::Column::Name).do_nothing().to_owned();
        let insert = token::Entity::insert(row.into_active_model()).on_conflict(same_name);
        let inserted = insert.exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok::<_, Error>(inserted)
    };
    match work.await.map_err(|error| error.at(db.place()))? {
        0 => Err(Error::TokenExists { name: token.name }),
        _ => Ok((token, secret)),
    }
}

/// Has a token refused from now on.
///
/// # Errors
///
/// As [`revocable`]; [`Error::Locked`]. Nothing has changed then.
pub async fn revoke(db: &Database, name: &str, author: &str, now: DateTime<Utc>) -> Result<Token> {
    let work = async {
        let transaction = db.begin().await?;
        let mut revoked = token::Entity::update_many()
            .col_expr(token::Column::RevokedAt, Expr::value(time::stamp(now)))
            .col_expr(token::Column::RevokedBy, Expr::value(author))
            .filter(token::Column::Name.eq(name))
            .filter(token::Column::RevokedAt.is_null())
            .exec_with_returning(&transaction)
            .await?;
        let token = match revoked.pop() {
            Some(row) => Token::of(row)?,
            None => revocable(&transaction, name).await?,
        };
        transaction.commit().await?;
        Ok::<_, Error>(token)
    };
    work.await.map_err(|error| error.at(db.place()))
}

/// The token of that name, if it can still be revoked.
///
/// # Errors
///
/// [`Error::UnknownToken`], [`Error::TokenForName`], [`Error::RevokedBefore`],
/// [`Error::Database`].
pub async fn revocable(db: &impl ConnectionTrait, name: &str) -> Result<Token> {
    let name = name.to_owned();
    if secret::check(&name).is_ok() {
        return Err(Error::TokenForName);
    }
    let Some(row) = token::Entity::find_by_id(name.clone()).one(db).await? else {
        return Err(Error::UnknownToken { name });
    };
    match (&row.revoked_at, &row.revoked_by) {
        (None, _) => Ok(Token::of(row)?),
        (Some(at), by) => {
            let by = by.clone().unwrap_or_else(|| "sql".to_owned());
            Err(Error::RevokedBefore { name, at: at.clone(), by })
        }
    }
}

/// Every token that there ever was, in order of their names.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn list(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Vec<Listed>> {
    let listed = all(db).await?.into_iter().map(|row| {
        let token = Token::of(row)?;
        Ok(Listed { state: token.state(now), token })
    });
    listed.collect()
}

/// Every row, for a [`Keyring`].
///
/// # Errors
///
/// [`Error::Database`].
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<token::Model>> {
    Ok(token::Entity::find().order_by_asc(token::Column::Name).all(db).await?)
}

impl Token {
    /// The token of a row.
    ///
    /// # Errors
    ///
    /// If role or namespaces are none: the row was written by hand.
    fn of(row: token::Model) -> Result<Self, DbErr> {
        let bad = |what: &str| DbErr::Type(format!("the {what} of token `{}` is none", row.name));
        let namespaces = row.namespaces.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            role: Role::named(&row.role).ok_or_else(|| bad("role"))?,
            namespaces: namespaces.map_err(|_| bad("list of namespaces"))?,
            name: row.name,
            created_at: row.created_at,
            created_by: row.created_by,
            // What was written by hand and is no time has come already.
            expiry: row.expires_at.as_deref().map(|it| {
                let read = DateTime::parse_from_rfc3339(it);
                read.map_or(DateTime::<Utc>::MIN_UTC, |it| it.to_utc())
            }),
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            revoked_by: row.revoked_by,
        })
    }

    fn row(&self, hash: String) -> token::Model {
        let namespaces = self.namespaces.as_ref();
        token::Model {
            name: self.name.clone(),
            hash,
            role: self.role.as_str().to_owned(),
            namespaces: namespaces.map(|it| serde_json::json!(it).to_string()),
            created_at: self.created_at.clone(),
            created_by: self.created_by.clone(),
            expires_at: self.expires_at.clone(),
            revoked_at: self.revoked_at.clone(),
            revoked_by: self.revoked_by.clone(),
        }
    }

    /// Whether it is good in this namespace.
    pub fn is_for(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|all| all.iter().any(|it| it == namespace))
    }

    pub fn state(&self, now: DateTime<Utc>) -> State {
        match self.revoked_at {
            Some(_) => State::Revoked,
            None if self.expiry.is_some_and(|it| it <= now) => State::Expired,
            None => State::Active,
        }
    }
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What the history calls those who have no token.
const OTHERS: [&str; 2] = ["local", "sql"];

/// A name is `[A-Za-z0-9][A-Za-z0-9._-]{0,99}`, and not the text of a token.
fn refuse_name(name: &str) -> Result<()> {
    const MAX_BYTES: usize = 100;
    if secret::check(name).is_ok() {
        return Err(Error::TokenForName);
    }
    if OTHERS.contains(&name) {
        return Err(Error::TakenTokenName { name: name.to_owned() });
    }
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && name.len() <= MAX_BYTES && name.chars().all(is_of_name) {
        return Ok(());
    }
    Err(Error::BadTokenName { name: name.to_owned() })
}

/// Namespaces that a token is for, each once.
fn in_order(mut namespaces: Vec<String>) -> Result<Vec<String>> {
    let is_name = |it: &String| !it.is_empty() && it.chars().all(is_of_name);
    if namespaces.is_empty() || !namespaces.iter().all(is_name) {
        return Err(Error::BadNamespaces { namespaces: namespaces.join(", ") });
    }
    namespaces.sort();
    namespaces.dedup();
    Ok(namespaces)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}
