//! What somebody asks for, as a plan.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::Value;
use setpoint_entity::{seed, setting};
use setpoint_importers::{Entry, Format, Key, Limits, Place, TypedValue, ValueType, looks_secret};

use crate::apply::head;
use crate::plan::{Author, Base, Change, Class, Kind, Plan};
use crate::secret::Rules;
use crate::setting::{Scope, values, within};
use crate::{Error, Result, rows};

/// The values that keys get; a key without one is unset.
pub type Edits = BTreeMap<Key, Option<TypedValue>>;

/// Plans `edits` in one layer. A key that has its value already is left out.
///
/// # Errors
///
/// [`Error::SecretValue`]; [`Error::NotATree`] if a key would stand above another;
/// [`Error::MapValue`], [`Error::Database`].
pub async fn plan(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
    edits: Edits,
    rules: &Rules,
    author: Author,
) -> Result<Plan> {
    for (key, value) in edits.iter().filter_map(|(key, it)| Some((key, it.as_ref()?))) {
        rules.refuse(key, value)?;
    }
    let head = head(db).await?;
    let base = Base::of(&head);
    let live = live_around(db, namespace, layer, &edits).await?;
    let changes = changes(namespace, layer, &live, edits)?;
    Ok(Plan::new(Kind::Edit, base, author, Vec::new(), changes))
}

/// The edits that make the keys at and below `prefix` just those of `wanted`.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn replacing(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
    prefix: Option<&Key>,
    mut wanted: Edits,
) -> Result<Edits> {
    let mut found = setting::Entity::find()
        .filter(setting::Column::Namespace.eq(namespace))
        .filter(setting::Column::Layer.eq(layer));
    if let Some(prefix) = prefix {
        found = found.filter(within(setting::Column::Key, prefix));
    }
    for row in found.all(db).await? {
        wanted.entry(rows::key(row.key)?).or_insert(None);
    }
    Ok(wanted)
}

/// The keys at and below `key` in one layer, each to be unset.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn everything_below(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
    key: &Key,
) -> Result<Edits> {
    replacing(db, namespace, layer, Some(key), Edits::new()).await
}

/// What a document asks for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub edits: Edits,
    pub notes: Vec<(Place, String)>,
}

/// # Errors
///
/// [`Error::Unreadable`].
pub fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        help: "check the path, its owner and mode".to_owned(),
        source,
    })
}

/// Reads a document whose every setting is to be set, below `prefix`.
///
/// # Errors
///
/// [`Error::Unreadable`], [`Error::Import`], [`Error::BadKey`].
pub fn read(
    name: &Path,
    text: &mut dyn Read,
    format: Option<&str>,
    prefix: Option<&Key>,
    rules: &Rules,
    limits: &Limits,
) -> Result<Wanted> {
    let mut bytes = Vec::new();
    let read = text.take(limits.size_bytes + 1).read_to_end(&mut bytes);
    read.map_err(|source| Error::Unreadable {
        path: name.to_owned(),
        help: "nothing was changed".to_owned(),
        source,
    })?;
    let document = setpoint_importers::read(name, &bytes, format, limits);
    let document = document.map_err(|error| rules.masked(error))?;
    let mut wanted = Wanted::default();
    for Entry { key, value, .. } in document.entries {
        let key = match prefix {
            None => key,
            Some(prefix) => key
                .below(prefix)
                .map_err(|reason| Error::BadKey { key: key.to_string(), reason })?,
        };
        wanted.edits.insert(key, Some(value));
    }
    wanted.notes = document.notes.into_iter().map(|it| (it.place, it.message)).collect();
    Ok(wanted)
}

/// Compares `edits` with the live values of their layer and refuses what would be no tree.
pub(crate) fn changes(
    namespace: &str,
    layer: &str,
    live: &HashMap<Key, TypedValue>,
    edits: Edits,
) -> Result<Vec<Change>> {
    let not_a_tree = |key: &str, below: &Key| Error::NotATree {
        layer: layer.to_owned(),
        key: key.to_owned(),
        below: below.to_string(),
    };
    let gone: HashSet<&str> =
        edits.iter().filter(|(_, it)| it.is_none()).map(|(key, _)| key.as_str()).collect();
    let stays = |key: &str| {
        !gone.contains(key)
            && (live.contains_key(key) || edits.get(key).is_some_and(Option::is_some))
    };
    for (key, _) in edits.iter().filter(|(_, it)| it.is_some()) {
        if let Some(above) = key.ancestors().find(|it| stays(it)) {
            return Err(not_a_tree(above, key));
        }
    }
    for key in live.keys().filter(|it| stays(it.as_str())) {
        let above = key.ancestors().find(|it| edits.get(*it).is_some_and(Option::is_some));
        if let Some(above) = above {
            return Err(not_a_tree(above, key));
        }
    }

    let mut changes = Vec::new();
    for (key, after) in edits {
        if let Some(TypedValue { json: Value::Object(members), .. }) = &after
            && !members.is_empty()
        {
            return Err(Error::MapValue { key: key.to_string() });
        }
        let before = live.get(&key).cloned();
        let class = match (&before, &after) {
            (None, Some(_)) => Class::Add,
            (Some(_), None) => Class::Delete,
            (Some(before), Some(after)) if before != after => Class::Update,
            _ => continue,
        };
        let (namespace, layer) = (namespace.to_owned(), layer.to_owned());
        changes.push(Change {
            namespace,
            layer,
            key,
            class,
            before,
            after,
            seed: None,
            origin: None,
            provenance: None,
        });
    }
    Ok(changes)
}

