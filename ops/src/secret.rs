//! Which settings are secrets, and keeping their values out of everything that is written.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use setpoint_importers::{
    Document, Entry, ImportError, Key, Limits, Mapper, Masked, Pattern, Place, Span, TypedValue,
    comments_tell_secrets, is_reference,
};

use crate::plan::Plan;
use crate::source::{Declared, Interpretation};
use crate::{Error, Result};

mod move_out;
mod schema;

pub(crate) use move_out::{move_out, unread};
pub use schema::in_schema;

/// What somebody has said of keys. What nobody has said, their names tell.
// The fields are in order of their names, so that the JSON can be hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Keys that are none, and those below them, whatever their names say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public: Vec<Pattern>,
    /// Keys that are secrets, and those below them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret: Vec<Pattern>,
}

impl Rules {
    pub fn is_empty(&self) -> bool {
        self.public.is_empty() && self.secret.is_empty()
    }

    /// Whether `value`, at `key`, is the value of a secret: a reference to one is not.
    pub fn is_secret(&self, key: &Key, value: &TypedValue) -> bool {
        match self.say(key) {
            Some(is_secret) => is_secret && tells_something(value),
            None => setpoint_importers::looks_secret(key, value),
        }
    }

    /// The error of a document that could not be read, without the secrets it would show.
    pub(crate) fn masked(&self, error: ImportError) -> ImportError {
        error.masked(&|name| self.may_name(name))
    }

    /// Whether a secret may have this name, in a file that could not be read.
    fn may_name(&self, name: &str) -> bool {
        self.secret.iter().any(|it| it.may_end_in(name))
    }

    /// What is declared of `key`: of itself, or of the nearest key above it. A map that is a
    /// secret has nothing else in it.
    fn say(&self, key: &Key) -> Option<bool> {
        let nearest = |patterns: &[Pattern]| patterns.iter().filter_map(|it| it.covers(key)).max();
        match (nearest(&self.secret), nearest(&self.public)) {
            (None, None) => None,
            (secret, public) => Some(secret >= public),
        }
    }

    /// A stored value as it may be shown: it may be older than the rule that makes it a secret.
    pub fn shown(&self, key: &Key, value: Value) -> Value {
        let value = TypedValue::from(value);
        match self.is_secret(key, &value) {
            true => Value::from(HIDDEN),
            false => value.json,
        }
    }

    /// Refuses the value of a secret, which is not to be stored.
    ///
    /// # Errors
    ///
    /// [`Error::SecretValue`].
    pub fn refuse(&self, key: &Key, value: &TypedValue) -> Result<()> {
        match self.is_secret(key, value) {
            true => Err(Error::SecretValue { key: key.to_string() }),
            false => Ok(()),
        }
    }
}

/// What is shown in place of a secret.
const HIDDEN: &str = "****";

/// The plan as it may be shown: without values that were live before their keys were secrets.
/// Nothing if it has none. It cannot be applied.
pub fn hidden(plan: &Plan, rules: impl Fn(&str) -> Rules) -> Option<Plan> {
    let mut known = HashMap::new();
    let mut secrets = Vec::new();
    for (at, change) in plan.changes.iter().enumerate() {
        let rules = known.entry(change.namespace.as_str()).or_insert_with_key(|it| rules(it));
        let sides = [&change.before, &change.after, &change.seed];
        if sides.into_iter().flatten().any(|it| rules.is_secret(&change.key, it)) {
            secrets.push(at);
        }
    }
    if secrets.is_empty() {
        return None;
    }
    let mut shown = plan.clone();
    for at in secrets {
        let change = &mut shown.changes[at];
        for side in [&mut change.before, &mut change.after, &mut change.seed] {
            if side.as_ref().is_some_and(|it| !is_safe(it)) {
                *side = Some(Value::from(HIDDEN).into());
            }
        }
    }
    Some(shown)
}

/// Whether `value` may be stored at the key of a secret.
pub(crate) fn is_safe(value: &TypedValue) -> bool {
    !tells_something(value)
}

/// Refuses a plan that would store the value of a secret; `rules` are those of a namespace.
///
/// # Errors
///
/// [`Error::SecretValue`] for the first such key.
pub fn refuse_plan(plan: &Plan, rules: impl Fn(&str) -> Rules) -> Result<()> {
    let mut known = HashMap::new();
    for effect in plan.effects() {
        let Some(after) = effect.after else { continue };
        let rules = known.entry(effect.namespace).or_insert_with_key(|it| rules(it));
        rules.refuse(effect.key, after)?;
    }
    Ok(())
}

