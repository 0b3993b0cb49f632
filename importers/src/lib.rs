//! Reads configuration files into a flat list of settings.
//!
//! An importer sees text and nothing else: no database, no clock, no network.

pub use key::{Key, KeyError, MAX_KEY_BYTES};
pub use value::{Format, TypedValue, ValueType};

mod key;
mod value;
