//! Patterns of keys, the one language in which Setpoint names several settings at once.
//!
//! | pattern | matches | does not match |
//! |---|---|---|
//! | `physics.gravity` | that key | `physics.gravity.x` |
//! | `*.api_key` | `github.api_key` | `api_key`, `a.b.api_key` |
//! | `physics.**` | `physics`, `physics.gravity`, `physics.a.b` | `physicsx` |
//! | `**.api_key` | `api_key`, `a.b.api_key` | `api_key.old` |
//! | `hosts."a.b".*` | `hosts."a.b".port` | `hosts.a.b.port` |
//! | `hosts."*"` | only the key that has a star for a name | `hosts.a` |
//!
//! `*` is one segment and `**` any number of them, also none. Each stands for whole segments:
//! there is no `api_*`, no `?`, no `[a-z]` and no "or". Upper and lower case differ.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;
use std::iter;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::key::{self, Key, KeyError, MAX_KEY_BYTES};

/// Names a set of keys, such as `integrations.*.api_key`.
///
/// Its segments are written like those of a [`Key`]; quoted ones are never wildcards. As text it
/// is canonical, so two patterns that are written differently and mean the same are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    Literal(String),
    /// `*`: one segment.
    One,
    /// `**`: any number of segments.
    Any,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(
        "segment {position} of `{pattern}` is not all wildcard; `*` and `**` stand for whole \
         segments, and a star in a name needs double quotes"
    )]
    PartOfSegment { pattern: String, position: usize },
}

/// What the wildcards of a pattern stood for in one key, in their order.
#[derive(Debug, PartialEq, Eq)]
struct Captures<'k> {
    ones: Vec<&'k str>,
    anys: Vec<Vec<&'k str>>,
}

