//! Secrets out of files: their values go to a file of environment variables, and references to
//! them stay.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use setpoint_importers::{
    Edit, Entry, Key, Limits, Span, TypedValue, is_reference, is_telling, secrets_in,
};

use crate::file::Rewrite;
use crate::plan::{FoundSecret, SourceStatus};
use crate::source::{Content, Imported, Meaning, ReadSource};
use crate::{Error, Result, hash};

/// The same sources, where files that hold secrets count as changed.
pub(crate) fn unread(known: &[Imported]) -> Vec<Imported> {
    let known = known.iter().cloned().map(|it| match it.original_hash {
        Some(_) => Imported { raw_hash: "to be read".to_owned(), ..it },
        None => it,
    });
    known.collect()
}

/// Moves the secrets of `sources` to the variables in `file`, in memory: what is returned is to
/// be written. A secret that cannot be taken out of its file in place stays, left out.
///
/// # Errors
///
/// [`Error::Unreadable`] or [`Error::Import`] if `file` is there and cannot be read.
pub(crate) fn move_out(
    sources: &mut [ReadSource],
    known: &[Imported],
    file: &Path,
    limits: &Limits,
) -> Result<Vec<Rewrite>> {
    let mut variables = Variables::read(file, limits)?;
    let mut rewrites = Vec::new();
    for source in sources {
        let has_secrets = source.meaning.as_ref().is_some_and(|it| !it.secrets.is_empty());
        let Content::File(path) = &source.declared.content else { continue };
        if !has_secrets {
            continue;
        }
        let path = path.clone();
        let edits = references(source, &mut variables, limits)?;
        let is_the_file = variables.is_at(&path);
        let before = source.bytes.clone();
        let Some(after) = edited(source, &source.bytes, &edits, limits) else { continue };
        let masked = source.meaning.as_mut().and_then(|it| it.masked.take()).unwrap_or_default();
        let kept = edited(source, &masked, &edits, limits).unwrap_or_default();
        let left_out = source.meaning.take().map(|it| it.secrets).unwrap_or_default();
        let mut meaning = Meaning::of(&source.declared, &after, limits)??;
        let moved = left_out.iter().flat_map(|secret| {
            // A list that is split has become several settings.
            let below = meaning.entries.iter().filter(|it| it.key.starts_with(&secret.key));
            below.filter_map(|it| {
                let reference = match &it.value.json {
                    Value::String(text) if is_reference(text) => text.clone(),
                    several @ (Value::Array(_) | Value::Object(_)) => several.to_string(),
                    _ => return None,
                };
                let (key, reference) = (it.key.clone(), Some(reference));
                Some(FoundSecret { key, reference, ..secret.clone() })
            })
        });
        let moved: Vec<_> = moved.collect();
        meaning.secrets.extend(moved);
        // Comments may say the values too.
        meaning.masked = Some(kept);
        let last = known.iter().find(|it| it.is_of(&source.declared));
        source.status = match last {
            Some(last) if last.tree_hash == meaning.tree_hash => SourceStatus::SameMeaning,
            Some(_) => SourceStatus::Changed,
            None => SourceStatus::New,
        };
        if is_the_file {
            // It keeps the values.
            source.meaning = Some(meaning);
            continue;
        }
        source.meaning = Some(meaning);
        source.raw_hash = hash::of_bytes(&after);
        source.bytes.clone_from(&after);
        let name = source.declared.path.clone();
        rewrites.push(Rewrite {
            name,
            path,
            before: Some(before),
            after,
            private: false,
            shown: None,
        });
    }
    let variables = variables.rewrite(limits)?;
    Ok(variables.into_iter().chain(rewrites).collect())
}

