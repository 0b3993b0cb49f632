//! Back to earlier values, as a plan: of one revision, or of everything since one.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{ConnectionTrait, EntityTrait as _};
use setpoint_entity::revision;
use setpoint_importers::{Key, TypedValue};

use crate::apply::head;
use crate::edit::{self, Edits};
use crate::history::{Difference, diff};
use crate::import::Strategy;
use crate::plan::{Author, Base, Change, Class, Kind, Plan};
use crate::{Error, Result, setting};

/// What to take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// What this revision did. A key that has changed since is a conflict.
    Revision(i64),
    /// Everything that happened after this revision.
    To(i64),
}

/// Where a revision is taken back: everywhere, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub namespace: Option<String>,
    pub layer: Option<String>,
    /// These and those below them.
    pub keys: Vec<Key>,
}

/// Plans to take back `target`, in one part of it.
///
/// In a conflict `theirs` is the earlier value.
///
/// # Errors
///
/// [`Error::UnknownRevision`], [`Error::Pruned`], [`Error::RestoredWhole`]; [`Error::Conflicts`] with [`Strategy::Fail`];
/// [`Error::NotATree`] if an earlier value cannot stand beside what is there now;
/// [`Error::Database`].
pub async fn plan(
    db: &impl ConnectionTrait,
    target: Target,
    part: &Part,
    strategy: Strategy,
    author: Author,
) -> Result<Plan> {
    let head = head(db).await?;
    let base = Base::of(&head);
    let done = match target {
        Target::To(revision) => diff(db, revision, head.revision).await?,
        Target::Revision(id) if !(1..=head.revision).contains(&id) => {
            return Err(Error::UnknownRevision { id, newest: head.revision });
        }
        Target::Revision(revision) => {
            let done = diff(db, revision - 1, revision).await?;
            if done.is_empty() {
                refuse_restored(db, revision).await?;
            }
            done
        }
    };
    let done = done.into_iter().filter(|it| part.has(it));
    take_back(db, base, done, strategy, Clash::Refuse, author).await
}

/// Refuses a revision that stands for another history, and has no changes: one that restored some
/// values has those.
async fn refuse_restored(db: &impl ConnectionTrait, id: i64) -> Result<()> {
    let row = revision::Entity::find_by_id(id).one(db).await?;
    match row.is_some_and(|it| it.kind == Kind::Restore.as_str()) {
        true => Err(Error::RestoredWhole { id }),
        false => Ok(()),
    }
}

/// What comes of an earlier value that cannot stand beside what is there now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clash {
    Refuse,
    /// It is a conflict, as if its own key had changed.
    Leave,
}

/// Plans to take back what was `done`.
///
/// # Errors
///
/// As [`plan`].
pub(crate) async fn take_back(
    db: &impl ConnectionTrait,
    base: Base,
    done: impl IntoIterator<Item = Difference>,
    strategy: Strategy,
    clash: Clash,
    author: Author,
) -> Result<Plan> {
    let mut by_layer = BTreeMap::<(String, String), Vec<Difference>>::new();
    for one in done {
        by_layer.entry((one.namespace.clone(), one.layer.clone())).or_default().push(one);
    }
    let mut changes = Vec::new();
    for ((namespace, layer), done) in by_layer {
        let live = setting::layer(db, &namespace, &layer).await?;
        let mut edits = Edits::new();
        for Difference { key, before: earlier, after: expected, .. } in done {
            let now = live.get(&key);
            match (now == expected.as_ref(), strategy) {
                _ if now == earlier.as_ref() => {}
                (true, _) | (false, Strategy::Theirs) => {
                    edits.insert(key, earlier);
                }
                (false, Strategy::Ours) => {}
                (false, Strategy::Ask | Strategy::Fail) => changes.push(Change {
                    seed: expected,
                    ..conflict(&namespace, &layer, now.cloned(), earlier, key)
                }),
            }
        }
        if clash == Clash::Leave {
            for key in clashing(&live, &edits) {
                let earlier = edits.remove(&key).flatten();
                changes.push(conflict(&namespace, &layer, live.get(&key).cloned(), earlier, key));
            }
        }
        changes.extend(edit::changes(&namespace, &layer, &live, edits)?);
    }
    let plan = Plan::new(Kind::Revert, base, author, Vec::new(), changes);
    strategy.admit(&plan)?;
    Ok(plan)
}

fn conflict(
    namespace: &str,
    layer: &str,
    live: Option<TypedValue>,
    earlier: Option<TypedValue>,
    key: Key,
) -> Change {
    Change {
        namespace: namespace.to_owned(),
        layer: layer.to_owned(),
        class: Class::Conflict,
        before: live,
        after: earlier,
        seed: None,
        origin: None,
        provenance: None,
        key,
    }
}

/// The keys of `edits` whose values would stand above or below one that stays.
fn clashing(live: &HashMap<Key, TypedValue>, edits: &Edits) -> Vec<Key> {
    let stays = |key: &str| live.contains_key(key) && !edits.contains_key(key);
    let staying = live.keys().filter(|it| stays(it.as_str()));
    let below: HashSet<&str> = staying.flat_map(Key::ancestors).collect();
    let set = edits.iter().filter(|(_, it)| it.is_some()).map(|(key, _)| key);
    set.filter(|key| below.contains(key.as_str()) || key.ancestors().any(stays)).cloned().collect()
}

impl Part {
    fn has(&self, it: &Difference) -> bool {
        let Self { namespace, layer, keys } = self;
        namespace.as_ref().is_none_or(|wanted| *wanted == it.namespace)
            && layer.as_ref().is_none_or(|wanted| *wanted == it.layer)
            && (keys.is_empty() || keys.iter().any(|key| it.key.starts_with(key)))
    }
}
