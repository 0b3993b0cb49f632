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
            let mut path: Vec<&str> = key.split("__").collect();
            let last = path.pop().unwrap_or_default();
            let section = path.into_iter().fold(&mut values, |section, name| {
                let inner = section.entry(name.to_owned()).or_insert_with(|| Dict::new().into());
                if !matches!(inner, Value::Dict(..)) {
                    *inner = Dict::new().into();
                }
                let Value::Dict(_, inner) = inner else { unreachable!("it has just become one") };
                inner
            });
            section.insert(last.to_owned(), scalar(&key, text));
        }
        Self { name: ENVIRONMENT.to_owned(), values }
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

/// A number where the key wants one: `SETPOINT_NAMESPACE=007` is a name.
fn scalar(key: &str, text: &str) -> Value {
    let is_number = key.ends_with("_ms") || key.starts_with("limits__");
    match text.parse::<u64>() {
        Ok(number) if is_number => number.into(),
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
