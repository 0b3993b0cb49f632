//! What somebody wants a plan of.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use poem::http::StatusCode;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use setpoint_ops::import::{self, Choices, Import, Options, Resolve, Strategy};
use setpoint_ops::live::Snapshot;
use setpoint_ops::plan::{Author, Kind};
use setpoint_ops::source::Declared;
use setpoint_ops::{Key, adopt, reset, revert};

use crate::body::{given, map};
use crate::carry_out::{refuse_emptied, without_files};
use crate::document::{self, Document};
use crate::problem::{ApiError, ApiResult};
use crate::service::{Service, aside, now};
use crate::settings::key;

/// One of the ways to change something.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wish {
    Edits(Box<RawValue>),
    Import(#[serde(deserialize_with = "map")] ImportWish),
    Revert(#[serde(deserialize_with = "map")] RevertWish),
    Reset(#[serde(deserialize_with = "map")] ResetWish),
    Adopt(#[serde(deserialize_with = "map")] AdoptWish),
}

/// Where edits go.
pub(super) struct Place {
    pub namespace: String,
    /// Whether the request has named it.
    pub is_named: bool,
    pub layer: Option<String>,
}

/// Declared files, and what is done with conflicts.
#[derive(Default, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
pub(crate) struct ImportWish {
    /// Their paths, as they are declared; all if there are none.
    #[serde(default)]
    #[oai(default)]
    pub sources: Vec<String>,
    /// For conflicts that have no choice of their own; without it they stay open.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none)]
    pub strategy: Option<StrategyName>,
    /// For single keys in conflict.
    #[serde(default)]
    #[oai(default)]
    pub resolve: HashMap<String, Choice>,
    /// Whether a file that is empty by now may delete the settings it had.
    #[serde(default)]
    #[oai(default)]
    pub allow_empty: bool,
}

impl Example for ImportWish {
    fn example() -> Self {
        Self {
            strategy: Some(StrategyName::Ours),
            resolve: HashMap::from([("http.port".to_owned(), Choice::Theirs)]),
            ..Self::default()
        }
    }
}

/// A revision, or everything since one.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
pub(crate) struct RevertWish {
    /// Take back what this revision did.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none)]
    revision: Option<i64>,
    /// Take back everything that happened after this revision.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none)]
    to: Option<i64>,
    /// Only these keys and those below them.
    #[serde(default)]
    #[oai(default)]
    keys: Vec<String>,
    /// For keys that have changed since: `theirs` is the earlier value.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none)]
    strategy: Option<StrategyName>,
}

impl Example for RevertWish {
    fn example() -> Self {
        Self { revision: Some(7), to: None, keys: Vec::new(), strategy: None }
    }
}

/// Keys, or all of them.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
pub(crate) struct ResetWish {
    /// These and those below them.
    #[serde(default)]
    #[oai(default)]
    pub keys: Vec<String>,
    /// The whole namespace.
    #[serde(default)]
    #[oai(default)]
    pub all: bool,
    /// Whether keys that no file has are removed, too.
    #[serde(default)]
    #[oai(default)]
    pub purge: bool,
}

impl Example for ResetWish {
    fn example() -> Self {
        Self { keys: vec!["http".to_owned()], all: false, purge: false }
    }
}

/// Keys, or all that were edited here.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
pub(crate) struct AdoptWish {
    /// These and those below them.
    #[serde(default)]
    #[oai(default)]
    pub keys: Vec<String>,
    /// Everything that was edited here and is not ignored.
    #[serde(default)]
    #[oai(default)]
    pub all: bool,
}

impl Example for AdoptWish {
    fn example() -> Self {
        Self { keys: vec!["http".to_owned()], all: false }
    }
}

/// What is done with conflicts.
#[derive(Clone, Copy, Deserialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
pub(crate) enum StrategyName {
    /// The live value stays.
    Ours,
    /// The other value wins.
    Theirs,
    /// Nothing is changed if there is a conflict.
    Fail,
}

/// What is chosen for one conflict.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Choice {
    Ours,
    Theirs,
    /// A value that neither side has.
    Value(Value),
}

impl Wish {
    /// The plan, of what is live and what the files say.
    pub(super) async fn plan(
        self,
        service: &Arc<Service>,
        snapshot: &Snapshot,
        place: Place,
        author: Author,
    ) -> ApiResult<Import> {
        match self {
            Self::Edits(text) => edits(service, snapshot, place, &text, author),
            Self::Import(wish) => import_plan(service, &wish, &place.namespace, author).await,
            Self::Revert(wish) => {
                let target = wish.target()?;
                let layer =
                    place.layer.map(|it| service.layer(snapshot, &place.namespace, Some(it)));
                let part = revert::Part {
                    layer: layer.transpose()?,
                    keys: keys(&wish.keys)?,
                    namespace: Some(place.namespace).filter(|_| place.is_named),
                };
                let db = service.reader().await?;
                let plan = revert::plan(&db, target, &part, strategy(wish.strategy), author).await;
                Ok(without_files(service.answer(plan)?))
            }
            Self::Reset(wish) => {
                let layer =
                    place.layer.map(|it| service.layer(snapshot, &place.namespace, Some(it)));
                let target = wish.target(place.namespace, layer.transpose()?)?;
                let db = service.reader().await?;
                Ok(without_files(service.answer(reset::plan(&db, &target, author).await)?))
            }
            Self::Adopt(wish) => {
                Ok(adopt_plan(service, &wish, place.namespace, author).await?.import)
            }
        }
    }
}

fn edits(
    service: &Service,
    snapshot: &Snapshot,
    place: Place,
    text: &RawValue,
    author: Author,
) -> ApiResult<Import> {
    let Place { namespace, layer, .. } = place;
    let layer = service.layer(snapshot, &namespace, layer)?;
    let bytes = text.get().as_bytes();
    let edits = document::read(service, snapshot, &namespace, bytes, None, false)?;
    let document = Document {
        namespace,
        layer,
        prefix: None,
        edits,
        replace: false,
        kind: Kind::Edit,
        author,
        condition: None,
        trial: None,
    };
    Ok(without_files(document.plan(snapshot)?))
}

/// What an import of declared files would do.
pub(crate) async fn import_plan(
    service: &Arc<Service>,
    wish: &ImportWish,
    namespace: &str,
    author: Author,
) -> ApiResult<Import> {
    let setup = service.setup.load_full();
    let declared = chosen(&setup.sources, &wish.sources, namespace)?;
    let options = Options { choices: choices(wish)?, ..Options::default() };
    let work = |service: Arc<Service>| async move {
        let db = service.reader().await?;
        let (root, limits) = (&setup.root, &setup.limits);
        service.answer(import::plan(&db, &declared, root, &options, limits, author).await)
    };
    let import = aside(service, work).await?;
    refuse_emptied(&import, wish.allow_empty)?;
    Ok(import)
}

/// What it would take for the files to say what is live.
pub(crate) async fn adopt_plan(
    service: &Arc<Service>,
    wish: &AdoptWish,
    namespace: String,
    author: Author,
) -> ApiResult<adopt::Adoption> {
    let wanted = match one_of(&wish.keys, wish.all)? {
        None => adopt::Wanted::All,
        Some(keys) => adopt::Wanted::Keys(keys),
    };
    let work = |service: Arc<Service>| async move {
        let setup = service.setup.load_full();
        let (declared, root, limits) = (&setup.sources, &setup.root, &setup.limits);
        let db = service.reader().await?;
        let adoption =
            adopt::plan(&db, declared, root, &namespace, &wanted, limits, author, now()).await;
        service.answer(adoption)
    };
    aside(service, work).await
}

/// The declared sources of `namespace` with these paths; all without any.
fn chosen(declared: &[Declared], paths: &[String], namespace: &str) -> ApiResult<Vec<Declared>> {
    let here = || declared.iter().filter(|it| it.namespace == namespace);
    let known = || here().map(|it| it.path.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(path) = paths.iter().find(|path| !here().any(|it| it.path == **path)) {
        let detail = format!("there is no source {path} in `{namespace}`");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "source::unknown", detail)
            .help(format!("declared are: {}", known())));
    }
    let chosen = here().filter(|it| paths.is_empty() || paths.contains(&it.path));
    let chosen: Vec<Declared> = chosen.cloned().collect();
    match chosen.is_empty() {
        false => Ok(chosen),
        true => Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "migrate::nothing",
            format!("no source is declared in `{namespace}`"),
        )
        .help("declare files as [[source]] in setpoint.toml, or send one to /api/sources/import")),
    }
}

