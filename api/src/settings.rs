//! `/settings/{key}`: one setting, and the list of them.

use std::sync::Arc;

use poem_openapi::param::{Header, Path, Query};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use setpoint_client::types::{Setting, ValueType};
use setpoint_ops::amount::counted;
use setpoint_ops::apply::Channel;
use setpoint_ops::edit::{Edits, typed};
use setpoint_ops::live::{Entry, Missing, Snapshot, View};
use setpoint_ops::plan::{Kind, Trial};
use setpoint_ops::time::between;
use setpoint_ops::token::Role;
use setpoint_ops::{Error, Key};

use crate::Tags;
use crate::access::Caller;
use crate::body::{Body, exact, given};
use crate::etag;
use crate::page::{self, LIMIT};
use crate::payload::Rendered;
use crate::problem::{ApiError, ApiResult};
use crate::search::found;
use crate::service::{BASE, Service, now, view};
use crate::written::{self, Written};

pub(crate) struct Settings(pub Arc<Service>);

/// A value that a setting gets.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
struct Put {
    /// Any JSON but a map with members: those are settings of their own.
    #[serde(deserialize_with = "exact")]
    value: Value,
    /// The type, if it is to be another than the setting has.
    #[serde(rename = "type", default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none, rename = "type")]
    value_type: Option<ValueType>,
}

impl Example for Put {
    fn example() -> Self {
        Self { value: Value::from(8080), value_type: None }
    }
}

