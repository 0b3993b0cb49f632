//! Which settings are secrets, by their names and their values. Pure; it knows no configuration.
//!
//! A name is split into words at `_`, `-`, changes of case and digits. Digits at its end and
//! words that say which one it is (`old`, `prod`, `json` …) do not count. Then the last words
//! decide, so `token_url`, `secret_name`, `password_file` and `api_key_id` are no secrets.
//!
//! | the name ends in | examples | secret if the value is |
//! |---|---|---|
//! | `password`, `passwd`, `passphrase`, `passcode`, `pwd`, `secret`; `user pin`, `pin code` … | `SMTP_PASSWORD`, `clientSecret` | text or a number |
//! | `pass` after what has a password: `db`, `smtp`, `user` … | `db_pass` | text or a number |
//! | `token`, `credential`, `credentials`, `bearer`, `pin`, `psk` | `bot_token`, `credentials_json` | text, or a number of six digits |
//! | `key` after `api`, `access`, `private`, `secret`, `encryption`, `signing`, `auth` … | `apiKey`, `SECRET_KEY_BASE` | the same |
//! | `connection string`, `webhook url`, `password hash`, `basic auth`, `recovery code` | `slack_webhook_url` | the same |
//! | one of these in the plural | `api_keys`, `passwords` | the same, in a list or a map |
//! | `tokens` | `tokens` | text that is no number: it may be a count |
//! | written as one word | `dbpassword`, `APIKEY` | the same |
//! | anything, below `secrets`, `credentials`, `passwords`, `api_keys` … | `secrets.github` | text or a number |
//! | anything, below one `password`, `client_secret` … | `db.password.old` | text, or a number of six digits |
//!
//! No secret, although its last words say so:
//!
//! | the name | examples |
//! |---|---|
//! | counts | `max_tokens`, `token_count`, `num_passwords` |
//! | asks a question | `require_password`, `show_token`, `has_secret` |
//! | is public, or names what lies elsewhere | `public_token`, `existing_secret`, `image_pull_secrets` |
//! | is of a tokenizer or a design | `eos_token`, `design_tokens` |
//! | tells of the secret that it lies below | `password.min_length`, `client_secret.url`, `secrets.rotation_days` if it is a number |
//! | lies below something to do | `reset_password.greeting` |
//!
//! By value, whatever the name: a URL with a password, a private key in PEM, `name=value` where
//! that name is a secret's, `Bearer …` and `Basic …`, a signed token (JWT), a token that its issuer
//! marks (`ghp_…`, `xoxb-…`, `sk_live_…`, `sp_…` of Setpoint), a webhook of Slack.
//!
//! Never: booleans (and `true`, `no`, `off` as text), null, what is empty, references
//! (`env:NAME`, `file:PATH`) and placeholders (`${NAME}`, `$NAME` in capitals). A list that holds
//! a secret is one as a whole; its maps are looked into, also for `{name: DB_PASSWORD, value: …}`.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use self::name::Named;
use crate::{Key, TypedValue};

mod name;
pub(crate) mod text;

/// Whether the value at `key` is a secret, by the rules of this module.
pub fn looks_secret(key: &Key, value: &TypedValue) -> bool {
    let mut found = false;
    each_secret(key, &value.json, &mut |_| found = true);
    found
}

/// Whether a text at a key of these segments would be a secret.
pub fn is_secret_name<S: AsRef<str>>(segments: &[S]) -> bool {
    name::of(segments) > Named::Plain
}

/// Whether the text is a reference to a secret: `env:NAME` or `file:PATH`.
pub fn is_reference(text: &str) -> bool {
    match text.split_once(':') {
        Some(("env", name)) => text::is_variable(name),
        Some(("file", path)) => !path.trim().is_empty(),
        _ => false,
    }
}

/// The texts and numbers in the value at `key` that are secrets in themselves.
pub fn secrets_in(key: &Key, value: &Value) -> Vec<String> {
    let mut secrets = Vec::new();
    each_secret(key, value, &mut |secret| secrets.push(secret.into_owned()));
    secrets
}

fn each_secret(key: &Key, value: &Value, found: &mut dyn FnMut(Cow<'_, str>)) {
    // Most keys are seen to be plain at a glance, and most values are of one text.
    if !name::may_tell(key.as_str()) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => return,
            Value::String(text) => {
                if is_secret_text(Named::Plain, text) {
                    found(text.into());
                }
                return;
            }
            Value::Array(_) | Value::Object(_) => {}
        }
    }
    let mut path: Vec<Cow<'_, str>> = key.segments().collect();
    let named = name::of(&path);
    visit(named, &mut path, value, found);
}

fn visit<'v>(
    named: Named,
    path: &mut Vec<Cow<'v, str>>,
    value: &'v Value,
    found: &mut dyn FnMut(Cow<'_, str>),
) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) if named == Named::Anything || is_long(named, number) => {
            found(number.to_string().into());
        }
        Value::Number(_) => {}
        Value::String(text) if is_secret_text(named, text) => found(text.into()),
        Value::String(_) => {}
        Value::Array(items) => items.iter().for_each(|item| visit(named, path, item, found)),
        Value::Object(members) => {
            let told = told_name(members);
            for (name, member) in members {
                path.push(name.into());
                let named = match told {
                    Some(told) if name.eq_ignore_ascii_case("value") => told,
                    _ => name::of(path),
                };
                visit(named, path, member, found);
                path.pop();
            }
        }
    }
}

/// Whether a number under the name of a token or a key is no count or limit, but one.
fn is_long(named: Named, number: &Number) -> bool {
    named == Named::Text && number.as_u64().is_some_and(|it| it >= 100_000)
}

/// What the name in `{name: DB_PASSWORD, value: …}` says, if it is a secret's.
fn told_name(members: &Map<String, Value>) -> Option<Named> {
    let mut names = members.iter().filter(|(name, _)| {
        ["name", "key", "variable"].iter().any(|told| name.eq_ignore_ascii_case(told))
    });
    names.find_map(|(_, name)| {
        let named = name::of(&[name.as_str()?]);
        (named > Named::Plain).then_some(named)
    })
}

fn is_secret_text(named: Named, text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || is_reference(text) || text::is_placeholder(text) || text::is_flag(text) {
        return false;
    }
    match named {
        Named::Plain => text::shows_secret(text),
        Named::Count => text.parse::<f64>().is_err(),
        Named::Text | Named::Anything => true,
    }
}

#[cfg(test)]
mod tests;
