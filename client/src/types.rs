//! What travels between the service and its clients, written once for both.
//!
//! Frames are JSON texts over a WebSocket; over SSE those of the service are the `data` of events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The subprotocol of `GET /api/settings/ws`.
pub const SUBPROTOCOL: &str = "setpoint.v1";
/// What a token follows as a second subprotocol, where no header can be set.
pub const BEARER_SUBPROTOCOL: &str = "setpoint.bearer.";

/// A moment of one history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Position {
    /// Names the history: it is another one after a backup was restored.
    pub epoch: String,
    pub revision: i64,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum ClientFrame {
    /// The first of a connection: what it wants to hear of.
    Hello(Hello),
    /// It runs with this revision.
    Applied { revision: i64 },
    /// It will not run with this revision, and why.
    Rejected { revision: i64, reason: String },
    /// Asks for a `Pong`.
    Ping {},
    /// Answers a `Ping`.
    Pong {},
}

/// What a client wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// A name for people, such as `coach/2.1 on rack-4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The service's first namespace if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Patterns of keys such as `physics.**`; everything if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// Whose preferences lie on top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it has already, from an earlier connection: it then gets what came after.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// What the service says.
///
/// Each frame that tells of settings says from which revision (`after`) to which it leads. A
/// client that holds `after` and takes it has every matching setting as it is at `revision`.
///
/// `S` is a setting, or for the service one that is JSON already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ServerFrame<S = Setting> {
    /// Answers a client's hello.
    Welcome(Welcome),
    /// One setting has changed.
    SettingChanged(Changed<S>),
    /// Several settings have changed: in one revision, or in several that a slow client was
    /// behind, each key once with its newest value.
    SettingsBatchChanged(Changed<S>),
    /// A preset was applied: the reason names it.
    PresetApplied(Changed<S>),
    /// All matching settings: what the client had counts no more.
    SettingsReloaded(Reloaded<S>),
    /// Asks for a `Pong`. Nothing that the client wants has happened up to `revision` which it
    /// was not told.
    Ping { revision: i64 },
    /// Answers a `Ping`.
    Pong {},
    /// The connection is closed for this. The problem has a `type` of its own.
    Error { problem: Problem },
}

/// Who a client talks to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Names this run of the service.
    pub instance: String,
    /// Names this connection, as in `GET /api/clients`.
    pub client_id: String,
    #[serde(flatten)]
    pub position: Position,
    pub namespace: String,
    /// How often the service asks whether the client lives.
    pub heartbeat_ms: u64,
    /// After what silence it is dropped.
    pub timeout_ms: u64,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed<S = Setting> {
    /// The revision up to which the client had been told.
    pub after: i64,
    #[serde(flatten)]
    pub position: Position,
    pub namespace: String,
    pub changes: Vec<Change<S>>,
    /// Of the newest revision in it: when, by whom, through which door, why.
    pub at: String,
    pub actor: String,
    pub channel: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A key whose effective value has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change<S = Setting> {
    pub key: String,
    /// Its setting now; none if there is none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<S>,
}

/// Everything that a client wants to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reloaded<S = Setting> {
    #[serde(flatten)]
    pub position: Position,
    pub namespace: String,
    pub reason: ReloadReason,
    pub settings: Vec<S>,
}

/// Why a client gets everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReloadReason {
    /// It had nothing.
    Hello,
    /// What it had is of another history, or too old to tell what came after.
    Resync,
    /// It did not keep up.
    Overflow,
    /// The service is configured otherwise by now.
    Reconfigured,
}

/// One typed value at a key in a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Setting {
    pub namespace: String,
    /// The layer that the value is of.
    pub layer: String,
    /// Dotted segments, such as `http.listen.port`.
    pub key: String,
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", oai(rename = "type"))]
    pub value_type: ValueType,
    pub value: Value,
    /// Set for text that a file wrote as a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub format: Option<Format>,
    /// The revision that set it.
    pub revision: i64,
    /// UTC, such as `2026-05-01T12:00:00.000Z`.
    pub updated_at: String,
    pub updated_by: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "lowercase"))]
pub enum ValueType {
    String,
    Integer,
    Float,
    Boolean,
    /// Null, an array or an empty map.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "kebab-case"))]
pub enum Format {
    DateTime,
    Date,
    Time,
}

/// What went wrong and what to do about it, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Problem {
    /// `urn:setpoint:problem:` and the code.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", oai(rename = "type"))]
    pub kind: String,
    /// The name of the status, such as `Not Found`.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, in a line.
    pub detail: String,
    /// Stable name of this kind of problem, such as `setting::unknown`.
    pub code: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub help: Option<String>,
    /// Every fault, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_empty, default))]
    pub errors: Vec<Fault>,
    /// What is live, where a condition was not met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub current: Option<Setting>,
}

/// One of several things that are wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Fault {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub key: Option<String>,
    pub detail: String,
}

/// Whether a service is of use, as `/ready` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// `ready`, `not ready` or `stopping`.
    pub status: String,
    pub database: ReadyPart,
    pub snapshot: ReadyPart,
    pub news: ReadyPart,
    /// What it runs with.
    pub epoch: String,
    pub revision: i64,
}

/// A part of what a service needs to be of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyPart {
    pub ok: bool,
    /// In words, for whoever has a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Readiness {
    pub const READY: &str = "ready";

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status == Self::READY
    }
}
