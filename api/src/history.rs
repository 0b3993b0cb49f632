//! `/settings/{key}/history` and `/settings/{key}/explain`: how a setting came to its value.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use sea_orm::DatabaseTransaction;
use serde::Serialize;
use serde_json::Value;
use setpoint_client::types::Setting;
use setpoint_ops::explain::{Explanation, explain};
use setpoint_ops::history::{Event, EventPlace, Removed, Wanted, events, removed};
use setpoint_ops::live::View;
use setpoint_ops::secret::Rules;
use setpoint_ops::setting::Scope;
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::page::{self, LIMIT};
use crate::payload::Rendered;
use crate::plan_shape::Origin;
use crate::problem::ApiResult;
use crate::service::{Service, view};
use crate::settings::{key, unknown};

pub(crate) struct KeyHistory(pub Arc<Service>);

/// What one revision did to one key.
#[derive(Object)]
#[oai(rename = "Event")]
pub(crate) struct EventShape {
    revision: i64,
    at: String,
    /// The name of a token, or of a user of the machine.
    actor: String,
    /// The door it came through: `cli`, `api`, `panel`, `job` or `sql`.
    channel: String,
    kind: String,
    #[oai(nullable)]
    reason: Option<String>,
    namespace: String,
    layer: String,
    key: String,
    action: Action,
    /// Null where there was none, too.
    before: Value,
    after: Value,
    /// Why the service keeps it out: it was made by SQL, and is not valid.
    #[oai(skip_serializing_if_is_none)]
    kept_out: Option<String>,
}

#[derive(Enum)]
#[oai(rename_all = "lowercase")]
enum Action {
    Add,
    Update,
    Delete,
}

/// Some of what has happened, the newest first.
#[derive(Object)]
#[oai(rename = "EventsPage")]
pub(crate) struct EventsPage {
    events: Vec<EventShape>,
    /// Give it as `cursor` for what came before; missing at the end.
    #[oai(skip_serializing_if_is_none)]
    next: Option<String>,
    /// At the end, if that is not the beginning: changes may have been removed.
    #[oai(skip_serializing_if_is_none)]
    removed: Option<RemovedShape>,
}

/// What retention has removed of the history, of all keys and namespaces.
#[derive(Object)]
#[oai(rename = "RemovedRevisions", skip_serializing_if_is_none)]
pub(crate) struct RemovedShape {
    /// How many.
    revisions: i64,
    /// The newest of them.
    last: i64,
    /// The newest revision of kind `retention`: its reason says what it has removed.
    removed_by: i64,
    /// When that was.
    removed_at: Option<String>,
}

/// The same, as `ops` has it.
#[derive(Serialize)]
pub(crate) struct EventPage {
    pub events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
}

/// Everything that is known of one key.
#[derive(Object)]
#[oai(rename = "Explanation")]
struct ExplanationShape {
    namespace: String,
    key: String,
    /// What a reader sees; null if the key is unset everywhere.
    #[oai(nullable)]
    effective: Option<Setting>,
    /// The highest layer first.
    layers: Vec<InLayer>,
    /// The newest change first.
    history: Vec<EventShape>,
    /// Missing if the history is whole; changes of this key may be among what was removed.
    #[oai(skip_serializing_if_is_none)]
    removed: Option<RemovedShape>,
    /// Files that have conflicts open: then `seed` may not be what the file says by now.
    conflicts_in: Vec<String>,
}

/// The key in one layer.
#[derive(Object)]
struct InLayer {
    layer: String,
    live: Value,
    /// What its file said when it was last imported.
    seed: Value,
    #[oai(nullable)]
    origin: Option<Origin>,
    state: State,
}

#[derive(Enum)]
#[oai(rename = "LayerState", rename_all = "kebab-case")]
enum State {
    AsInTheFile,
    EditedHere,
    DeletedHere,
    /// No file has it.
    OwnKey,
}