/// `bytes`, of `source`, with `edits`; with those that can be made, if not all can. Nothing if
/// none can.
fn edited(source: &ReadSource, bytes: &[u8], edits: &[Edit], limits: &Limits) -> Option<Vec<u8>> {
    let name = Path::new(&source.declared.path);
    let format = source.declared.interpretation.format.as_deref();
    let edit = |bytes: &[u8], edits: &[Edit]| {
        setpoint_importers::edit(name, bytes, format, limits, edits).ok()
    };
    edit(bytes, edits).or_else(|| {
        let one = |done: Option<Vec<u8>>, one: &Edit| {
            let now = done.as_deref().unwrap_or(bytes);
            edit(now, std::slice::from_ref(one)).or(done)
        };
        edits.iter().fold(None, one)
    })
}

/// The edits that put references where the secrets of `source` stand.
fn references(
    source: &ReadSource,
    variables: &mut Variables,
    limits: &Limits,
) -> Result<Vec<Edit>> {
    let declared = &source.declared;
    let (name, interpretation) = (Path::new(&declared.path), &declared.interpretation);
    let format = interpretation.format.as_deref();
    let document = setpoint_importers::read(name, &source.bytes, format, limits)?;
    let mapper = declared.mapper()?;
    let (secrets, others): (Vec<Entry>, Vec<Entry>) = document
        .entries
        .into_iter()
        .partition(|it| interpretation.is_secret(&mapper, &it.key, &it.value));
    let texts = |it: &Entry| -> Vec<String> {
        let mut texts = secrets_in(&it.key, &it.value.json);
        if texts.is_empty() {
            texts_in(&it.value.json, &mut |text| texts.push(text));
        }
        texts
    };
    let all: HashSet<String> = secrets.iter().flat_map(texts).collect();
    let parts = parts_of_others(&all, &others);
    let places: HashSet<Span> =
        secrets.iter().map(|it| it.span).filter(|it| *it != Span::default()).collect();
    let mut edits = Vec::new();
    for entry in secrets {
        // A value that repeats it among other text cannot be made a reference.
        if texts(&entry).iter().any(|it| parts.contains(it)) {
            continue;
        }
        let found = texts(&entry);
        let Entry { key: raw_key, value, .. } = entry;
        // What the mapping drops is none of our business.
        let Some(key) = mapper.key(&raw_key)? else { continue };
        let name = match document.format.as_str() {
            "env" => variable(&raw_key),
            _ => variable(&key),
        };
        let is_secret = |text: &str| found.iter().any(|it| it == text);
        let json = variables.in_place_of(&name, value.json, &is_secret);
        edits.push(Edit { key: raw_key, value: Some(TypedValue::from(json)) });
    }
    // What says the same as a secret, or is an alias of it, becomes the same reference.
    for Entry { key, value, span, .. } in others {
        let Value::String(text) = &value.json else { continue };
        let is_same = is_telling(text) || places.contains(&span);
        if let Some(name) = variables.names.get(text).filter(|_| is_same) {
            let reference = Value::from(format!("env:{name}"));
            edits.push(Edit { key, value: Some(reference.into()) });
        }
    }
    Ok(edits)
}

/// Those of `secrets` that stand in a value of `others` which says more than that.
fn parts_of_others<'a>(secrets: &'a HashSet<String>, others: &[Entry]) -> HashSet<&'a String> {
    let mut parts = HashSet::new();
    for entry in others {
        let is_whole = matches!(entry.value.json, Value::String(_));
        texts_in(&entry.value.json, &mut |text| {
            let inside = secrets.iter().filter(|it| is_telling(it) && text.contains(it.as_str()));
            parts.extend(inside.filter(|it| !is_whole || **it != text));
        });
    }
    parts
}