/// The live values at, above and below the keys of `edits`; of the whole layer if they are many.
async fn live_around(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
    edits: &Edits,
) -> Result<HashMap<Key, TypedValue>> {
    const FEW: usize = 50;
    let mut found = setting::Entity::find()
        .filter(setting::Column::Namespace.eq(namespace))
        .filter(setting::Column::Layer.eq(layer));
    if edits.len() <= FEW {
        let around = edits.keys().fold(Condition::any(), |around, key| {
            let above: Vec<&str> = key.ancestors().collect();
            around.add(within(setting::Column::Key, key)).add(setting::Column::Key.is_in(above))
        });
        found = found.filter(around);
    }
    values(db, found).await
}

/// The value that tells of which type a new value of `key` should be: the live one of the
/// highest layer of `scope` up to `layer`, else the seed's.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn example(
    db: &impl ConnectionTrait,
    scope: &Scope,
    layer: &str,
    key: &Key,
) -> Result<Option<TypedValue>> {
    let known = scope.layers.iter().position(|it| it == layer);
    let mut layers: Vec<&str> =
        scope.layers[..known.unwrap_or(scope.layers.len())].iter().map(String::as_str).collect();
    layers.push(layer);
    let rows = setting::Entity::find()
        .filter(setting::Column::Namespace.eq(&scope.namespace))
        .filter(setting::Column::Key.eq(key.as_str()))
        .all(db)
        .await?;
    let highest = layers.iter().rev().find_map(|layer| rows.iter().find(|it| it.layer == **layer));
    if let Some(row) = highest {
        return Ok(Some(rows::value(&row.value, row.format.as_deref())?));
    }
    let id = (scope.namespace.clone(), layer.to_owned(), key.to_string());
    let seed = seed::Entity::find_by_id(id).one(db).await?;
    Ok(seed.map(|row| rows::value(&row.value, row.format.as_deref())).transpose()?)
}

/// Reads `text`, as a person types it, as a value of `wanted` type.
///
/// Without one the type is that of `example`; without that it is what the text looks like:
/// JSON other than a quoted text, else a string.
///
/// # Errors
///
/// [`Error::WrongType`] if the text is no such value, [`Error::MapValue`] for a map.
pub fn parse_value(
    key: &Key,
    text: &str,
    wanted: Option<ValueType>,
    example: Option<&TypedValue>,
) -> Result<TypedValue> {
    let wrong = |wanted: &str| Error::WrongType {
        key: key.to_string(),
        value: match looks_secret(key, &Value::from(text).into()) {
            true => "****".to_owned(),
            false => text.to_owned(),
        },
        wanted: wanted.to_owned(),
    };
    let json = || serde_json::from_str::<Value>(text);
    let format = example.and_then(|it| it.format);
    let wanted = wanted.or_else(|| example.map(TypedValue::value_type));
    let value: TypedValue = match wanted {
        Some(ValueType::String) => match format {
            Some(format) if dated(text) == Some(format) => {
                TypedValue { json: text.into(), format: Some(format) }
            }
            Some(format) if example.is_some() => return Err(wrong(format.as_str())),
            _ => Value::from(text).into(),
        },
        Some(ValueType::Integer) => match json() {
            Ok(Value::Number(number)) if !number.is_f64() => Value::Number(number).into(),
            _ => return Err(wrong("integer within 64 bits")),
        },
        Some(ValueType::Float) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::from(number).into(),
            _ => return Err(wrong("finite float")),
        },
        Some(ValueType::Boolean) => match text {
            "true" => Value::from(true).into(),
            "false" => Value::from(false).into(),
            _ => return Err(wrong("boolean (true or false)")),
        },
        Some(ValueType::Json) => json().map_err(|_| wrong("JSON"))?.into(),
        None => match json() {
            Ok(Value::String(_)) | Err(_) => Value::from(text).into(),
            Ok(Value::Number(number)) if number.is_f64() && !text.contains(['.', 'e', 'E']) => {
                return Err(wrong("integer within 64 bits"));
            }
            Ok(other) => other.into(),
        },
    };
    match &value.json {
        Value::Object(members) if !members.is_empty() => {
            Err(Error::MapValue { key: key.to_string() })
        }
        _ => Ok(value),
    }
}

