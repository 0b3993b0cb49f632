//! Reading settings: the effective ones of a namespace, now or at an earlier revision.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Select,
    Statement,
};
use serde::Serialize;
use serde_json::Value;
use setpoint_entity::setting;
use setpoint_importers::{Format, Key, TypedValue, ValueType};

use crate::amount::counted;
use crate::apply::head;
use crate::history::removed::refuse_moment;
use crate::search::{Fields, Letters, Query, rank};
use crate::{Error, Result, bulk, rows};

/// The layers of a namespace that are read together, the lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub namespace: String,
    pub layers: Vec<String>,
}

/// Whether `layer` is that of a user's preferences: `user:` and an id of at most 100 letters,
/// digits, `_`, `-` and `.`, which may also stand in the name of a file.
pub fn is_of_user(layer: &str) -> bool {
    const LONGEST: usize = 100;
    let known = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    let id = layer.strip_prefix("user:");
    id.is_some_and(|it| !it.is_empty() && it.len() <= LONGEST && it.chars().all(known))
}

/// One setting, as it travels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    pub namespace: String,
    pub layer: String,
    pub key: Key,
    #[serde(rename = "type")]
    pub value_type: ValueType,
    pub value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The revision that set it.
    pub revision: i64,
    pub updated_at: String,
    pub updated_by: String,
}

impl Setting {
    pub fn typed(&self) -> TypedValue {
        TypedValue { json: self.value.clone(), format: self.format }
    }
}

/// A key of every layer of a scope.
#[derive(FromQueryResult)]
struct Row {
    layer: String,
    key: String,
    value: String,
    format: Option<String>,
    revision: i64,
    updated_at: String,
    updated_by: String,
}

impl Row {
    fn read(self, namespace: &str) -> Result<Setting> {
        let typed = rows::value(&self.value, self.format.as_deref())?;
        Ok(Setting {
            namespace: namespace.to_owned(),
            layer: self.layer,
            key: rows::key(self.key)?,
            value_type: typed.value_type(),
            value: typed.json,
            format: typed.format,
            revision: self.revision,
            updated_at: self.updated_at,
            updated_by: self.updated_by,
        })
    }
}

/// Every effective setting of `scope` at or below `prefix`, in order of key; at the revision
/// `at`, or now.
///
/// # Errors
///
/// [`Error::UnknownRevision`], [`Error::Pruned`], [`Error::Database`].
pub async fn list(
    db: &impl ConnectionTrait,
    scope: &Scope,
    prefix: Option<&Key>,
    at: Option<i64>,
) -> Result<Vec<Setting>> {
    let found = match at {
        None => live(db, scope, prefix.map(|it| within(setting::Column::Key, it))).await?,
        Some(revision) => past(db, scope, revision).await?,
    };
    let found =
        found.into_iter().filter(|it| prefix.is_none_or(|prefix| it.key.starts_with(prefix)));
    Ok(highest(scope, found))
}

/// The effective setting at `key`.
///
/// # Errors
///
/// [`Error::UnknownKey`], which suggests what else was meant; [`Error::UnknownRevision`],
/// [`Error::Pruned`], [`Error::Database`].
pub async fn get(
    db: &impl ConnectionTrait,
    scope: &Scope,
    key: &Key,
    at: Option<i64>,
) -> Result<Setting> {
    let found = match at {
        None => live(db, scope, Some(setting::Column::Key.eq(key.as_str()))).await?,
        Some(_) => list(db, scope, Some(key), at).await?,
    };
    let exact = found.into_iter().filter(|it| it.key == *key);
    match highest(scope, exact).pop() {
        Some(setting) => Ok(setting),
        None if at.is_none() => Err(unknown(db, scope, key).await?),
        None => Err(Error::UnknownKey {
            namespace: scope.namespace.clone(),
            key: key.to_string(),
            help: format!("not at that revision; `setpoint history {key}` tells when it was"),
        }),
    }
}

