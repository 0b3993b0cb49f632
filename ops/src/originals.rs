//! Copies of the files an import reads, made before it writes anything: the way back.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::source::ReadSource;
use crate::{Error, Result, time};

/// Copies `sources`, byte for byte, to a new folder `pre_migration_<UTC>` in `backups`.
///
/// The folder has its name only once everything in it is on the disk. `manifest.json` in it
/// tells which copy is which file, with its hash. Returns the folder.
///
/// # Errors
///
/// [`Error::Unwritable`]; the half-made folder is gone then.
#[tracing::instrument(level = "debug", skip_all)]
pub fn copy(backups: &Path, sources: &[ReadSource], now: DateTime<Utc>) -> Result<PathBuf> {
    fs::create_dir_all(backups).map_err(Error::unwritable(backups))?;
    let (partial, folder) = vacant(backups, now)?;
    let copied = copy_into(&partial, sources, now).and_then(|()| {
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
fn vacant(backups: &Path, now: DateTime<Utc>) -> Result<(PathBuf, PathBuf)> {
    let name = format!("pre_migration_{}", time::file_stamp(now));
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
    hash: &'a str,
}

fn copy_into(folder: &Path, sources: &[ReadSource], now: DateTime<Utc>) -> Result<()> {
    let mut files = Vec::new();
    let mut copied = HashSet::new();
    for source in sources {
        // Two sources can be one file, read into two places.
        if !copied.insert(&source.declared.path) {
            continue;
        }
        let name = inside(&source.declared.path);
        let path = folder.join(&name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::unwritable(parent))?;
        }
        write_durably(&path, &source.bytes)?;
        files.push(Copy {
            source: &source.declared.path,
            copy: name.display().to_string(),
            hash: &source.raw_hash,
        });
    }
    let manifest = Manifest { at: time::stamp(now), files };
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
        let mut file = fs::File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::unwritable(path))
}

fn sync_folder(folder: &Path) -> Result<()> {
    fs::File::open(folder).and_then(|it| it.sync_all()).map_err(Error::unwritable(folder))
}
