//! Plans that come from outside: a hash proves nothing, anybody can compute it. So each is made
//! again of what is live, and has to come to the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use setpoint_ops::edit::Edits;
use setpoint_ops::import::{self, Choices, Import, Options, Resolve};
use setpoint_ops::plan::{self, Class, Effect, Kind, Plan, PlannedSource};
use setpoint_ops::source::{Declared, read_again};
use setpoint_ops::{Error, Key};

use crate::problem::ApiResult;
use crate::service::{Service, aside};

/// Refuses a plan that is not what would be planned here.
pub(super) async fn check(service: &Arc<Service>, plan: &Plan) -> ApiResult<()> {
    match plan.kind {
        Kind::Import => check_import(service, plan).await,
        Kind::Adopt => {
            let reason = "this instance did not make it, and it writes files".to_owned();
            Err(Error::Stale { reason }.into())
        }
        Kind::Restore => {
            let reason = "this instance did not make it, and has not seen the backup".to_owned();
            Err(Error::Stale { reason }.into())
        }
        Kind::Retention => {
            let reason = "only `setpoint audit prune` removes revisions".to_owned();
            Err(Error::BadPlan { reason }.into())
        }
        Kind::Edit | Kind::Preset | Kind::Revert | Kind::Reset => check_values(service, plan),
    }
}

/// Refuses a plan whose effects are not those of setting the same values now.
fn check_values(service: &Service, plan: &Plan) -> ApiResult<()> {
    let is_of_files = !plan.sources.is_empty() || !plan.moves.is_empty();
    if is_of_files || !plan.resolutions.is_empty() || !plan.secrets.is_empty() {
        let reason = "only an import is about files".to_owned();
        return Err(Error::BadPlan { reason }.into());
    }
    let snapshot = service.live.snapshot();
    let mut layers = BTreeMap::<(&str, &str), Vec<Effect<'_>>>::new();
    for effect in plan.effects() {
        layers.entry((effect.namespace, effect.layer)).or_default().push(effect);
    }
    let mut moved = Vec::new();
    for ((namespace, layer), effects) in layers {
        let edits: Edits = effects.iter().map(|it| (it.key.clone(), it.after.cloned())).collect();
        let author = plan.author.clone();
        let now = snapshot.plan(namespace, layer, edits, plan.kind, author)?;
        let now: BTreeMap<&Key, Effect<'_>> =
            now.effects().into_iter().map(|it| (it.key, it)).collect();
        let differs = |it: &&Effect<'_>| now.get(it.key) != Some(it);
        moved.extend(effects.iter().filter(differs).map(|it| it.key.to_string()));
    }
    match moved.is_empty() {
        true => Ok(()),
        false => {
            let reason = format!("{} changed since it was made", moved.join(", "));
            Err(Error::Stale { reason }.into())
        }
    }
}

/// Refuses an import that the declared files would not come to now.
async fn check_import(service: &Arc<Service>, plan: &Plan) -> ApiResult<()> {
    let declared = declared(service, &plan.sources)?;
    let by_place = plan.resolutions.iter().map(|it| {
        let place = (it.namespace.clone(), it.layer.clone(), it.key.clone());
        let resolve = match (it.choice, &it.value) {
            (plan::Choice::Theirs, _) => Resolve::Theirs,
            (plan::Choice::Value, Some(value)) => Resolve::Json(value.json.clone()),
            (plan::Choice::Ours | plan::Choice::Value, _) => Resolve::Ours,
        };
        (place, resolve)
    });
    let choices = Choices { by_place: by_place.collect(), ..Choices::default() };
    let options = Options { choices, ..Options::default() };
    let author = plan.author.clone();
    let work = |service: Arc<Service>| async move {
        let setup = service.setup.load_full();
        let db = service.reader().await?;
        let (root, limits) = (&setup.root, &setup.limits);
        service.answer(import::plan(&db, &declared, root, &options, limits, author).await)
    };
    let now = aside(service, work).await?.plan;
    // What stays as it is may have become more since then.
    let moving = |plan: &Plan| {
        let changes = plan.changes.iter().filter(|it| it.class != Class::Keep);
        changes.cloned().collect::<Vec<_>>()
    };
    let is_same = moving(&now) == moving(plan)
        && now.moves == plan.moves
        && now.sources == plan.sources
        && now.resolutions == plan.resolutions
        && now.secrets == plan.secrets;
    match is_same {
        true => Ok(()),
        false => {
            let reason = "the files or the settings are others than it was made of".to_owned();
            Err(Error::Stale { reason }.into())
        }
    }
}

/// The declarations of the files that a plan is about; no others are read.
fn declared(service: &Service, planned: &[PlannedSource]) -> ApiResult<Vec<Declared>> {
    let setup = service.setup.load();
    let find = |it: &PlannedSource| {
        let is_it = |one: &&Declared| {
            (&one.namespace, &one.path) == (&it.namespace, &it.path)
                && (&one.layer, &one.interpretation) == (&it.layer, &it.interpretation)
        };
        setup.sources.iter().find(is_it).cloned().ok_or_else(|| {
            let reason = format!("{} is not declared so, or not any more", it.path);
            Error::Stale { reason }.into()
        })
    };
    planned.iter().map(find).collect()
}

/// The plan with the files that it was computed from, which have to be as they were.
pub(super) async fn with_files(service: &Arc<Service>, import: Import) -> ApiResult<Import> {
    if import.plan.kind != Kind::Import {
        return Ok(import);
    }
    let declared = declared(service, &import.plan.sources)?;
    let planned = import.plan.sources.clone();
    let read = |service: Arc<Service>| async move {
        let setup = service.setup.load();
        service.answer(read_again(&planned, &declared, &setup.root, &setup.limits))
    };
    let sources = aside(service, read).await?;
    Ok(Import { sources, ..import })
}
