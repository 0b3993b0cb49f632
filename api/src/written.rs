//! Changes carried out, and what is answered to them.

use std::time::Instant;

use poem_openapi::{ApiResponse, Object};
use serde::Serialize;
use setpoint_client::types::{self, Setting};
use setpoint_ops::apply::{Applied, Channel};
use setpoint_ops::live::{self, Snapshot, View};
use setpoint_ops::plan::{Change, Plan, Trial};
use setpoint_ops::secret::hidden;
use setpoint_ops::{Error, Format, Key, ValueType};

use crate::etag;
use crate::payload::{Like, Rendered};
use crate::plan_shape::PlanShape;
use crate::service::{Service, now};

/// What became of a change.
#[derive(Object, Serialize)]
pub(crate) struct Written {
    /// The plan: what changes, from what to what, and its hash.
    pub plan: Like<PlanShape>,
    /// The revision it is now; missing if nothing had to change, or with `dry_run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub revision: Option<i64>,
    /// The setting as it is now, where the change was about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub setting: Option<Setting>,
}

/// A change of a namespace.
#[derive(ApiResponse)]
pub(crate) enum Wrote {
    /// What became of it; the ETag is that of the namespace.
    #[oai(status = 200)]
    Ok(Rendered<Written>, #[oai(header = "ETag")] String),
}

impl Wrote {
    pub(crate) fn of(done: &Done, namespace: &str) -> Self {
        Self::Ok(Rendered::of(&done.answer(None)), etag::of_space(&done.snapshot, namespace))
    }
}

/// A plan that was carried out, or would be.
pub(crate) struct Done {
    pub plan: Plan,
    pub applied: Option<Applied>,
    pub snapshot: std::sync::Arc<Snapshot>,
}

/// Has the plan that `make` makes written, on `trial` if it is to be confirmed; or only made if it
/// `is_dry`.
pub(crate) async fn carry_out(
    service: &Service,
    is_dry: bool,
    trial: Option<Trial>,
    channel: Channel,
    mut make: impl FnMut(&Snapshot) -> Result<Plan, Error> + Send + 'static,
) -> Result<Done, Error> {
    if is_dry {
        let snapshot = service.live.snapshot();
        return Ok(Done { plan: make(&snapshot)?, applied: None, snapshot });
    }
    let started = Instant::now();
    let make = move |snapshot: &Snapshot| Ok(Plan { trial, ..make(snapshot)? });
    match service.live.write(channel, now(), make).await {
        Ok(live::Written { plan, applied, snapshot }) => {
            service.meters.write.increment(1);
            service.meters.write_duration.record(started.elapsed());
            log(&plan, applied, channel);
            Ok(Done { plan, applied: Some(applied), snapshot })
        }
        Err(error) => {
            service.meters.write_failed.increment(1);
            Err(error)
        }
    }
}

/// Logs what was changed, without values; not all keys of a large plan.
pub(crate) fn log(plan: &Plan, applied: Applied, channel: Channel) {
    const MOST: usize = 10;
    let names = |of: fn(&Change) -> &str, most: usize| {
        let mut names: Vec<&str> = plan.changes.iter().map(of).collect();
        names.sort_unstable();
        names.dedup();
        let others = names.len().saturating_sub(most);
        names.truncate(most);
        let more = if others > 0 { format!(" and {others} more") } else { String::new() };
        names.join(", ") + &more
    };
    tracing::info!(
        revision = applied.revision(),
        namespace = names(|it| &it.namespace, MOST),
        layer = names(|it| &it.layer, MOST),
        keys = names(|it| it.key.as_str(), MOST),
        actor = plan.author.actor,
        channel = channel.as_str(),
        kind = plan.kind.as_str(),
        "changed settings"
    );
}

impl Done {
    /// What is answered; with the setting at one place if it was about that.
    pub(crate) fn answer(&self, place: Option<(&str, &str, &Key)>) -> Written {
        let found = place.and_then(|(namespace, layer, key)| {
            self.snapshot.get(namespace, View::Layer(layer), key.as_str())
        });
        Written {
            plan: shown(&self.plan, &self.snapshot),
            revision: self.applied.and_then(Applied::revision),
            setting: found.filter(|_| self.applied.is_some()).map(|it| setting(&it.setting)),
        }
    }
}

/// A plan as it may be shown.
pub(crate) fn shown(plan: &Plan, snapshot: &Snapshot) -> Like<PlanShape> {
    let rules = |namespace: &str| snapshot.declared(namespace).secrets.clone();
    let hidden = hidden(plan, rules);
    Like::of(hidden.as_ref().unwrap_or(plan))
}

/// A setting as it travels.
pub(crate) fn setting(it: &setpoint_ops::setting::Setting) -> Setting {
    Setting {
        namespace: it.namespace.clone(),
        layer: it.layer.clone(),
        key: it.key.to_string(),
        value_type: match it.value_type {
            ValueType::String => types::ValueType::String,
            ValueType::Integer => types::ValueType::Integer,
            ValueType::Float => types::ValueType::Float,
            ValueType::Boolean => types::ValueType::Boolean,
            ValueType::Json => types::ValueType::Json,
        },
        value: it.value.clone(),
        format: it.format.map(|it| match it {
            Format::DateTime => types::Format::DateTime,
            Format::Date => types::Format::Date,
            Format::Time => types::Format::Time,
        }),
        revision: it.revision,
        updated_at: it.updated_at.clone(),
        updated_by: it.updated_by.clone(),
    }
}

/// A type as it came.
pub(crate) fn value_type(it: types::ValueType) -> ValueType {
    match it {
        types::ValueType::String => ValueType::String,
        types::ValueType::Integer => ValueType::Integer,
        types::ValueType::Float => ValueType::Float,
        types::ValueType::Boolean => ValueType::Boolean,
        types::ValueType::Json => ValueType::Json,
    }
}
