//! Nested documents whose values become settings of one layer, in one revision.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use miette::Diagnostic;
use poem::http::StatusCode;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseFromJSON, ParseResult, ToJSON, Type};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use setpoint_client::types::Fault;
use setpoint_ops::apply::Channel;
use setpoint_ops::edit::{self, Edits, Wanted, typed};
use setpoint_ops::live::{Snapshot, View};
use setpoint_ops::plan::{Author, Kind, Plan, Trial};
use setpoint_ops::{Error, Key, Limits, TypedValue};

use crate::etag::Condition;
use crate::problem::{ApiError, ApiResult};
use crate::service::Service;
use crate::written::{self, Done};

/// What a document looks like: names, and values or maps of the same. It is a schema alone.
pub(crate) struct Nested(Value);

impl Type for Nested {
    const IS_REQUIRED: bool = true;

    type RawValueType = Value;
    type RawElementValueType = Value;

    fn name() -> Cow<'static, str> {
        "Nested".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            additional_properties: Some(Box::new(Value::schema_ref())),
            example: Some(json!({ "http": { "port": 8080 }, "physics": { "damping": 0.5 } })),
            ..MetaSchema::new("object")
        }))
    }

    fn as_raw_value(&self) -> Option<&Value> {
        Some(&self.0)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
        Box::new(std::iter::once(&self.0))
    }
}

impl ToJSON for Nested {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

impl ParseFromJSON for Nested {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(Self(value.unwrap_or_default()))
    }
}

/// What a document asks for, in one layer.
pub(crate) struct Document {
    pub namespace: String,
    pub layer: String,
    /// The key that everything goes below.
    pub prefix: Option<Key>,
    pub edits: Edits,
    /// Whether keys that it does not have are unset.
    pub replace: bool,
    pub kind: Kind,
    pub author: Author,
    /// What the namespace has to be.
    pub condition: Option<Condition>,
    pub trial: Option<Trial>,
}

/// Reads a JSON document. Every fault of it is told, with its place.
pub(crate) fn read(
    service: &Service,
    snapshot: &Snapshot,
    namespace: &str,
    bytes: &[u8],
    prefix: Option<&Key>,
    unset_nulls: bool,
) -> ApiResult<Edits> {
    let setup = service.setup.load();
    let limits = Limits { depth: setup.limits.depth.min(setup.depth), ..setup.limits.clone() };
    let rules = &snapshot.declared(namespace).secrets;
    let mut text = bytes;
    let read = edit::read(Path::new("body"), &mut text, Some("json"), prefix, rules, &limits);
    // Stricter than the importer, which puts up with comments in files of people.
    if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        return Err(malformed(read));
    }
    let mut edits = read?.edits;
    if unset_nulls {
        for value in edits.values_mut() {
            *value = value.take().filter(|it| !it.json.is_null());
        }
    }
    Ok(edits)
}

/// The error of a body that is no JSON, with what the importer says of it.
fn malformed(read: Result<Wanted, Error>) -> ApiError {
    let faults = match read {
        Ok(wanted) => wanted
            .notes
            .into_iter()
            .map(|(place, said)| format!("{}:{}: {said}", place.line, place.column))
            .map(|detail| Fault { key: None, detail })
            .collect(),
        Err(error) => std::mem::take(&mut ApiError::from(error).problem().errors),
    };
    ApiError::new(StatusCode::BAD_REQUEST, "request::malformed", "the body is no JSON")
        .help("nothing was changed; `errors` says where it is wrong")
        .errors(faults)
}

impl Document {
    /// Has it written, or only planned.
    pub(crate) async fn write(self, service: &Service, is_dry: bool) -> ApiResult<Done> {
        self.refuse_faults(&service.live.snapshot())?;
        let trial = self.trial;
        let make = move |snapshot: &Snapshot| {
            if let Some(condition) = &self.condition {
                condition.check_space(snapshot, &self.namespace)?;
            }
            let Self { namespace, layer, author, .. } = &self;
            snapshot.plan(namespace, layer, self.edits(snapshot)?, self.kind, author.clone())
        };
        Ok(written::carry_out(service, is_dry, trial, Channel::Api, make).await?)
    }

    /// What it would do.
    pub(crate) fn plan(&self, snapshot: &Snapshot) -> ApiResult<Plan> {
        self.refuse_faults(snapshot)?;
        let Self { namespace, layer, author, .. } = self;
        Ok(snapshot.plan(namespace, layer, self.edits(snapshot)?, self.kind, author.clone())?)
    }

    /// The edits with the types that the settings have.
    fn edits(&self, snapshot: &Snapshot) -> Result<Edits, Error> {
        let edit = |(key, value): (&Key, &Option<TypedValue>)| {
            let value = value.as_ref().map(|it| self.typed(snapshot, key, it)).transpose()?;
            Ok((key.clone(), value))
        };
        let mut edits = self.edits.iter().map(edit).collect::<Result<BTreeMap<_, _>, Error>>()?;
        if self.replace {
            let view = View::Layer(&self.layer);
            for entry in snapshot.list(&self.namespace, view, self.prefix.as_ref(), None) {
                edits.entry(entry.setting.key.clone()).or_insert(None);
            }
        }
        Ok(edits)
    }

    fn typed(
        &self,
        snapshot: &Snapshot,
        key: &Key,
        value: &TypedValue,
    ) -> Result<TypedValue, Error> {
        let live = snapshot.get(&self.namespace, View::Layer(&self.layer), key.as_str());
        let live = live.or_else(|| snapshot.get(&self.namespace, View::Effective, key.as_str()));
        let example = live.map(|it| it.setting.typed());
        typed(key, value.json.clone(), None, example.as_ref())
    }

    /// Tells of every value that cannot be stored, where there are several.
    fn refuse_faults(&self, snapshot: &Snapshot) -> ApiResult<()> {
        let declared = snapshot.declared(&self.namespace);
        let checked = self.edits.iter().filter_map(|(key, it)| Some((key, it.as_ref()?)));
        let wrong = checked.filter_map(|(key, value)| {
            // A secret first: the error about its type would show it.
            let checked = declared
                .secrets
                .refuse(key, value)
                .and_then(|()| declared.check(key, &self.typed(snapshot, key, value)?));
            checked.err().map(|error| (key, error))
        });
        let mut wrong: Vec<(&Key, Error)> = wrong.collect();
        if wrong.len() < 2 {
            return wrong.pop().map_or(Ok(()), |(_, error)| Err(error.into()));
        }
        let faults = wrong.iter().map(|(key, error)| {
            let code = error.code().map(|it| format!(" ({it})")).unwrap_or_default();
            Fault { key: Some(key.to_string()), detail: format!("{error}{code}") }
        });
        let faults = faults.collect();
        let detail = format!("{} values cannot be stored", wrong.len());
        let problem = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "request::values", detail)
            .help("nothing was changed; `errors` names each");
        Err(problem.errors(faults))
    }
}
