//! What is declared of namespaces: their layers, their secrets, their schema.

use std::collections::HashMap;
use std::sync::Arc;

use setpoint_importers::{Key, TypedValue};

use crate::Error;
use crate::schema::Schema;
use crate::secret::Rules;
use crate::setting::is_of_user;

/// The declarations of every namespace.
pub struct Policy {
    spaces: HashMap<String, Arc<Space>>,
    /// Of a namespace that nobody has declared.
    other: Arc<Space>,
}

/// What is declared of one namespace.
pub struct Space {
    /// The lowest first.
    pub layers: Arc<[String]>,
    pub secrets: Rules,
    pub schema: Option<Arc<Schema>>,
}

impl Policy {
    pub fn new(spaces: HashMap<String, Space>) -> Self {
        let spaces = spaces.into_iter().map(|(name, space)| (name, Arc::new(space))).collect();
        let other =
            Space { layers: Arc::from([BASE.to_owned()]), secrets: Rules::default(), schema: None };
        Self { spaces, other: Arc::new(other) }
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

    /// Whether a program may see what was stored earlier: no secret, whatever was declared then.
    pub(super) fn may_show(&self, key: &Key, value: &TypedValue) -> bool {
        self.secrets.secret.is_empty() || !self.secrets.is_secret(key, value)
    }

    /// Whether `layer` may hold settings: a declared one, or a user's preferences.
    pub fn has_layer(&self, layer: &str) -> bool {
        is_of_user(layer) || self.layers.iter().any(|it| it == layer)
    }
}
