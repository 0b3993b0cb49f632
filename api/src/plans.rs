//! `/plans`: changes that are looked at first, and carried out later.

use std::sync::Arc;

use poem::http::StatusCode;
use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use serde::Serialize;
use setpoint_ops::apply::{Applied, applied_before, applied_lately};
use setpoint_ops::import::Import;
use setpoint_ops::plan::{Plan, Summary, Trial};
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::body::{Body, OptionalText};
use crate::carry_out::{finish, may, role_for, without_files};
use crate::payload::{Like, Rendered};
use crate::plan_shape::{self, PlanShape};
use crate::problem::{ApiError, ApiResult};
use crate::service::Service;
use crate::written::shown;

mod kept;
mod outside;
mod schema;
mod wish;

pub(crate) use kept::Plans;
pub(crate) use wish::{
    AdoptWish, ImportWish, ResetWish, StrategyName, adopt_plan, import_plan, keys, strategy,
};

use wish::{Place, Wish};

pub(crate) struct PlanApi(pub Arc<Service>);

/// What became of a plan.
#[derive(Object, Serialize)]
struct AppliedPlan {
    /// Of the plan in the history. It is another than was asked for if somebody else has made
    /// that plan: who carries a plan out is named with it.
    hash: String,
    /// The revision that it is; missing if there was nothing to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    revision: Option<i64>,
    /// Whether it had been carried out before: nothing happened now.
    repeated: bool,
    /// How many values were read back and compared, where files were imported.
    verified: u64,
    /// Missing if it was carried out before, and the plan is not known here any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    summary: Option<Like<plan_shape::Summary>>,
}

#[OpenApi(prefix_path = "/plans", tag = "Tags::History")]
impl PlanApi {
    /// Plan a change
    ///
    /// Nothing happens yet: the answer is what would. It is kept for a while, so that its hash
    /// is enough to carry it out.
    #[oai(path = "/", method = "post", operation_id = "make_plan")]
    async fn make(
        &self,
        caller: Caller,
        body: Body<Wish>,
        /// The namespace, if it is not the first. Of a revert only what happened in it; without
        /// this and `layer`, all that did.
        ns: Query<Option<String>>,
        /// The layer that is changed; of an import, those of its sources are.
        layer: Query<Option<String>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
    ) -> ApiResult<Rendered<PlanShape>> {
        let snapshot = self.0.live.snapshot();
        let is_named = ns.is_some() || layer.is_some();
        let namespace = self.0.namespace(&snapshot, &caller, Role::Editor, ns.0)?;
        let author = caller.author(reason.0);
        let place = Place { namespace, is_named, layer: layer.0 };
        let import = body.0.plan(&self.0, &snapshot, place, author).await?;
        may(&caller, role_for(import.plan.kind), &import.plan)?;
        let plan = Rendered::of(&shown(&import.plan, &snapshot));
        self.0.plans.keep(import);
        Ok(plan)
    }

    /// Look at a plan again
    #[oai(path = "/:hash", method = "get", operation_id = "get_plan")]
    async fn get(&self, caller: Caller, hash: Path<String>) -> ApiResult<Rendered<PlanShape>> {
        let import = self.0.plans.find(&hash).ok_or_else(|| unknown(&hash))?;
        may(&caller, Role::Viewer, &import.plan)?;
        Ok(Rendered::of(&shown(&import.plan, &self.0.live.snapshot())))
    }

    /// Carry out a plan
    ///
    /// 409 if a key or a file that it is about is another by now. Carrying it out twice is
    /// harmless: the second time answers with the same revision. Another instance than the one
    /// that made it takes the plan as the body.
    #[oai(path = "/:hash/apply", method = "post", operation_id = "apply_plan")]
    async fn apply(
        &self,
        caller: Caller,
        hash: Path<String>,
        body: OptionalText<PlanShape>,
        /// Undo it after this time, such as `10m`, unless it is confirmed before.
        confirm_within: Query<Option<String>>,
        /// With `confirm_within`: undo it at once if more clients than this reject it; 1, if
        /// nothing is said.
        reject_limit: Query<Option<u32>>,
    ) -> ApiResult<Rendered<AppliedPlan>> {
        caller.may(Role::Editor)?;
        let service = &self.0;
        let given = body.0.map(|bytes| read(&bytes, &hash)).transpose()?;
        let kept = service.plans.find(&hash);
        let Some(plan) = kept.as_ref().map(|it| it.plan.clone()).or(given) else {
            let before = self.0.answer(applied_lately(&self.0.reader().await?, &hash).await)?;
            let before = before.ok_or_else(|| unknown(&hash))?;
            return Ok(repeated(&hash, before, None));
        };
        may(&caller, role_for(plan.kind), &plan)?;
        let trial = Trial::wished(confirm_within.as_deref(), reject_limit.0)?;
        let own = Plan { trial, ..plan.clone().by(&caller.name) };
        for plan in [&plan, &own] {
            let before = applied_before(&self.0.reader().await?, plan).await;
            if let Some(id) = self.0.answer(before)? {
                return Ok(repeated(&plan.hash, id, Some(&plan.summary)));
            }
        }
        let import = match kept {
            Some(import) => Import { plan: own, ..Import::clone(&import) },
            None => {
                outside::check(service, &plan).await?;
                without_files(own)
            }
        };
        let import = outside::with_files(service, import).await?;
        let done = finish(service, &caller, import).await?;
        let applied = done.migrated.applied;
        Ok(Rendered::of(&AppliedPlan {
            hash: done.plan.hash,
            revision: applied.revision(),
            repeated: matches!(applied, Applied::Before(_)),
            verified: done.migrated.verified as u64,
            summary: Some(Like::of(&done.plan.summary)),
        }))
    }
}

/// The answer for a plan that is in the history already.
fn repeated(hash: &str, revision: i64, summary: Option<&Summary>) -> Rendered<AppliedPlan> {
    Rendered::of(&AppliedPlan {
        hash: hash.to_owned(),
        revision: Some(revision),
        repeated: true,
        verified: 0,
        summary: summary.map(Like::of),
    })
}

/// The plan of a body, which has to be the one that the path names.
fn read(bytes: &[u8], hash: &str) -> ApiResult<Plan> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let plan = Plan::from_json(text)?;
    match plan.hash == hash {
        true => Ok(plan),
        false => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "plan::other_hash",
            "the body is another plan than the path names",
        )
        .help("nothing was changed; the path has the `hash` of the plan")),
    }
}

fn unknown(hash: &str) -> ApiError {
    let detail = format!("there is no plan {hash}");
    ApiError::new(StatusCode::NOT_FOUND, "plan::unknown", detail)
        .help("plans are kept for a while; make it again, or send the plan as the body")
}