/// The value that `text` is, which has to be JSON. As in a file, keys that stand twice and integers
/// beyond 64 bits are no value.
///
/// # Errors
///
/// What is wrong with it.
pub fn json_value(text: &str) -> std::result::Result<Value, String> {
    let document = format!("{{\"value\":{text}}}");
    let (name, limits) = (Path::new("value"), Limits::default());
    let read = setpoint_importers::read(name, document.as_bytes(), Some("json"), &limits);
    let mut document = read.map_err(|error| match error.faults().into_iter().next() {
        Some((_, fault)) => fault.to_string(),
        None => error.to_string(),
    })?;
    match document.entries.pop() {
        Some(entry) if document.entries.is_empty() && entry.key.as_str() == "value" => {
            Ok(entry.value.json)
        }
        // A map with members, which is no value of one key.
        _ => serde_json::from_str(text).map_err(|error| error.to_string()),
    }
}

/// Takes `json`, as a program sends it, as a value of `wanted` type.
///
/// Without one the type is that of `example`; without that it is that of the JSON. Programs that
/// know one kind of number send 1 for 1.0 and the other way round: such a number is taken for
/// what it is to be, if that is exact.
///
/// # Errors
///
/// [`Error::WrongType`] if it is no such value, [`Error::MapValue`] for a map.
pub fn typed(
    key: &Key,
    json: Value,
    wanted: Option<ValueType>,
    example: Option<&TypedValue>,
) -> Result<TypedValue> {
    if json.as_object().is_some_and(|members| !members.is_empty()) {
        return Err(Error::MapValue { key: key.to_string() });
    }
    let wrong = |json: &Value, wanted: &str| {
        let is_secret = looks_secret(key, &json.clone().into());
        let value = if is_secret { "****".to_owned() } else { json.to_string() };
        Error::WrongType { key: key.to_string(), value, wanted: wanted.to_owned() }
    };
    let format = example.and_then(|it| it.format).filter(|_| wanted.is_none());
    let Some(wanted) = wanted.or_else(|| example.map(TypedValue::value_type)) else {
        return Ok(json.into());
    };
    let value = TypedValue::from(match (wanted, json) {
        (ValueType::Float, Value::Number(it)) if !it.is_f64() => match exact_float(&it) {
            Some(float) => Value::from(float),
            None => return Err(wrong(&Value::Number(it), "float")),
        },
        (ValueType::Integer, Value::Number(it)) if it.is_f64() => match exact_integer(&it) {
            Some(integer) => Value::from(integer),
            None => return Err(wrong(&Value::Number(it), "integer")),
        },
        (_, json) => json,
    });
    match (wanted, value.value_type(), format) {
        (ValueType::String, ValueType::String, Some(format)) => {
            match value.json.as_str().and_then(dated) == Some(format) {
                true => Ok(TypedValue { format: Some(format), ..value }),
                false => Err(wrong(&value.json, format.as_str())),
            }
        }
        // A list of dates stays one only as long as every element is a date.
        (wanted, found, _) if wanted == found => Ok(value),
        _ => Err(wrong(&value.json, wanted.as_str())),
    }
}

/// The same number as a float, if there is one.
fn exact_float(number: &serde_json::Number) -> Option<f64> {
    let float = number.as_f64()?;
    let whole = float as i128;
    let exact = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))?;
    (whole == exact).then_some(float)
}

/// The same number as an integer of 64 bits, if there is one.
fn exact_integer(number: &serde_json::Number) -> Option<i64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64()?;
    (float.fract() == 0.0 && float.abs() <= LIMIT).then_some(float as i64)
}

/// Which kind of date `text` is.
fn dated(text: &str) -> Option<Format> {
    let read: toml_edit::Datetime = text.parse().ok()?;
    match (read.date, read.time) {
        (Some(_), Some(_)) => Some(Format::DateTime),
        (Some(_), None) => Some(Format::Date),
        (None, _) => Some(Format::Time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_a_program_is_kept_as_it_is_written_or_refused() {
        for kept in ["5", "-0.5", "null", "\"a\"", "[1, {\"a\": 2}]", "{}", "18446744073709551615"]
        {
            assert_eq!(json_value(kept), serde_json::from_str(kept).map_err(|_| String::new()));
        }
        for lost in ["18446744073709551616", "[{\"a\": 1, \"a\": 2}]", "1 2", "1}", "nul"] {
            assert!(json_value(lost).is_err(), "{lost}");
        }
        assert_eq!(json_value("-0"), Ok(Value::from(0)));
    }

    #[test]
    fn one_kind_of_number_is_taken_for_the_other_where_that_is_exact() {
        let key = Key::parse("a").unwrap();
        let taken = |json: Value, example: Value| {
            typed(&key, json, None, Some(&example.into())).map(|it| it.text()).ok()
        };

        assert_eq!(taken(1.into(), 0.5.into()).as_deref(), Some("1.0"));
        assert_eq!(taken(1.0.into(), 5.into()).as_deref(), Some("1"));
        assert_eq!(taken(1.5.into(), 5.into()), None);
        assert_eq!(taken(i64::MAX.into(), 0.5.into()), None);
        assert_eq!(taken("1".into(), 5.into()), None);
    }
}
