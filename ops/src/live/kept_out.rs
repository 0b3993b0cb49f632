//! Which stored settings a service does not give to programs, for doors that read the database.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, Value};
use setpoint_importers::Key;

use super::policy::{Policy, Space as Declared};
use crate::setting::{Scope, list, namespaces};
use crate::{Result, bulk, rows};

/// A setting that programs do not get: they have the last valid value, if there was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOut {
    pub layer: String,
    pub key: Key,
    pub reason: String,
}

/// What of the effective settings of `scope`, at or below `prefix`, a service under `policy`
/// keeps out.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub async fn kept_out(
    db: &impl ConnectionTrait,
    scope: &Scope,
    prefix: Option<&Key>,
    policy: &Policy,
) -> Result<Vec<KeptOut>> {
    let declared = policy.space(&scope.namespace);
    let mut found = Vec::new();
    let asked = prefix.map(|it| (scope.layers.as_slice(), it));
    let stored = stored(db, &scope.namespace, &declared, asked).await?;
    for (layer, key, value, format, channel) in stored {
        let (key, value) = (rows::key(key)?, rows::value(&value, format.as_deref())?);
        let is_asked = prefix.is_none_or(|it| key.starts_with(it));
        if is_asked && let Some(error) = declared.keeps_out(channel.as_deref(), &key, &value) {
            found.push(KeptOut { layer, key, reason: error.to_string() });
        }
    }
    if found.is_empty() {
        return Ok(found);
    }
    let effective = list(db, scope, prefix, None).await?;
    found.retain(|it| effective.iter().any(|by| by.key == it.key && by.layer == it.layer));
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// The places of all settings that a service under `policy` keeps out: namespace, layer and key.
pub(crate) async fn refused(
    db: &impl ConnectionTrait,
    policy: &Policy,
) -> Result<Vec<(String, String, String)>> {
    let mut refused = Vec::new();
    for namespace in namespaces(db).await? {
        let declared = policy.space(&namespace);
        for (layer, key, value, format, channel) in stored(db, &namespace, &declared, None).await? {
            let is_good = match (Key::parse(&key), rows::value(&value, format.as_deref())) {
                (Ok(key), Ok(value)) => {
                    declared.keeps_out(channel.as_deref(), &key, &value).is_none()
                }
                _ => false,
            };
            if !is_good {
                refused.push((namespace.clone(), layer, key));
            }
        }
    }
    Ok(refused)
}

/// Layer, key, value, format, and the channel of the revision that set it.
type Stored = (String, String, String, Option<String>, Option<String>);

/// The settings of `namespace` that may have to be kept out. Most databases have none. Of those that
/// are `asked` for, in some layers at or below a key, all are among them, and no others are read but
/// a few that begin with the same letters.
async fn stored(
    db: &impl ConnectionTrait,
    namespace: &str,
    declared: &Declared,
    asked: Option<(&[String], &Key)>,
) -> Result<Vec<Stored>> {
    let mut which = "namespace = $1".to_owned();
    let mut values: Vec<Value> = vec![namespace.into()];
    if declared.secrets.secret.is_empty() {
        which.push_str(" AND channel = 'sql'");
    }
    if let Some((layers, key)) = asked {
        if layers.is_empty() {
            return Ok(Vec::new());
        }
        // What comes after the `.` in the order of letters is above nothing.
        values.extend([key.as_str().into(), format!("{key}/").into()]);
        values.extend(layers.iter().map(|it| it.as_str().into()));
        let layers: Vec<_> = (4..=values.len()).map(|it| format!("${it}")).collect();
        let layers = layers.join(", ");
        write!(which, " AND key >= $2 AND key < $3 AND layer IN ({layers})")
            .expect("a string takes every text");
    }
    let table = "(SELECT s.namespace, s.layer, s.key, s.value, s.format, r.channel
                  FROM setting s LEFT JOIN revision r ON r.id = s.revision) t";
    let columns = ["layer", "key", "value", "format", "channel"];
    bulk::select(db, &columns, table, &which, values).await
}
