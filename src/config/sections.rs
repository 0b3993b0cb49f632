//! What can be configured, with its default and its unit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use figment::value::Value;
use serde::{Deserialize, Serialize};
use setpoint_importers::{Conversion, Limits, Mapping, Pattern};
use setpoint_ops::backup::{Encryption, S3};
use setpoint_ops::retention::{Policy, revisions};
use validator::{Validate, ValidationError};

use super::BASE;
use super::encryption::is_encryption;
use super::jobs::Jobs;
use super::retention::{keeps_revisions, keeps_something};
use super::s3::is_bucket;

/// `setpoint.toml`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The namespace of commands that name none.
    #[validate(custom(function = "is_name"))]
    pub namespace: String,
    /// Path of an SQLite file, or a `postgres://` URL.
    #[validate(length(min = 1, message = "is empty"), custom(function = "is_database"))]
    pub database: String,
    /// Who is named in the history.
    #[validate(length(min = 1, message = "is empty"))]
    pub actor: String,
    /// A folder of seeds, in place of those compiled in.
    pub seeds: Option<PathBuf>,
    #[validate(nested)]
    pub sqlite: Sqlite,
    #[validate(nested)]
    pub postgres: Postgres,
    #[validate(nested)]
    pub limits: FileLimits,
    #[validate(nested)]
    pub backups: Backups,
    /// Which revisions stay; all if nothing is said.
    #[validate(custom(function = "keeps_revisions"))]
    pub revisions: Option<revisions::Policy>,
    #[validate(nested)]
    pub server: Server,
    #[validate(nested)]
    pub log: Log,
    #[validate(nested)]
    pub namespaces: BTreeMap<String, Namespace>,
    #[serde(rename = "source")]
    #[validate(nested)]
    pub sources: Vec<Source>,
    #[validate(nested)]
    pub jobs: Jobs,
    /// Read by `config::jobs`, for whoever runs them: others do not mind what is wrong there.
    pub job: Vec<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sqlite {
    /// How long to wait for another writer, in milliseconds.
    #[validate(range(max = 600_000, message = "is more than 600000"))]
    pub busy_timeout_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Postgres {
    /// How long to wait for the server, in milliseconds.
    #[validate(range(min = 1, max = 600_000, message = "is not within 1 and 600000"))]
    pub connect_timeout_ms: u64,
    /// How long to wait for another writer, in milliseconds.
    #[validate(range(min = 1, max = 600_000, message = "is not within 1 and 600000"))]
    pub lock_timeout_ms: u64,
}

/// What a file may be at most.
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileLimits {
    #[validate(range(min = 1, max = 1_073_741_824, message = "is not within 1 and 1073741824"))]
    pub file_size_bytes: u64,
    /// Maps and arrays inside one another.
    #[validate(range(min = 1, max = 200, message = "is not within 1 and 200"))]
    pub depth: usize,
    /// Values that aliases and merge keys make.
    #[validate(range(max = 10_000_000, message = "is more than 10000000"))]
    pub alias_nodes: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backups {
    /// Relative to the folder of the SQLite file, or of the configuration with PostgreSQL.
    pub folder: PathBuf,
    /// Which of them stay. Without it none is removed.
    #[validate(custom(function = "keeps_something"))]
    pub retention: Option<Policy>,
    /// Where they are kept instead. The folder is then for the work on them.
    #[validate(custom(function = "is_bucket"))]
    pub s3: Option<S3>,
    /// To whom new ones are encrypted, and with whose key they are read.
    #[validate(custom(function = "is_encryption"))]
    pub encryption: Option<Encryption>,
}

/// What `setpoint serve` does.
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "is_patient"))]
pub(crate) struct Server {
    /// Address and port. Other addresses than those of this machine alone need tokens.
    #[validate(length(min = 1, message = "is empty"))]
    pub listen: String,
    /// PEM files: the certificate with its chain, and its key. Relative to the folder of the
    /// configuration.
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// Names that clients may call the service by, besides `localhost` and addresses.
    pub hosts: Vec<String>,
    /// Web pages of other origins that may use it, such as `https://panel.example`.
    pub origins: Vec<String>,
    #[validate(range(
        min = 1024,
        max = 1_073_741_824,
        message = "is not within 1024 and 1073741824"
    ))]
    pub body_size_bytes: usize,
    /// Of files that are sent to be imported.
    #[validate(range(
        min = 1024,
        max = 1_073_741_824,
        message = "is not within 1024 and 1073741824"
    ))]
    pub upload_size_bytes: usize,
    /// Maps and arrays inside one another, in a body.
    #[validate(range(min = 1, max = 120, message = "is not within 1 and 120"))]
    pub depth: usize,
    /// Requests a second of one caller; 0 for as many as it likes.
    pub rate_per_second: u32,
    /// Connections at a time.
    #[validate(range(min = 1, max = 1_000_000, message = "is not within 1 and 1000000"))]
    pub connections: usize,
    /// Whether changes of other writers are followed.
    pub watch: bool,
    /// How often the database is asked where nothing has told of a change, in milliseconds.
    #[validate(range(min = 10, max = 3_600_000, message = "is not within 10 and 3600000"))]
    pub poll_ms: u64,
    /// How long nothing may have been heard of the database while the service is `ready`.
    #[validate(range(min = 100, max = 3_600_000, message = "is not within 100 and 3600000"))]
    pub stale_after_ms: u64,
    /// How often clients of news are asked whether they live.
    #[validate(range(min = 10, max = 3_600_000, message = "is not within 10 and 3600000"))]
    pub heartbeat_ms: u64,
    /// After what silence they are dropped.
    #[validate(range(min = 10, max = 3_600_000, message = "is not within 10 and 3600000"))]
    pub client_timeout_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub format: LogFormat,
    /// As in `RUST_LOG`, which wins over it. Without either commands tell warnings, and the service
    /// tells also what changes, and who comes and goes.
    pub filter: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Namespace {
    /// The layers above `base`, the lowest first.
    #[serde(default)]
    #[validate(custom(function = "are_layers"))]
    pub layers: Vec<String>,
    /// Patterns of keys that are secrets.
    #[serde(default)]
    pub secret: Vec<Pattern>,
    /// Patterns of keys that are none, whatever their names say.
    #[serde(default)]
    pub public: Vec<Pattern>,
    /// A JSON Schema of the settings, which may say of keys that they are secrets.
    pub schema: Option<PathBuf>,
}

