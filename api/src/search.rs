//! `/settings/search`: settings by some letters of what they are called, mean or hold.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use poem_openapi::param::Query;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;
use serde_json::value::RawValue;
use setpoint_client::types::Setting;
use setpoint_ops::Key;
use setpoint_ops::live::{Index, Row, Snapshot};
use setpoint_ops::search::{self, Hit};
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::payload::Rendered;
use crate::problem::ApiResult;
use crate::service::{Service, aside, view};

pub(crate) struct Search(pub Arc<Service>);

/// What is searched of each namespace that somebody searched.
#[derive(Default)]
pub(crate) struct Indexes(Mutex<HashMap<String, Arc<RwLock<Index>>>>);

/// How many hits there are if nobody says so.
const LIMIT: u32 = 20;

/// What was found, the best first.
#[derive(Object)]
struct SearchResult {
    hits: Vec<HitShape>,
    epoch: String,
    /// The revision at which all of these were live.
    revision: i64,
}

/// A setting that was found.
#[derive(Object)]
#[oai(rename = "Hit")]
struct HitShape {
    setting: Setting,
    /// What it is called in the schema.
    #[oai(skip_serializing_if_is_none)]
    label: Option<String>,
    #[oai(skip_serializing_if_is_none)]
    description: Option<String>,
    /// More is better; only for comparing the hits of one search.
    score: u32,
    matched: Field,
    /// The bytes of the key that were found, for emphasis, as `[start, end]`.
    ranges: Vec<Vec<u64>>,
}

/// The least telling of the texts that the words were found in.
#[derive(Clone, Copy, Enum, Serialize)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "MatchedField", rename_all = "lowercase")]
enum Field {
    Key,
    Label,
    Description,
    Value,
}

#[derive(Serialize)]
struct Found<'a> {
    hits: Vec<Shown<'a>>,
    epoch: &'a str,
    revision: i64,
}

#[derive(Serialize)]
struct Shown<'a> {
    setting: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    score: u32,
    matched: Field,
    ranges: Vec<[usize; 2]>,
}

#[OpenApi(prefix_path = "/settings", tag = "Tags::Settings")]
impl Search {
    /// Search settings
    ///
    /// By words, in any order: in keys, labels, descriptions and values. Letters may be missing
    /// in what is searched for. A key that is typed exactly comes first.
    #[oai(path = "/search", method = "get", operation_id = "search_settings")]
    async fn search(
        &self,
        caller: Caller,
        /// Words with spaces between them.
        q: Query<String>,
        /// The namespace, if it is not the first.
        ns: Query<Option<String>>,
        /// How many at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
    ) -> ApiResult<Rendered<SearchResult>> {
        let snapshot = self.0.live.snapshot();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Viewer, ns.0)?;
        let query = search::Query::parse(&q)?;
        let limit = limit.unwrap_or(LIMIT) as usize;
        let started = Instant::now();
        let index = self.0.indexes.of(&snapshot, &namespace);
        let work = move |service: Arc<Service>| async move {
            let found = with(&index, &snapshot, &namespace, |index| {
                let hits = index.search(&query, limit);
                let hits = hits.into_iter().map(Shown::of).collect();
                Rendered::of(&Found { hits, epoch: &snapshot.history, revision: index.revision })
            });
            service.meters.search_duration.record(started.elapsed());
            Ok(found)
        };
        aside(&self.0, work).await
    }
}

/// The keys of the settings that `words` are found in: of a layer, or with the preferences of a
/// user, which `seen` names.
pub(crate) async fn found(
    service: &Arc<Service>,
    snapshot: &Arc<Snapshot>,
    namespace: &str,
    seen: (Option<String>, Option<String>),
    words: &str,
) -> ApiResult<HashSet<Key>> {
    let query = search::Query::parse(words)?;
    let (snapshot, namespace) = (snapshot.clone(), namespace.to_owned());
    let work = move |_: Arc<Service>| async move {
        let view = view(&snapshot, &namespace, seen.0.as_deref(), seen.1.as_deref())?;
        Ok(snapshot.found(&namespace, view, &query))
    };
    aside(service, work).await
}

/// Does `work` with what can be searched, once it is as new as `snapshot`.
fn with<T>(
    index: &RwLock<Index>,
    snapshot: &Snapshot,
    namespace: &str,
    work: impl Fn(&Index) -> T,
) -> T {
    {
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        if index.is_at(snapshot) {
            return work(&index);
        }
    }
    index.write().unwrap_or_else(PoisonError::into_inner).follow(snapshot, namespace);
    work(&index.read().unwrap_or_else(PoisonError::into_inner))
}

impl Indexes {
    fn of(&self, snapshot: &Snapshot, namespace: &str) -> Arc<RwLock<Index>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|name, _| snapshot.has(name) || name == namespace);
        all.entry(namespace.to_owned()).or_default().clone()
    }
}

impl<'a> Shown<'a> {
    fn of(hit: Hit<&'a Row>) -> Self {
        let part = hit.item.part.as_deref();
        Self {
            setting: &hit.item.entry.json,
            label: part.and_then(|it| it.label.as_deref()),
            description: part.and_then(|it| it.description.as_deref()),
            score: hit.score,
            matched: match hit.matched {
                search::Field::Key => Field::Key,
                search::Field::Label => Field::Label,
                search::Field::Description => Field::Description,
                search::Field::Value => Field::Value,
            },
            ranges: hit.ranges.iter().map(|it| [it.start, it.end]).collect(),
        }
    }
}
