//! The model that the program is compared with: the design of the merge, written a second time.
//! One file in one layer: it knows no schema, mapping or secret, and nothing that is only shown.

use setpoint_importers::Key;
use setpoint_ops::drift::Kind;
use setpoint_ops::import::{Choices, Resolve, Strategy};
use setpoint_ops::plan::Class::{self, Add, Conflict, Converge, Delete, Keep, Update};
use setpoint_ops::{Result, edit};

use crate::model::settings::*;

/// One layer that one file is migrated into.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub seed: Settings,
    pub live: Settings,
    pub file: Settings,
    /// The bytes of the file.
    pub text: String,
    /// Conflicts that were settled, each with what came of it: asked once.
    resolved: Vec<([Settings; 3], Settings)>,
    /// The bytes that were imported last; none of them if the file was written in part since.
    imported: Option<String>,
    /// What they say, if all of it was taken.
    taken: Option<Settings>,
    /// The version that is not wanted.
    skipped: Option<Settings>,
    /// What was settled since the file last followed the database, or changed, and to what.
    moved: Vec<(Keys, Option<Settings>)>,
}

impl Table {
    /// The table.
    fn class(&self, key: &Key) -> Option<Class> {
        match [&self.seed, &self.live, &self.file].map(|it| it.get(key)) {
            [base, ours, theirs] if base == theirs => (ours != base).then_some(Keep),
            [_, ours, theirs] if ours == theirs => Some(Converge),
            [base, ours, _] if ours != base => Some(Conflict),
            [None, ..] => Some(Add),
            [.., None] => Some(Delete),
            _ => Some(Update),
        }
    }

    /// What migrating the file would do, a class a key. A conflict speaks for all below its key.
    pub fn classes(&self) -> ByKey<Class> {
        let mut classes = by_key(keys([&self.seed, &self.live, &self.file]), |it| self.class(it));
        let stay = &keys([&self.live]) - &keys_of(&classes, &[Delete]);
        let come = keys_of(&classes, &[Add, Conflict]);
        // Or where a scalar of one side would stand above a map of the other.
        let roots = &keys_of(&classes, &[Conflict]) | &above(&(&stay | &come));
        for root in roots.into_iter().rev() {
            classes.retain(|key, _| !key.starts_with(&root));
            classes.insert(root, Conflict);
        }
        classes
    }

    /// Migrates the file. Gives the classes before anything was settled; nothing if it is refused.
    pub fn migrate(&mut self, choices: &Choices, take_skipped: bool) -> Option<ByKey<Class>> {
        let is_unwanted = self.skipped.as_ref() == Some(&self.file) && !take_skipped;
        let classes = if is_unwanted { ByKey::new() } else { self.classes() };
        let is_used = choices.by_key.keys().all(|it| classes.get(it) == Some(&Conflict));
        if is_unwanted || !is_used {
            return is_used.then_some(classes);
        }
        let (mut after, mut open) = (self.clone(), Keys::new());
        after.moved.retain(|_| self.imported.is_some());
        let mut live = with(&self.live, &keys_of(&classes, &[Add, Update, Delete]), &self.file);
        for root in keys_of(&classes, &[Conflict]) {
            let sides = [&self.seed, &self.live, &self.file].map(|it| below(&root, it));
            let inside = keys(sides.each_ref());
            match self.chosen(&root, &sides, choices).ok()? {
                None if choices.strategy == Strategy::Fail => return None,
                None => open.extend(inside),
                Some(chosen) => {
                    live = with(&live, &inside, &chosen);
                    after.moved.push((inside, None));
                    after.resolved.push((sides, chosen));
                }
            }
        }
        after.seed = with(&self.file, &open, &self.seed);
        after.taken = open.is_empty().then(|| self.file.clone());
        after.imported = Some(self.text.clone());
        // A version stays unwanted when the one that was imported last brings nothing new.
        let is_news = after != *self || live != self.live;
        after.skipped.take_if(|it| is_news || *it == self.file);
        *self = after;
        assert!(self.put(live), "a layer stays a tree");
        Some(classes)
    }

    /// What is to be at the root of a conflict and below it, if anything is chosen.
    fn chosen(&self, key: &Key, at: &[Settings; 3], choices: &Choices) -> Result<Option<Settings>> {
        let [_, ours, theirs] = at;
        Ok(match (choices.by_key.get(key), choices.strategy) {
            (Some(Resolve::Ours), _) | (None, Strategy::Ours) => Some(ours.clone()),
            (Some(Resolve::Theirs), _) | (None, Strategy::Theirs) => Some(theirs.clone()),
            (Some(Resolve::Value(text)), _) => {
                let like = if ours.is_empty() { theirs.get(key) } else { ours.get(key) };
                let like = like.filter(|it| !it.json.is_object());
                Some(Settings::from([(key.clone(), edit::parse_value(key, text, None, like)?)]))
            }
            _ => self.resolved.iter().rfind(|it| it.0 == *at).map(|it| it.1.clone()),
        })
    }

