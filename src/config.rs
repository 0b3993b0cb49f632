//! The configuration: defaults, then `setpoint.toml`, then `SETPOINT_*`, then flags.
//!
//! Every value remembers where it came from: errors name the file or the variable, and
//! `config show` lists them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use figment::providers::Serialized;
use figment::{Figment, Metadata};
use miette::Diagnostic;
use setpoint_importers::{Limits, is_reference};
use setpoint_ops::backup::{Bucket, Encryption, Storage};
use setpoint_ops::database::{Location, Settings};
use setpoint_ops::job::Job;
use setpoint_ops::schema::{Schema, Schemas};
use setpoint_ops::secret::{self, Rules};
use setpoint_ops::setting::{Scope, is_of_user};
use setpoint_ops::source::{Interpretation, Named};
use thiserror::Error;
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

mod encryption;
mod jobs;
mod lists;
mod retention;
mod s3;
mod sections;
mod values;
mod wrong;

pub(crate) use sections::{Config, Log, LogFormat, Source};
use values::{ENVIRONMENT, FLAGS, OTHERS, Values};
use wrong::{called, told};

pub(crate) const FILE: &str = "setpoint.toml";

/// The layer that is always there.
pub(crate) const BASE: &str = "base";

/// What the command line says, where it says something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub file: Option<PathBuf>,
    pub namespace: Option<String>,
    pub database: Option<String>,
    pub actor: Option<String>,
    pub seeds: Option<PathBuf>,
    pub log_format: Option<LogFormat>,
}

#[derive(Debug, Error, Diagnostic)]
pub(crate) enum ConfigError {
    #[error("cannot read {}", path.display())]
    #[diagnostic(code(config::unreadable), help("check the path given with --config"))]
    Unreadable { path: PathBuf, source: io::Error },

    #[error("{} is not TOML: {reason}", path.display())]
    #[diagnostic(code(config::syntax), help("mend it there; nothing was done"))]
    Syntax {
        path: PathBuf,
        reason: String,
        #[source_code]
        text: Arc<miette::NamedSource<String>>,
        #[label("here")]
        at: miette::SourceSpan,
    },

    #[error("`{key}` in {place}: {reason}")]
    #[diagnostic(code(config::invalid), help("{help}"))]
    Invalid { key: String, place: String, reason: String, help: String },

    #[error("the configuration has {} wrong values", wrong.len())]
    #[diagnostic(code(config::invalid), help("mend them; nothing was done"))]
    Several {
        #[related]
        wrong: Vec<ConfigError>,
    },
}

impl ConfigError {
    fn of(mut wrong: Vec<Self>) -> Self {
        match wrong.len() {
            1 => wrong.remove(0),
            _ => Self::Several { wrong },
        }
    }

    /// Each thing that is wrong.
    pub fn each(&self) -> &[Self] {
        match self {
            Self::Several { wrong } => wrong,
            one => std::slice::from_ref(one),
        }
    }
}

/// The configuration, and where its values came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub config: Config,
    /// The folder that paths are relative to: that of the file, else the current one.
    pub root: PathBuf,
    /// The namespace of sources that name none: that of commands, unless a flag says another.
    sources_namespace: String,
    figment: Figment,
}

/// Reads the configuration.
///
/// # Errors
///
/// [`ConfigError`] names the file, variable or flag that holds the wrong value.
pub(crate) fn load(flags: &Flags) -> Result<Loaded, ConfigError> {
    let chosen = flags.file.clone();
    let path = chosen.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let text = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && chosen.is_none() => None,
        Err(source) => return Err(ConfigError::Unreadable { path, source }),
    };
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let root = folder.unwrap_or(Path::new(".")).to_owned();

    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    figment = figment.merge(Values::of_user());
    if let Some(text) = text {
        figment = figment.merge(Values::of_file(&path, text)?);
    }
    for other in Values::of_others() {
        figment = figment.merge(other);
    }
    figment = figment.merge(Values::of_environment());
    let sources_namespace = figment.extract_inner("namespace").unwrap_or_default();
    figment = figment.merge(Values::of_flags(flags));

    lists::refuse_lists(&figment)?;
    let config: Config = figment.extract().map_err(|error| explain(&figment, error))?;
    let loaded = Loaded { config, root, sources_namespace, figment };
    loaded.validate()?;
    Ok(loaded)
}

