//! The chain that makes the history tamper-evident.
//!
//! Each revision's hash covers the one before it, so a row that is changed or taken out later
//! shows. A tail that is cut off does not: for that the newest hash has to be kept elsewhere.

use std::fmt;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use serde::Serialize;
use setpoint_entity::{change, head, revision};

use crate::amount::counted;
use crate::apply::head;
use crate::{Result, hash};

mod gaps;
mod needs;
mod prune;

use gaps::Gaps;
pub(crate) use prune::carry_over;
pub use prune::{BackupEnd, Pruning, plan_pruning, prune};

/// What `audit verify` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub revisions: i64,
    /// Edits made in SQL that the next writer will seal.
    pub unsealed: i64,
    /// Those that retention has removed: the chain goes on over them.
    pub removed: i64,
    /// The hash of the newest sealed revision: the thing to keep elsewhere.
    pub head_hash: String,
    pub first_bad: Option<Bad>,
}

/// `the history of 12 revisions holds together, 5 of them removed by retention`, or what is wrong.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revisions, unsealed, removed, first_bad, .. } = self;
        if let Some(bad) = first_bad {
            return write!(f, "revision {}: {}", bad.revision, bad.reason);
        }
        write!(f, "the history of {} holds together", counted(*revisions, "revision"))?;
        if *removed > 0 {
            write!(f, ", {removed} of them removed by retention")?;
        }
        if *unsealed > 0 {
            write!(f, ", {unsealed} of them made in SQL and not sealed yet")?;
        }
        Ok(())
    }
}

/// The first revision that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bad {
    pub revision: i64,
    pub reason: String,
}

/// A change as it is hashed: fields in order of their names.
#[derive(Serialize)]
pub(crate) struct ChainedChange<'a> {
    action: &'a str,
    after: Option<&'a str>,
    after_format: Option<&'a str>,
    before: Option<&'a str>,
    before_format: Option<&'a str>,
    key: &'a str,
    layer: &'a str,
    namespace: &'a str,
}

impl<'a> From<&'a change::Model> for ChainedChange<'a> {
    fn from(row: &'a change::Model) -> Self {
        Self {
            action: &row.action,
            after: row.after.as_deref(),
            after_format: row.after_format.as_deref(),
            before: row.before.as_deref(),
            before_format: row.before_format.as_deref(),
            key: &row.key,
            layer: &row.layer,
            namespace: &row.namespace,
        }
    }
}

/// The hash of `revision` and its `changes`, which are in order of namespace, layer and key.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) fn link(
    previous_hash: &str,
    revision: &revision::Model,
    changes: Vec<ChainedChange<'_>>,
) -> String {
    #[derive(Serialize)]
    struct Link<'a> {
        actor: &'a str,
        at: &'a str,
        changes: Vec<ChainedChange<'a>>,
        channel: &'a str,
        id: i64,
        kind: &'a str,
        plan_hash: Option<&'a str>,
        reason: Option<&'a str>,
    }
    let document = Link {
        actor: &revision.actor,
        at: &revision.at,
        changes,
        channel: &revision.channel,
        id: revision.id,
        kind: &revision.kind,
        plan_hash: revision.plan_hash.as_deref(),
        reason: revision.reason.as_deref(),
    };
    hash::of_json(previous_hash, &document)
}

/// Seals the edits made in SQL since the last revision. Returns the hash to chain to.
pub(crate) async fn seal(db: &DatabaseTransaction, head: &head::Model) -> Result<String> {
    let newest = revision::Entity::find_by_id(head.revision).select_only();
    let newest = newest.column(revision::Column::Hash).into_tuple::<Option<String>>();
    if let Some(Some(_)) = newest.one(db).await? {
        // Nobody has written past us: whoever seals, seals all.
        return Ok(head.hash.clone());
    }
    let mut hash = head.hash.clone();
    for mut revision in unsealed(db).await? {
        revision.previous_hash = Some(hash.clone());
        hash = computed(db, &hash, &revision).await?;
        let sealed = revision::ActiveModel {
            id: Set(revision.id),
            previous_hash: Set(revision.previous_hash),
            hash: Set(Some(hash.clone())),
            ..Default::default()
        };
        revision::Entity::update(sealed).exec(db).await?;
    }
    Ok(hash)
}

/// The revisions after the newest sealed one.
async fn unsealed(db: &impl ConnectionTrait) -> Result<Vec<revision::Model>> {
    let sealed = revision::Entity::find()
        .filter(revision::Column::Hash.is_not_null())
        .order_by_desc(revision::Column::Id)
        .limit(1)
        .one(db)
        .await?;
    let after = revision::Entity::find()
        .filter(revision::Column::Id.gt(sealed.map_or(0, |it| it.id)))
        .order_by_asc(revision::Column::Id);
    Ok(after.all(db).await?)
}

async fn computed(
    db: &impl ConnectionTrait,
    previous_hash: &str,
    revision: &revision::Model,
) -> Result<String> {
    let changes = change::Entity::find()
        .filter(change::Column::Revision.eq(revision.id))
        .order_by_asc(change::Column::Namespace)
        .order_by_asc(change::Column::Layer)
        .order_by_asc(change::Column::Key);
    let changes = changes.all(db).await?;
    Ok(link(previous_hash, revision, changes.iter().map(ChainedChange::from).collect()))
}

