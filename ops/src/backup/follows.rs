//! What a restore does not take from the backup: what is known of files that follow the database.
//!
//! They lie outside of it, and say what they were last made to say, whatever is restored. Were that
//! forgotten, everything in them would look as if somebody had edited it.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _,
    QuerySelect as _,
};
use setpoint_entity::{head, outbox, removed_key, seed, setting, source};

use crate::Result;
use crate::apply::remember::{write_removed, write_seeds};

const CHUNK_ROWS: usize = 500;

/// Namespace, layer and key.
type Place = (String, String, String);

/// The rows that stay as they are where everything else is replaced.
#[derive(Debug, Default)]
pub(super) struct Follows {
    sources: Vec<source::Model>,
    seeds: HashMap<Place, seed::Model>,
    removed: HashMap<Place, removed_key::Model>,
    outbox: Vec<outbox::Model>,
    /// How many more rows a table has with them than in the backup.
    more: HashMap<&'static str, i64>,
}

impl Follows {
    /// What `live` knows, to be kept when the backup in `scratch`, which ends with `then`, takes
    /// its place. A file that had given nothing yet at that moment is not followed back to it: it
    /// would be emptied.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Database`].
    pub(super) async fn of(
        live: &impl ConnectionTrait,
        live_head: &head::Model,
        scratch: &impl ConnectionTrait,
        then: &head::Model,
    ) -> Result<Self> {
        let mut found = Self::default();
        let rows = outbox::Entity::find().all(live).await?;
        if rows.is_empty() {
            return Ok(found);
        }
        let seeds_then = seed::Entity::find()
            .select_only()
            .columns([seed::Column::Namespace, seed::Column::Layer, seed::Column::Key])
            .column(seed::Column::Source);
        let seeds_then: Vec<(String, String, String, String)> =
            seeds_then.into_tuple().all(scratch).await?;
        let mut files = HashSet::new();
        for row in rows {
            let id = (row.namespace.clone(), row.path.clone());
            let Some(source) = source::Entity::find_by_id(id.clone()).one(live).await? else {
                continue;
            };
            let seeds = seed::Entity::find()
                .filter(seed::Column::Namespace.eq(&row.namespace))
                .filter(seed::Column::Source.eq(&row.path));
            let seeds = seeds.all(live).await?;
            let known = source::Entity::find_by_id(id.clone()).count(scratch).await? > 0;
            if !known && !is_any_live(scratch, &seeds).await? {
                continue;
            }
            let removed = removed_key::Entity::find()
                .filter(removed_key::Column::Namespace.eq(&row.namespace))
                .filter(removed_key::Column::Source.eq(&row.path));
            found.removed.extend(
                removed
                    .all(live)
                    .await?
                    .into_iter()
                    .map(|it| ((it.namespace.clone(), it.layer.clone(), it.key.clone()), it)),
            );
            found.seeds.extend(seeds.into_iter().map(|it| (place(&it), it)));
            let was_counted = outbox::Entity::find_by_id(id.clone()).count(scratch).await? > 0;
            *found.more.entry("outbox").or_default() += i64::from(!was_counted);
            *found.more.entry("source").or_default() += i64::from(!known);
            found.sources.push(source);
            found.outbox.push(outbox::Model {
                // What it had not written yet is in both histories, if they are one.
                revision: match live_head.epoch == then.epoch {
                    true => row.revision.min(then.revision),
                    false => then.revision,
                },
                ..row
            });
            files.insert(id);
        }
        found.add_gone(live, &files, &seeds_then).await?;
        found.count(scratch, &files, &seeds_then).await?;
        Ok(found)
    }

