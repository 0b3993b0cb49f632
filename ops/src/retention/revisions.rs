//! Which revisions stay and which may go, each with its reasons. It decides and removes nothing: it
//! knows no database.
//!
//! The rules come first: they say up to which revision something may go, the horizon. Of what lies
//! below it stays what is needed to tell what was live at the horizon or later, and who did it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Count, Span};
use crate::{Error, Result};

mod reason;
#[cfg(test)]
mod tests;

pub use reason::Reason;

/// `[revisions]`. A revision that any rule keeps is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The newest ones.
    #[serde(skip_serializing_if = "Count::is_zero")]
    pub keep_last: Count,
    /// All that are so little older than the newest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<Span>,
}

impl Policy {
    /// # Errors
    ///
    /// [`Error::KeepsNoRevision`].
    pub fn check(&self) -> Result<()> {
        match self.keep_last.is_zero() && self.within().is_none() {
            false => Ok(()),
            true => Err(Error::KeepsNoRevision),
        }
    }

    fn within(&self) -> Option<Span> {
        self.keep_within.filter(|it| !it.is_zero())
    }
}

/// A revision, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// How many settings it changed.
    pub changes: i64,
    /// Whether its hash is known.
    pub is_sealed: bool,
    /// Whether it says what was removed.
    pub is_retention: bool,
}

/// What keeps a revision whatever its age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The revision that the newest verified backup of this history ends with, if there is one.
    pub backed_up: Option<i64>,
    /// The oldest that it takes to undo what waits to be confirmed, if something does.
    pub unconfirmed: Option<i64>,
}

/// What the rules keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// Of each revision, in their order.
    pub reasons: Vec<Vec<Reason>>,
    /// The newest revision that they do not keep; 0 if they keep all.
    pub horizon: i64,
}

/// What of the revisions up to the horizon is still needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub reasons: BTreeMap<i64, Vec<Reason>>,
    /// Revisions that deleted a key for good, each after one that changed the same key: if that
    /// one stays, the key must not seem to be there.
    pub deletions: Vec<(i64, i64)>,
}

/// Revisions in a row with the same fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    pub first: i64,
    pub last: i64,
    /// How many settings they changed, all together.
    pub changes: i64,
    /// Why they are kept, all that there is. Without one they may be removed.
    pub reasons: Vec<Reason>,
}

impl Range {
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// How many revisions it is.
    pub fn revisions(&self) -> i64 {
        self.last - self.first + 1
    }
}

/// What the rules keep of `revisions`, which are in order.
///
/// # Errors
///
/// [`Error::KeepsNoRevision`].
pub fn ruled(
    revisions: &[Revision],
    policy: &Policy,
    bounds: Bounds,
    now: DateTime<Utc>,
) -> Result<Ruled> {
    policy.check()?;
    // One of a clock that was ahead is not what others are measured by.
    let latest = revisions.iter().map(|it| it.at).filter(|it| *it < now).max();
    let within = policy.within().map(|span| {
        let start = latest.map(|it| span.before(it, Tz::UTC));
        (span, start.unwrap_or(DateTime::<Utc>::MIN_UTC))
    });
    let newest = revisions.last().map(|it| it.id);
    let unsealed = revisions.iter().find(|it| !it.is_sealed).map(|it| it.id);
    let mut left = policy.keep_last;
    let mut reasons = Vec::with_capacity(revisions.len());
    let mut horizon = 0;
    for one in revisions.iter().rev() {
        let mut why = Vec::new();
        let is_from = |bound: Option<i64>| bound.is_some_and(|it| one.id >= it);
        why.extend((newest == Some(one.id)).then_some(Reason::Newest));
        // What retention adds is not to push out others.
        if !one.is_retention && !left.is_zero() {
            left.take();
            why.push(Reason::Last);
        }
        let within = within.filter(|(_, start)| one.at > *start);
        why.extend(within.map(|(span, _)| Reason::Within(span)));
        why.extend(one.is_retention.then_some(Reason::Retention));
        why.extend(is_from(unsealed).then_some(Reason::NotSealed));
        why.extend(is_from(bounds.unconfirmed).then_some(Reason::Unconfirmed));
        let is_backed_up = bounds.backed_up.is_some_and(|it| one.id <= it);
        why.extend((!is_backed_up).then_some(Reason::NotBackedUp));
        if why.is_empty() {
            horizon = horizon.max(one.id);
        }
        reasons.push(why);
    }
    reasons.reverse();
    Ok(Ruled { reasons, horizon })
}

/// Decides on `revisions`, the oldest first.
pub fn decide(revisions: &[Revision], ruled: &Ruled, needs: &Needs) -> Vec<Range> {
    let mut reasons: Vec<Vec<Reason>> = ruled.reasons.clone();
    let places: HashMap<i64, usize> =
        revisions.iter().enumerate().map(|(at, it)| (it.id, at)).collect();
    for (id, why) in &needs.reasons {
        if let Some(at) = places.get(id) {
            reasons[*at].extend(why);
        }
    }
    let mut deletions = HashMap::<i64, Vec<i64>>::new();
    for (deletion, earlier) in &needs.deletions {
        deletions.entry(*earlier).or_default().push(*deletion);
    }
    // Who stays because of another may be why a third one stays.
    let kept = revisions.iter().zip(&reasons).filter(|it| !it.1.is_empty());
    let mut kept: Vec<i64> = kept.map(|it| it.0.id).collect();
    while let Some(id) = kept.pop() {
        for deletion in deletions.remove(&id).unwrap_or_default() {
            let Some(at) = places.get(&deletion) else { continue };
            if reasons[*at].is_empty() {
                kept.push(deletion);
            }
            if !reasons[*at].contains(&Reason::Deletion) {
                reasons[*at].push(Reason::Deletion);
            }
        }
    }
    let mut ranges: Vec<Range> = Vec::new();
    for (one, why) in revisions.iter().zip(reasons) {
        match ranges.last_mut() {
            Some(range) if range.last + 1 == one.id && range.reasons == why => {
                range.last = one.id;
                range.changes += one.changes;
            }
            _ => ranges.push(Range {
                first: one.id,
                last: one.id,
                changes: one.changes,
                reasons: why,
            }),
        }
    }
    ranges
}
