//! What people do to a layer and its file, besides importing it: the other half of the model.

use setpoint_importers::Key;
use setpoint_ops::drift::Kind;
use setpoint_ops::import::Strategy;

use super::settings::{Keys, Settings, changed, is_tree, keys, with};
use crate::table::Table;

impl Table {
    /// Makes `live` the live values, whoever wants it: a layer is a tree before and afterwards.
    pub fn put(&mut self, live: Settings) -> bool {
        if is_tree(&live) {
            self.set(live);
            return true;
        }
        false
    }

    pub fn reset(&mut self, at: Option<&Key>, purge: bool) -> bool {
        let mut keys = keys([&self.seed, &self.live]);
        keys.retain(|key| at.is_none_or(|it| key.starts_with(it)));
        let is_unknown = at.is_some() && keys.is_empty();
        keys.retain(|it| purge || self.seed.contains_key(it));
        !is_unknown && self.put(with(&self.live, &keys, &self.seed))
    }

    /// Takes back, `at` a key and below it, what has made `after` of `before`.
    pub fn revert(
        &mut self,
        [before, after]: [&Settings; 2],
        at: Option<&Key>,
        how: Strategy,
    ) -> bool {
        let is = |side: &Settings, key: &Key| self.live.get(key) == side.get(key);
        let mut keys = changed(before, after);
        keys.retain(|key| at.is_none_or(|it| key.starts_with(it)) && !is(before, key));
        let is_open = !keys.iter().all(|it| is(after, it));
        keys.retain(|it| is(after, it) || how == Strategy::Theirs);
        !(is_open && how == Strategy::Fail) && self.put(with(&self.live, &keys, before))
    }

    /// Writes what was edited here, or all that is out of line `at` a key and below it, into the
    /// file, which is `text` then.
    pub fn adopt(&mut self, at: Option<&Key>, text: &str) -> bool {
        let mut chosen = self.drift().unwrap_or_default();
        chosen.retain(|key, kind| match at {
            None => matches!(kind, Kind::EditedHere | Kind::UnknownKey),
            Some(at) => key.starts_with(at),
        });
        let is_in = |key: &Key, (root, kind): (&Key, &Kind)| {
            key == root || *kind == Kind::Both && key.starts_with(root)
        };
        let mut keys = keys([&self.seed, &self.live, &self.file]);
        keys.retain(|key| chosen.iter().any(|it| is_in(key, it)));
        (at.is_none() || !chosen.is_empty()) && self.write(&keys, text)
    }

    /// Makes the file, which is `text` then, follow the database where nobody has edited it.
    pub fn follow(&mut self, text: &str) -> bool {
        let mut keys = std::mem::take(&mut self.moved);
        let says = |side: &Settings, key: &Key| self.file.get(key) == side.get(key);
        // What was live meanwhile was written by a run that was killed.
        let was = std::mem::take(&mut self.was);
        let is_own =
            |key: &Key| was.iter().any(|it| it.0 == *key && it.1.as_ref() == self.file.get(key));
        keys.retain(|it| says(&self.seed, it) || says(&self.live, it) || is_own(it));
        if !is_tree(&with(&self.file, &keys, &self.live)) {
            keys.retain(|it| is_tree(&with(&self.file, &Keys::from([it.clone()]), &self.live)));
        }
        self.imported.is_none() || self.write(&keys, text)
    }

    /// Makes the file and the seeds at `keys` what is live there.
    fn write(&mut self, keys: &Keys, text: &str) -> bool {
        let (file, is_settled) = (with(&self.file, keys, &self.live), self.is_settled());
        if keys.is_empty() || !is_tree(&file) {
            return keys.is_empty();
        }
        self.seed = with(&self.seed, keys, &self.live);
        // What stands above or below a key that is written now is in the file no more.
        let written = || keys.iter().filter(|it| file.contains_key(*it));
        let clashes = |it: &Key| written().any(|key| it.starts_with(key) || key.starts_with(it));
        self.seed.retain(|it, _| keys.contains(it) || !clashes(it));
        // Where it was not settled no version is known as a whole; a skipped one stays so.
        let (says, bytes) = if is_settled { (file.clone(), text) } else { Default::default() };
        self.imported = Some((says, bytes.to_owned(), is_settled));
        let stays = |it| if it == self.file { file.clone() } else { it };
        self.skipped = self.skipped.take().filter(|_| !is_settled).map(stays);
        (self.file, self.text) = (file, text.to_owned());
        true
    }
}