/// The texts and numbers in a value.
fn texts_in(value: &Value, found: &mut dyn FnMut(String)) {
    match value {
        Value::String(text) => found(text.clone()),
        Value::Number(number) => found(number.to_string()),
        Value::Array(items) => items.iter().for_each(|it| texts_in(it, found)),
        Value::Object(members) => members.values().for_each(|it| texts_in(it, found)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The name of a variable for a key: `db.main-user` becomes `DB_MAIN_USER`.
fn variable(key: &Key) -> String {
    let mut name = String::new();
    for segment in key.segments() {
        if !name.is_empty() {
            name.push('_');
        }
        let plain =
            |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' };
        name.extend(segment.chars().map(plain));
    }
    match name.starts_with(|it: char| it.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// The file that secrets are moved to.
struct Variables {
    file: PathBuf,
    before: Option<Vec<u8>>,
    known: BTreeMap<String, String>,
    /// The variables that secrets have become, by their values.
    names: HashMap<String, String>,
    added: Vec<String>,
}

impl Variables {
    fn read(file: &Path, limits: &Limits) -> Result<Self> {
        let before = match fs::read(file) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                let help = "secrets are to be written there: check its owner and mode".to_owned();
                return Err(Error::Unreadable { path: file.to_owned(), help, source });
            }
        };
        let bytes = before.as_deref().unwrap_or_default();
        let document = setpoint_importers::read(file, bytes, Some("env"), limits)?;
        let text = |entry: Entry| {
            let name = entry.key.segments().collect::<Vec<_>>().concat();
            let Value::String(value) = entry.value.json else { return None };
            Some((name, value))
        };
        let known = document.entries.into_iter().filter_map(text).collect();
        let (names, added) = (HashMap::new(), Vec::new());
        Ok(Self { file: file.to_owned(), before, known, names, added })
    }

    fn is_at(&self, path: &Path) -> bool {
        matches!((self.file.canonicalize(), path.canonicalize()), (Ok(a), Ok(b)) if a == b)
    }

    /// `value` with references where secrets are: to `name` if it is one, else to numbered names.
    fn in_place_of(&mut self, name: &str, value: Value, is_secret: &dyn Fn(&str) -> bool) -> Value {
        match value {
            Value::String(text) if is_secret(&text) => self.reference(name, text),
            Value::Number(number) if is_secret(&number.to_string()) => {
                self.reference(name, number.to_string())
            }
            Value::Array(items) => {
                let items = items.into_iter().enumerate();
                let item = |(at, item)| self.in_place_of(&format!("{name}_{at}"), item, is_secret);
                Value::Array(items.map(item).collect())
            }
            Value::Object(members) => {
                let members = members.into_iter().map(|(member, value)| {
                    let inner = Key::from_segments([&member]).map_or(name.to_owned(), |it| {
                        format!("{name}_{}", variable(&it).trim_start_matches('_'))
                    });
                    (member, self.in_place_of(&inner, value, is_secret))
                });
                Value::Object(members.collect())
            }
            other => other,
        }
    }

    /// The reference to the variable that has this value: one of that name, or with a number
    /// after it if that is taken.
    fn reference(&mut self, name: &str, value: String) -> Value {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let name = names
            .find(|it| self.known.get(it).is_none_or(|known| *known == value))
            .expect("there are more numbers than variables");
        self.names.insert(value.clone(), name.clone());
        if self.known.insert(name.clone(), value).is_none() {
            self.added.push(name.clone());
        }
        Value::from(format!("env:{name}"))
    }

    /// How the file is written; nothing if it has every variable.
    fn rewrite(self, limits: &Limits) -> Result<Option<Rewrite>> {
        let is_open = || {
            let mode = fs::metadata(&self.file).map(|it| it.permissions().mode());
            !self.names.is_empty() && mode.is_ok_and(|it| it & 0o077 != 0)
        };
        if self.added.is_empty() && !is_open() {
            return Ok(None);
        }
        let edit = |name: &String| {
            let key = Key::from_segments([name])?;
            Ok(Edit { key, value: Some(Value::from(self.known[name].as_str()).into()) })
        };
        let edits: std::result::Result<Vec<Edit>, setpoint_importers::KeyError> =
            self.added.iter().map(edit).collect();
        let edits = edits.map_err(|reason| Error::BadKey { key: self.added.join(", "), reason })?;
        let bytes = self.before.as_deref().unwrap_or_default();
        let after = setpoint_importers::edit(&self.file, bytes, Some("env"), limits, &edits)?;
        Ok(Some(Rewrite {
            name: self.file.display().to_string(),
            path: self.file,
            before: self.before,
            after,
            private: true,
            shown: None,
        }))
    }
}
