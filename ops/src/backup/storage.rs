//! Where archives are kept: a folder. An archive comes to it as a finished temporary file.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use super::BackupError;
use crate::{Error, Result};

/// What the names of archives end in.
const EXTENSION: &str = ".setpoint.tar";

/// What the folders of those who work begin with. No backup can be called so.
const WORK: &str = ".work-";

/// What is left free, whatever is taken; of a small disk a twentieth.
const RESERVE_BYTES: u64 = 16 << 20;

/// Where archives are kept.
#[derive(Clone, Debug)]
pub struct Storage {
    folder: PathBuf,
}

impl Storage {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of all archives, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`].
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            entries => entries.map_err(unreadable(&self.folder))?,
        };
        for entry in entries {
            let name = entry.map_err(unreadable(&self.folder))?.file_name();
            let name = name.to_str().and_then(|it| it.strip_suffix(EXTENSION));
            names.extend(name.filter(|it| is_name(it)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Opens an archive. A link is none, wherever it leads.
    ///
    /// # Errors
    ///
    /// [`BackupError::BadName`], [`BackupError::Unknown`], [`BackupError::Damaged`],
    /// [`Error::Unreadable`].
    pub(super) fn open(&self, name: &str) -> Result<File> {
        refuse_bad_name(name)?;
        let path = self.path(name);
        let damaged = |reason: &str| BackupError::Damaged {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::Unknown { name: name.to_owned() }.into());
            }
            Ok(found) if !found.is_file() => return Err(damaged("it is no plain file").into()),
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
    pub(super) fn keep(&self, name: &str, temporary: &Path) -> Result<()> {
        let path = self.path(name);
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
        let synced = self.sync();
        if synced.is_err() {
            // It may not last, so it is not there.
            drop(fs::remove_file(&path));
        }
        synced
    }

    /// # Errors
    ///
    /// [`BackupError::Unknown`], [`Error::Unwritable`].
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        refuse_bad_name(name)?;
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::Unknown { name: name.to_owned() }.into());
            }
            removed => removed.map_err(Error::unwritable(&path))?,
        }
        self.sync()
    }

    /// # Errors
    ///
    /// [`BackupError::Exists`], [`BackupError::BadName`].
    pub(super) fn refuse_taken(&self, name: &str) -> Result<()> {
        refuse_bad_name(name)?;
        match fs::symlink_metadata(self.path(name)) {
            Ok(_) => Err(BackupError::Exists { name: name.to_owned() }.into()),
            Err(_) => Ok(()),
        }
    }

    /// A new folder to work in. Those of runs that were killed are gone after that.
    ///
    /// # Errors
    ///
    /// [`Error::Unwritable`].
    pub(super) fn work(&self) -> Result<Work> {
        let is_new = !self.folder.exists();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(Error::unwritable(&self.folder))?;
        if is_new {
            // Nor is the folder there for good before what it lies in is on the disk.
            let parents = self.folder.ancestors().skip(1).filter(|it| !it.as_os_str().is_empty());
            for parent in parents {
                drop(File::open(parent).and_then(|it| it.sync_all()));
            }
        }
        self.clear()?;
        loop {
            let path = self.folder.join(format!("{WORK}{}", random_name()?));
            let failed = || Error::unwritable(&path);
            DirBuilder::new().mode(0o700).create(&path).map_err(failed())?;
            // Whoever clears may have come between.
            if let Some(lock) = locked(&path, FlockOperation::LockExclusive) {
                return Ok(Work { path, _lock: lock });
            }
        }
    }

    /// Removes what killed runs have left. What somebody holds is in use.
    fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.folder).map_err(Error::unwritable(&self.folder))? {
            let entry = entry.map_err(Error::unwritable(&self.folder))?;
            let path = entry.path();
            let is_work = entry.file_name().to_string_lossy().starts_with(WORK)
                && entry.file_type().is_ok_and(|it| it.is_dir());
            if is_work && let Some(_lock) = locked(&path, FlockOperation::NonBlockingLockExclusive)
            {
                tracing::info!(folder = %path.display(), "cleared what a killed run has left");
                fs::remove_dir_all(&path).map_err(Error::unwritable(&path))?;
            }
        }
        Ok(())
    }

    /// Refuses a work that needs more room than there is.
    ///
    /// # Errors
    ///
    /// [`BackupError::NoRoom`].
    pub(super) fn refuse_without_room(&self, needed_bytes: u64) -> Result<()> {
        match self.free_bytes().filter(|it| *it < needed_bytes) {
            Some(free_bytes) => {
                let folder = self.folder.clone();
                Err(BackupError::NoRoom { folder, needed_bytes, free_bytes }.into())
            }
            None => Ok(()),
        }
    }

    /// The room that may be taken, now or once the folder is made; none if that cannot be told.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let found = self.folder.ancestors().find_map(|it| rustix::fs::statvfs(it).ok())?;
        // The database may lie on the same disk, and is to be written meanwhile.
        let reserve_bytes = RESERVE_BYTES.min(found.f_blocks.saturating_mul(found.f_frsize) / 20);
        let free_bytes = found.f_bavail.saturating_mul(found.f_frsize);
        Some(free_bytes.saturating_sub(reserve_bytes))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{EXTENSION}"))
    }

    fn sync(&self) -> Result<()> {
        let synced = File::open(&self.folder).and_then(|it| it.sync_all());
        synced.map_err(Error::unwritable(&self.folder))
    }
}

/// A folder to work in, which is gone when this is dropped. It is held by a lock, so that
/// nobody else takes it for one that was left behind.
pub(super) struct Work {
    path: PathBuf,
    _lock: OwnedFd,
}

impl Work {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new file that only its owner may read.
    ///
    /// # Errors
    ///
    /// [`Error::Unwritable`].
    pub(super) fn create(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true).mode(0o600);
        options.open(&path).map_err(Error::unwritable(&path))
    }

    /// Makes room. What is not there needs none.
    pub(super) fn remove(&self, name: &str) {
        drop(fs::remove_file(self.path(name)));
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What stays behind is cleared by the next run.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// The lock of the folder at `path`, if it can be had and the folder is still there.
fn locked(path: &Path, how: FlockOperation) -> Option<OwnedFd> {
    let folder = File::open(path).ok()?;
    let own = folder.metadata().ok()?;
    let folder = OwnedFd::from(folder);
    flock(&folder, how).ok()?;
    let there = fs::symlink_metadata(path).ok()?;
    ((own.dev(), own.ino()) == (there.dev(), there.ino())).then_some(folder)
}

fn random_name() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::NoRandomness { reason: error.to_string() })?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}

/// # Errors
///
/// [`BackupError::BadName`].
pub(super) fn refuse_bad_name(name: &str) -> Result<()> {
    match is_name(name) {
        true => Ok(()),
        false => Err(BackupError::BadName { name: name.to_owned() }.into()),
    }
}

fn is_name(name: &str) -> bool {
    let known = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'-');
    name.len() <= 100
        && name.bytes().all(known)
        && name.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric())
}

pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| {
        let help = "nothing was changed; check the path, its owner and mode".to_owned();
        Error::Unreadable { path, help, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_has_left_is_cleared_and_what_is_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path());
        let in_use = storage.work().unwrap();
        in_use.create("archive").unwrap();
        let left = folder.path().join(".work-0123456789abcdef");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("archive"), "half").unwrap();

        let other = storage.work().unwrap();

        assert!(!left.exists());
        assert!(in_use.path("archive").exists() && other.path.exists());
    }

    #[test]
    fn names_are_of_letters_digits_and_little_else() {
        let good = ["a", "0", "2026-05-01_x.y", &"a".repeat(100)].map(str::to_owned);
        let bad = ["", ".a", "-a", "_a", "a/b", "..", "a b", "ä", "a\0", &"a".repeat(101)];

        assert!(good.iter().all(|it| is_name(it)));
        assert!(bad.iter().all(|it| !is_name(it)));
    }
}
