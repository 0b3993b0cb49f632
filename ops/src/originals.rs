//! Copies made before something is written: the way back.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::file::Rewrite;
use crate::source::ReadSource;
use crate::{Error, Result, hash, time};

/// Copies `sources` and what `rewrites` will change, byte for byte, to a new folder `NAME_<UTC>`
/// in `backups`, and returns it. `manifest.json` in it tells which copy is which file, with its
/// hash.
///
/// # Errors
///
/// [`Error::Unwritable`]; the half-made folder is gone then.
#[tracing::instrument(level = "debug", skip_all)]
pub fn copy(
    backups: &Path,
    name: &str,
    sources: &[ReadSource],
    rewrites: &[Rewrite],
    now: DateTime<Utc>,
) -> Result<PathBuf> {
    // What is to be rewritten is kept as it was before.
    let rewritten =
        rewrites.iter().filter_map(|it| Some((it.name.as_str(), it.before.as_deref()?)));
    let files = sources.iter().filter(|it| it.is_file());
    let read = files.map(|it| (it.declared.path.as_str(), it.bytes.as_slice()));
    let files = rewritten.chain(read);
    keep(backups, name, files, now)
}

/// Writes `files`, each under its path, to a new folder `NAME_<UTC>` in `backups`, with a
/// manifest, and returns it. The folder has its name only once everything in it is on the disk.
///
/// # Errors
///
/// [`Error::Unwritable`]; the half-made folder is gone then.
pub fn keep<'a>(
    backups: &Path,
    name: &str,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    now: DateTime<Utc>,
) -> Result<PathBuf> {
    fs::create_dir_all(backups).map_err(Error::unwritable(backups))?;
    let (partial, folder) = vacant(backups, name, now)?;
    let copied = copy_into(&partial, files, now).and_then(|()| {
        fs::rename(&partial, &folder).map_err(Error::unwritable(&folder))?;
        sync_folder(backups)
    });
    if copied.is_err() {
        // The first error is the one to tell; what stays behind says `partial` in its name.
        drop(fs::remove_dir_all(&partial));
    }
    copied.map(|()| folder)
}

/// Makes the folder to copy into. Its final name is nobody else's: whoever makes the first
/// folder for a name has the name.
fn vacant(backups: &Path, name: &str, now: DateTime<Utc>) -> Result<(PathBuf, PathBuf)> {
    let name = format!("{name}_{}", time::file_stamp(now));
    for turn in 1.. {
        let suffix = if turn == 1 { String::new() } else { format!("-{turn}") };
        let folder = backups.join(format!("{name}{suffix}"));
        let partial = folder.with_added_extension("partial");
        // The copies are as secret as the files, whose modes may be anything.
        match fs::DirBuilder::new().mode(0o700).create(&partial) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::unwritable(&partial)(error)),
            Ok(()) if folder.exists() => {
                fs::remove_dir(&partial).map_err(Error::unwritable(&partial))?;
            }
            Ok(()) => return Ok((partial, folder)),
        }
    }
    unreachable!("a folder has fewer entries than there are numbers")
}

#[derive(Serialize)]
struct Manifest<'a> {
    at: String,
    files: Vec<Copy<'a>>,
}

#[derive(Serialize)]
struct Copy<'a> {
    source: &'a str,
    copy: String,
    hash: String,
}

fn copy_into<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    now: DateTime<Utc>,
) -> Result<()> {
    let mut copies = Vec::new();
    let mut copied = HashMap::<PathBuf, &[u8]>::new();
    for (source, bytes) in files {
        let mut name = inside(source);
        // Two sources can be one file, read into two places. Two files can have one name, as seen
        // from two folders.
        while copied.get(&name).is_some_and(|it| *it != bytes) {
            name = name.with_added_extension("other");
        }
        if copied.insert(name.clone(), bytes).is_some() {
            continue;
        }
        let path = folder.join(&name);
        if let Some(parent) = path.parent() {
            let mut folders = fs::DirBuilder::new();
            folders.recursive(true).mode(0o700);
            folders.create(parent).map_err(Error::unwritable(parent))?;
        }
        write_durably(&path, bytes)?;
        let (copy, hash) = (name.display().to_string(), hash::of_bytes(bytes));
        copies.push(Copy { source, copy, hash });
    }
    let manifest = Manifest { at: time::stamp(now), files: copies };
    let text =
        serde_json::to_string_pretty(&manifest).expect("a manifest is texts, which can be written");
    write_durably(&folder.join("manifest.json"), text.as_bytes())?;
    sync_folder(folder)
}

/// The same path, but always inside the folder: `..` becomes `__`, the root is left out.
fn inside(path: &str) -> PathBuf {
    let inside = Path::new(path).components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some("__".as_ref()),
        _ => None,
    });
    inside.collect()
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::unwritable(path))
}

fn sync_folder(folder: &Path) -> Result<()> {
    fs::File::open(folder).and_then(|it| it.sync_all()).map_err(Error::unwritable(folder))
}
