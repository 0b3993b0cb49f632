//! A mapping whose every rule can be carried out: where one key goes, what one value becomes.

use std::collections::BTreeMap;

use super::convert::Convert;
use super::rules::Rules;
use super::{Case, MappingFault};
use crate::key::{Key, KeyError};
use crate::pattern::Pattern;
use crate::secret::is_reference;
use crate::value::TypedValue;

/// A checked [`Mapping`](super::Mapping), which describes the rules.
#[derive(Clone, Debug)]
pub struct Mapper {
    pub(super) case: Option<Case>,
    pub(super) convert: Rules<Convert>,
    pub(super) drop: Rules<()>,
    pub(super) moves: BTreeMap<Key, Key>,
    pub(super) prefix: Option<Key>,
    pub(super) rename: Rules<Pattern>,
    pub(super) split: Rules<String>,
}

impl Mapper {
    /// Where a key of the file goes; `None` if it is dropped.
    ///
    /// # Errors
    ///
    /// [`MappingFault::Target`] if that is no key.
    pub fn key(&self, raw: &Key) -> Result<Option<Key>, MappingFault> {
        let target = |reason| MappingFault::Target { raw: raw.clone(), place: None, reason };
        let Some(key) = self.within_prefix(raw).map_err(target)? else { return Ok(None) };
        match &self.prefix {
            Some(prefix) => key.below(prefix).map(Some).map_err(target),
            None => Ok(Some(key)),
        }
    }

    /// A setting's key without the prefix, as renames name it.
    pub fn within(&self, key: &Key) -> Key {
        let inside = self.prefix.as_ref().and_then(|prefix| key.inside(prefix));
        inside.unwrap_or_else(|| key.clone())
    }

    /// What the value of a key of the file becomes. A reference to a secret stays what it is.
    ///
    /// # Errors
    ///
    /// [`MappingFault::Conversion`] if it could only become that by losing something.
    pub fn value(&self, raw: &Key, value: TypedValue) -> Result<TypedValue, MappingFault> {
        let Some(convert) = self.conversion(raw).filter(|_| !is_a_reference(&value)) else {
            return Ok(value);
        };
        let from = value.value_type();
        convert.forward(value).map_err(|reason| MappingFault::Conversion {
            raw: raw.clone(),
            place: None,
            from,
            to: convert.to_string(),
            reason,
        })
    }

    pub(super) fn conversion(&self, raw: &Key) -> Option<Convert> {
        if self.convert.is_empty() {
            return None;
        }
        let segments: Vec<_> = raw.segments().collect();
        self.convert.find(raw, &segments).map(|found| *found.rule)
    }

    /// The key without the prefix: the first rule that speaks of it decides.
    fn within_prefix(&self, raw: &Key) -> Result<Option<Key>, KeyError> {
        let segments: Vec<_> = match self.speaks_of_segments() {
            true => raw.segments().collect(),
            false => Vec::new(),
        };
        if self.drop.find(raw, &segments).is_some() {
            return Ok(None);
        }
        if let Some(found) = self.rename.find(raw, &segments) {
            let itself = || Pattern::from(raw);
            let from = found.pattern.cloned().unwrap_or_else(itself);
            let renamed = from.rewrite(found.rule, &segments);
            return renamed.expect("a rule is found by what it matches").map(Some);
        }
        if let Some((from, to)) = self.innermost_move(raw) {
            return raw.moved(from, to);
        }
        match self.case {
            Some(case) => {
                let names = segments.iter().map(|name| case.convert(name));
                Key::from_segments(names).map(Some)
            }
            None => Ok(Some(raw.clone())),
        }
    }

    fn speaks_of_segments(&self) -> bool {
        self.case.is_some() || !self.drop.is_empty() || !self.rename.is_empty()
    }

    fn innermost_move(&self, raw: &Key) -> Option<(&Key, &Key)> {
        if self.moves.is_empty() {
            return None;
        }
        let mut paths = std::iter::once(raw.as_str()).chain(raw.ancestors());
        paths.find_map(|path| self.moves.get_key_value(path))
    }
}

pub(super) fn is_a_reference(value: &TypedValue) -> bool {
    value.json.as_str().is_some_and(is_reference)
}
