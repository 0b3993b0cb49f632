//! Everything live at one revision, immutable: a read never touches the database.
//!
//! The maps are persistent: the next snapshot shares all that a revision leaves as it is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, Vector};
use serde_json::value::{RawValue, to_raw_value};
use setpoint_importers::{Key, TypedValue};

use super::news::{Effective, Moved, News};
use super::policy::{Policy, Space as Declared};
use crate::setting::Setting;

/// How many revisions back a client can be and still be told what came after, and how many bytes
/// these may hold.
const RECENT: usize = 8_192;
const RECENT_BYTES: usize = 32 * 1024 * 1024;

/// Every setting of every namespace, at one revision of one history.
#[derive(Clone)]
pub struct Snapshot {
    pub epoch: Arc<str>,
    /// The epoch as clients see it: with the fingerprint of what is declared, since the same
    /// revision is other values under other declarations.
    pub history: Arc<str>,
    pub revision: i64,
    /// Changes when other layers count by now: what clients were told then counts no more.
    pub generation: u64,
    pub(super) policy: Arc<Policy>,
    spaces: OrdMap<Arc<str>, Space>,
    /// The revisions that led here, the oldest first.
    recent: Vector<Arc<News>>,
    recent_bytes: usize,
    refused: OrdMap<(Arc<str>, Arc<str>, String), Arc<Refused>>,
}

/// One namespace.
#[derive(Clone, Default)]
pub struct Space {
    /// The last revision that changed it.
    pub revision: i64,
    layers: OrdMap<Arc<str>, Layer>,
    /// Of the declared layers together.
    effective: Layer,
}

type Layer = OrdMap<Key, Arc<Entry>>;

/// One setting, ready to be sent.
pub struct Entry {
    pub setting: Setting,
    /// The setting as JSON.
    pub json: Box<RawValue>,
}

/// What somebody wrote by SQL that cannot be given to programs: the last good value stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub namespace: String,
    pub layer: String,
    /// As it was written; perhaps no key.
    pub key: String,
    pub revision: i64,
    pub at: String,
    pub reason: String,
    /// What the database holds, if it can be read.
    pub(super) stored: Option<TypedValue>,
}

