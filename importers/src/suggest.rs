//! Which keys of a file were renamed since its last import, guessed from names and values.
//!
//! Only suggestions: nothing follows from them until somebody puts them into setpoint.toml.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use self::pairing::Pairing;
use crate::key::Key;
use crate::mapping::Case;
use crate::value::TypedValue;

mod grouping;
mod pairing;

/// A rule for the mapping of the file, and the keys that it explains.
///
/// Together the rules send each key that the file had to the one it has now, and all keys that
/// it has now to themselves. As text it is a line below `[[source]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    pub rule: SuggestedRule,
    /// In the order of the file before; one for a rename.
    pub pairs: Vec<Renamed>,
}

/// A line of setpoint.toml, as [`Mapping`](crate::Mapping) understands it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SuggestedRule {
    Case(Case),
    Move { from: Key, to: Key },
    Rename { from: Key, to: Key },
}

/// A key that went, and the one that came for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    pub from: Key,
    pub to: Key,
    pub because: Because,
}

/// What speaks for a pair, in the order in which it is looked for.
///
/// In the files we know, a name that differs in case only was right even where another key had
/// the value; and a value that is found everywhere, such as true, was wrong wherever no other
/// key had gone the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Because {
    /// The value is the same, and so is the key without upper case, `_` and `-`.
    SameName,
    /// The key is the same without upper case, `_` and `-`, and the value is another.
    OtherValue,
    /// The value is the same and no usual one, and so is the last segment without upper case,
    /// `_` and `-`; or the value is the same, and others went from and to the same maps.
    Moved,
    /// The value is the same and no usual one, and nothing else in its map went or came with it.
    SameParent,
}

/// Finds keys that were renamed between `before`, what the file said at its last import, and
/// `now`, what it says.
///
/// No key is in two suggestions. Where several keys fit equally well, none is suggested. The
/// order is that of `before`, with the rules for many keys first. The time it takes grows like
/// that of sorting.
pub fn suggest_renames(before: &[(Key, TypedValue)], now: &[(Key, TypedValue)]) -> Vec<Suggestion> {
    let mut pairing = Pairing::new(before, now);
    pairing.by(Because::SameName, |leaf| Some((leaf.folded(), leaf.value_text())));
    pairing.by(Because::OtherValue, |leaf| Some(leaf.folded()));
    let moved = pairing
        .by(Because::Moved, |leaf| leaf.is_telling().then(|| (leaf.last(), leaf.value_text())));
    pairing.along(&grouping::sections(&moved));
    pairing.by(Because::SameParent, |leaf| {
        leaf.is_telling().then(|| (leaf.parent(), leaf.value_text()))
    });
    grouping::group(pairing.pairs(), now)
}

impl Because {
    /// Whether the names alone speak for it.
    pub fn is_weak(self) -> bool {
        self == Self::OtherValue
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameName => "same value, same name but for case",
            Self::Moved => "same value, same last segment",
            Self::OtherValue => "same name but for case, another value",
            Self::SameParent => "same value in the same map",
        })
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            SuggestedRule::Case(case) => write!(f, "case = {}", quoted(case.as_str()))?,
            SuggestedRule::Move { from, to } => {
                write!(f, "move.{} = {}", quoted(from.as_str()), quoted(to.as_str()))?;
            }
            SuggestedRule::Rename { from, to } => {
                write!(f, "rename.{} = {}", quoted(from.as_str()), quoted(to.as_str()))?;
            }
        }
        let mut reasons: BTreeMap<Because, usize> = BTreeMap::new();
        for pair in &self.pairs {
            *reasons.entry(pair.because).or_default() += 1;
        }
        let reasons: Vec<String> = match self.pairs.as_slice() {
            [pair] => vec![pair.because.to_string()],
            _ => reasons.into_iter().map(|(because, count)| counted(count, because)).collect(),
        };
        write!(f, "  # {}", reasons.join("; "))
    }
}

fn counted(keys: usize, because: Because) -> String {
    let noun = if keys == 1 { "key" } else { "keys" };
    format!("{keys} {noun}: {because}")
}

/// A basic string of TOML. The text of a key has no control characters, so JSON's escapes do.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
