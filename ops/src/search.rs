//! Search: the settings that words of a query are found in, the best first. Pure: no database,
//! no index; every setting is looked at, most of them only at their [`Letters`].
//!
//! Every word has to be found, each in any field. Upper and lower case, accents, and `-` or `_`
//! make no difference. What is better comes first:
//!
//! | found | for `max force` |
//! |---|---|
//! | the key, exactly as typed, then in another case | |
//! | its last segments, exactly as typed | |
//! | the key, then its last segments, but for case and signs | `arm.maxForce`, `max_force` |
//! | whole segments | `force.max.hard` |
//! | starts of segments | `maximum.forces` |
//! | starts of words, in a key, label, description or value | `arm.min_max_force` |
//! | somewhere, in a key, label, description or value | `climax.reinforced` |
//! | with letters left out, in a key, label, description or value | `mxm.frc` |
//!
//! The word that is found worst decides, then the others, then the shorter key, then the order
//! of keys. Letters may be missing in what is typed; a wrong letter finds nothing.

mod best;
mod found;
mod fuzzy;
mod grade;
mod letters;
mod query;
mod text;
mod traces;

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use best::{Best, Entry};
use found::{Finder, Found};
use fuzzy::Precise;

pub use grade::Field;
pub use letters::Letters;
pub use query::{MAX_QUERY_BYTES, MAX_WORDS, Query};

/// How much of a value is searched, in bytes from its start.
pub const SEARCHED_VALUE_BYTES: usize = 256;
/// How much of a label or a description is searched, in bytes from its start.
pub const SEARCHED_TEXT_BYTES: usize = 1024;

/// What can be searched of one setting. Leave out the value of what may be a secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    pub key: &'a str,
    /// As JSON or as bare text.
    pub value: &'a str,
    /// The title in the schema.
    pub label: Option<&'a str>,
    pub description: Option<&'a str>,
}

/// A setting that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit<T> {
    pub item: T,
    /// More is better; only for comparing hits of one query.
    pub score: u32,
    /// The least of the fields that the words were found in.
    pub matched: Field,
    /// The bytes of the key that were found, for emphasis: in order, not overlapping.
    pub ranges: Vec<Range<usize>>,
}

/// The best `limit` of the candidates that `query` is found in, the best first. They come in the
/// order of their keys, in parts that are looked at at the same time. `fields` is asked for the
/// texts of those whose letters do not rule them out.
pub fn rank<'a, T: Send>(
    query: &Query,
    parts: impl IntoIterator<Item: Iterator<Item = (T, Letters)> + Send>,
    fields: impl Fn(&T) -> Fields<'a> + Sync,
    limit: usize,
) -> Vec<Hit<T>> {
    if query.is_empty() || limit == 0 {
        return Vec::new();
    }
    let fields = &fields;
    let look = |part| Ranking::of(query, part, fields, limit);
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else { return Vec::new() };
    let ranking = thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| scope.spawn(move || look(part))).collect();
        others.into_iter().fold(look(first), |all, other| match other.join() {
            Ok(other) => all.with(other),
            Err(panic) => resume_unwind(panic),
        })
    });
    ranking.finish(limit)
}

/// So many of those that letters were left out of are compared precisely.
const NOMINEES: usize = 200;

struct Ranking<'q, 'a, T> {
    finder: Finder<'q>,
    /// Those that have every word as it was typed.
    sure: Best<'a, T>,
    /// The others, of use while there are too few of those.
    fuzzy: Best<'a, T>,
}

impl<'q, 'a, T> Ranking<'q, 'a, T> {
    fn of(
        query: &'q Query,
        candidates: impl Iterator<Item = (T, Letters)>,
        fields: impl Fn(&T) -> Fields<'a>,
        limit: usize,
    ) -> Self {
        let mut ranking = Self {
            finder: Finder::new(query),
            sure: Best::new(limit),
            fuzzy: Best::new(limit.max(NOMINEES)),
        };
        for (item, letters) in candidates {
            let bound = ranking.finder.bound(&letters);
            if ranking.admits(&bound, &letters) {
                let fields = fields(&item);
                ranking.consider(item, letters, fields);
            }
        }
        ranking
    }

    fn with(mut self, later: Self) -> Self {
        self.sure.extend(later.sure);
        self.fuzzy.extend(later.fuzzy);
        self
    }

    fn admits(&self, found: &Found, letters: &Letters) -> bool {
        match found {
            Found::Nothing => false,
            Found::Every(score) => self.sure.admits(*score, letters.key_bytes),
            Found::AtMost(score) => {
                !self.sure.is_full() && self.fuzzy.admits(*score, letters.key_bytes)
            }
        }
    }

    fn consider(&mut self, item: T, letters: Letters, fields: Fields<'a>) {
        let found = self.finder.find(&letters, &fields, self.sure.floor());
        if !self.admits(&found, &letters) {
            return;
        }
        match found {
            Found::Nothing => {}
            Found::Every(score) => self.sure.push(Entry { score, item, letters, fields }),
            Found::AtMost(_) => {
                if let Some(score) = self.finder.find_rest(&letters, &fields) {
                    self.fuzzy.push(Entry { score, item, letters, fields });
                }
            }
        }
    }

    fn finish(mut self, limit: usize) -> Vec<Hit<T>> {
        let mut precise = Precise::default();
        let mut entries = self.sure.into_sorted();
        if entries.len() < limit {
            let mut others = self.fuzzy.into_sorted();
            for entry in &mut others {
                let found = self.finder.locate(&entry.letters, &entry.fields, &mut precise);
                entry.score = entry.score.refined(found.precision);
            }
            others.sort_by(|one, other| other.cmp(one));
            entries.append(&mut others);
            entries.truncate(limit);
        }
        let hit = |entry: Entry<'a, T>| Hit {
            item: entry.item,
            score: entry.score.get(),
            matched: entry.score.worst().field(),
            ranges: self.finder.locate(&entry.letters, &entry.fields, &mut precise).ranges,
        };
        entries.into_iter().map(hit).collect()
    }
}

#[cfg(test)]
mod tests;