impl Pattern {
    /// Reads a pattern as a person writes it.
    ///
    /// # Errors
    ///
    /// [`PatternError`] with the position of the segment, counted from 1.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong { bytes: text.len() }.into());
        }
        let mut segments = Vec::new();
        let mut rest = text;
        loop {
            let (segment, after) = read_segment(text, rest, segments.len() + 1)?;
            segments.push(segment);
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None => return Ok(Self { segments }),
            }
        }
    }

    /// Whether `key` is one of those this pattern names.
    ///
    /// The time it takes grows with the segments of the key times those of the pattern at most.
    pub fn matches(&self, key: &Key) -> bool {
        self.matches_segments(&key.segments().collect::<Vec<_>>())
    }

    /// How many of the first segments of `key` are a key that this pattern names, at most: what it
    /// says of that one, it may say of all below it.
    pub fn covers(&self, key: &Key) -> Option<usize> {
        let segments: Vec<_> = key.segments().collect();
        (1..=segments.len()).rev().find(|it| self.matches_segments(&segments[..*it]))
    }

    /// Whether a key that it names may end in this segment.
    pub fn may_end_in(&self, segment: &str) -> bool {
        self.segments.last().is_some_and(|last| match last {
            Segment::Literal(name) => name == segment,
            Segment::One | Segment::Any => true,
        })
    }

    pub(crate) fn matches_segments(&self, key: &[Cow<'_, str>]) -> bool {
        self.taken(key).is_some()
    }

    /// The key that `target` makes of `key`, if this pattern matches it.
    ///
    /// The wildcards of `target` are filled in order, `*` by `*` and `**` by `**`. Where the
    /// stars of this pattern could be shared out in several ways, each `**` takes as few segments
    /// as it can, the leftmost first.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if what comes out has no segment, or is too long.
    ///
    /// # Panics
    ///
    /// If `target` has more wildcards: see [`Pattern::same_wildcards`].
    pub(crate) fn rewrite(
        &self,
        target: &Self,
        key: &[Cow<'_, str>],
    ) -> Option<Result<Key, KeyError>> {
        self.captures(key).map(|captures| target.fill(&captures))
    }

    /// Whether as many `*` and as many `**` are in both, so that one can be rewritten to the other.
    pub(crate) fn same_wildcards(&self, other: &Self) -> bool {
        self.count(&Segment::One) == other.count(&Segment::One)
            && self.count(&Segment::Any) == other.count(&Segment::Any)
    }

    /// The one key it names, if it has no wildcard.
    pub(crate) fn exact(&self) -> Option<Key> {
        let names = self.segments.iter().map(|segment| match segment {
            Segment::Literal(name) => Some(name.as_str()),
            Segment::One | Segment::Any => None,
        });
        let names: Option<Vec<&str>> = names.collect();
        Key::from_segments(names?).ok()
    }

    /// Sorts the more specific pattern first: the one with more names, then with fewer `**`.
    pub(crate) fn specificity(&self) -> (Reverse<usize>, usize) {
        let anys = self.count(&Segment::Any);
        let names = self.segments.len() - anys - self.count(&Segment::One);
        (Reverse(names), anys)
    }

    fn count(&self, wildcard: &Segment) -> usize {
        self.segments.iter().filter(|segment| *segment == wildcard).count()
    }

    fn captures<'k>(&self, key: &'k [Cow<'_, str>]) -> Option<Captures<'k>> {
        let mut captures = Captures { ones: Vec::new(), anys: Vec::new() };
        for (segment, range) in self.segments.iter().zip(self.taken(key)?) {
            let names = key[range].iter().map(|name| &**name);
            match segment {
                Segment::Literal(_) => {}
                Segment::One => captures.ones.extend(names),
                Segment::Any => captures.anys.push(names.collect()),
            }
        }
        Some(captures)
    }

    fn fill(&self, captures: &Captures<'_>) -> Result<Key, KeyError> {
        const AS_MANY: &str = "a target has as many wildcards as what it is the target of";
        let mut ones = captures.ones.iter();
        let mut anys = captures.anys.iter();
        let mut names: Vec<&str> = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(name) => names.push(name),
                Segment::One => names.push(ones.next().expect(AS_MANY)),
                Segment::Any => names.extend(anys.next().expect(AS_MANY)),
            }
        }
        Key::from_segments(names)
    }

    /// The segments of the key that each segment of the pattern stands for.
    ///
    /// Only the last `**` is ever taken back to be made longer. What an earlier one could still
    /// gain, that one gains as well, so nothing is tried twice.
    fn taken(&self, key: &[Cow<'_, str>]) -> Option<Vec<Range<usize>>> {
        let mut taken: Vec<Range<usize>> = Vec::new();
        let mut last_any = None;
        let mut at = 0;
        loop {
            let fits = match self.segments.get(taken.len()) {
                Some(Segment::Any) => {
                    last_any = Some(taken.len());
                    taken.push(at..at);
                    continue;
                }
                Some(Segment::One) => at < key.len(),
                Some(Segment::Literal(name)) => key.get(at).is_some_and(|it| it == name),
                None if at == key.len() => return Some(taken),
                None => false,
            };
            if fits {
                taken.push(at..at + 1);
                at += 1;
                continue;
            }
            let last_any = last_any?;
            taken.truncate(last_any + 1);
            at = taken[last_any].end + 1;
            if at > key.len() {
                return None;
            }
            taken[last_any].end = at;
        }
    }
}

/// Splits the first segment off `rest`; `pattern` and `position` are for the error.
fn read_segment<'a>(
    pattern: &str,
    rest: &'a str,
    position: usize,
) -> Result<(Segment, &'a str), PatternError> {
    let stars = rest.len() - rest.trim_start_matches('*').len();
    let after = &rest[stars..];
    let ends = after.is_empty() || after.starts_with('.');
    match stars {
        0 => {}
        1 if ends => return Ok((Segment::One, after)),
        2 if ends => return Ok((Segment::Any, after)),
        _ => return Err(PatternError::PartOfSegment { pattern: pattern.to_owned(), position }),
    }
    match key::read_segment(pattern, rest, position) {
        Ok((name, after)) => Ok((Segment::Literal(name.into_owned()), after)),
        Err(KeyError::NeedsQuotes { key, found: '*', .. }) => {
            Err(PatternError::PartOfSegment { pattern: key, position })
        }
        Err(error) => Err(error.into()),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (segment, dot) in self.segments.iter().zip(iter::once("").chain(iter::repeat("."))) {
            text.push_str(dot);
            match segment {
                Segment::Literal(name) => key::push_segment(&mut text, name),
                Segment::One => text.push('*'),
                Segment::Any => text.push_str("**"),
            }
        }
        f.write_str(&text)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

impl From<&Key> for Pattern {
    fn from(key: &Key) -> Self {
        let literal = |name: Cow<'_, str>| Segment::Literal(name.into_owned());
        Self { segments: key.segments().map(literal).collect() }
    }
}

#[cfg(test)]
mod tests;