    /// Remembers of keys that were taken out of these files since, which file that was. What has
    /// moved to another file stays there.
    async fn add_gone(
        &mut self,
        live: &impl ConnectionTrait,
        files: &HashSet<(String, String)>,
        seeds_then: &[(String, String, String, String)],
    ) -> Result<()> {
        let mut gone = HashMap::<_, Vec<_>>::new();
        for (namespace, layer, key, path) in seeds_then {
            let place = (namespace.clone(), layer.clone(), key.clone());
            if !files.contains(&(namespace.clone(), path.clone()))
                || self.seeds.contains_key(&place)
            {
                continue;
            }
            gone.entry((namespace, layer)).or_default().push(key.as_str());
            let (namespace, layer, key) = place.clone();
            let row = removed_key::Model { namespace, layer, key, source: path.clone() };
            self.removed.insert(place, row);
        }
        for ((namespace, layer), keys) in gone {
            for chunk in keys.chunks(CHUNK_ROWS) {
                let moved = seed::Entity::find()
                    .filter(seed::Column::Namespace.eq(namespace))
                    .filter(seed::Column::Layer.eq(layer))
                    .filter(seed::Column::Key.is_in(chunk.iter().copied()));
                self.seeds.extend(moved.all(live).await?.into_iter().map(|it| (place(&it), it)));
            }
        }
        self.removed.retain(|place, _| !self.seeds.contains_key(place));
        Ok(())
    }

    async fn count(
        &mut self,
        scratch: &impl ConnectionTrait,
        files: &HashSet<(String, String)>,
        seeds_then: &[(String, String, String, String)],
    ) -> Result<()> {
        let is_replaced = |namespace: &str, layer: &str, key: &str, path: &str| {
            files.contains(&(namespace.to_owned(), path.to_owned()))
                || self.seeds.contains_key(&(namespace.into(), layer.into(), key.into()))
        };
        let fewer = seeds_then.iter().filter(|it| is_replaced(&it.0, &it.1, &it.2, &it.3)).count();
        let removed_then = removed_key::Entity::find().all(scratch).await?.into_iter();
        let removed_then = removed_then
            .filter(|it| {
                let place = (it.namespace.clone(), it.layer.clone(), it.key.clone());
                self.removed.contains_key(&place)
            })
            .count();
        self.more.insert("seed", self.seeds.len() as i64 - fewer as i64);
        self.more.insert("removed_key", self.removed.len() as i64 - removed_then as i64);
        Ok(())
    }

    /// How many rows `table` has with them, if it has `rows` in the backup.
    pub(super) fn counted(&self, table: &str, rows: u64) -> u64 {
        rows.saturating_add_signed(self.more.get(table).copied().unwrap_or_default())
    }

    /// Puts them where the backup has taken the place of everything, with the restore as the
    /// `revision` on top.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Database`].
    pub(super) async fn keep(self, live: &DatabaseTransaction, revision: i64) -> Result<()> {
        for source in self.sources {
            seed::Entity::delete_many()
                .filter(seed::Column::Namespace.eq(&source.namespace))
                .filter(seed::Column::Source.eq(&source.path))
                .exec(live)
                .await?;
            let id = (source.namespace.clone(), source.path.clone());
            source::Entity::delete_by_id(id).exec(live).await?;
            // The one that it had is of another history.
            let row = source::Model { revision, ..source }.into_active_model().reset_all();
            source::Entity::insert(row).exec_without_returning(live).await?;
        }
        for row in self.outbox {
            let id = (row.namespace.clone(), row.path.clone());
            outbox::Entity::delete_by_id(id).exec(live).await?;
            let row = row.into_active_model().reset_all();
            outbox::Entity::insert(row).exec_without_returning(live).await?;
        }
        write_seeds(live, self.seeds.into_values().collect()).await?;
        write_removed(live, self.removed.into_values()).await
    }
}

fn place(seed: &seed::Model) -> Place {
    (seed.namespace.clone(), seed.layer.clone(), seed.key.clone())
}

/// Whether a key that is in one of `seeds` is a setting in `db`.
async fn is_any_live(db: &impl ConnectionTrait, seeds: &[seed::Model]) -> Result<bool> {
    for of_layer in seeds.chunk_by(|a, b| a.layer == b.layer) {
        for chunk in of_layer.chunks(CHUNK_ROWS) {
            let live = setting::Entity::find()
                .filter(setting::Column::Namespace.eq(&chunk[0].namespace))
                .filter(setting::Column::Layer.eq(&chunk[0].layer))
                .filter(setting::Column::Key.is_in(chunk.iter().map(|it| it.key.as_str())));
            if live.count(db).await? > 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
