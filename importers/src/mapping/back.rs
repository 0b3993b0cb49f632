//! From a setting back to its file: by which key, and as which value.
//!
//! Only where there is no doubt: what is written must become the same setting when it is read.

use super::mapper::is_a_reference;
use super::{Case, Mapper, MappingFault};
use crate::key::Key;
use crate::pattern::Pattern;
use crate::value::{TypedValue, ValueType};

impl Mapper {
    /// The key that a new setting must have in the file; `None` if there is none, or several.
    ///
    /// What a rename or a move would make of it comes first. If none would, the case is taken
    /// back, from `snake` to `camel` and the other way; nothing tells what `kebab` was.
    /// Of settings that the file has already, the raw key is known: see [`Mapped`](super::Mapped).
    pub fn unmap(&self, key: &Key) -> Option<Key> {
        let within = match &self.prefix {
            Some(prefix) => key.inside(prefix)?,
            None => key.clone(),
        };
        let mut declared = self.unrenamed(&within);
        declared.extend(self.unmoved(&within));
        declared.retain(|raw| self.leads_to(raw, key));
        declared.sort();
        declared.dedup();
        let raw = match declared.len() {
            0 => self.uncased(&within).filter(|raw| self.leads_to(raw, key))?,
            1 => declared.remove(0),
            _ => return None,
        };
        (!self.is_split(&raw)).then_some(raw)
    }

    /// What the file must say for `value` to come out at its key `raw`.
    ///
    /// `written` is the type of what the file says there now, and stays: a number that stands in
    /// the file as text goes there as text again. `None` if the key is new to it.
    ///
    /// # Errors
    ///
    /// [`MappingFault::SplitSetting`], or [`MappingFault::OneWay`] if nothing of that type
    /// becomes `value`.
    pub fn unvalue(
        &self,
        raw: &Key,
        value: &TypedValue,
        written: Option<ValueType>,
    ) -> Result<TypedValue, MappingFault> {
        if self.is_split(raw) {
            return Err(MappingFault::SplitSetting { raw: raw.clone() });
        }
        let Some(convert) = self.conversion(raw).filter(|_| !is_a_reference(value)) else {
            return Ok(value.clone());
        };
        convert.back(value, written).map_err(|reason| MappingFault::OneWay {
            raw: raw.clone(),
            from: value.value_type(),
            written,
            reason,
        })
    }

    fn leads_to(&self, raw: &Key, key: &Key) -> bool {
        self.key(raw).is_ok_and(|found| found.as_ref() == Some(key))
    }

    fn unrenamed(&self, within: &Key) -> Vec<Key> {
        let target = Pattern::from(within);
        let exact = self.rename.exact().filter(|(_, to)| **to == target);
        let segments: Vec<_> = within.segments().collect();
        let patterns = self.rename.patterns();
        let rewritten = patterns.filter_map(|(from, to)| to.rewrite(from, &segments)?.ok());
        exact.map(|(from, _)| from.clone()).chain(rewritten).collect()
    }

    fn unmoved(&self, within: &Key) -> Vec<Key> {
        let moves = self.moves.iter();
        moves.filter_map(|(from, to)| within.moved(to, from).ok().flatten()).collect()
    }

    fn uncased(&self, within: &Key) -> Option<Key> {
        let Some(case) = self.case else { return Some(within.clone()) };
        match case.origin() {
            Some(origin) => {
                Key::from_segments(within.segments().map(|name| origin.convert(&name).into_owned()))
                    .ok()
            }
            None => {
                let is_one_word =
                    |name: &str| Case::ALL.into_iter().all(|case| case.convert(name) == name);
                within.segments().all(|name| is_one_word(&name)).then(|| within.clone())
            }
        }
    }
}
