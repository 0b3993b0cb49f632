//! The connections of a service: one that writes, some that read, and some that follow, which
//! nobody who reads for long keeps waiting.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::database::{self, Access, Database, Location, Settings};
use crate::{Error, Result};

pub(super) struct Connections {
    pub writer: Database,
    pub reader: Database,
    pub follower: Database,
    /// The file that was opened, and what tells it from another of the same name.
    pub file: Option<(PathBuf, Identity)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

impl Connections {
    pub(super) async fn open(
        location: &Location,
        access: Access,
        settings: Settings,
    ) -> Result<Self> {
        let writer = database::open(location, access, settings).await?;
        let reader = database::open(location, Access::Follow, settings).await?;
        let follower = database::open(location, Access::Follow, settings).await?;
        let file = match location {
            Location::Sqlite(path) => Identity::of(path).map(|it| (path.clone(), it)),
            _ => None,
        };
        Ok(Self { writer, reader, follower, file })
    }

    /// Refuses to go on with a file that is not in its place any more: what was written to it
    /// would be lost. A file that took its place is not opened either: SQLite would read the
    /// old one's `-wal` into it.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub(super) fn refuse_gone(&self) -> Result<()> {
        match &self.file {
            Some((path, identity)) if Identity::of(path).as_ref() != Some(identity) => {
                Err(Error::Gone { place: self.writer.place().to_owned() })
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn close(self) -> Result<()> {
        if self.refuse_gone().is_err() {
            // To close it would delete the `-wal` of whatever took its place.
            std::mem::forget(self);
            return Ok(());
        }
        self.follower.close().await?;
        self.reader.close().await?;
        self.writer.close().await
    }
}
