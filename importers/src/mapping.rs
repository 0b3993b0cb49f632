//! Where the keys of a file go, and what becomes of their values, as setpoint.toml declares it.
//!
//! [`Mapping`] is what is written there; [`Mapping::check`] makes the [`Mapper`] that carries it
//! out. Pure: it sees keys and values, and neither a file nor the database.
//!
//! ```toml
//! [[source]]
//! path = "legacy/general.json"
//! prefix = "desk"
//! drop = ["debug.**", "ui.internal"]
//! rename = { forceManualApproval = "approval.force_manual_approval", "integrations.*.apiKey" = "integrations.*.api_key" }
//! move = { "old.section" = "new.section" }
//! case = "snake"
//! convert = { port = "integer", "cache.timeout_ms" = { to = "float", unit = "ms -> s" } }
//! split = { presets = "name" }
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::apply::Mapped;
pub use self::case::Case;
pub use self::conversion::Conversion;
pub use self::fault::{MappingFault, SplitRefusal};
pub use self::mapper::Mapper;
pub use self::refusal::Refusal;

mod apply;
mod back;
mod case;
mod check;
mod conversion;
mod convert;
mod decimal;
mod fault;
mod mapper;
mod refusal;
mod rules;
mod split;
mod unit;

/// What a source says of its keys. The default changes nothing.
///
/// Every rule speaks of the *raw* key: the key as the file has it (and below a list that is
/// split, as if the file had a map there). In this order:
///
/// 1. `split` makes a map of a list of maps; the items are named by one of their fields.
/// 2. `drop` leaves a key out.
/// 3. `rename` gives it another name: the most specific pattern does, which is one without
///    wildcards, else the one with the most names, then the fewest `**`, then the first in the
///    order of their texts.
/// 4. `move`, if nothing renamed it, gives the map it lies in another name: the innermost one
///    that is mentioned. What is moved may be a single key.
/// 5. `case`, if nothing renamed or moved it, changes every segment.
/// 6. `convert` changes the value; the most specific pattern does, as for `rename`.
/// 7. `prefix` puts it below another key.
// The fields are in order of their names, so that the JSON of a mapping can be hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// `snake`, `camel` or `kebab`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// By pattern.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub convert: BTreeMap<String, Conversion>,
    /// Patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// From key to key.
    #[serde(rename = "move", skip_serializing_if = "BTreeMap::is_empty")]
    pub moves: BTreeMap<String, String>,
    /// A key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// From pattern to pattern.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// By pattern, the field that names each item.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub split: BTreeMap<String, String>,
}

impl Mapping {
    /// Whether it leaves every key and every value as the file has it.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Makes it ready to be carried out.
    ///
    /// # Errors
    ///
    /// Every fault of the declaration, in the order of its fields.
    pub fn check(&self) -> Result<Mapper, Vec<MappingFault>> {
        check::check(self)
    }
}

#[cfg(test)]
mod tests;