#[OpenApi(prefix_path = "/settings", tag = "Tags::History")]
impl KeyHistory {
    /// What happened to a key and those below it
    #[oai(path = "/:key/history", method = "get", operation_id = "get_setting_history")]
    async fn history(
        &self,
        caller: Caller,
        key: Path<String>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// How many at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
        /// Where the page before this one ended.
        cursor: Query<Option<String>>,
    ) -> ApiResult<Rendered<EventsPage>> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Viewer, ns.0)?;
        let key = self::key(&key)?;
        let namespaces = Some(vec![namespace.clone()]);
        let wanted = Wanted { namespaces, key: Some(key.clone()), ..Wanted::default() };
        let is_first = cursor.is_none();
        let page = page_of(&self.0, &wanted, cursor.0, limit.0).await?;
        if page.events.is_empty() && is_first {
            return Err(unknown(&snapshot, &caller, &namespace, View::Effective, &key).into());
        }
        Ok(Rendered::of(&page))
    }

    /// Why a setting has the value it has
    ///
    /// Each layer, what the file says and where, and who changed it last.
    #[oai(path = "/:key/explain", method = "get", operation_id = "explain_setting")]
    async fn explain(
        &self,
        caller: Caller,
        key: Path<String>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// With the preferences of this user on top.
        user: Query<Option<String>>,
    ) -> ApiResult<Rendered<ExplanationShape>> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Viewer, ns.0)?;
        let key = self::key(&key)?;
        let mut layers = snapshot.layers(&namespace).to_vec();
        layers.extend(user.as_deref().map(|it| format!("user:{it}")));
        let scope = Scope { namespace: namespace.clone(), layers };
        let db = self.0.reader().await?;
        let explained = explain(&db, &scope, &key).await;
        let explained = match explained {
            Err(setpoint_ops::Error::UnknownKey { .. }) => {
                Err(unknown(&snapshot, &caller, &namespace, View::Effective, &key))
            }
            explained => explained,
        };
        let explained = self.0.answer(explained)?;
        // What is served, which is not what is stored where SQL wrote something invalid.
        let seen = view(&snapshot, &namespace, None, user.as_deref())?;
        let served = snapshot.get(&namespace, seen, key.as_str());
        let effective = served.map(|it| it.setting.clone());
        let rules = snapshot.declared(&namespace).secrets.clone();
        Ok(Rendered::of(&shown(Explanation { effective, ..explained }, &rules)))
    }
}

/// An explanation without the values of what is a secret by now.
fn shown(mut it: Explanation, rules: &Rules) -> Explanation {
    let key = it.key.clone();
    let show = |side: &mut Option<Value>| *side = side.take().map(|value| rules.shown(&key, value));
    for layer in &mut it.layers {
        show(&mut layer.live);
        show(&mut layer.seed);
    }
    it.history = it.history.into_iter().map(|event| hide(event, rules)).collect();
    it
}

/// An event without the values of what is a secret by now.
fn hide(mut event: Event, rules: &Rules) -> Event {
    for side in [&mut event.before, &mut event.after] {
        *side = side.take().map(|value| rules.shown(&event.key, value));
    }
    event
}

/// A page of what is `wanted`.
pub(crate) async fn page_of(
    service: &Service,
    wanted: &Wanted,
    cursor: Option<String>,
    limit: Option<u32>,
) -> ApiResult<EventPage> {
    type Place = (i64, String, String, String);
    let after = cursor.map(|it| page::read_place::<Place>(&it)).transpose()?;
    let after = after.map(|(revision, namespace, layer, key)| EventPlace {
        revision,
        namespace,
        layer,
        key,
    });
    let limit = limit.unwrap_or(LIMIT);
    let db = service.reader().await?;
    let mut found = service.answer(events(&db, wanted, after.as_ref(), limit + 1).await)?;
    let is_more = found.len() > limit as usize;
    let removed = service.answer(removed_before(&db, is_more).await)?;
    drop(db);
    found.truncate(limit as usize);
    let last = found.last().filter(|_| is_more);
    let next =
        last.map(|it| page::cursor_at(&(it.revision, &it.namespace, &it.layer, it.key.as_str())));
    let rules = service.rules();
    let events = found.into_iter().map(|it| {
        let rules = rules(&it.namespace);
        hide(it, &rules)
    });
    Ok(EventPage { events: events.collect(), next, removed })
}

/// What was removed of the history, for the last of its pages: there it seems to begin.
pub(crate) async fn removed_before(
    db: &DatabaseTransaction,
    is_more: bool,
) -> setpoint_ops::Result<Option<Removed>> {
    if is_more { Ok(None) } else { removed(db).await }
}