/// The effective settings of `scope` that `query` is found in, the best first: see [`rank`].
///
/// # Errors
///
/// [`Error::Database`].
pub async fn search(
    db: &impl ConnectionTrait,
    scope: &Scope,
    query: &Query,
    limit: usize,
) -> Result<Vec<Setting>> {
    let settings = list(db, scope, None, None).await?;
    let values: Vec<_> = settings.iter().map(|it| text(&it.value)).collect();
    let fields = |at: &usize| Fields {
        key: settings[*at].key.as_str(),
        value: &values[*at],
        label: None,
        description: None,
    };
    let candidates = (0..settings.len()).map(|at| (at, Letters::of(&fields(&at))));
    let hits = rank(query, [candidates], fields, limit);
    Ok(hits.into_iter().map(|it| settings[it.item].clone()).collect())
}

/// A value as bare text if it is a string, else as JSON.
fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// The namespaces that have settings.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn namespaces(db: &impl ConnectionTrait) -> Result<Vec<String>> {
    use sea_orm::{QueryOrder, QuerySelect};
    let names = setting::Entity::find()
        .select_only()
        .column(setting::Column::Namespace)
        .distinct()
        .order_by_asc(setting::Column::Namespace);
    Ok(names.into_tuple().all(db).await?)
}

/// The layers that have settings, each after its namespace.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn layers(db: &impl ConnectionTrait) -> Result<Vec<(String, String)>> {
    use sea_orm::{QueryOrder, QuerySelect};
    let names = setting::Entity::find()
        .select_only()
        .columns([setting::Column::Namespace, setting::Column::Layer])
        .distinct()
        .order_by_asc(setting::Column::Namespace)
        .order_by_asc(setting::Column::Layer);
    Ok(names.into_tuple().all(db).await?)
}

/// Every live value of one layer.
pub(crate) async fn layer(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
) -> Result<HashMap<Key, TypedValue>> {
    let values = [namespace.into(), layer.into()];
    matching(db, "namespace = $1 AND layer = $2", values).await
}

/// Every live value that `condition` finds, in which `values` stand as `$1` and so on.
pub(crate) async fn matching(
    db: &impl ConnectionTrait,
    condition: &str,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<HashMap<Key, TypedValue>> {
    let columns = ["key", "value", "format"];
    let found: Vec<(String, String, Option<String>)> =
        bulk::select(db, &columns, "setting", condition, values).await?;
    let value = |(key, text, format): (String, String, Option<String>)| {
        Ok((rows::key(key)?, rows::value(&text, format.as_deref())?))
    };
    found.into_iter().map(value).collect()
}

/// The values of the rows that `which` finds, all of one layer.
pub(crate) async fn values(
    db: &impl ConnectionTrait,
    which: Select<setting::Entity>,
) -> Result<HashMap<Key, TypedValue>> {
    let value = |row: setting::Model| {
        Ok((rows::key(row.key)?, rows::value(&row.value, row.format.as_deref())?))
    };
    which.all(db).await?.into_iter().map(value).collect()
}

/// The rows whose `column` names `key` or one below it.
pub(crate) fn within(column: impl ColumnTrait, key: &Key) -> Condition {
    Condition::any().add(column.eq(key.as_str())).add(below(column, key.as_str()))
}

/// The rows whose `column` names a key below `key`.
pub(crate) fn below(column: impl ColumnTrait, key: &str) -> Condition {
    Condition::all().add(column.gt(format!("{key}."))).add(column.lt(format!("{key}/")))
}

async fn live(
    db: &impl ConnectionTrait,
    scope: &Scope,
    which: Option<impl Into<Condition>>,
) -> Result<Vec<Setting>> {
    let mut found = setting::Entity::find()
        .filter(setting::Column::Namespace.eq(&scope.namespace))
        .filter(setting::Column::Layer.is_in(&scope.layers));
    if let Some(which) = which {
        found = found.filter(which.into());
    }
    let found = found.into_model::<Row>().all(db).await?;
    found.into_iter().map(|row| row.read(&scope.namespace)).collect()
}

const PAST: &str = "
SELECT c.layer, c.key, c.after AS value, c.after_format AS format, c.revision,
       r.at AS updated_at, r.actor AS updated_by
FROM change c JOIN revision r ON r.id = c.revision
WHERE c.namespace = $1 AND c.revision <= $2 AND c.after IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM change n WHERE n.namespace = c.namespace AND n.layer = c.layer
    AND n.key = c.key AND n.revision > c.revision AND n.revision <= $2)
