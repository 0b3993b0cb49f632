//! The merge table of the design, written a second time: what the program is compared with.
//! What else happens to a layer and its file is in `model/people.rs`.

use std::collections::BTreeMap;

use setpoint_importers::{Key, TypedValue};
use setpoint_ops::drift::Kind;
use setpoint_ops::edit::parse_value;
use setpoint_ops::import::{Choices, Options, Resolve, Strategy};
use setpoint_ops::plan::Class;

pub use crate::model::settings::Settings;
use crate::model::settings::{Keys, below, changed, keys, with};

/// One layer that one file is migrated into.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub file: Settings,
    /// The bytes of the file.
    pub text: String,
    pub seed: Settings,
    pub live: Settings,
    /// Conflicts that were settled, each with what its three sides were: asked once.
    resolved: Vec<(Key, [Settings; 3], Resolve)>,
    /// The version that was imported last, its bytes, and whether all of it was taken.
    pub imported: Option<(Settings, String, bool)>,
    /// The version that is not wanted.
    pub skipped: Option<Settings>,
    /// Keys that have changed or were settled since the file last followed the database.
    pub moved: Keys,
    /// What each key that changed was then.
    pub was: Vec<(Key, Option<TypedValue>)>,
}

/// What came of a migration: nothing, if it was refused.
#[derive(Default)]
pub struct Merged {
    pub classes: BTreeMap<Key, Class>,
    /// The conflicts among them that nobody has chosen for.
    pub open: Vec<Key>,
    pub refused: bool,
}

impl Table {
    /// What migrating `file` would do, a class a key. A conflict speaks for all below its key.
    pub fn classes(&self, file: &Settings) -> BTreeMap<Key, Class> {
        let sides = [&self.seed, &self.live, file];
        let class = |key: Key| Some((class(sides.map(|it| it.get(&key)))?, key));
        let classes = keys(sides).into_iter().filter_map(class);
        let mut classes: BTreeMap<Key, Class> = classes.map(|it| (it.1, it.0)).collect();
        let is = |key: &Key, class: Class| classes.get(key) == Some(&class);
        let mut roots: Keys = classes.keys().cloned().collect();
        roots.retain(|it| is(it, Class::Conflict));
        let new = file.keys().filter(|it| !self.live.contains_key(*it));
        for new in new.filter(|it| is(it, Class::Add) || is(it, Class::Conflict)) {
            // Where a scalar of one side would stand above a map of the other.
            let stay = self.live.keys().filter(|it| !is(it, Class::Delete));
            let clash = stay.filter(|it| it.starts_with(new) || new.starts_with(it));
            roots.extend(clash.map(|it| it.min(new).clone()));
        }
        for root in roots.into_iter().rev() {
            classes.retain(|key, _| !key.starts_with(&root));
            classes.insert(root, Class::Conflict);
        }
        classes
    }

    /// Makes `live` the live values, and remembers what that changes.
    pub fn set(&mut self, live: Settings) {
        let changed = changed(&self.live, &live);
        self.was.extend(changed.iter().map(|it| (it.clone(), live.get(it).cloned())));
        self.moved.extend(changed);
        self.live = live;
    }