impl RevertWish {
    fn target(&self) -> ApiResult<revert::Target> {
        match (self.revision, self.to) {
            (Some(revision), None) => Ok(revert::Target::Revision(revision)),
            (None, Some(to)) => Ok(revert::Target::To(to)),
            _ => Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "request::invalid",
                "`revision` or `to` says what is taken back, and not both",
            )
            .help("nothing was changed; give one of them")),
        }
    }
}

impl ResetWish {
    pub(crate) fn target(
        &self,
        namespace: String,
        layer: Option<String>,
    ) -> ApiResult<reset::Target> {
        let keys = one_of(&self.keys, self.all)?.unwrap_or_default();
        Ok(reset::Target { namespace, layer, keys, purge: self.purge })
    }
}

/// The keys that are meant; none if it is all of them.
fn one_of(keys: &[String], all: bool) -> ApiResult<Option<Vec<Key>>> {
    match (keys.is_empty(), all) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(self::keys(keys)?)),
        _ => Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "request::invalid",
            "`keys` or `all` says what is meant, and not both",
        )
        .help("nothing was changed; give one of them")),
    }
}

pub(crate) fn keys(texts: &[String]) -> ApiResult<Vec<Key>> {
    texts.iter().map(|it| key(it)).collect()
}

pub(crate) fn strategy(name: Option<StrategyName>) -> Strategy {
    match name {
        None => Strategy::Ask,
        Some(StrategyName::Ours) => Strategy::Ours,
        Some(StrategyName::Theirs) => Strategy::Theirs,
        Some(StrategyName::Fail) => Strategy::Fail,
    }
}

pub(crate) fn choices(wish: &ImportWish) -> ApiResult<Choices> {
    let by_key = wish.resolve.iter().map(|(key, choice)| {
        let resolve = match choice {
            Choice::Ours => Resolve::Ours,
            Choice::Theirs => Resolve::Theirs,
            Choice::Value(value) => Resolve::Json(value.clone()),
        };
        Ok((self::key(key)?, resolve))
    });
    Ok(Choices {
        strategy: strategy(wish.strategy),
        by_key: by_key.collect::<ApiResult<BTreeMap<_, _>>>()?,
        ..Choices::default()
    })
}
