//! A folder to work in, beside the archives: what is in it is nobody's backup.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::{Error, Result};

/// What the folders of those who work begin with. No backup can be called so.
const WORK: &str = ".work-";

/// A folder to work in, which is gone when this is dropped. It is held by a lock, so that
/// nobody else takes it for one that was left behind.
pub(super) struct Work {
    path: PathBuf,
    _lock: OwnedFd,
}

impl Work {
    /// A new one in `folder`, which is made if it is not there. Those of runs that were killed
    /// are gone after that.
    ///
    /// # Errors
    ///
    /// [`Error::Unwritable`].
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let is_new = !folder.exists();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(no_folder).map_err(Error::unwritable(folder))?;
        if is_new {
            // Nor is the folder there for good before what it lies in is on the disk.
            let parents = folder.ancestors().skip(1).filter(|it| !it.as_os_str().is_empty());
            for parent in parents {
                drop(File::open(parent).and_then(|it| it.sync_all()));
            }
        }
        clear(folder)?;
        loop {
            let path = folder.join(format!("{WORK}{}", random_name()?));
            let failed = || Error::unwritable(&path);
            DirBuilder::new().mode(0o700).create(&path).map_err(failed())?;
            // Whoever clears may have come between.
            if let Some(lock) = locked(&path, FlockOperation::LockExclusive) {
                return Ok(Self { path, _lock: lock });
            }
        }
    }

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

/// Why there can be no folder, where the system only says that there is something.
fn no_folder(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            io::Error::new(error.kind(), "what is there is no folder, or a link to none")
        }
        _ => error,
    }
}

/// Removes what killed runs have left. What somebody holds is in use.
fn clear(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::unwritable(folder))? {
        let entry = entry.map_err(Error::unwritable(folder))?;
        let path = entry.path();
        let is_work = entry.file_name().to_string_lossy().starts_with(WORK)
            && entry.file_type().is_ok_and(|it| it.is_dir());
        if is_work && let Some(_lock) = locked(&path, FlockOperation::NonBlockingLockExclusive) {
            tracing::info!(folder = %path.display(), "cleared what a killed run has left");
            fs::remove_dir_all(&path).map_err(Error::unwritable(&path))?;
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_has_left_is_cleared_and_what_is_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let in_use = Work::new(folder.path()).unwrap();
        in_use.create("archive").unwrap();
        let left = folder.path().join(".work-0123456789abcdef");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("archive"), "half").unwrap();

        let other = Work::new(folder.path()).unwrap();

        assert!(!left.exists());
        assert!(in_use.path("archive").exists() && other.path.exists());
    }
}
