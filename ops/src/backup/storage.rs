//! Where archives are kept: a folder, or a bucket with the folder to work in. An archive comes to
//! it as a finished temporary file.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::work::Work;
use super::{BackupError, Bucket, Encryption, Forbidden, folder, write};
use crate::{Error, Result};

/// What the names of archives end in.
pub(super) const EXTENSION: &str = ".setpoint.tar";

/// How much is read of an archive to tell what it is.
pub(super) const BEGINNING_BYTES: u64 = 1 << 16;

/// How much is read of the end of an archive to tell whether its manifest is the one that was
/// written: its hash is the last thing in it, before what fills a tar.
const ENDING_BYTES: u64 = 24 << 10;

/// What an archive is called that is fetched to be read.
const FETCHED: &str = "fetched.tar";

/// What is left free, whatever is taken; of a small disk a twentieth.
const RESERVE_BYTES: u64 = 16 << 20;

/// Where archives are kept.
#[derive(Clone, Debug)]
pub struct Storage {
    folder: PathBuf,
    bucket: Option<Bucket>,
    encryption: Option<Encryption>,
}

/// The beginning of an archive.
pub(super) struct Beginning {
    pub bytes: Vec<u8>,
    /// Of the whole.
    pub size_bytes: u64,
}

impl Storage {
    /// Archives are kept in `folder`; with a bucket they are kept there, and made and read in
    /// `folder`.
    pub fn new(folder: impl Into<PathBuf>, bucket: Option<Bucket>) -> Self {
        Self { folder: folder.into(), bucket, encryption: None }
    }

    /// New archives are encrypted, and those that are can be read.
    pub fn encrypted(self, encryption: Option<Encryption>) -> Self {
        Self { encryption, ..self }
    }

    pub(crate) fn encryption(&self) -> Option<&Encryption> {
        self.encryption.as_ref()
    }

    pub(crate) fn has_bucket(&self) -> bool {
        self.bucket.is_some()
    }

    /// The folder to work in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where archives are kept, for people.
    pub fn place(&self) -> String {
        match &self.bucket {
            None => self.folder.display().to_string(),
            Some(bucket) => bucket.place(),
        }
    }

    /// Looks whether a bucket answers, and is there. A folder is made when it is needed.
    ///
    /// # Errors
    ///
    /// As [`Bucket`] has them.
    pub(crate) async fn reach(&self) -> Result<()> {
        match &self.bucket {
            None => Ok(()),
            Some(bucket) => bucket.has("-").await.map(drop),
        }
    }

    /// Tries out whether archives can be put into a bucket, read and removed: with a tiny object
    /// that is none, and is gone then.
    pub(crate) async fn probe(&self) -> Result<(), Forbidden> {
        match &self.bucket {
            None => Ok(()),
            Some(bucket) => bucket.probe().await,
        }
    }

    /// The names of all archives, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`]; as [`Bucket`] has them.
    pub(super) async fn names(&self) -> Result<Vec<String>> {
        let mut names = match &self.bucket {
            None => folder::names(&self.folder)?,
            Some(bucket) => bucket.names().await?,
        };
        names.sort();
        Ok(names)
    }

    /// Opens an archive, and a folder to work on it in.
    ///
    /// # Errors
    ///
    /// [`BackupError::BadName`], [`BackupError::Unknown`], [`BackupError::Damaged`],
    /// [`Error::Unreadable`], [`Error::Unwritable`]; [`BackupError::NoRoom`] and as [`Bucket`] has
    /// them.
    pub(super) async fn open(&self, name: &str) -> Result<(File, Work)> {
        refuse_bad_name(name)?;
        let Some(bucket) = &self.bucket else {
            let file = folder::open(&self.folder, name)?;
            return Ok((file, self.work()?));
        };
        let found = bucket.open(name).await?;
        self.refuse_without_room(found.size_bytes())?;
        let work = self.work()?;
        let file = found.fetch(work.create(FETCHED)?, &work.path(FETCHED)).await?;
        Ok((file, work))
    }

    /// The hash of an archive as it lies there. It takes no room.
    ///
    /// # Errors
    ///
    /// As [`Storage::beginning`].
    pub(super) async fn sha256(&self, name: &str) -> Result<String> {
        refuse_bad_name(name)?;
        if let Some(bucket) = &self.bucket {
            return bucket.sha256(name).await;
        }
        let file = folder::open(&self.folder, name)?;
        let hashed = spawn_blocking(move || {
            let mut out = write::Hashing::new(io::sink());
            io::copy(&mut BufReader::with_capacity(1 << 18, file), &mut out)?;
            Ok(out.finish("").1.sha256)
        });
        hashed.await.map_err(io::Error::other).flatten().map_err(unreadable(&self.folder))
    }