/// A file, or all the files of a folder, and where their settings go.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// Relative to the folder of the configuration.
    pub path: PathBuf,
    #[validate(custom(function = "is_name"))]
    pub namespace: Option<String>,
    pub layer: Option<String>,
    pub prefix: Option<String>,
    /// An importer's name, where the extension does not tell.
    pub format: Option<String>,
    /// Patterns of keys that are left out. This and what follows speak of keys as the file has
    /// them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Other names, from pattern to pattern.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Other places, of a key and everything below it.
    #[serde(default, rename = "move", skip_serializing_if = "BTreeMap::is_empty")]
    pub moves: BTreeMap<String, String>,
    /// How all names are written: `snake`, `camel` or `kebab`.
    pub case: Option<String>,
    /// Other types and units, by pattern.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub convert: BTreeMap<String, Conversion>,
    /// Lists of maps that become maps, by pattern: the field that names each item.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub split: BTreeMap<String, String>,
    /// Patterns of keys that are secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret: Vec<Pattern>,
    /// Patterns of keys that are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public: Vec<Pattern>,
    /// Whether the file follows the database.
    #[serde(default, skip_serializing_if = "is_false")]
    pub write_back: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Source {
    /// A file of which nothing is said.
    pub fn at(path: &str) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    pub fn mapping(&self) -> Mapping {
        Mapping {
            case: self.case.clone(),
            convert: self.convert.clone(),
            drop: self.drop.clone(),
            moves: self.moves.clone(),
            prefix: self.prefix.clone(),
            rename: self.rename.clone(),
            split: self.split.clone(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            namespace: "default".to_owned(),
            database: "setpoint.db".to_owned(),
            actor: "unknown".to_owned(),
            seeds: None,
            sqlite: Sqlite { busy_timeout_ms: 5_000 },
            postgres: Postgres { connect_timeout_ms: 5_000, lock_timeout_ms: 5_000 },
            limits: FileLimits {
                file_size_bytes: limits.size_bytes,
                depth: limits.depth,
                alias_nodes: limits.alias_nodes,
            },
            backups: Backups {
                folder: "backups".into(),
                retention: None,
                s3: None,
                encryption: None,
            },
            revisions: None,
            server: Server {
                listen: "127.0.0.1:8080".to_owned(),
                tls_cert: None,
                tls_key: None,
                hosts: Vec::new(),
                origins: Vec::new(),
                body_size_bytes: 1024 * 1024,
                upload_size_bytes: 16 * 1024 * 1024,
                depth: 64,
                rate_per_second: 0,
                connections: 10_000,
                watch: true,
                poll_ms: 1_000,
                stale_after_ms: 10_000,
                heartbeat_ms: 5_000,
                client_timeout_ms: 30_000,
            },
            log: Log { format: LogFormat::Text, filter: None },
            namespaces: BTreeMap::new(),
            sources: Vec::new(),
            jobs: Jobs::default(),
            job: Vec::new(),
        }
    }
}

fn is_name(name: &str) -> Result<(), ValidationError> {
    let known = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    if !name.is_empty() && name.chars().all(known) {
        return Ok(());
    }
    Err(ValidationError::new("name").with_message("is no name: use A-Z a-z 0-9 _ - .".into()))
}

/// Whoever is asked less often than it is dropped is always dropped.
fn is_patient(server: &Server) -> Result<(), ValidationError> {
    if server.client_timeout_ms > server.heartbeat_ms {
        return Ok(());
    }
    Err(ValidationError::new("patience").with_message(
        "has a heartbeat_ms that is not less than its client_timeout_ms: every client would be \
         dropped"
            .into(),
    ))
}

fn are_layers(layers: &[String]) -> Result<(), ValidationError> {
    for layer in layers {
        if layer == BASE {
            return Err(ValidationError::new("base")
                .with_message("names `base`, which is always there".into()));
        }
        is_name(layer)?;
    }
    Ok(())
}

fn is_database(place: &str) -> Result<(), ValidationError> {
    match place.split_once("://") {
        None | Some(("postgres" | "postgresql" | "sqlite", _)) => Ok(()),
        Some(_) => Err(ValidationError::new("database")
            .with_message("is no database we know: give a path or a postgres:// URL".into())),
    }
}
