//! All tokens in memory: what the service asks with each request, without a look at the database.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use chrono::{DateTime, Utc};
use miette::Diagnostic;
use setpoint_entity::token;
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::{State, Token, secret};
use crate::hash;

/// Every token that there is, revoked ones too. It never changes: when a token does, there is
/// another keyring.
#[derive(Debug, Default)]
pub struct Keyring {
    tokens: HashMap<Digest, Token>,
    /// How many there are, also of those that cannot be read.
    rows: usize,
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, Error, Diagnostic)]
pub enum Refused {
    #[error("this is no token")]
    #[diagnostic(
        code(token::malformed),
        help(
            "a token is `sp_` and 36 letters and digits; was all of it copied, and nothing else?"
        )
    )]
    Malformed,

    #[error("this token is unknown")]
    #[diagnostic(
        code(token::unknown),
        help("use a token of this database; `setpoint token create` makes one")
    )]
    Unknown,

    #[error("token `{name}` has expired at {at}")]
    #[diagnostic(code(token::expired), help("`setpoint token create` makes another"))]
    Expired { name: String, at: String },

    #[error("token `{name}` was revoked at {at}")]
    #[diagnostic(code(token::revoked), help("`setpoint token create` makes another"))]
    Revoked { name: String, at: String },
}

impl Keyring {
    /// The keyring of these rows. One that was written by hand and cannot be read opens nothing.
    pub fn new(rows: Vec<token::Model>) -> Self {
        let mut tokens = HashMap::new();
        let count = rows.len();
        for row in rows {
            let (name, digest) = (row.name.clone(), hash::parsed(&row.hash));
            match (digest, Token::of(row)) {
                (Some(digest), Ok(token)) => drop(tokens.insert(Digest(digest), token)),
                _ => tracing::warn!(token = name, "a token cannot be read and is left out"),
            }
        }
        Self { tokens, rows: count }
    }

    /// Whether there never was a token, not even one that was revoked or cannot be read.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The token of this text, if it is good now.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn authenticate(&self, text: &str, now: DateTime<Utc>) -> Result<&Token, Refused> {
        secret::check(text)?;
        let token = self.tokens.get(&Digest(hash::digest(text.as_bytes())));
        good(token.ok_or(Refused::Unknown)?, now)
    }

    /// When the token of this name expires, if it does.
    pub fn expiry(&self, name: &str) -> Option<DateTime<Utc>> {
        self.tokens.values().find(|it| it.name == name).and_then(|it| it.expiry)
    }

    /// The token of this name, if it is still good: for connections that outlive a request.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn named(&self, name: &str, now: DateTime<Utc>) -> Result<&Token, Refused> {
        let token = self.tokens.values().find(|it| it.name == name);
        good(token.ok_or(Refused::Unknown)?, now)
    }
}

fn good(token: &Token, now: DateTime<Utc>) -> Result<&Token, Refused> {
    let name = || token.name.clone();
    let at = |it: &Option<String>| it.clone().unwrap_or_default();
    match token.state(now) {
        State::Active => Ok(token),
        State::Expired => Err(Refused::Expired { name: name(), at: at(&token.expires_at) }),
        State::Revoked => Err(Refused::Revoked { name: name(), at: at(&token.revoked_at) }),
    }
}

