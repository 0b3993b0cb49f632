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
    /// Conflicts that were settled, each with what its three sides were: asked once.
    resolved: Vec<(Key, [Settings; 3], Strategy)>,
}

/// What came of a migration.
pub struct Merged {
    pub classes: BTreeMap<Key, Class>,
    /// The conflicts among them that nobody has chosen for.
    pub open: Vec<Key>,
}

impl Table {
    /// What migrating `file` would do, a class a key.
    pub fn classes(&self, file: &Settings) -> BTreeMap<Key, Class> {
        let keys: BTreeSet<&Key> =
            self.seed.keys().chain(self.live.keys()).chain(file.keys()).collect();
        let class = |key: &Key| class(self.seed.get(key), self.live.get(key), file.get(key));
        let mut classes: BTreeMap<Key, Class> =
            keys.into_iter().filter_map(|key| Some((key.clone(), class(key)?))).collect();
        let open = classes.iter().filter(|it| *it.1 == Class::Conflict).map(|it| it.0.clone());
        for root in topmost(self.roots(&classes, file).into_iter().chain(open).collect()) {
            classes.retain(|key, _| !key.starts_with(&root));
            classes.insert(root, Class::Conflict);
        }
        classes
    }

    /// The keys at which a scalar of one side would stand above a map of the other.
    fn roots(&self, classes: &BTreeMap<Key, Class>, file: &Settings) -> BTreeSet<Key> {
        let is = |key: &Key, class: Class| classes.get(key) == Some(&class);
        let stay: Vec<&Key> = self.live.keys().filter(|it| !is(it, Class::Delete)).collect();
        let wanted = |key: &&Key| is(key, Class::Add) || is(key, Class::Conflict);
        let new = file.keys().filter(|it| !self.live.contains_key(*it));
        let added: Vec<&Key> = new.filter(wanted).collect();
        let mut roots = BTreeSet::new();
        for (one, other) in stay.iter().flat_map(|one| added.iter().map(move |two| (one, two))) {
            if one.starts_with(other) {
                roots.insert((*other).clone());
            } else if other.starts_with(one) {
                roots.insert((*one).clone());
            }
        }
        roots
    }

    /// Migrates `file`. The classes are those there were before anything was settled.
    pub fn migrate(&mut self, file: &Settings, strategy: Strategy) -> Merged {
        let classes = self.classes(file);
        let conflicts = classes.iter().filter(|it| *it.1 == Class::Conflict).map(|it| it.0);
        let choices: Vec<(Key, Option<Strategy>)> =
            conflicts.map(|key| (key.clone(), self.choice(key, file, strategy))).collect();
        let open = choices.iter().filter(|it| it.1.is_none()).map(|it| it.0.clone());
        let open: Vec<Key> = open.collect();
        if strategy == Strategy::Fail && !open.is_empty() {
            return Merged { classes, open };
        }
        for (key, class) in &classes {
            match class {
                Class::Add | Class::Update => {
                    self.live.insert(key.clone(), file[key].clone());
                }
                Class::Delete => {
                    self.live.remove(key);
                }
                Class::Keep | Class::Converge | Class::Conflict => {}
            }
        }
        for (key, choice) in choices {
            let Some(choice) = choice else { continue };
            self.resolved.push((key.clone(), self.sides(&key, file), choice));
            if choice == Strategy::Theirs {
                self.live.retain(|it, _| !it.starts_with(&key));
                self.live.extend(below(&key, file));
            }
        }
        let is_open = |key: &Key| open.iter().any(|root| key.starts_with(root));
        self.seed.retain(|key, _| is_open(key));
        let seeds = file.iter().filter(|(key, _)| !is_open(key));
        self.seed.extend(seeds.map(|(key, value)| (key.clone(), value.clone())));
        Merged { classes, open }
    }

    fn choice(&self, key: &Key, file: &Settings, strategy: Strategy) -> Option<Strategy> {
        if matches!(strategy, Strategy::Ours | Strategy::Theirs) {
            return Some(strategy);
        }
        let sides = self.sides(key, file);
        let same = self.resolved.iter().rev().find(|it| it.0 == *key && it.1 == sides);
        same.map(|it| it.2)
    }

    fn sides(&self, key: &Key, file: &Settings) -> [Settings; 3] {
        [&self.seed, &self.live, file].map(|it| below(key, it))
    }
}

/// The settings at `key` and below it.
fn below(key: &Key, settings: &Settings) -> Settings {
    let below = settings.iter().filter(|(it, _)| it.starts_with(key));
    below.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Those of `keys` that lie below no other. A conflict speaks for everything below its key.
fn topmost(keys: BTreeSet<Key>) -> BTreeSet<Key> {
    let above = |key: &Key| keys.iter().any(|it| it != key && key.starts_with(it));
    keys.iter().filter(|key| !above(key)).cloned().collect()
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
