//! The merge table of the design, written a second time: what the program is compared with.

use std::collections::{BTreeMap, BTreeSet};

use setpoint_importers::{Key, TypedValue};
use setpoint_ops::import::Strategy;
use setpoint_ops::plan::Class;

pub type Settings = BTreeMap<Key, TypedValue>;

/// One layer that one file is migrated into.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub seed: Settings,
    pub live: Settings,
}

impl Table {
    /// What migrating `file` would do, a class a key.
    pub fn classes(&self, file: &Settings) -> BTreeMap<Key, Class> {
        let keys: BTreeSet<&Key> =
            self.seed.keys().chain(self.live.keys()).chain(file.keys()).collect();
        let class = |key: &Key| class(self.seed.get(key), self.live.get(key), file.get(key));
        let mut classes: BTreeMap<Key, Class> =
            keys.into_iter().filter_map(|key| Some((key.clone(), class(key)?))).collect();
        for root in self.roots(&classes) {
            classes.retain(|key, _| !key.starts_with(&root));
            classes.insert(root, Class::Conflict);
        }
        classes
    }

    /// The keys at which a scalar of one side would stand above a map of the other.
    fn roots(&self, classes: &BTreeMap<Key, Class>) -> BTreeSet<Key> {
        let is = |key: &Key, class: Class| classes.get(key) == Some(&class);
        let stay: Vec<&Key> = self.live.keys().filter(|it| !is(it, Class::Delete)).collect();
        let added: Vec<&Key> = classes.keys().filter(|it| is(it, Class::Add)).collect();
        let mut roots = BTreeSet::new();
        for (one, other) in stay.iter().flat_map(|one| added.iter().map(move |two| (one, two))) {
            if one.starts_with(other) {
                roots.insert((*other).clone());
            } else if other.starts_with(one) {
                roots.insert((*one).clone());
            }
        }
        let all = roots.clone();
        roots.retain(|root| !all.iter().any(|it| it != root && root.starts_with(it)));
        roots
    }

    /// Migrates `file`; gives the classes there were before anything was settled.
    pub fn migrate(&mut self, file: &Settings, strategy: Strategy) -> BTreeMap<Key, Class> {
        let classes = self.classes(file);
        let open: Vec<&Key> =
            classes.iter().filter(|it| *it.1 == Class::Conflict).map(|it| it.0).collect();
        if strategy == Strategy::Fail && !open.is_empty() {
            return classes;
        }
        let inside = |key: &Key| open.iter().any(|root| key.starts_with(root));
        let settled = |key: &Key| !inside(key) || strategy != Strategy::Ask;
        for (key, class) in &classes {
            match class {
                Class::Add | Class::Update => {
                    self.live.insert(key.clone(), file[key].clone());
                }
                Class::Delete => {
                    self.live.remove(key);
                }
                Class::Conflict if strategy == Strategy::Theirs => {
                    self.live.retain(|it, _| !it.starts_with(key));
                    let theirs = file.iter().filter(|(it, _)| it.starts_with(key));
                    self.live.extend(theirs.map(|(key, value)| (key.clone(), value.clone())));
                }
                Class::Keep | Class::Converge | Class::Conflict => {}
            }
        }
        self.seed.retain(|key, _| !settled(key));
        let seeds = file.iter().filter(|(key, _)| settled(key));
        self.seed.extend(seeds.map(|(key, value)| (key.clone(), value.clone())));
        classes
    }
}

/// The table, row by row: base, ours, theirs.
fn class(
    base: Option<&TypedValue>,
    ours: Option<&TypedValue>,
    theirs: Option<&TypedValue>,
) -> Option<Class> {
    match (base, ours, theirs) {
        (None, None, None) => None,
        (None, None, Some(_)) => Some(Class::Add),
        (None, Some(_), None) => Some(Class::Keep),
        (None, Some(o), Some(t)) if o == t => Some(Class::Converge),
        (None, Some(_), Some(_)) => Some(Class::Conflict),
        (Some(b), Some(o), Some(t)) if b == o && b == t => None,
        (Some(b), Some(o), Some(_)) if b == o => Some(Class::Update),
        (Some(b), Some(_), Some(t)) if b == t => Some(Class::Keep),
        (Some(_), Some(o), Some(t)) if o == t => Some(Class::Converge),
        (Some(_), Some(_), Some(_)) => Some(Class::Conflict),
        (Some(b), Some(o), None) if b == o => Some(Class::Delete),
        (Some(_), Some(_), None) => Some(Class::Conflict),
        (Some(b), None, Some(t)) if b == t => Some(Class::Keep),
        (Some(_), None, Some(_)) => Some(Class::Conflict),
        (Some(_), None, None) => Some(Class::Converge),
    }
}