/// Whose eyes a namespace is seen with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View<'a> {
    /// The value of the highest layer that has the key.
    #[default]
    Effective,
    /// The same with the preferences of a user on top.
    User(&'a str),
    /// One layer alone.
    Layer(&'a str),
}

impl Entry {
    pub(super) fn new(setting: Setting) -> Self {
        let json = to_raw_value(&setting).expect("a setting is texts and JSON");
        Self { setting, json }
    }
}

impl Snapshot {
    pub(super) fn empty(epoch: Arc<str>, revision: i64, policy: Arc<Policy>) -> Self {
        Self {
            history: history(&epoch, &policy),
            epoch,
            revision,
            generation: 0,
            policy,
            spaces: OrdMap::new(),
            recent: Vector::new(),
            recent_bytes: 0,
            refused: OrdMap::new(),
        }
    }

    /// The same with everything that was loaded, of the whole database.
    pub(super) fn filled(
        mut self,
        settings: Vec<Setting>,
        refused: impl IntoIterator<Item = Refused>,
    ) -> Self {
        let mut layers = HashMap::<(String, String), Vec<(Key, Arc<Entry>)>>::new();
        for setting in settings {
            let place = (setting.namespace.clone(), setting.layer.clone());
            let entry = (setting.key.clone(), Arc::new(Entry::new(setting)));
            layers.entry(place).or_default().push(entry);
        }
        for ((namespace, layer), entries) in layers {
            let space = self.spaces.entry(namespace.into()).or_default();
            let newest = entries.iter().map(|it| it.1.setting.revision).max();
            space.revision = space.revision.max(newest.unwrap_or_default());
            space.layers.insert(layer.into(), entries.into_iter().collect());
        }
        for refused in refused {
            self.refuse(refused);
        }
        let policy = self.policy.clone();
        self.reconfigured(policy)
    }

    /// Takes the last revision that changed something in each of these namespaces.
    pub(super) fn changed_at(&mut self, newest: &[(String, i64)]) {
        for (namespace, revision) in newest {
            if let Some(space) = self.spaces.get_mut(namespace.as_str()) {
                space.revision = space.revision.max(*revision);
            }
        }
    }

    /// The same under another policy: which layers there are, and which counts most.
    pub(super) fn reconfigured(mut self, policy: Arc<Policy>) -> Self {
        self.generation += 1;
        let names: Vec<Arc<str>> = self.spaces.keys().cloned().collect();
        for name in names {
            let declared = policy.space(&name);
            if let Some(space) = self.spaces.get_mut(&name) {
                space.effective = space.computed(&declared.layers);
            }
        }
        self.history = history(&self.epoch, &policy);
        self.policy = policy;
        self
    }

    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.spaces.keys().map(|it| &**it)
    }

    /// Whether there is such a namespace: one that has settings, or is declared.
    pub fn has(&self, namespace: &str) -> bool {
        self.spaces.contains_key(namespace) || self.policy.declares(namespace)
    }

    /// Whether there is such a layer: one that may hold settings, or has some.
    pub fn has_layer(&self, namespace: &str, layer: &str) -> bool {
        let holds = || self.space(namespace).is_some_and(|it| it.layers.contains_key(layer));
        self.declared(namespace).has_layer(layer) || holds()
    }

    pub fn space(&self, namespace: &str) -> Option<&Space> {
        self.spaces.get(namespace)
    }

    /// The layers of `namespace` that count for everybody, the lowest first.
    pub fn layers(&self, namespace: &str) -> Arc<[String]> {
        self.policy.space(namespace).layers.clone()
    }

    /// What is declared of `namespace`.
    pub fn declared(&self, namespace: &str) -> Arc<Declared> {
        self.policy.space(namespace)
    }

    /// The setting at `key`.
    pub fn get(&self, namespace: &str, view: View<'_>, key: &str) -> Option<&Arc<Entry>> {
        self.spaces.get(namespace)?.get(view, key)
    }

    /// The settings at and below `prefix` that come after the key `after`, in order of key.
    pub fn list<'a>(
        &'a self,
        namespace: &str,
        view: View<'a>,
        prefix: Option<&'a Key>,
        after: Option<&'a str>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Entry>> + Send + 'a> {
        match self.spaces.get(namespace) {
            Some(space) => space.list(view, prefix, after),
            None => Box::new(std::iter::empty()),
        }
    }

    /// The revisions after `revision`, the oldest first; none if that is too long ago to tell.
    pub fn since(&self, revision: i64) -> Option<impl Iterator<Item = &Arc<News>>> {
        let missing = self.revision.checked_sub(revision)?;
        let missing = usize::try_from(missing).ok()?;
        let first = self.recent.len().checked_sub(missing)?;
        let is_next = self.recent.get(first).is_none_or(|it| it.id == revision + 1);
        is_next.then(|| self.recent.iter().skip(first))
    }

    /// What was written by SQL and is kept out.
    pub fn refused(&self) -> impl ExactSizeIterator<Item = &Arc<Refused>> {
        self.refused.values()
    }

    /// What the database holds at, above and below the keys of `keys`.
    pub(crate) fn stored_around<'k>(
        &self,
        namespace: &str,
        layer: &str,
        keys: impl IntoIterator<Item = &'k Key>,
    ) -> HashMap<Key, TypedValue> {
        let mut found = HashMap::new();
        let empty = Layer::new();
        let entries = self.spaces.get(namespace).and_then(|it| it.layers.get(layer));
        let entries = entries.unwrap_or(&empty);
        for key in keys {
            let above = key.ancestors().filter_map(|it| entries.get_key_value(it));
            let at = above.chain(entries.get_key_value(key)).chain(below(entries, key));
            found.extend(at.map(|(key, entry)| (key.clone(), entry.setting.typed())));
        }
        for refused in self.refused.values() {
            if &*refused.namespace == namespace
                && &*refused.layer == layer
                && let Ok(key) = Key::try_from(refused.key.clone())
            {
                match &refused.stored {
                    Some(value) => found.insert(key, value.clone()),
                    None => found.remove(&key),
                };
            }
        }
        found
    }

    /// The snapshot one revision later.
    pub(super) fn advance(&mut self, mut news: News) {
        self.revision = news.id;
        let mut touched = Vec::<(Arc<str>, HashSet<Key>)>::new();
        for moved in &news.moved {
            let Moved { namespace, layer, key, after } = moved;
            self.refused.remove(&(namespace.clone(), layer.clone(), key.to_string()));
            let space = self.spaces.entry(namespace.clone()).or_default();
            space.revision = news.id;
            let entries = space.layers.entry(layer.clone()).or_default();
            match after {
                Some(entry) => entries.insert(key.clone(), entry.clone()),
                None => entries.remove(key),
            };
            let declared = self.policy.space(namespace);
            if !declared.layers.iter().any(|it| **it == **layer) {
                continue;
            }
            let keys = match touched.iter_mut().find(|it| it.0 == *namespace) {
                Some((_, keys)) => keys,
                None => {
                    touched.push((namespace.clone(), HashSet::new()));
                    &mut touched.last_mut().expect("it has just been pushed").1
                }
            };
            keys.insert(key.clone());
            if declared.layers.len() > 1 {
                keys.extend(space.around(&declared.layers, key));
            }
        }
        for (namespace, keys) in touched {
            let declared = self.policy.space(&namespace);
            let Some(space) = self.spaces.get_mut(&namespace) else { continue };
            let mut keys: Vec<Key> = keys.into_iter().collect();
            keys.sort();
            for key in keys {
                let now = space.winner(&declared.layers, &key).cloned();
                let before = match &now {
                    Some(entry) => space.effective.insert(key.clone(), entry.clone()),
                    None => space.effective.remove(&key),
                };
                let same = match (&before, &now) {
                    (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                    (before, now) => before.is_none() && now.is_none(),
                };
                if !same {
                    let namespace = namespace.clone();
                    news.effective.push(Effective { namespace, key, entry: now });
                }
            }
        }
        for refused in news.refused.drain(..) {
            self.refuse(refused);
        }
        self.recent_bytes += news.size_bytes();
        self.recent.push_back(Arc::new(news));
        while self.recent.len() > RECENT || self.recent_bytes > RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.size_bytes();
        }
    }

    fn refuse(&mut self, refused: Refused) {
        let place = (
            Arc::from(refused.namespace.as_str()),
            Arc::from(refused.layer.as_str()),
            refused.key.clone(),
        );
        self.refused.insert(place, Arc::new(refused));
    }
}

