//! The gaps that retention has left in the chain, each held by a row: what follows chains to the
//! hash in it, and the revision that made the gap covers the row with its own.

use std::collections::{HashMap, HashSet};
use std::iter::Peekable;
use std::vec::IntoIter;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect as _,
};
use serde::Serialize;
use setpoint_entity::{pruned, revision};

use super::{Bad, bad};
use crate::plan::Kind;
use crate::{Result, hash};

/// The hash of what a revision has removed, by which its own hash covers these rows. They are in
/// order.
pub(super) fn hash_of<'a>(rows: impl IntoIterator<Item = &'a pruned::Model>) -> String {
    /// Fields in order of their names.
    #[derive(Serialize)]
    struct Hashed<'a> {
        changes: i64,
        first: i64,
        hash: &'a str,
        horizon: i64,
        last: i64,
        previous_hash: &'a str,
    }
    let hashed = |it: &'a pruned::Model| Hashed {
        changes: it.changes,
        first: it.first,
        hash: &it.hash,
        horizon: it.horizon,
        last: it.last,
        previous_hash: &it.previous_hash,
    };
    hash::of_json("", &rows.into_iter().map(hashed).collect::<Vec<_>>())
}

/// The gaps that are still to come.
pub(super) struct Gaps {
    left: Peekable<IntoIter<pruned::Model>>,
    /// What each revision has removed, by [`hash_of`].
    hashes: HashMap<i64, String>,
    /// The revisions that say that they have removed others.
    sayers: HashSet<i64>,
    passed: i64,
}

impl Gaps {
    pub(super) async fn read(db: &impl ConnectionTrait) -> Result<Self> {
        let rows = pruned::Entity::find().order_by_asc(pruned::Column::First).all(db).await?;
        let mut of_revisions = HashMap::<i64, Vec<&pruned::Model>>::new();
        for row in &rows {
            of_revisions.entry(row.revision).or_default().push(row);
        }
        let hashes = of_revisions.into_iter().map(|(id, rows)| (id, hash_of(rows))).collect();
        let sayers = revision::Entity::find()
            .select_only()
            .column(revision::Column::Id)
            .filter(revision::Column::Kind.eq(Kind::Retention.as_str()));
        let sayers: Vec<i64> = sayers.into_tuple().all(db).await?;
        Ok(Self {
            left: rows.into_iter().peekable(),
            hashes,
            sayers: sayers.into_iter().collect(),
            passed: 0,
        })
    }

    /// How many revisions are in the gaps that were passed.
    pub(super) fn passed(&self) -> i64 {
        self.passed
    }

    /// Goes over the gaps that begin at `next`. What is wrong with one, if something is.
    pub(super) fn pass(
        &mut self,
        next: &mut i64,
        previous_hash: &mut String,
        unsealed: i64,
    ) -> Option<Bad> {
        while let Some(gap) = self.left.next_if(|it| it.first <= *next) {
            let wrong = match () {
                () if gap.first < *next => "it is said to be removed, and another gap begins in it",
                () if unsealed > 0 => "it is said to be removed, and one before it has no hash",
                () if gap.previous_hash != *previous_hash => {
                    "it was removed, and does not follow the revision before it"
                }
                () if !self.sayers.contains(&gap.revision) => {
                    "it was removed, and no revision says so"
                }
                () => {
                    self.passed += gap.last - gap.first + 1;
                    (*next, *previous_hash) = (gap.last + 1, gap.hash);
                    continue;
                }
            };
            return bad(gap.first, wrong);
        }
        None
    }

    /// What is wrong with what `revision` says that it has removed, if it says so.
    pub(super) fn fault_of(&self, revision: &revision::Model) -> Option<Bad> {
        if !self.sayers.contains(&revision.id) {
            return None;
        }
        match (self.hashes.get(&revision.id), revision.plan_hash.as_ref()) {
            (Some(rows), Some(sealed)) if rows == sealed => None,
            _ => bad(revision.id, "what it has removed was edited"),
        }
    }

    /// A gap that was not come to.
    pub(super) fn left(&mut self) -> Option<Bad> {
        let gap = self.left.next()?;
        bad(gap.first, "it is said to be removed, and lies beyond the head")
    }
}
