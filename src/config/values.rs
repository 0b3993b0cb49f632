//! The places that values come from, as providers for figment.

use std::path::Path;
use std::sync::Arc;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::{ConfigError, Flags, LogFormat};

pub(super) const ENVIRONMENT: &str = "environment";
pub(super) const FLAGS: &str = "flags";

/// Values of one place.
pub(super) struct Values {
    name: String,
    values: Dict,
}

impl Values {
    /// The user the process runs as.
    pub(super) fn of_user() -> Self {
        let user = whoami::username().ok().filter(|it| !it.is_empty());
        let values = user.map(|user| ("actor".to_owned(), user.into())).into_iter().collect();
        Self { name: "the user".to_owned(), values }
    }

    pub(super) fn of_file(path: &Path, text: String) -> Result<Self, ConfigError> {
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        match toml::from_str(&text) {
            Ok(values) => Ok(Self { name: path.display().to_string(), values }),
            Err(error) => Err(ConfigError::Syntax {
                path: path.to_owned(),
                reason: error.message().to_owned(),
                at: error.span().unwrap_or_default().into(),
                text: Arc::new(miette::NamedSource::new(path.display().to_string(), text)),
            }),
        }
    }

    /// `SETPOINT_LIMITS__DEPTH` is `limits.depth`.
    pub(super) fn of_environment() -> Self {
        let mut values = Dict::new();
        for (name, text) in std::env::vars_os() {
            let (Some(name), Some(text)) = (name.to_str(), text.to_str()) else { continue };
            let Some(key) = name.strip_prefix("SETPOINT_").map(str::to_lowercase) else { continue };
            // What only flags say: which file, and which service with which token.
            if matches!(key.as_str(), "config" | "url" | "token") {
                continue;
            }
            let value = scalar(&key, text);
            insert(&mut values, &key.split("__").collect::<Vec<_>>(), value);
        }
        Self { name: ENVIRONMENT.to_owned(), values }
    }

    /// The variables of other names that mean one of ours, as the programs have them that
    /// Setpoint takes over from. Ours win.
    pub(super) fn of_others() -> Vec<Self> {
        let said = OTHERS.iter().filter_map(|(name, path, read)| {
            let text = std::env::var(name).ok().filter(|it| !it.is_empty())?;
            let mut values = Dict::new();
            insert(&mut values, path, read(&text));
            Some(Self { name: (*name).to_owned(), values })
        });
        said.collect()
    }

    pub(super) fn of_flags(flags: &Flags) -> Self {
        let mut values = Dict::new();
        let texts = [
            ("namespace", &flags.namespace),
            ("database", &flags.database),
            ("actor", &flags.actor),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                values.insert(name.to_owned(), text.as_str().into());
            }
        }
        if let Some(folder) = &flags.seeds {
            values.insert("seeds".to_owned(), folder.display().to_string().into());
        }
        if let Some(format) = flags.log_format {
            let format = if format == LogFormat::Json { "json" } else { "text" };
            let log = Dict::from([("format".to_owned(), Value::from(format))]);
            values.insert("log".to_owned(), log.into());
        }
        Self { name: FLAGS.to_owned(), values }
    }
}

/// Puts `value` where `path` leads.
fn insert(values: &mut Dict, path: &[&str], value: Value) {
    let Some((last, above)) = path.split_last() else { return };
    let section = above.iter().fold(values, |section, name| {
        let inner = section.entry((*name).to_owned()).or_insert_with(|| Dict::new().into());
        if !matches!(inner, Value::Dict(..)) {
            *inner = Dict::new().into();
        }
        let Value::Dict(_, inner) = inner else { unreachable!("it has just become one") };
        inner
    });
    section.insert((*last).to_owned(), value);
}

/// A variable, what it means here, and how it is read.
type Other = (&'static str, &'static [&'static str], fn(&str) -> Value);

pub(super) const OTHERS: [Other; 4] = [
    ("DATABASE_URL", &["database"], |text| text.into()),
    ("SETTINGS_WATCH_ENABLED", &["server", "watch"], flag),
    ("WEBSOCKET_HEARTBEAT_INTERVAL", &["server", "heartbeat_ms"], seconds),
    ("WEBSOCKET_CLIENT_TIMEOUT", &["server", "client_timeout_ms"], seconds),
];

/// `5`, `0.5` or `5s`, in milliseconds.
fn seconds(text: &str) -> Value {
    let number = text.trim().trim_end_matches('s').parse::<f64>();
    match number.ok().filter(|it| it.is_finite() && (0.0..1e9).contains(it)) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "see the range"
        )]
        Some(seconds) => ((seconds * 1000.0).round() as u64).into(),
        None => text.into(),
    }
}

fn flag(text: &str) -> Value {
    match text.trim().to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => true.into(),
        "false" | "0" | "no" | "off" => false.into(),
        _ => text.into(),
    }
}

/// What is true or false.
const SWITCHES: [&str; 3] = ["backups__s3__allow_http", "backups__s3__path_style", "server__watch"];

/// A number where the key wants one: `SETPOINT_NAMESPACE=007` is a name.
fn scalar(key: &str, text: &str) -> Value {
    let is_number = key.ends_with("_ms")
        || key.ends_with("_bytes")
        || key.starts_with("limits__")
        || ["server__depth", "server__rate_per_second", "server__connections"].contains(&key);
    match text.parse::<u64>() {
        Ok(number) if is_number => number.into(),
        _ if SWITCHES.contains(&key) => flag(text),
        // They count from -1. What is left of them is a length of time.
        _ if ["backups__retention__keep_", "revisions__keep_"]
            .iter()
            .any(|it| key.starts_with(it)) =>
        {
            text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
        }
        _ if ["server__hosts", "server__origins", "jobs__webhook_hosts"].contains(&key) => {
            let items = text.split(',').map(str::trim).filter(|it| !it.is_empty());
            Value::from(items.map(Value::from).collect::<Vec<_>>())
        }
        _ => text.into(),
    }
}

impl Provider for Values {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}