/// Whether there is something in `value` that could be kept secret.
fn tells_something(value: &TypedValue) -> bool {
    match &value.json {
        Value::Null | Value::Bool(_) => false,
        Value::String(text) => !text.is_empty() && !is_reference(text),
        Value::Number(_) => true,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

impl Interpretation {
    /// The error of a file that could not be read, without the secrets it would show.
    pub(crate) fn masked(&self, error: ImportError) -> ImportError {
        error.masked(&|name| self.secrets.may_name(name) || self.secrets_in_file.may_name(name))
    }

    /// Whether somebody has said of a key of the file that it is no secret.
    fn is_public(&self, mapper: &Mapper, raw_key: &Key) -> bool {
        let of_setting = || mapper.key(raw_key).ok().flatten().and_then(|it| self.secrets.say(&it));
        self.secrets_in_file.say(raw_key).or_else(of_setting) == Some(false)
    }

    pub(crate) fn is_secret(&self, mapper: &Mapper, raw_key: &Key, value: &TypedValue) -> bool {
        if let Some(is_secret) = self.secrets_in_file.say(raw_key) {
            return is_secret && tells_something(value);
        }
        if self.mapping.is_identity() {
            return self.secrets.is_secret(raw_key, value);
        }
        if value.json.is_array() && !self.mapping.split.is_empty() {
            let (place, span) = (Place::START, Span::default());
            let list = Entry { key: raw_key.clone(), value: value.clone(), place, span };
            // A list that cannot be split is told when it is mapped.
            let parts = mapper.apply(vec![list]).unwrap_or_default();
            if parts.iter().any(|it| self.secrets.is_secret(&it.entry.key, &it.entry.value)) {
                return true;
            }
        }
        match mapper.key(raw_key) {
            Ok(Some(key)) if key != *raw_key => match self.secrets.say(&key) {
                Some(is_secret) => is_secret && tells_something(value),
                None => {
                    setpoint_importers::looks_secret(raw_key, value)
                        || setpoint_importers::looks_secret(&key, value)
                }
            },
            _ => self.secrets.is_secret(raw_key, value),
        }
    }
}

/// What is kept of a file that holds secrets.
pub(crate) struct Kept {
    /// The file with its secrets masked; empty if that cannot be done.
    pub bytes: Vec<u8>,
    /// What `bytes` say.
    pub entries: Vec<Entry>,
    /// The keys whose values are not to be stored, as the file has them.
    pub hidden: HashSet<Key>,
}

/// Masks the secrets of a file; nothing if it has none.
pub(crate) fn mask(
    declared: &Declared,
    mapper: &Mapper,
    bytes: &[u8],
    document: &Document,
    limits: &Limits,
) -> Option<Kept> {
    let interpretation = &declared.interpretation;
    let is_secret = |key: &Key, value: &TypedValue| interpretation.is_secret(mapper, key, value);
    let has_secrets = document.entries.iter().any(|it| is_secret(&it.key, &it.value));
    if !has_secrets && !comments_tell_secrets(bytes) {
        return None;
    }
    let Masked { bytes, hidden } = setpoint_importers::masked(bytes, limits, document, &is_secret);
    let name = Path::new(&declared.path);
    let read = setpoint_importers::read(name, &bytes, Some(&document.format), limits);
    let (bytes, entries) = match read {
        Ok(read) if !bytes.is_empty() => (bytes, read.entries),
        _ => (Vec::new(), Vec::new()),
    };
    let hidden = hidden.into_iter().filter(|it| !interpretation.is_public(mapper, it));
    Some(Kept { bytes, entries, hidden: hidden.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(secret: &[&str], public: &[&str], keys: &[&str]) -> Vec<bool> {
        let patterns =
            |all: &[&str]| all.iter().map(|it| Pattern::parse(it).unwrap()).collect::<Vec<_>>();
        let rules = Rules { secret: patterns(secret), public: patterns(public) };
        let value = TypedValue::from(Value::from("hunter2"));
        keys.iter().map(|it| rules.is_secret(&Key::parse(it).unwrap(), &value)).collect()
    }

    #[test]
    fn what_is_declared_of_a_key_holds_for_all_below_it() {
        let keys = ["db.login", "db.login.x", "db.login.x.y", "db.logins", "db"];

        assert_eq!(told(&["db.login"], &[], &keys), [true, true, true, false, false]);
        assert_eq!(told(&["*.login"], &[], &keys), [true, true, true, false, false]);
        assert_eq!(told(&[], &["db.password"], &["db.password.x"]), [false]);
    }

    #[test]
    fn what_is_declared_nearest_to_a_key_counts() {
        let keys = ["db.a", "db.a.b", "db.a.b.c"];

        assert_eq!(told(&["db"], &["db.a.b"], &keys), [true, false, false]);
        assert_eq!(told(&["db.a.b"], &["db"], &keys), [false, true, true]);
        assert_eq!(told(&["db.**"], &["db.a"], &keys), [true, true, true]);
    }
}
