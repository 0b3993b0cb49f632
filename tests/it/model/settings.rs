//! What can be done with settings by their keys.

use std::collections::{BTreeMap, BTreeSet};

use setpoint_importers::{Key, TypedValue};

pub type Settings = BTreeMap<Key, TypedValue>;
pub type Keys = BTreeSet<Key>;

/// `settings` with what `other` says at `keys`.
pub fn with(settings: &Settings, keys: &Keys, other: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.retain(|key, _| !keys.contains(key));
    let said = other.iter().filter(|it| keys.contains(it.0));
    settings.extend(said.map(|(key, value)| (key.clone(), value.clone())));
    settings
}

/// The keys that two of them do not agree on.
pub fn changed(before: &Settings, after: &Settings) -> Keys {
    let mut keys = keys([before, after]);
    keys.retain(|it| before.get(it) != after.get(it));
    keys
}

/// The settings at `key` and below it.
pub fn below(key: &Key, settings: &Settings) -> Settings {
    settings.clone().into_iter().filter(|it| it.0.starts_with(key)).collect()
}

/// All keys that any of them has.
pub fn keys<const N: usize>(settings: [&Settings; N]) -> Keys {
    settings.into_iter().flat_map(Settings::keys).cloned().collect()
}

/// Whether no key stands above another.
pub fn is_tree(settings: &Settings) -> bool {
    let keys = || settings.keys();
    keys().all(|key| keys().all(|it| it == key || !key.starts_with(it)))
}
