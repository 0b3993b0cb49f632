//! Why a setting has the value it has.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use serde_json::Value;
use setpoint_entity::{seed, setting};
use setpoint_importers::Key;

use crate::history::{Event, Removed, events_of, removed};
use crate::plan::Origin;
use crate::setting::{Scope, Setting, get};
use crate::source::imported;
use crate::{Error, Result, rows};

/// Everything that is known of one key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    pub namespace: String,
    pub key: Key,
    /// What a reader sees; none if the key is unset everywhere.
    pub effective: Option<Setting>,
    /// The highest layer first.
    pub layers: Vec<InLayer>,
    /// The newest change first.
    pub history: Vec<Event>,
    /// What retention has removed of the history of all keys: changes of this one may be among that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    /// The files of this namespace that have conflicts open: then `seed` may not be what the
    /// file says by now.
    pub conflicts_in: Vec<String>,
}

/// The key in one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InLayer {
    pub layer: String,
    pub live: Option<Value>,
    pub seed: Option<Value>,
    /// Where the seed comes from.
    pub origin: Option<Origin>,
    pub state: State,
}

/// Live value against seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    AsInTheFile,
    EditedHere,
    DeletedHere,
    /// No file has it.
    OwnKey,
}

/// # Errors
///
/// [`Error::UnknownKey`] if no layer, no file and no revision has it; [`Error::Database`].
pub async fn explain(db: &impl ConnectionTrait, scope: &Scope, key: &Key) -> Result<Explanation> {
    let history = events_of(db, &scope.namespace, key, 10).await?;
    let history: Vec<Event> = history.into_iter().filter(|it| it.key == *key).collect();
    let live = setting::Entity::find()
        .filter(setting::Column::Namespace.eq(&scope.namespace))
        .filter(setting::Column::Key.eq(key.as_str()))
        .all(db)
        .await?;
    let seeds = seed::Entity::find()
        .filter(seed::Column::Namespace.eq(&scope.namespace))
        .filter(seed::Column::Key.eq(key.as_str()))
        .all(db)
        .await?;
    let effective = match get(db, scope, key, None).await {
        Ok(setting) => Some(setting),
        Err(Error::UnknownKey { .. })
            if !(history.is_empty() && seeds.is_empty() && live.is_empty()) =>
        {
            None
        }
        Err(error) => return Err(error),
    };

    let mut layers = Vec::new();
    for layer in scope.layers.iter().rev() {
        let live = live.iter().find(|it| it.layer == *layer);
        let seed = seeds.iter().find(|it| it.layer == *layer);
        let read = |text: &str, format: &Option<String>| rows::value(text, format.as_deref());
        let live = live.map(|it| read(&it.value, &it.format)).transpose()?;
        let (seed, origin) = match seed {
            None => (None, None),
            Some(row) => (Some(read(&row.value, &row.format)?), Some(rows::origin(row))),
        };
        let state = match (&live, &seed) {
            (None, None) => continue,
            (Some(_), None) => State::OwnKey,
            (None, Some(_)) => State::DeletedHere,
            (Some(live), Some(seed)) if live == seed => State::AsInTheFile,
            _ => State::EditedHere,
        };
        layers.push(InLayer {
            layer: layer.clone(),
            live: live.map(|it| it.json),
            seed: seed.map(|it| it.json),
            origin,
            state,
        });
    }
    let in_conflict = imported(db)
        .await?
        .into_iter()
        .filter(|it| it.namespace == scope.namespace && it.open_conflicts > 0);
    Ok(Explanation {
        namespace: scope.namespace.clone(),
        key: key.clone(),
        effective,
        layers,
        history,
        removed: removed(db).await?,
        conflicts_in: in_conflict.map(|it| it.path).collect(),
    })
}
