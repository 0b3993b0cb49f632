//! What is declared of namespaces: their layers, their secrets, their schema.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use setpoint_importers::{Key, TypedValue};

use crate::Error;
use crate::hash::{NO_HASH, of_json};
use crate::schema::Schema;
use crate::secret::Rules;
use crate::setting::is_of_user;

/// The declarations of every namespace.
pub struct Policy {
    spaces: HashMap<String, Arc<Space>>,
    /// Of a namespace that nobody has declared.
    other: Arc<Space>,
    fingerprint: Option<String>,
}

/// What is declared of one namespace.
pub struct Space {
    /// The lowest first.
    pub layers: Arc<[String]>,
    pub secrets: Rules,
    pub schema: Option<Arc<Schema>>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Policy").field(&self.fingerprint).finish()
    }
}

impl Policy {
    pub fn new(spaces: HashMap<String, Space>) -> Self {
        let fingerprint = fingerprint(&spaces);
        let spaces = spaces.into_iter().map(|(name, space)| (name, Arc::new(space))).collect();
        let other =
            Space { layers: Arc::from([BASE.to_owned()]), secrets: Rules::default(), schema: None };
        Self { spaces, other: Arc::new(other), fingerprint }
    }

    /// Eight hexadecimal digits that are others when something else is declared, so that another
    /// value may be effective; none if nothing is but the layer `base`.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    pub fn space(&self, namespace: &str) -> Arc<Space> {
        self.spaces.get(namespace).unwrap_or(&self.other).clone()
    }

    pub fn declares(&self, namespace: &str) -> bool {
        self.spaces.contains_key(namespace)
    }
}

/// The layer that every namespace has.
const BASE: &str = "base";

/// See [`Policy::fingerprint`].
fn fingerprint(spaces: &HashMap<String, Space>) -> Option<String> {
    let says_something =
        |it: &Space| it.layers.iter().ne([BASE]) || !it.secrets.is_empty() || it.schema.is_some();
    let declared = spaces.iter().filter(|it| says_something(it.1)).map(|(name, space)| {
        let schema = space.schema.as_ref().map(|it| it.document());
        (name, (&space.layers[..], &space.secrets, schema))
    });
    let declared: BTreeMap<_, _> = declared.collect();
    let hash = (!declared.is_empty()).then(|| of_json(NO_HASH, &declared))?;
    let (_, digits) = hash.split_once(':')?;
    Some(digits.chars().take(8).collect())
}

impl Space {
    /// Whether `value` may be stored at `key`.
    ///
    /// # Errors
    ///
    /// [`Error::SecretValue`], [`Error::Schema`].
    pub fn check(&self, key: &Key, value: &TypedValue) -> Result<(), Error> {
        self.secrets.refuse(key, value)?;
        match &self.schema {
            Some(schema) => schema.check(key, value),
            None => Ok(()),
        }
    }

    /// Why a stored value is given to no program, if it is not. What came by SQL was looked at by
    /// nobody before; of the rest only what has been declared a secret since then is kept out.
    pub(super) fn keeps_out(
        &self,
        channel: Option<&str>,
        key: &Key,
        value: &TypedValue,
    ) -> Option<Error> {
        match channel {
            Some("sql") => self.check(key, value).err(),
            _ if self.may_show(key, value) => None,
            _ => Some(Error::SecretValue { key: key.to_string() }),
        }
    }

    /// Whether a program may see what was stored earlier: no secret, whatever was declared then.
    fn may_show(&self, key: &Key, value: &TypedValue) -> bool {
        self.secrets.secret.is_empty() || !self.secrets.is_secret(key, value)
    }

    /// Whether `layer` may hold settings: a declared one, or a user's preferences.
    pub fn has_layer(&self, layer: &str) -> bool {
        is_of_user(layer) || self.layers.iter().any(|it| it == layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint_of(spaces: &[(&str, &[&str])]) -> Option<String> {
        let space = |layers: &[&str]| Space {
            layers: layers.iter().map(|it| (*it).to_owned()).collect(),
            secrets: Rules::default(),
            schema: None,
        };
        let spaces = spaces.iter().map(|(name, layers)| ((*name).to_owned(), space(layers)));
        Policy::new(spaces.collect()).fingerprint().map(str::to_owned)
    }

    #[test]
    fn what_is_declared_has_a_fingerprint_and_nothing_has_none() {
        let site = fingerprint_of(&[("default", &["base", "site"]), ("a", &["base"])]);

        assert_eq!(site.as_deref().map(str::len), Some(8));
        assert_eq!(site, fingerprint_of(&[("default", &["base", "site"])]));
        assert_ne!(site, fingerprint_of(&[("default", &["site", "base"])]));
        assert_ne!(site, fingerprint_of(&[("other", &["base", "site"])]));
        assert_eq!(fingerprint_of(&[("default", &["base"])]), None);
    }
}
