//! Archives in a folder of this machine.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::BackupError;
use super::storage::{EXTENSION, name_in, unreadable};
use crate::{Error, Result};

/// The names of all archives, in no order.
///
/// # Errors
///
/// [`Error::Unreadable`].
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let files = files(folder)?;
    Ok(files.iter().filter_map(|it| name_in(it.to_str()?)).map(str::to_owned).collect())
}

/// The files with `.tar` in their names which are no archives by them, in no order.
///
/// # Errors
///
/// [`Error::Unreadable`].
pub(super) fn passed_over(folder: &Path) -> Result<Vec<String>> {
    let files = files(folder)?.into_iter().filter(|it| it.to_str().and_then(name_in).is_none());
    let names = files.map(|it| it.to_string_lossy().into_owned());
    Ok(names.filter(|it| it.contains(".tar")).collect())
}

fn files(folder: &Path) -> Result<Vec<OsString>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable(folder))?,
    };
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry.map_err(unreadable(folder))?.file_name());
    entries.map(name).collect()
}

/// Opens an archive. A link is none, wherever it leads.
///
/// # Errors
///
/// [`BackupError::Unknown`], [`BackupError::Damaged`], [`Error::Unreadable`].
pub(super) fn open(folder: &Path, name: &str) -> Result<File> {
    let path = path(folder, name);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown(name)),
        Ok(found) if !found.is_file() => {
            let (name, reason) = (name.to_owned(), "it is no plain file".to_owned());
            return Err(BackupError::Damaged { name, reason }.into());
        }
        _ => {}
    }
    let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(nofollow).open(&path);
    opened.map_err(unreadable(&path))
}

/// Makes the finished file at `temporary` the archive of that name, for good.
///
/// # Errors
///
/// [`BackupError::Exists`], [`Error::Unwritable`].
pub(super) fn keep(folder: &Path, name: &str, temporary: &Path) -> Result<()> {
    let path = path(folder, name);
    // A file that somebody has made meanwhile is not replaced.
    let renamed = match renameat_with(CWD, temporary, CWD, &path, RenameFlags::NOREPLACE) {
        // Not every file system can do that.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::hard_link(temporary, &path),
        renamed => renamed.map_err(io::Error::from),
    };
    match renamed {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists { name: name.to_owned() }.into());
        }
        renamed => renamed.map_err(Error::unwritable(&path))?,
    }
    let synced = sync(folder);
    if synced.is_err() {
        // It may not last, so it is not there.
        drop(fs::remove_file(&path));
    }
    synced
}

/// # Errors
///
/// [`BackupError::Unknown`], [`BackupError::NotRemoved`], [`Error::Unwritable`].
pub(super) fn remove(folder: &Path, name: &str) -> Result<()> {
    let path = path(folder, name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown(name)),
        removed => removed.map_err(|source| BackupError::NotRemoved { path, source })?,
    }
    sync(folder)
}

/// Whether something is in the place of that archive.
pub(super) fn has(folder: &Path, name: &str) -> bool {
    fs::symlink_metadata(path(folder, name)).is_ok()
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{EXTENSION}"))
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|it| it.sync_all()).map_err(Error::unwritable(folder))
}

fn unknown(name: &str) -> Error {
    BackupError::Unknown { name: name.to_owned() }.into()
}