impl Loaded {
    /// The database of this configuration. A path in the file is relative to the file.
    pub fn location(&self) -> Location {
        match Location::parse(&self.config.database) {
            Location::Sqlite(path) if !self.is_from_here("database") => {
                Location::Sqlite(clean(&self.root.join(path)))
            }
            other => other,
        }
    }

    pub fn database_settings(&self) -> Settings {
        Settings {
            lock_timeout: Duration::from_millis(match self.location() {
                Location::Postgres(_) => self.config.postgres.lock_timeout_ms,
                _ => self.config.sqlite.busy_timeout_ms,
            }),
            connect_timeout: Duration::from_millis(self.config.postgres.connect_timeout_ms),
        }
    }

    /// Where backups of this database are kept.
    pub fn storage(&self) -> Storage {
        let bucket = self.config.backups.s3.clone().map(Bucket::new);
        Storage::new(self.backups(), bucket).encrypted(self.encryption())
    }

    /// To whom backups are encrypted. The path of a key in the file is relative to the file.
    pub fn encryption(&self) -> Option<Encryption> {
        let mut encryption = self.config.backups.encryption.clone()?;
        if !self.is_from_here("backups.encryption.identity_file") {
            let file = encryption.identity_file.take();
            encryption.identity_file = file.map(|it| clean(&self.root.join(it)));
        }
        Some(encryption)
    }

