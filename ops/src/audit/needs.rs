//! Which revisions of the past are still needed, as far as the database knows.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use setpoint_entity::change;

use crate::live::{self, Policy as Declared};
use crate::retention::revisions::{Needs, Reason};
use crate::{Result, bulk};

/// What of the revisions up to `horizon` is needed to tell what was live then or later, and who
/// did it. Of `ends` a backup is known to end with each.
pub(super) async fn needs(
    db: &impl ConnectionTrait,
    horizon: i64,
    ends: &[i64],
    declared: &Declared,
) -> Result<Needs> {
    let mut needs = Needs::default();
    let mut add = |ids: Vec<i64>, reason: Reason| {
        for id in ids.into_iter().filter(|it| *it <= horizon) {
            let reasons = needs.reasons.entry(id).or_default();
            // What is live now was live then.
            let is_said = reason == Reason::Horizon && reasons.contains(&Reason::Live);
            if !is_said && !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    };
    add(named(db, "SELECT revision AS id FROM setting").await?, Reason::Live);
    add(
        named(db, &format!("{} AND c.after IS NOT NULL", last_at(horizon))).await?,
        Reason::Horizon,
    );
    let newest = "SELECT max(revision) AS id FROM change GROUP BY namespace";
    add(named(db, newest).await?, Reason::NewestOfNamespace);
    add(named(db, "SELECT revision AS id FROM source").await?, Reason::Source);
    add(named(db, "SELECT revision AS id FROM resolution").await?, Reason::Resolution);
    add(named(db, "SELECT revision AS id FROM invalid_change").await?, Reason::KeptOut);
    for (namespace, layer, key) in live::refused(db, declared).await? {
        let history = change::Entity::find()
            .select_only()
            .column(change::Column::Revision)
            .filter(change::Column::Namespace.eq(namespace))
            .filter(change::Column::Layer.eq(layer))
            .filter(change::Column::Key.eq(key));
        add(history.into_tuple().all(db).await?, Reason::KeptOut);
    }
    add(ends.to_vec(), Reason::EndOfBackup);
    needs.deletions = deletions(db, horizon).await?;
    Ok(needs)
}

/// The changes that were the last of their keys at `horizon`, as SQL.
fn last_at(horizon: i64) -> String {
    format!(
        "SELECT c.revision AS id FROM change c WHERE c.revision <= {horizon} AND NOT EXISTS (
             SELECT 1 FROM change n WHERE n.namespace = c.namespace AND n.layer = c.layer
             AND n.key = c.key AND n.revision > c.revision AND n.revision <= {horizon})"
    )
}

/// Each number that `sql` calls `id`, once.
async fn named(db: &impl ConnectionTrait, sql: &str) -> Result<Vec<i64>> {
    let table = format!("(SELECT DISTINCT id FROM ({sql}) AS named) AS ids");
    let rows: Vec<(i64,)> = bulk::select(db, &["id"], &table, "1 = 1", []).await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

/// The deletions that were the last change of their key at `horizon`, each with every revision that
/// changed the key before.
async fn deletions(db: &impl ConnectionTrait, horizon: i64) -> Result<Vec<(i64, i64)>> {
    let table = format!(
        "(SELECT DISTINCT d.revision AS deletion, e.revision AS earlier FROM change d
          JOIN change e ON e.namespace = d.namespace AND e.layer = d.layer AND e.key = d.key
              AND e.revision < d.revision
          WHERE d.after IS NULL AND d.revision <= {horizon} AND NOT EXISTS (
              SELECT 1 FROM change n WHERE n.namespace = d.namespace AND n.layer = d.layer
              AND n.key = d.key AND n.revision > d.revision AND n.revision <= {horizon})
         ) AS pairs"
    );
    bulk::select(db, &["deletion", "earlier"], &table, "1 = 1", []).await
}