#[derive(ApiResponse)]
enum Found {
    /// The setting.
    #[oai(status = 200)]
    Ok(Rendered<Setting>, #[oai(header = "ETag")] String),
    /// It is what `If-None-Match` says.
    #[oai(status = 304)]
    NotModified(#[oai(header = "ETag")] String),
}

/// A change of one setting.
#[derive(ApiResponse)]
enum Edited {
    /// What became of it. The ETag is that of the setting in its layer, if it is there now.
    #[oai(status = 200)]
    Ok(Rendered<Written>, #[oai(header = "ETag")] Option<String>),
}

/// Some settings, in order of key.
#[derive(Object)]
struct SettingsPage {
    settings: Vec<Setting>,
    /// Give it as `cursor` for what comes next; missing at the end.
    #[oai(skip_serializing_if_is_none)]
    next: Option<String>,
    epoch: String,
    /// The revision at which all of these were live.
    revision: i64,
}

#[derive(Serialize)]
struct Page<'a> {
    settings: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    epoch: &'a str,
    revision: i64,
}

#[OpenApi(prefix_path = "/settings", tag = "Tags::Settings")]
impl Settings {
    /// List settings
    ///
    /// In order of key. What is effective: of each key the value of the highest layer. What is
    /// asked for besides is all to be true.
    #[oai(path = "/", method = "get", operation_id = "list_settings")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list(
        &self,
        caller: Caller,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// Only this key and those below it.
        prefix: Query<Option<String>>,
        /// Only keys whose first segment is this.
        category: Query<Option<String>>,
        /// Only those that a search for these words finds.
        q: Query<Option<String>>,
        /// Only those that were changed since then: `12h` ago, a day such as `2030-01-31`, or a
        /// time.
        modified: Query<Option<String>>,
        /// Only this layer.
        layer: Query<Option<String>>,
        /// With the preferences of this user on top.
        user: Query<Option<String>>,
        /// How many at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
        /// Where the page before this one ended.
        cursor: Query<Option<String>>,
    ) -> ApiResult<Rendered<SettingsPage>> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Viewer, ns.0)?;
        let view = view(&snapshot, &namespace, layer.as_deref(), user.as_deref())?;
        let (since, _) = between(modified.as_deref(), None, now())?;
        let found = match q.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
            Some(words) => {
                let seen = (layer.0.clone(), user.0.clone());
                Some(found(&self.0, &snapshot, &namespace, seen, words).await?)
            }
            None => None,
        };
        let prefix = prefix.as_deref().map(key).transpose()?;
        let after = cursor.0.map(|it| page::read(&it)).transpose()?;
        let limit = limit.unwrap_or(LIMIT) as usize;
        let is_in = |it: &&Arc<Entry>| {
            let setting = &it.setting;
            let first = || setting.key.segments().next();
            category.as_deref().is_none_or(|wanted| first().is_some_and(|it| it == wanted))
                && since.as_ref().is_none_or(|since| setting.updated_at >= *since)
                && found.as_ref().is_none_or(|found| found.contains(&setting.key))
        };
        let found = snapshot.list(&namespace, view, prefix.as_ref(), after.as_deref());
        let found: Vec<&Arc<Entry>> = found.filter(is_in).take(limit + 1).collect();
        let next =
            (found.len() > limit).then(|| page::cursor(found[limit - 1].setting.key.as_str()));
        let settings: Vec<&RawValue> = found.into_iter().take(limit).map(|it| &*it.json).collect();
        self.0.meters.read.increment(settings.len() as u64);
        Ok(Rendered::of(&Page {
            settings,
            next,
            epoch: &snapshot.history,
            revision: snapshot.revision,
        }))
    }

    /// Read one setting
    ///
    /// The keys `search`, `schema`, `update`, `ws` and `events` are names of other things here.
    /// In quotes they are keys: `/api/settings/%22search%22`.
    #[oai(path = "/:key", method = "get", operation_id = "get_setting")]
    async fn get(
        &self,
        caller: Caller,
        key: Path<String>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// Only this layer.
        layer: Query<Option<String>>,
        /// With the preferences of this user on top.
        user: Query<Option<String>>,
        /// An ETag that is known: the answer is 304 if it is still that.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> ApiResult<Found> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Viewer, ns.0)?;
        let view = view(&snapshot, &namespace, layer.as_deref(), user.as_deref())?;
        self.0.meters.read.increment(1);
        let entry = match snapshot.get(&namespace, view, &key) {
            Some(entry) => entry,
            None => find(&snapshot, &caller, &namespace, view, &key)?,
        };
        let etag = etag::of(&snapshot, entry);
        match if_none_match.0 {
            Some(known) if etag::lists(&known, &etag) => Ok(Found::NotModified(etag)),
            _ => Ok(Found::Ok(Rendered::ready(entry.json.get()), etag)),
        }
    }

    /// Set one value
    ///
    /// The answer comes when it is on the disk and live.
    #[oai(path = "/:key", method = "put", operation_id = "put_setting")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn put(
        &self,
        caller: Caller,
        key: Path<String>,
        body: Body<Put>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// The layer that is changed: `base`, a declared one, or `user:ID`.
        layer: Query<Option<String>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
        /// Undo it after this time, such as `10m`, unless it is confirmed before.
        confirm_within: Query<Option<String>>,
        /// With `confirm_within`: undo it at once if more clients than this reject it; 1, if
        /// nothing is said.
        reject_limit: Query<Option<u32>>,
        /// The ETag that the setting has to have in the layer; `*` if it only has to be there.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        /// `*` if the setting is to be new in the layer.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> ApiResult<Edited> {
        let is_to_be_new = if_none_match.0.map(|it| etag::is_to_be_new(&it)).transpose()?;
        let Put { value, value_type } = body.0;
        let edit = Edit {
            key: self::key(&key)?,
            ns: ns.0,
            layer: layer.0,
            reason: reason.0,
            is_dry: dry_run.unwrap_or_default(),
            trial: Trial::wished(confirm_within.as_deref(), reject_limit.0)?,
            condition: if_match.0,
            is_to_be_new: is_to_be_new.is_some(),
            value: Some((value, value_type)),
        };
        self.edit(&caller, edit).await
    }

    /// Unset one value
    ///
    /// A lower layer's value counts then, if there is one.
    #[oai(path = "/:key", method = "delete", operation_id = "delete_setting")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn delete(
        &self,
        caller: Caller,
        key: Path<String>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// The layer that is changed: `base`, a declared one, or `user:ID`.
        layer: Query<Option<String>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
        /// Undo it after this time, such as `10m`, unless it is confirmed before.
        confirm_within: Query<Option<String>>,
        /// With `confirm_within`: undo it at once if more clients than this reject it; 1, if
        /// nothing is said.
        reject_limit: Query<Option<u32>>,
        /// The ETag that the setting has to have in the layer; `*` if it only has to be there.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<Edited> {
        let edit = Edit {
            key: self::key(&key)?,
            ns: ns.0,
            layer: layer.0,
            reason: reason.0,
            is_dry: dry_run.unwrap_or_default(),
            trial: Trial::wished(confirm_within.as_deref(), reject_limit.0)?,
            condition: if_match.0,
            is_to_be_new: false,
            value: None,
        };
        self.edit(&caller, edit).await
    }
}

/// What somebody wants to make of one key.
struct Edit {
    key: Key,
    ns: Option<String>,
    layer: Option<String>,
    reason: Option<String>,
    is_dry: bool,
    trial: Option<Trial>,
    condition: Option<String>,
    is_to_be_new: bool,
    value: Option<(Value, Option<ValueType>)>,
}