impl Space {
    /// How many settings are effective.
    pub fn len(&self) -> usize {
        self.effective.len()
    }

    pub fn is_empty(&self) -> bool {
        self.effective.is_empty()
    }

    /// The layers that have, or had, settings.
    pub(super) fn layer_names(&self) -> impl Iterator<Item = &str> {
        self.layers.keys().map(|it| &**it)
    }

    fn get(&self, view: View<'_>, key: &str) -> Option<&Arc<Entry>> {
        let user = match view {
            View::Effective => return self.effective.get(key),
            View::Layer(layer) => return self.layers.get(layer)?.get(key),
            View::User(user) => user,
        };
        let Some(own) = self.preferences(user) else { return self.effective.get(key) };
        own.get(key).or_else(|| self.effective.get(key).filter(|it| is_apart(own, &it.setting.key)))
    }

    fn list<'a>(
        &'a self,
        view: View<'a>,
        prefix: Option<&'a Key>,
        after: Option<&'a str>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Entry>> + Send + 'a> {
        match view {
            View::Effective => Box::new(within(&self.effective, prefix, after)),
            View::Layer(layer) => match self.layers.get(layer) {
                Some(entries) => Box::new(within(entries, prefix, after)),
                None => Box::new(std::iter::empty()),
            },
            View::User(user) => match self.preferences(user) {
                None => Box::new(within(&self.effective, prefix, after)),
                Some(own) => {
                    let others = within(&self.effective, prefix, after);
                    let others = others.filter(|it| {
                        let key = &it.setting.key;
                        !own.contains_key(key) && is_apart(own, key)
                    });
                    let merged: BTreeMap<&Key, &Arc<Entry>> = others
                        .chain(within(own, prefix, after))
                        .map(|it| (&it.setting.key, it))
                        .collect();
                    Box::new(merged.into_values())
                }
            },
        }
    }

