//! Back to earlier values, as a plan: of one revision, or of everything since one.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use setpoint_importers::Key;

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
/// [`Error::UnknownRevision`]; [`Error::Conflicts`] with [`Strategy::Fail`];
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
        Target::Revision(revision) => diff(db, revision - 1, revision).await?,
    };
    let done = done.into_iter().filter(|it| part.has(it));

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
                    namespace: namespace.clone(),
                    layer: layer.clone(),
                    class: Class::Conflict,
                    before: now.cloned(),
                    after: earlier,
                    seed: expected,
                    origin: None,
                    provenance: None,
                    key,
                }),
            }
        }
        changes.extend(edit::changes(&namespace, &layer, &live, edits)?);
    }
    let plan = Plan::new(Kind::Revert, base, author, Vec::new(), changes);
    strategy.admit(&plan)?;
    Ok(plan)
}

impl Part {
    fn has(&self, it: &Difference) -> bool {
        let Self { namespace, layer, keys } = self;
        namespace.as_ref().is_none_or(|wanted| *wanted == it.namespace)
            && layer.as_ref().is_none_or(|wanted| *wanted == it.layer)
            && (keys.is_empty() || keys.iter().any(|key| it.key.starts_with(key)))
    }
}