    /// The beginning of an archive: as much of it as there is.
    ///
    /// # Errors
    ///
    /// [`BackupError::BadName`], [`BackupError::Unknown`], [`BackupError::Damaged`],
    /// [`Error::Unreadable`]; as [`Bucket`] has them.
    pub(super) async fn beginning(&self, name: &str) -> Result<Beginning> {
        refuse_bad_name(name)?;
        match &self.bucket {
            None => {
                let file = folder::open(&self.folder, name)?;
                beginning_of(&file).map_err(unreadable(&self.folder))
            }
            Some(bucket) => bucket.beginning(name).await,
        }
    }

    /// The end of an archive that is so long.
    ///
    /// # Errors
    ///
    /// As [`Storage::open`].
    pub(super) async fn ending(&self, name: &str, size_bytes: u64) -> Result<Vec<u8>> {
        refuse_bad_name(name)?;
        let start = size_bytes.saturating_sub(ENDING_BYTES);
        match &self.bucket {
            None => {
                let file = folder::open(&self.folder, name)?;
                let mut bytes = vec![0; usize::try_from(size_bytes - start).unwrap_or_default()];
                let read = file.read_exact_at(&mut bytes, start);
                read.map_err(unreadable(&self.folder))?;
                Ok(bytes)
            }
            Some(bucket) => bucket.part(name, start..size_bytes).await,
        }
    }

    /// Makes the finished file at `temporary`, of that hash, the archive of that name, for good.
    ///
    /// # Errors
    ///
    /// [`BackupError::Exists`], [`Error::Unwritable`]; as [`Bucket`] has them.
    pub(super) async fn keep(&self, name: &str, temporary: &Path, sha256: &str) -> Result<()> {
        match &self.bucket {
            None => folder::keep(&self.folder, name, temporary),
            Some(bucket) => bucket.keep(name, temporary, sha256).await,
        }
    }

    /// # Errors
    ///
    /// [`BackupError::BadName`], [`BackupError::Unknown`], [`BackupError::NotRemoved`],
    /// [`Error::Unwritable`]; as [`Bucket`] has them.
    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        refuse_bad_name(name)?;
        match &self.bucket {
            None => folder::remove(&self.folder, name),
            Some(bucket) => bucket.remove(name).await,
        }
    }

    /// # Errors
    ///
    /// [`BackupError::Exists`], [`BackupError::BadName`]; as [`Bucket`] has them.
    pub(super) async fn refuse_taken(&self, name: &str) -> Result<()> {
        refuse_bad_name(name)?;
        match &self.bucket {
            None if folder::has(&self.folder, name) => {
                Err(BackupError::Exists { name: name.to_owned() }.into())
            }
            None => Ok(()),
            Some(bucket) => bucket.refuse_taken(name).await,
        }
    }

    /// # Errors
    ///
    /// [`BackupError::Unknown`], [`BackupError::BadName`]; as [`Bucket`] has them.
    pub(super) async fn refuse_unknown(&self, name: &str) -> Result<()> {
        refuse_bad_name(name)?;
        let is_there = match &self.bucket {
            None => folder::has(&self.folder, name),
            Some(bucket) => bucket.has(name).await?,
        };
        match is_there {
            true => Ok(()),
            false => Err(BackupError::Unknown { name: name.to_owned() }.into()),
        }
    }

    /// A new folder to work in. Those of runs that were killed are gone after that.
    ///
    /// # Errors
    ///
    /// [`Error::Unwritable`].
    pub(super) fn work(&self) -> Result<Work> {
        Work::new(&self.folder)
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
}

/// What lies in the folder of `storage` as if it were an archive and cannot be one by its name, in
/// order. What lies in a bucket besides is others'.
///
/// # Errors
///
/// [`Error::Unreadable`].
pub fn passed_over(storage: &Storage) -> Result<Vec<String>> {
    let mut names = match &storage.bucket {
        None => folder::passed_over(&storage.folder)?,
        Some(_) => Vec::new(),
    };
    names.sort();
    Ok(names)
}

/// As much of the beginning of `file` as there is.
pub(super) fn beginning_of(file: &File) -> io::Result<Beginning> {
    let size_bytes = file.metadata()?.len();
    let length = usize::try_from(size_bytes.min(BEGINNING_BYTES)).unwrap_or_default();
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Beginning { bytes, size_bytes })
}

/// The name of the archive that is called `file` where it lies, if it is one.
pub(super) fn name_in(file: &str) -> Option<&str> {
    file.strip_suffix(EXTENSION).filter(|it| is_name(it))
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
    fn names_are_of_letters_digits_and_little_else() {
        let good = ["a", "0", "2026-05-01_x.y", &"a".repeat(100)].map(str::to_owned);
        let bad = ["", ".a", "-a", "_a", "a/b", "..", "a b", "ä", "a\0", &"a".repeat(101)];

        assert!(good.iter().all(|it| is_name(it)));
        assert!(bad.iter().all(|it| !is_name(it)));
    }
}