/// Computes the chain again and names the first revision that does not fit.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub async fn verify(db: &impl ConnectionTrait) -> Result<Verdict> {
    let head = head(db).await?;
    let mut walk = Walk { next: 1, previous_hash: hash::NO_HASH.to_owned(), unsealed: 0 };
    let mut gaps = Gaps::read(db).await?;
    let mut first_bad = walk.to(db, &head, &mut gaps).await?;
    if first_bad.is_none() {
        first_bad = beyond(db, &head, &walk.previous_hash).await?;
    }
    Ok(Verdict {
        revisions: head.revision,
        unsealed: walk.unsealed,
        removed: gaps.passed(),
        head_hash: head.hash,
        first_bad,
    })
}

/// How far the chain was computed.
struct Walk {
    next: i64,
    previous_hash: String,
    unsealed: i64,
}

impl Walk {
    /// Goes on to the head, or to the first revision that does not fit.
    async fn to(
        &mut self,
        db: &impl ConnectionTrait,
        head: &head::Model,
        gaps: &mut Gaps,
    ) -> Result<Option<Bad>> {
        while self.next <= head.revision {
            let page = revision::Entity::find()
                .filter(revision::Column::Id.gte(self.next))
                .order_by_asc(revision::Column::Id)
                .limit(1000);
            let page = page.all(db).await?;
            if page.is_empty() {
                return Ok(bad(self.next, "it is missing"));
            }
            for revision in page {
                let wrong = match gaps.pass(&mut self.next, &mut self.previous_hash, self.unsealed)
                {
                    None => self.step(db, &revision).await?.or_else(|| gaps.fault_of(&revision)),
                    wrong => wrong,
                };
                if wrong.is_some() {
                    return Ok(wrong);
                }
            }
        }
        Ok(gaps.left())
    }

    /// Holds `revision` against what comes next.
    async fn step(
        &mut self,
        db: &impl ConnectionTrait,
        revision: &revision::Model,
    ) -> Result<Option<Bad>> {
        if revision.id > self.next {
            return Ok(bad(self.next, "it is missing"));
        }
        if revision.id < self.next {
            return Ok(bad(revision.id, "it is there, and is said to be removed"));
        }
        self.next += 1;
        let Some(hash) = revision.hash.clone() else {
            self.unsealed += 1;
            return Ok(None);
        };
        if self.unsealed > 0 {
            return Ok(bad(revision.id - self.unsealed, "its hash was taken away"));
        }
        if revision.previous_hash.as_ref() != Some(&self.previous_hash) {
            return Ok(bad(revision.id, "it does not follow the revision before it"));
        }
        if computed(db, &self.previous_hash, revision).await? != hash {
            return Ok(bad(revision.id, "it or its changes were edited"));
        }
        self.previous_hash = hash;
        Ok(None)
    }
}

async fn beyond(
    db: &impl ConnectionTrait,
    head: &head::Model,
    last_hash: &str,
) -> Result<Option<Bad>> {
    let after = revision::Entity::find().filter(revision::Column::Id.gt(head.revision));
    if let Some(row) = after.order_by_asc(revision::Column::Id).one(db).await? {
        return Ok(bad(row.id, "it lies beyond the head"));
    }
    Ok((head.hash != last_hash)
        .then(|| bad(head.revision, "the head names another hash"))
        .flatten())
}

fn bad(revision: i64, reason: &str) -> Option<Bad> {
    Some(Bad { revision, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_link_is_the_hash_of_canonical_json() {
        let revision = revision::Model {
            id: 7,
            at: "2026-05-01T12:00:00.000Z".to_owned(),
            actor: "ann \u{1} \u{20ac} \"".to_owned(),
            channel: "cli".to_owned(),
            kind: "edit".to_owned(),
            reason: None,
            plan_hash: Some("sha256:1".to_owned()),
            previous_hash: None,
            hash: None,
        };
        let change = change::Model {
            namespace: "shop".to_owned(),
            layer: "base".to_owned(),
            key: "limit".to_owned(),
            revision: 7,
            action: "update".to_owned(),
            before: Some("18446744073709551615".to_owned()),
            before_format: None,
            after: Some("1.0".to_owned()),
            after_format: None,
        };

        let document = json!({
            "id": 7, "at": revision.at, "actor": revision.actor, "channel": "cli",
            "kind": "edit", "reason": null, "plan_hash": "sha256:1",
            "changes": [{
                "namespace": "shop", "layer": "base", "key": "limit", "action": "update",
                "before": "18446744073709551615", "before_format": null,
                "after": "1.0", "after_format": null,
            }],
        });
        let canonical = serde_json_canonicalizer::to_string(&document).unwrap();

        let hash = link(hash::NO_HASH, &revision, vec![ChainedChange::from(&change)]);
        let expected = hash::of_bytes(format!("{}{canonical}", hash::NO_HASH).as_bytes());
        assert_eq!(hash, expected);
    }
}
