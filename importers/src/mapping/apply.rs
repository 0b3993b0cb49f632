//! A whole file through its mapping.

use std::collections::HashMap;

use serde_json::Value;

use super::{Mapper, MappingFault};
use crate::Entry;
use crate::key::Key;

/// A setting, and the key that the file has for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// Below a list that was split, the key the file would have if it had a map there.
    pub raw: Key,
    pub entry: Entry,
}

impl Mapper {
    /// The settings that the entries of a file become, in the file's order.
    ///
    /// # Errors
    ///
    /// Every fault, in the file's order: keys that cannot be, values that do not convert, lists
    /// that do not split, and keys that are sent to one, or one above the other.
    pub fn apply(&self, entries: Vec<Entry>) -> Result<Vec<Mapped>, Vec<MappingFault>> {
        let mut faults = Vec::new();
        let mut mapped = Vec::with_capacity(entries.len());
        for Entry { key: raw, value, place, span } in self.split(entries, &mut faults) {
            let key = match self.key(&raw) {
                Ok(Some(key)) => key,
                Ok(None) => continue,
                Err(fault) => {
                    faults.push(fault.at(place));
                    continue;
                }
            };
            let value = self.value(&raw, value).unwrap_or_else(|fault| {
                faults.push(fault.at(place));
                // Nobody sees it: it holds the place of its key for finding clashes.
                Value::Null.into()
            });
            mapped.push(Mapped { raw, entry: Entry { key, value, place, span } });
        }
        find_clashes(&mapped, &mut faults);
        if faults.is_empty() {
            return Ok(mapped);
        }
        faults.sort_by_key(MappingFault::place);
        Err(faults)
    }
}

fn find_clashes(mapped: &[Mapped], faults: &mut Vec<MappingFault>) {
    let mut first_of: HashMap<&str, &Mapped> = HashMap::with_capacity(mapped.len());
    for one in mapped {
        let Some(first) = first_of.get(one.entry.key.as_str()) else {
            first_of.insert(one.entry.key.as_str(), one);
            continue;
        };
        faults.push(MappingFault::Collision {
            key: one.entry.key.clone(),
            first: first.raw.clone(),
            first_place: first.entry.place,
            second: one.raw.clone(),
            second_place: one.entry.place,
        });
    }
    for lower in mapped {
        let mut above = lower.entry.key.ancestors();
        let Some(upper) = above.find_map(|it| first_of.get(it)) else { continue };
        faults.push(MappingFault::Overlap {
            upper: upper.raw.clone(),
            upper_key: upper.entry.key.clone(),
            upper_place: upper.entry.place,
            lower: lower.raw.clone(),
            lower_key: lower.entry.key.clone(),
            lower_place: lower.entry.place,
        });
    }
}
