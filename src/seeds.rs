//! Seeds that come with the program: compiled in (feature `bundled-seeds`), or from a folder in
//! development (`--seeds`). They are imported on first use; no file is read after that.
//!
//! The folder has the files, and may have a `seeds.toml` that declares them as setpoint.toml
//! does, with a `version`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use setpoint_ops::hash;
use setpoint_ops::source::{Content, Declared, SEEDS};

use crate::config::{ConfigError, Loaded, Source};

const DECLARATION: &str = "seeds.toml";

/// The seeds of one version of the application.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub sources: Vec<Declared>,
    /// As `seeds.toml` says.
    pub version: Option<String>,
    /// Of every file in it.
    pub hash: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    version: Option<String>,
    #[serde(default)]
    source: Vec<Source>,
}

/// Files by their names.
type Files = BTreeMap<String, Vec<u8>>;

/// The seeds there are: those in the folder that is configured, else those compiled in.
///
/// # Errors
///
/// [`ConfigError`] if the folder cannot be read, or `seeds.toml` is wrong.
pub(crate) fn load(loaded: &Loaded) -> Result<Option<Bundle>, ConfigError> {
    let files = match &loaded.config.seeds {
        Some(folder) => in_folder(&loaded.seeds_folder(folder))?,
        None => compiled(),
    };
    if files.is_empty() {
        return Ok(None);
    }
    bundle(loaded, files).map(Some)
}

impl Bundle {
    /// As the history names it.
    pub fn name(&self) -> String {
        const SHOWN: usize = "sha256:".len() + 12;
        let hash = &self.hash[..SHOWN];
        match &self.version {
            Some(version) => format!("seeds {version} ({hash})"),
            None => format!("seeds ({hash})"),
        }
    }
}

fn bundle(loaded: &Loaded, mut files: Files) -> Result<Bundle, ConfigError> {
    let declaration = match files.remove(DECLARATION) {
        None => Declaration::default(),
        Some(bytes) => declaration(&bytes)?,
    };
    let mut hashed = declaration.version.clone().unwrap_or_default();
    for (name, bytes) in &files {
        hashed.push_str(&format!("\n{name} {}", hash::of_bytes(bytes)));
    }
    let mut sources = Vec::new();
    for source in &declaration.source {
        let name = source.path.display().to_string();
        let bytes = files.remove(&name).ok_or_else(|| wrong(format!("there is no {name}")))?;
        sources.push(declared(loaded, source, bytes)?);
    }
    if declaration.source.is_empty() {
        for (name, bytes) in files {
            sources.push(declared(loaded, &Source::at(&name), bytes)?);
        }
    }
    let (version, hash) = (declaration.version, hash::of_bytes(hashed.as_bytes()));
    Ok(Bundle { sources, version, hash })
}

fn declaration(bytes: &[u8]) -> Result<Declaration, ConfigError> {
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(text).map_err(|error| wrong(error.message().to_owned()))
}

fn declared(loaded: &Loaded, source: &Source, bytes: Vec<u8>) -> Result<Declared, ConfigError> {
    if let Err(faults) = source.mapping().check() {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(wrong(faults.join("; ")));
    }
    let named = loaded.named(source)?;
    Ok(Declared {
        namespace: named.namespace,
        layer: named.layer,
        path: format!("{SEEDS}{}", source.path.display()),
        content: Content::Bundled(Cow::Owned(bytes)),
        interpretation: named.interpretation,
        write_back: false,
    })
}

fn wrong(reason: String) -> ConfigError {
    ConfigError::Invalid {
        key: DECLARATION.to_owned(),
        place: "the seeds".to_owned(),
        reason,
        help: "declare the files there as in setpoint.toml; nothing was done".to_owned(),
    }
}

fn in_folder(folder: &Path) -> Result<Files, ConfigError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| ConfigError::Invalid {
            key: "seeds".to_owned(),
            place: path.display().to_string(),
            reason: error.to_string(),
            help: "give a folder of seeds, by --seeds or in setpoint.toml; nothing was done"
                .to_owned(),
        }
    };
    let mut files = Files::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let path = folder.join(&inner);
        for entry in fs::read_dir(&path).map_err(unreadable(&path))? {
            let entry = entry.map_err(unreadable(&path))?;
            let (path, name) = (entry.path(), inner.join(entry.file_name()));
            if path.is_dir() {
                folders.push(name);
                continue;
            }
            let bytes = fs::read(&path).map_err(unreadable(&path))?;
            files.insert(name.display().to_string(), bytes);
        }
    }
    Ok(files)
}

#[cfg(feature = "bundled-seeds")]
fn compiled() -> Files {
    /// The folder is that of the variable when the program is built.
    #[derive(rust_embed::RustEmbed)]
    #[folder = "$SETPOINT_SEEDS_DIR"]
    struct Compiled;

    let file = |name: Cow<'static, str>| {
        Compiled::get(&name).map(|it| (name.into_owned(), it.data.into_owned()))
    };
    Compiled::iter().filter_map(file).collect()
}

#[cfg(not(feature = "bundled-seeds"))]
fn compiled() -> Files {
    Files::new()
}
