//! What can be done with settings by their keys.

use std::collections::{BTreeMap, BTreeSet};

use setpoint_importers::{Key, TypedValue};

pub type ByKey<T> = BTreeMap<Key, T>;
pub type Settings = ByKey<TypedValue>;
pub type Keys = BTreeSet<Key>;

/// `settings` with what `other` says at `keys`.
pub fn with(settings: &Settings, keys: &Keys, other: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.retain(|key, _| !keys.contains(key));
    let said = other.iter().filter(|it| keys.contains(it.0));
    settings.extend(said.map(|(key, value)| (key.clone(), value.clone())));
    settings
}

/// The same, where what stands above or below a key that `other` says gives way.
pub fn over(settings: &Settings, keys: &Keys, other: &Settings) -> Settings {
    let said = other.keys().filter(|it| keys.contains(*it));
    let mut apart = settings.clone();
    said.for_each(|key| apart.retain(|it, _| !it.starts_with(key) && !key.starts_with(it)));
    with(&apart, keys, other)
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
pub fn keys<T, const N: usize>(maps: [&ByKey<T>; N]) -> Keys {
    maps.into_iter().flat_map(BTreeMap::keys).cloned().collect()
}

/// The keys that have one of `values`.
pub fn keys_of<T: PartialEq>(map: &ByKey<T>, values: &[T]) -> Keys {
    map.iter().filter(|it| values.contains(it.1)).map(|it| it.0.clone()).collect()
}

/// What `value` gives for those of `keys` that it gives something for.
pub fn by_key<T>(keys: Keys, value: impl Fn(&Key) -> Option<T>) -> ByKey<T> {
    keys.into_iter().filter_map(|key| value(&key).map(|it| (key, it))).collect()
}

/// Those of `keys` that are `at` a key or below it; without one, all.
pub fn within(at: Option<&Key>, mut keys: Keys) -> Keys {
    keys.retain(|key| at.is_none_or(|it| key.starts_with(it)));
    keys
}

/// Those of `keys` that stand above others of them.
pub fn above(keys: &Keys) -> Keys {
    let is_above = |key: &Key| keys.iter().any(|it| it != key && it.starts_with(key));
    keys.iter().filter(|it| is_above(it)).cloned().collect()
}

/// Whether no key stands above another.
pub fn is_tree(settings: &Settings) -> bool {
    above(&keys([settings])).is_empty()
}