    /// Makes `live` the live values, whoever wants it: a layer is a tree before and afterwards.
    pub fn put(&mut self, live: Settings) -> bool {
        let is_tree = is_tree(&live);
        if is_tree {
            self.moved.push((changed(&self.live, &live), Some(live.clone())));
            self.live = live;
        }
        is_tree
    }

    /// What is out of line; none if the file was never imported.
    pub fn drift(&self) -> Option<ByKey<Kind>> {
        let kind = |(key, class)| match class {
            Converge => None,
            Conflict => Some((key, Kind::Both)),
            Keep if self.seed.contains_key(&key) => Some((key, Kind::EditedHere)),
            Keep => Some((key, Kind::UnknownKey)),
            _ if self.skipped.as_ref() == Some(&self.file) => None,
            Delete => Some((key, Kind::KeyRemoved)),
            Add | Update => Some((key, Kind::UpdateAvailable)),
        };
        self.imported.as_ref().map(|_| self.classes().into_iter().filter_map(kind).collect())
    }

    /// Leaves out what the file says, if some other version was imported.
    pub fn skip(&mut self) -> bool {
        if self.imported.is_some() && self.taken.as_ref() != Some(&self.file) {
            self.skipped = Some(self.file.clone());
        }
        self.imported.is_some()
    }

    pub fn reset(&mut self, at: Option<&Key>, purge: bool) -> bool {
        let known = within(at, keys([&self.seed, &self.live]));
        let reset = if purge { known.clone() } else { &known & &keys([&self.seed]) };
        (at.is_none() || !known.is_empty()) && self.put(with(&self.live, &reset, &self.seed))
    }

    /// Takes back, `at` a key and below it, what has made `to` of `from`.
    pub fn revert(&mut self, [from, to]: [&Settings; 2], at: Option<&Key>, how: Strategy) -> bool {
        let made = within(at, &changed(from, to) & &changed(from, &self.live));
        let open = &made & &changed(to, &self.live);
        let back = if how == Strategy::Theirs { made } else { &made - &open };
        (how != Strategy::Fail || open.is_empty()) && self.put(with(&self.live, &back, from))
    }

    /// Writes what was edited here into the file, or all that is out of line `at` a key and below.
    pub fn adopt(&mut self, at: Option<&Key>) -> bool {
        let mut drift = self.drift().unwrap_or_default();
        let is_edit = |it: &Kind| matches!(it, Kind::EditedHere | Kind::UnknownKey);
        drift.retain(|key, kind| at.map_or(is_edit(kind), |it| key.starts_with(it)));
        let mut chosen = keys([&drift]);
        for root in keys_of(&drift, &[Kind::Both]) {
            chosen.extend(within(Some(&root), keys([&self.seed, &self.live, &self.file])));
        }
        (at.is_none() || !chosen.is_empty()) && self.write(&chosen)
    }

    /// Makes the file follow the database where nobody has edited it.
    pub fn follow(&mut self) -> bool {
        let moved = std::mem::take(&mut self.moved);
        let mut keys: Keys = moved.iter().flat_map(|it| it.0.clone()).collect();
        keys.retain(|key| {
            let says = |it: &Settings| it.get(key) == self.file.get(key);
            // What was live meanwhile was written by a run that was killed.
            let mut meanwhile = moved.iter().filter(|it| it.0.contains(key)).flat_map(|it| &it.1);
            says(&self.seed) || says(&self.live) || meanwhile.any(says)
        });
        let fits = |keys: &Keys| is_tree(&with(&self.file, keys, &self.live));
        let is_fit = fits(&keys);
        keys.retain(|it| is_fit || fits(&Keys::from([it.clone()])));
        self.imported.is_none() || self.write(&keys)
    }

    /// Makes the file and the seeds at `keys` what is live there.
    fn write(&mut self, keys: &Keys) -> bool {
        let file = with(&self.file, keys, &self.live);
        if keys.is_empty() || !is_tree(&file) {
            return keys.is_empty();
        }
        // What stands above or below a key that is written now is in the file no more.
        self.seed = over(&self.seed, keys, &self.live);
        // Where it was not settled no version is known as a whole; a skipped one stays so.
        let is_settled = self.taken.as_ref() == Some(&self.file);
        self.taken = is_settled.then(|| file.clone());
        self.imported = Some(if is_settled { self.text.clone() } else { String::new() });
        self.skipped.take_if(|_| is_settled);
        self.skipped.iter_mut().filter(|it| **it == self.file).for_each(|it| *it = file.clone());
        self.file = file;
        true
    }
}