/// The SHA-256 of a token's text, compared in constant time.
///
/// It is looked up in a table first, and how long that takes may tell something of which digests
/// are there. That is of no use: a text whose digest begins as wanted cannot be made, nor can a
/// text be found from its digest, and the table hashes with a key of its own.
#[derive(Debug)]
struct Digest([u8; 32]);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Role, Secret};
    use super::*;
    use crate::time::{stamp, until};

    fn now() -> DateTime<Utc> {
        until("2026-05-01T12:00:00Z", DateTime::UNIX_EPOCH).unwrap()
    }

    fn row(name: &str, secret: &Secret) -> token::Model {
        token::Model {
            name: name.to_owned(),
            hash: secret.hash(),
            role: "editor".to_owned(),
            namespaces: None,
            created_at: stamp(now()),
            created_by: "ann".to_owned(),
            expires_at: None,
            revoked_at: None,
            revoked_by: None,
        }
    }

    /// What becomes of a token whose row was changed by `change`, in short.
    fn asked(change: impl FnOnce(&mut token::Model), now: DateTime<Utc>) -> String {
        let secret = Secret::random().unwrap();
        let mut row = row("ci", &secret);
        change(&mut row);
        let keyring = Keyring::new(vec![row]);
        let told = keyring.authenticate(secret.reveal(), now);
        if let Err(refused) = &told {
            assert_eq!(keyring.named("ci", now).as_ref(), Err(refused));
        }
        told.map_or_else(|refused| refused.to_string(), |token| token.name.clone())
    }

    #[test]
    fn each_text_opens_as_its_own_token() {
        let secrets: Vec<_> = (0..100).map(|_| Secret::random().unwrap()).collect();
        let rows = (0..).zip(&secrets).map(|(at, secret)| row(&format!("t{at}"), secret));
        let keyring = Keyring::new(rows.collect());

        for (at, secret) in (0..).zip(&secrets) {
            let token = keyring.authenticate(secret.reveal(), now()).unwrap();
            assert_eq!((token.name.clone(), token.role), (format!("t{at}"), Role::Editor));
        }
    }

    #[test]
    fn what_is_not_in_it_is_unknown() {
        let (known, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        let keyring = Keyring::new(vec![row("ci", &known)]);
        let asked = |text: &str| keyring.authenticate(text, now()).unwrap_err();

        assert_eq!(
            [asked(other.reveal()), asked(&known.hash()), asked("ci"), asked("")],
            [Refused::Unknown, Refused::Malformed, Refused::Malformed, Refused::Malformed]
        );
    }

    #[test]
    fn a_token_is_good_until_the_moment_that_it_expires() {
        let expires = |it: &mut token::Model| it.expires_at = Some(stamp(now()));
        let before = now() - chrono::Duration::milliseconds(1);

        assert_eq!(asked(expires, before), "ci");
        assert_eq!(asked(expires, now()), "token `ci` has expired at 2026-05-01T12:00:00.000Z");
    }

    #[test]
    fn a_revoked_token_is_refused_even_if_it_has_expired_too() {
        let both = |it: &mut token::Model| {
            it.expires_at = Some(stamp(now()));
            it.revoked_at = Some(stamp(now()));
        };

        assert_eq!(asked(both, now()), "token `ci` was revoked at 2026-05-01T12:00:00.000Z");
    }

    #[test]
    fn what_was_written_by_hand_and_cannot_be_read_opens_nothing() {
        assert_eq!(asked(|it| it.role = "root".into(), now()), "this token is unknown");
        assert_eq!(asked(|it| it.hash.truncate(60), now()), "this token is unknown");
        assert_eq!(asked(|it| it.hash = "sha256:é".into(), now()), "this token is unknown");
        assert_eq!(asked(|it| it.namespaces = Some("[1]".into()), now()), "this token is unknown");
        assert_eq!(
            asked(|it| it.expires_at = Some("some day".into()), now()),
            "token `ci` has expired at some day"
        );
    }

    #[test]
    fn a_token_is_for_its_namespaces_or_for_all() {
        let secret = Secret::random().unwrap();
        let some = token::Model { namespaces: Some("[\"a\"]".into()), ..row("ci", &secret) };
        let (all, some) = (Token::of(row("all", &secret)).unwrap(), Token::of(some).unwrap());

        assert_eq!(
            ["a", "b"].map(|it| (all.is_for(it), some.is_for(it))),
            [(true, true), (true, false)]
        );
    }

    #[test]
    fn a_keyring_that_has_only_revoked_tokens_is_not_empty() {
        let row = token::Model {
            revoked_at: Some(stamp(now())),
            ..row("ci", &Secret::random().unwrap())
        };

        assert!(Keyring::default().is_empty() && !Keyring::new(vec![row]).is_empty());
    }

    #[test]
    fn roles_are_in_order() {
        assert!(Role::Viewer < Role::Editor && Role::Editor < Role::Admin);
    }
}