";

async fn past(db: &impl ConnectionTrait, scope: &Scope, revision: i64) -> Result<Vec<Setting>> {
    let newest = head(db).await?.revision;
    if !(0..=newest).contains(&revision) {
        return Err(Error::UnknownRevision { id: revision, newest });
    }
    refuse_moment(db, revision).await?;
    let values = [scope.namespace.as_str().into(), revision.into()];
    let ask = Statement::from_sql_and_values(db.get_database_backend(), PAST, values);
    let found = Row::find_by_statement(ask).all(db).await?;
    let read = found.into_iter().map(|row| row.read(&scope.namespace));
    let mut read = read.collect::<Result<Vec<_>>>()?;
    read.retain(|it| scope.layers.contains(&it.layer));
    Ok(read)
}

/// Of each key the setting of the highest layer. A key that a higher layer has a map above or
/// a value below is not effective: the result is a tree.
pub(crate) fn highest(scope: &Scope, found: impl IntoIterator<Item = Setting>) -> Vec<Setting> {
    let rank = |layer: &str| scope.layers.iter().position(|it| it == layer).unwrap_or_default();
    let mut winners = BTreeMap::<Key, Setting>::new();
    for setting in found {
        let loses =
            winners.get(&setting.key).is_some_and(|it| rank(&it.layer) > rank(&setting.layer));
        if !loses {
            winners.insert(setting.key.clone(), setting);
        }
    }
    if scope.layers.len() > 1 {
        let mut hidden = HashSet::new();
        for (key, setting) in &winners {
            for (above, other) in key.ancestors().filter_map(|it| winners.get_key_value(it)) {
                let loser = if rank(&other.layer) > rank(&setting.layer) { key } else { above };
                hidden.insert(loser.clone());
            }
        }
        winners.retain(|key, _| !hidden.contains(key));
    }
    winners.into_values().collect()
}

/// The error for a key that is not there, with the best guess at what was meant.
async fn unknown(db: &impl ConnectionTrait, scope: &Scope, key: &Key) -> Result<Error> {
    let below = live(db, scope, Some(within(setting::Column::Key, key))).await?;
    let below = below.iter().filter(|it| it.key != *key).count();
    let elsewhere = setting::Entity::find().filter(setting::Column::Key.eq(key.as_str()));
    let elsewhere = elsewhere.one(db).await?;
    let help = match (below, elsewhere) {
        (1.., _) => {
            let settings = counted(below, "setting");
            format!("it is a map of {settings}: `setpoint list --prefix {key}`")
        }
        (_, Some(row)) if row.namespace != scope.namespace => {
            format!("namespace `{0}` has it: --namespace {0}", row.namespace)
        }
        (_, Some(row)) => format!("layer `{0}` has it: --layer {0}", row.layer),
        (_, None) => {
            let last = key.segments().last().unwrap_or_default().to_lowercase();
            let all = live(db, scope, None::<Condition>).await?;
            let close = all.iter().find(|it| it.key.as_str().to_lowercase().ends_with(&last));
            match close {
                Some(it) => format!("did you mean `{}`? `setpoint search` finds more", it.key),
                None => "`setpoint list` shows every key, `setpoint search` finds one".to_owned(),
            }
        }
    };
    Ok(Error::UnknownKey { namespace: scope.namespace.clone(), key: key.to_string(), help })
}