    fn preferences(&self, user: &str) -> Option<&Layer> {
        self.layers.get(format!("user:{user}").as_str())
    }

    /// The keys of the declared layers above and below `key`: what it may hide.
    fn around(&self, declared: &[String], key: &Key) -> Vec<Key> {
        let layers = declared.iter().filter_map(|it| self.layers.get(it.as_str()));
        let keys = layers.flat_map(|entries| {
            let above = key.ancestors().filter_map(|it| entries.get_key_value(it));
            above.chain(below(entries, key)).map(|it| it.0.clone())
        });
        keys.collect()
    }

    /// The setting that counts at `key`: of the highest layer, unless a higher one has a value
    /// above it or below it. The effective settings are a tree.
    fn winner(&self, declared: &[String], key: &Key) -> Option<&Arc<Entry>> {
        let mut layers = declared.iter().rev().filter_map(|it| self.layers.get(it.as_str()));
        let mut higher = Vec::new();
        let entry = layers.find_map(|entries| {
            let found = entries.get(key);
            if found.is_none() {
                higher.push(entries);
            }
            found
        })?;
        let is_hidden = higher.into_iter().any(|entries| !is_apart(entries, key));
        (!is_hidden).then_some(entry)
    }

    fn computed(&self, declared: &[String]) -> Layer {
        let mut layers = declared.iter().filter_map(|it| self.layers.get(it.as_str()));
        let Some(lowest) = layers.next() else { return Layer::new() };
        let others: Vec<&Layer> = layers.collect();
        let mut effective = lowest.clone();
        let touched = others.iter().flat_map(|it| it.keys());
        let touched: HashSet<&Key> = touched.collect();
        let around: HashSet<Key> =
            touched.iter().flat_map(|it| self.around(declared, it)).collect();
        for key in touched.into_iter().chain(&around) {
            match self.winner(declared, key) {
                Some(entry) => effective.insert(key.clone(), entry.clone()),
                None => effective.remove(key),
            };
        }
        effective
    }
}

/// Whether no key of `entries` stands above or below `key`.
fn is_apart(entries: &Layer, key: &Key) -> bool {
    key.ancestors().all(|it| !entries.contains_key(it)) && below(entries, key).next().is_none()
}

/// The entries below `key`.
fn below<'a>(entries: &'a Layer, key: &Key) -> impl Iterator<Item = (&'a Key, &'a Arc<Entry>)> {
    let (first, end) = (format!("{key}."), format!("{key}/"));
    entries.range::<_, str>((Bound::Included(first.as_str()), Bound::Excluded(end.as_str())))
}

/// The epoch with the fingerprint of what is declared, if there is one.
fn history(epoch: &Arc<str>, policy: &Policy) -> Arc<str> {
    match policy.fingerprint() {
        Some(fingerprint) => format!("{epoch}.{fingerprint}").into(),
        None => epoch.clone(),
    }
}

fn within<'a>(
    entries: &'a Layer,
    prefix: Option<&'a Key>,
    after: Option<&'a str>,
) -> impl Iterator<Item = &'a Arc<Entry>> + Send + 'a {
    let start = match (after, prefix) {
        (Some(after), Some(prefix)) if after < prefix.as_str() => Bound::Included(prefix.as_str()),
        (Some(after), _) => Bound::Excluded(after),
        (None, Some(prefix)) => Bound::Included(prefix.as_str()),
        (None, None) => Bound::Unbounded,
    };
    // Between a key and those below it may stand others: `a`, `a-b`, `a.b`.
    let end = prefix.map(|it| format!("{it}/"));
    let found = entries.range::<_, str>((start, Bound::Unbounded));
    found
        .take_while(move |(key, _)| end.as_ref().is_none_or(|end| key.as_str() < end.as_str()))
        .filter(move |(key, _)| prefix.is_none_or(|it| key.starts_with(it)))
        .map(|(_, entry)| entry)
}