    /// The folder of backups, and of originals before a file is changed.
    pub fn backups(&self) -> PathBuf {
        match self.location() {
            Location::Sqlite(path) => {
                clean(&path.with_file_name("").join(&self.config.backups.folder))
            }
            _ => clean(&self.root.join(&self.config.backups.folder)),
        }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            size_bytes: self.config.limits.file_size_bytes,
            depth: self.config.limits.depth,
            alias_nodes: self.config.limits.alias_nodes,
        }
    }

    /// The layers of `namespace`, the lowest first.
    pub fn scope(&self, namespace: &str) -> Scope {
        let declared = self.config.namespaces.get(namespace).map(|it| it.layers.as_slice());
        let layers =
            [BASE.to_owned()].into_iter().chain(declared.unwrap_or_default().iter().cloned());
        Scope { namespace: namespace.to_owned(), layers: layers.collect() }
    }

    /// Every value with the place it comes from, in order of key. Passwords are left out.
    pub fn values(&self) -> Vec<(String, serde_json::Value, String)> {
        let mut shown = self.config.clone();
        shown.database = self.location().name();
        let Ok(serde_json::Value::Object(mut members)) = serde_json::to_value(&shown) else {
            unreachable!("a configuration is a map of texts and numbers")
        };
        let jobs = members.get_mut("job").and_then(serde_json::Value::as_array_mut);
        for webhook in jobs.into_iter().flatten().filter_map(|it| it.get_mut("webhook")) {
            // Whoever has such an URL may use it.
            if !webhook.as_str().is_some_and(is_reference) {
                *webhook = "****".into();
            }
        }
        let mut values = Vec::new();
        for (name, value) in members {
            match value {
                serde_json::Value::Object(members) => {
                    values.extend(
                        members
                            .into_iter()
                            .map(|(inner, value)| (format!("{name}.{inner}"), value)),
                    );
                }
                serde_json::Value::Array(items) => {
                    for (at, item) in items.into_iter().enumerate() {
                        let serde_json::Value::Object(members) = item else { continue };
                        let said = members.into_iter().filter(|(_, value)| !value.is_null());
                        values.extend(
                            said.map(|(inner, value)| (format!("{name}.{at}.{inner}"), value)),
                        );
                    }
                }
                value => values.push((name, value)),
            }
        }
        let placed = values.into_iter().map(|(key, value)| {
            let place = self.place(&key);
            (key, value, place)
        });
        placed.collect()
    }

    /// Which settings of `namespace` are secrets, as far as somebody has said so.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] if the schema cannot be read, or is none.
    pub fn secrets(&self, namespace: &str) -> Result<Rules, ConfigError> {
        let Some(declared) = self.config.namespaces.get(namespace) else {
            return Ok(Rules::default());
        };
        let mut rules = Rules { public: declared.public.clone(), secret: declared.secret.clone() };
        if let Some(text) = self.schema_text(namespace)? {
            let secrets = secret::in_schema(&text);
            rules.secret.extend(secrets.map_err(|it| self.wrong_schema(namespace, &it))?);
        }
        Ok(rules)
    }

    /// The schemas of all namespaces.
    ///
    /// # Errors
    ///
    /// As [`Loaded::secrets`].
    pub fn schemas(&self) -> Result<Schemas, ConfigError> {
        let mut schemas = Schemas::default();
        for namespace in self.config.namespaces.keys() {
            if let Some(schema) = self.schema(namespace)? {
                schemas.insert(namespace.clone(), schema);
            }
        }
        Ok(schemas)
    }

    /// The schema of `namespace`, if one is declared.
    ///
    /// # Errors
    ///
    /// As [`Loaded::secrets`].
    pub fn schema(&self, namespace: &str) -> Result<Option<Schema>, ConfigError> {
        let Some(text) = self.schema_text(namespace)? else { return Ok(None) };
        Schema::read(&text).map(Some).map_err(|it| self.wrong_schema(namespace, &it))
    }

    fn schema_text(&self, namespace: &str) -> Result<Option<String>, ConfigError> {
        let declared = self.config.namespaces.get(namespace);
        let Some(schema) = declared.and_then(|it| it.schema.as_ref()) else { return Ok(None) };
        let read = fs::read_to_string(self.root.join(schema));
        read.map(Some).map_err(|error| self.wrong_schema(namespace, &error.to_string()))
    }

    fn wrong_schema(&self, namespace: &str, reason: &str) -> ConfigError {
        let key = format!("namespaces.{namespace}.schema");
        let declared = self.config.namespaces.get(namespace).and_then(|it| it.schema.clone());
        let path = self.root.join(declared.unwrap_or_default());
        ConfigError::Invalid {
            place: self.place(&key),
            key,
            reason: format!("{}: {reason}", path.display()),
            help: "give a JSON Schema; nothing was done".to_owned(),
        }
    }

    /// The sources that are declared.
    ///
    /// # Errors
    ///
    /// As [`Loaded::secrets`].
    pub fn sources(&self) -> Result<Vec<Named>, ConfigError> {
        self.config.sources.iter().map(|it| self.named(it)).collect()
    }

    /// What `source` declares.
    ///
    /// # Errors
    ///
    /// As [`Loaded::secrets`].
    pub fn named(&self, source: &Source) -> Result<Named, ConfigError> {
        let namespace = source.namespace.as_ref().unwrap_or(&self.sources_namespace);
        let (public, secret) = (source.public.clone(), source.secret.clone());
        Ok(Named {
            path: self.root.join(&source.path),
            namespace: namespace.clone(),
            layer: source.layer.clone().unwrap_or_else(|| BASE.to_owned()),
            interpretation: Interpretation {
                format: source.format.clone(),
                mapping: source.mapping(),
                secrets: self.secrets(namespace)?,
                secrets_in_file: Rules { public, secret },
            },
            write_back: source.write_back,
        })
    }

    /// The folder of seeds. A path in the file is relative to the file.
    pub fn seeds_folder(&self, folder: &Path) -> PathBuf {
        match self.is_from_here("seeds") {
            true => folder.to_owned(),
            false => self.root.join(folder),
        }
    }

    fn place(&self, key: &str) -> String {
        place_of(&self.figment, key)
    }

    /// Whether a flag or the environment says it.
    pub fn is_from_here(&self, key: &str) -> bool {
        let place = self.place(key);
        place.starts_with("--")
            || place.starts_with("SETPOINT_")
            || OTHERS.iter().any(|(name, ..)| place == *name)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let mut wrong = Vec::new();
        if let Err(errors) = self.config.validate() {
            self.collect("", &errors, &mut wrong);
        }
        for (at, source) in self.config.sources.iter().enumerate() {
            let namespace = source.namespace.as_ref().unwrap_or(&self.sources_namespace);
            for fault in source.mapping().check().err().into_iter().flatten() {
                wrong.push(ConfigError::Invalid {
                    key: called(&self.figment, &format!("source.{at}")),
                    place: self.place("source"),
                    reason: fault.to_string(),
                    help: Diagnostic::help(&fault).map_or_else(
                        || "mend it there; nothing was done".to_owned(),
                        |it| format!("{it}; nothing was done"),
                    ),
                });
            }
            let Some(layer) = &source.layer else { continue };
            if !self.scope(namespace).layers.contains(layer) && !is_of_user(layer) {
                wrong.push(ConfigError::Invalid {
                    key: called(&self.figment, &format!("source.{at}.layer")),
                    place: self.place("source"),
                    reason: format!("namespace `{namespace}` has no layer `{layer}`"),
                    help: format!("declare it: [namespaces.{namespace}] layers = [\"{layer}\"]"),
                });
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        // All of the file at once.
        wrong.extend(jobs::declared(self).err().unwrap_or_default());
        Err(ConfigError::of(wrong))
    }

    /// The jobs that are declared.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`]: other commands do without them, so [`load`] does not say it.
    pub fn jobs(&self) -> Result<Vec<Job>, ConfigError> {
        jobs::declared(self).map_err(ConfigError::of)
    }

    fn collect(&self, path: &str, errors: &ValidationErrors, wrong: &mut Vec<ConfigError>) {
        let mut fields: Vec<_> = errors.errors().iter().collect();
        fields.sort_by(|a, b| a.0.cmp(b.0));
        for (field, kind) in fields {
            let field = if field == "sources" { "source" } else { field.as_ref() };
            let is_whole = field == "__all__";
            let key = if is_whole {
                path.to_owned()
            } else if path.is_empty() {
                field.to_owned()
            } else {
                format!("{path}.{field}")
            };
            match kind {
                ValidationErrorsKind::Struct(inner) => self.collect(&key, inner, wrong),
                ValidationErrorsKind::List(items) => {
                    for (at, inner) in items {
                        self.collect(&format!("{key}.{at}"), inner, wrong);
                    }
                }
                ValidationErrorsKind::Field(errors) => {
                    let reasons = errors.iter().map(|it| it.to_string());
                    wrong.push(ConfigError::Invalid {
                        place: self.place(&key),
                        reason: reasons.collect::<Vec<_>>().join(", "),
                        help: "mend it there; nothing was done".to_owned(),
                        key: called(&self.figment, &key),
                    });
                }
            }
        }
    }
}

fn explain(figment: &Figment, error: figment::Error) -> ConfigError {
    ConfigError::of(explained(figment, error, ""))
}

/// What is wrong below `above`, which is empty for all there is.
fn explained(figment: &Figment, error: figment::Error, above: &str) -> Vec<ConfigError> {
    let explained = error.into_iter().map(|error| {
        let above = Some(above.to_owned()).filter(|it| !it.is_empty());
        let parts: Vec<String> = above.into_iter().chain(error.path).collect();
        let key = parts.join(".");
        let place = match &error.metadata {
            Some(metadata) => name_of(metadata, &key),
            None => place_of(figment, &key),
        };
        let key = if key.is_empty() { "setpoint".to_owned() } else { key };
        let (reason, help) = told(&key, &error.kind);
        ConfigError::Invalid { key: called(figment, &key), place, reason, help }
    });
    explained.collect()
}

/// The place of `key`, or of the nearest part above it that has one.
fn place_of(figment: &Figment, key: &str) -> String {
    let mut key = key;
    loop {
        if let Some(metadata) = figment.find_metadata(key) {
            return name_of(metadata, key);
        }
        match key.rsplit_once('.') {
            Some((above, _)) => key = above,
            None => return "default".to_owned(),
        }
    }
}

fn name_of(metadata: &Metadata, key: &str) -> String {
    match metadata.name.as_ref() {
        ENVIRONMENT => format!("SETPOINT_{}", key.to_uppercase().replace('.', "__")),
        FLAGS => format!("--{}", key.rsplit('.').next().unwrap_or(key).replace('_', "-")),
        name if name.contains("Config") => "default".to_owned(),
        name => name.to_owned(),
    }
}

/// The path without `.` parts: `./a` is `a`.
fn clean(path: &Path) -> PathBuf {
    let cleaned: PathBuf =
        path.components().filter(|it| !matches!(it, std::path::Component::CurDir)).collect();
    if cleaned.as_os_str().is_empty() { PathBuf::from(".") } else { cleaned }
}