impl Settings {
    async fn edit(&self, caller: &Caller, edit: Edit) -> ApiResult<Edited> {
        let namespace = self.0.namespace(&self.0.live.snapshot(), caller, Role::Editor, edit.ns)?;
        let layer = edit.layer.unwrap_or_else(|| BASE.to_owned());
        let condition = edit.condition.map(|it| etag::condition(&it)).transpose()?;
        let author = caller.author(edit.reason);
        let (key, value) = (edit.key, edit.value);
        let place = (namespace.clone(), layer.clone(), key.clone());
        let make = move |snapshot: &Snapshot| {
            let live = snapshot.get(&namespace, View::Layer(&layer), key.as_str());
            if edit.is_to_be_new && live.is_some() {
                return Err(Error::Exists { layer: layer.clone(), key: key.to_string() });
            }
            if let Some(condition) = &condition {
                condition.check(snapshot, key.as_str(), live)?;
            }
            let value = match &value {
                // What may have been meant is found out behind the writer.
                None if live.is_none() => return Err(no_such_key(&namespace, &key)),
                None => None,
                Some((value, wanted)) => {
                    // A secret first: the error about its type would show it.
                    let declared = snapshot.declared(&namespace);
                    declared.secrets.refuse(&key, &value.clone().into())?;
                    let example = live
                        .or_else(|| snapshot.get(&namespace, View::Effective, key.as_str()))
                        .map(|it| it.setting.typed());
                    let wanted = wanted.map(written::value_type);
                    Some(typed(&key, value.clone(), wanted, example.as_ref())?)
                }
            };
            let edits = Edits::from([(key.clone(), value)]);
            snapshot.plan(&namespace, &layer, edits, Kind::Edit, author.clone())
        };
        let written =
            written::carry_out(&self.0, edit.is_dry, edit.trial, Channel::Api, make).await;
        let written = written.map_err(|error| {
            let snapshot = self.0.live.snapshot();
            let (namespace, layer, key) = &place;
            let live = snapshot.get(namespace, View::Layer(layer), key.as_str());
            let is_moved = matches!(error, Error::Stale { .. } | Error::Exists { .. });
            let current = is_moved.then_some(live).flatten();
            let error = match error {
                Error::UnknownKey { .. } => {
                    unknown(&snapshot, caller, namespace, View::Layer(layer), key)
                }
                error => error,
            };
            ApiError::from(error).current(current.map(|it| written::setting(&it.setting)))
        })?;
        let (namespace, layer, key) = &place;
        let entry = written.snapshot.get(namespace, View::Layer(layer), key.as_str());
        let entry = entry.filter(|_| written.applied.is_some());
        let etag = entry.map(|it| etag::of(&written.snapshot, it));
        Ok(Edited::Ok(Rendered::of(&written.answer(Some((namespace, layer, key)))), etag))
    }
}

/// The key that a path or a query names.
pub(crate) fn key(text: &str) -> ApiResult<Key> {
    let read = Key::parse(text);
    Ok(read.map_err(|reason| Error::BadKey { key: text.to_owned(), reason })?)
}

/// The setting of a key that is written in another way than it is stored, or the error for one
/// that is not there.
fn find<'a>(
    snapshot: &'a Snapshot,
    caller: &Caller,
    namespace: &str,
    view: View<'_>,
    text: &str,
) -> ApiResult<&'a Arc<Entry>> {
    let key = key(text)?;
    let found = snapshot.get(namespace, view, key.as_str());
    Ok(found.ok_or_else(|| unknown(snapshot, caller, namespace, view, &key))?)
}

/// The error for a key that is not there, with the best guess at what was meant.
pub(crate) fn unknown(
    snapshot: &Snapshot,
    caller: &Caller,
    namespace: &str,
    view: View<'_>,
    key: &Key,
) -> Error {
    let help = match snapshot.missing(namespace, view, key, |it| caller.sees(it)) {
        Missing::Map(below) => {
            let settings = counted(below, "setting");
            format!("it is a map of {settings}: list them with `prefix={key}`")
        }
        Missing::InLayer(layer) => format!("layer `{layer}` has it: `layer={layer}`"),
        Missing::InNamespace(other) => format!("namespace `{other}` has it: `ns={other}`"),
        Missing::Close(close) => {
            format!("did you mean `{close}`? /api/settings/search finds more")
        }
        Missing::Nothing => {
            "/api/settings lists every key, /api/settings/search finds one".to_owned()
        }
    };
    Error::UnknownKey { namespace: namespace.to_owned(), key: key.to_string(), help }
}

fn no_such_key(namespace: &str, key: &Key) -> Error {
    let (namespace, key) = (namespace.to_owned(), key.to_string());
    Error::UnknownKey { namespace, key, help: String::new() }
}

/// What a condition that was not met is, as an error.
pub(crate) fn not_met(key: &str, live: Option<&Arc<Entry>>) -> Error {
    let reason = match live {
        Some(entry) => format!("`{key}` is of revision {} by now", entry.setting.revision),
        None => format!("`{key}` is not there"),
    };
    Error::Stale { reason }
}
