//! Writing to files of the application: whole or not at all, and never over another's edit.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The mode of a file that is new.
const PRIVATE: u32 = 0o600;

/// A file that is to say something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The name it is known by.
    pub name: String,
    pub path: PathBuf,
    /// What it says now; `None` if it is not there.
    pub before: Option<Vec<u8>>,
    pub after: Vec<u8>,
    /// Whether only its owner may read it afterwards.
    pub private: bool,
    /// Both texts as a person may see them: secrets are masked.
    pub shown: Option<Shown>,
}

/// What a file said and will say, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub before: Vec<u8>,
    pub after: Vec<u8>,
}

impl Rewrite {
    /// Writes the file: to a new one beside it, which then takes its name, mode and owner.
    ///
    /// A symbolic link stays one: the file that it leads to is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::EditedMeanwhile`] if the file does not say `before` any more;
    /// [`Error::ReadOnly`], [`Error::Unwritable`]. The file is as it was then.
    pub fn carry_out(&self) -> Result<()> {
        let target = match self.before {
            Some(_) => fs::canonicalize(&self.path).map_err(Error::unwritable(&self.name))?,
            None => self.path.clone(),
        };
        let owner = match &self.before {
            None => None,
            Some(before) => {
                let metadata = fs::metadata(&target).map_err(Error::unwritable(&self.name))?;
                self.refuse_read_only(&target, &metadata)?;
                if fs::read(&target).map_err(Error::unwritable(&self.name))? != *before {
                    return Err(Error::EditedMeanwhile { path: PathBuf::from(&self.name) });
                }
                Some(metadata)
            }
        };
        let partial = beside(&target);
        let written = self.write(&partial, &target, owner.as_ref());
        if written.is_err() {
            // The first error is the one to tell.
            drop(fs::remove_file(&partial));
        }
        written
    }

    /// A file that cannot be written could still be replaced: whoever made it so means the file.
    fn refuse_read_only(&self, target: &Path, metadata: &fs::Metadata) -> Result<()> {
        let read_only = |source| Error::ReadOnly { path: PathBuf::from(&self.name), source };
        if metadata.permissions().readonly() {
            return Err(read_only(io::ErrorKind::PermissionDenied.into()));
        }
        OpenOptions::new().append(true).open(target).map(drop).map_err(read_only)
    }

    fn write(&self, partial: &Path, target: &Path, owner: Option<&fs::Metadata>) -> Result<()> {
        let failed = || Error::unwritable(&self.name);
        let create = || OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(partial);
        let created = create().or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => fs::remove_file(partial).and_then(|()| create()),
            _ => Err(error),
        });
        let mut file = created.map_err(failed())?;
        file.write_all(&self.after).map_err(failed())?;
        if let Some(owner) = owner {
            take_over(&file, owner, self.private).map_err(failed())?;
        }
        file.sync_all().map_err(failed())?;
        let (own, there) = (file.metadata(), fs::symlink_metadata(partial));
        let (own, there) = (own.map_err(failed())?, there.map_err(failed())?);
        if (own.dev(), own.ino()) != (there.dev(), there.ino()) {
            // Another process has begun to write it too.
            return Err(Error::EditedMeanwhile { path: PathBuf::from(&self.name) });
        }
        if self.before.is_none() {
            // A file that somebody has made meanwhile is not replaced.
            fs::hard_link(partial, target).map_err(failed())?;
            fs::remove_file(partial).map_err(failed())?;
        } else {
            fs::rename(partial, target).map_err(failed())?;
        }
        let folder = target.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|it| it.sync_all()).map_err(failed())
    }
}

/// The name to write under. Always the same: what a crash has left there is taken away.
fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.setpoint"))
}

/// Gives `file` the owner and the mode that `owner` has.
fn take_over(file: &File, owner: &fs::Metadata, private: bool) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (owner.uid(), owner.gid()) {
        std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    let mode = if private { PRIVATE } else { owner.mode() & 0o7777 };
    file.set_permissions(fs::Permissions::from_mode(mode))
}