    /// Migrates `file`. The classes are those there were before anything was settled.
    pub fn migrate(&mut self, file: &Settings, options: impl Into<Options>) -> Merged {
        let Options { choices, take_skipped, .. } = options.into();
        self.file = file.clone();
        if self.skipped.as_ref() == Some(file) && !take_skipped {
            return Merged { refused: !choices.by_key.is_empty(), ..Merged::default() };
        }
        let classes = self.classes(file);
        let conflicts = || classes.iter().filter(|it| *it.1 == Class::Conflict).map(|it| it.0);
        let choice = |key: &Key| Some((key.clone(), self.choice(key, &choices)?));
        let chosen: BTreeMap<Key, Resolve> = conflicts().filter_map(choice).collect();
        let open: Vec<Key> = conflicts().filter(|it| !chosen.contains_key(*it)).cloned().collect();
        let refused = choices.strategy == Strategy::Fail && !open.is_empty()
            || choices.by_key.keys().any(|it| !chosen.contains_key(it))
            || chosen.iter().any(|it| self.settled(it.0, it.1).is_none());
        if refused {
            return Merged { classes, open, refused };
        }

        let before = [self.seed.clone(), self.live.clone(), file.clone()];
        let mut keys = keys([&self.seed, &self.live, file]);
        self.moved.retain(|_| self.imported.is_some());
        self.was.retain(|_| self.imported.is_some());
        for (root, choice) in chosen {
            self.moved.extend(keys.iter().filter(|it| it.starts_with(&root)).cloned());
            let result = self.settled(&root, &choice).unwrap_or_default();
            self.live.retain(|it, _| !it.starts_with(&root));
            self.live.extend(result);
            let sides = before.each_ref().map(|it| below(&root, it));
            self.resolved.push((root, sides, choice));
        }
        let mut written = keys.clone();
        written.retain(|it| !matches!(classes.get(it), None | Some(Class::Keep | Class::Conflict)));
        self.live = with(&self.live, &written, file);
        let live = std::mem::replace(&mut self.live, before[1].clone());
        self.set(live);
        keys.retain(|it| !open.iter().any(|root| it.starts_with(root)));
        self.seed = with(&self.seed, &keys, file);
        let known = self.imported.as_ref().map(|it| (&it.0, &it.1));
        let again = known == Some((file, &self.text)) && self.skipped.as_ref() != Some(file);
        if !again || before[..2] != [self.seed.clone(), self.live.clone()] {
            self.imported = Some((file.clone(), self.text.clone(), open.is_empty()));
            self.skipped = None;
        }
        Merged { classes, open, refused }
    }

    fn choice(&self, key: &Key, choices: &Choices) -> Option<Resolve> {
        let sides = [&self.seed, &self.live, &self.file].map(|it| below(key, it));
        let mut earlier = self.resolved.iter().rev();
        choices.by_key.get(key).cloned().or_else(|| match choices.strategy {
            Strategy::Ours => Some(Resolve::Ours),
            Strategy::Theirs => Some(Resolve::Theirs),
            _ => Some(earlier.find(|it| (&it.0, &it.1) == (key, &sides))?.2.clone()),
        })
    }

    /// What is live at `key` and below it when that is chosen; none if it cannot be.
    fn settled(&self, key: &Key, choice: &Resolve) -> Option<Settings> {
        let (ours, theirs) = (below(key, &self.live), below(key, &self.file));
        let Resolve::Value(text) = choice else {
            return Some(if *choice == Resolve::Ours { ours } else { theirs });
        };
        let example = if ours.is_empty() { theirs.get(key) } else { ours.get(key) };
        let value = parse_value(key, text, None, example.filter(|it| !it.json.is_object()));
        Some(Settings::from([(key.clone(), value.ok()?)]))
    }

    /// What is out of line; none if the file was never imported.
    pub fn drift(&self) -> Option<BTreeMap<Key, Kind>> {
        let is_skipped = self.skipped.as_ref() == Some(&self.file);
        let classes = self.classes(&self.file);
        let kind = |(key, class)| match class {
            Class::Add | Class::Update | Class::Delete if is_skipped => None,
            Class::Add | Class::Update => Some((key, Kind::UpdateAvailable)),
            Class::Delete => Some((key, Kind::KeyRemoved)),
            Class::Keep if self.seed.contains_key(&key) => Some((key, Kind::EditedHere)),
            Class::Keep => Some((key, Kind::UnknownKey)),
            Class::Conflict => Some((key, Kind::Both)),
            Class::Converge => None,
        };
        self.imported.as_ref().map(|_| classes.into_iter().filter_map(kind).collect())
    }

    /// Leaves out what the file says, if some other version was imported.
    pub fn skip(&mut self) -> bool {
        if self.imported.is_some() && !self.is_settled() {
            self.skipped = Some(self.file.clone());
        }
        self.imported.is_some()
    }

    /// Whether the file says just what was taken of it.
    pub fn is_settled(&self) -> bool {
        self.imported.as_ref().is_some_and(|it| it.0 == self.file && it.2)
    }
}

/// The table: base, ours, theirs.
fn class(sides: [Option<&TypedValue>; 3]) -> Option<Class> {
    Some(match sides {
        [base, ours, theirs] if base == ours && ours == theirs => return None,
        [_, ours, theirs] if ours == theirs => Class::Converge,
        [base, _, theirs] if base == theirs => Class::Keep,
        [base, ours, _] if base != ours => Class::Conflict,
        [None, ..] => Class::Add,
        [.., None] => Class::Delete,
        _ => Class::Update,
    })
}
