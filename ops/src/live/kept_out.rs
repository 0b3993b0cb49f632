//! Which stored settings a service does not give to programs, for doors that read the database.

use sea_orm::ConnectionTrait;
use setpoint_importers::Key;

use super::policy::Policy;
use crate::setting::{Scope, list};
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
    // Most databases have no row to look at.
    let which = match declared.secrets.secret.is_empty() {
        true => "namespace = $1 AND channel = 'sql'",
        false => "namespace = $1",
    };
    let table = "(SELECT s.namespace, s.layer, s.key, s.value, s.format, r.channel
                  FROM setting s LEFT JOIN revision r ON r.id = s.revision) t";
    type Tuple = (String, String, String, Option<String>, Option<String>);
    let columns = ["layer", "key", "value", "format", "channel"];
    let values = [scope.namespace.as_str().into()];
    let stored: Vec<Tuple> = bulk::select(db, &columns, table, which, values).await?;
    let mut found = Vec::new();
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
