//! Hints of writes to an SQLite database by others, from the kernel.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use inotify::{Event, EventMask, EventStream, Inotify, WatchMask};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::Shared;
use super::follow::{SHORTEST_PAUSE, WRITER_LOOKS};
use crate::database::beside;

/// Watches a database and its `-wal`, each for one write: a transaction writes many pages, and to
/// be told of each costs those who write a tenth of their time.
pub(super) struct FileEvents {
    events: EventStream<[u8; 4096]>,
    /// Of the database and its `-wal`.
    paths: [PathBuf; 2],
}

impl FileEvents {
    /// Begins to watch the folder of the database at `path`, for files that are made or exchanged.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let inotify = Inotify::init()?;
        let exchanged = WatchMask::CREATE | WatchMask::MOVED_TO;
        inotify.watches().add(folder.unwrap_or(Path::new(".")), exchanged)?;
        let events = inotify.into_event_stream([0; 4096])?;
        Ok(Self { events, paths: [path.to_owned(), beside(path, "-wal")] })
    }

    /// Gives `hint`s for as long as it is let.
    pub(super) async fn give(mut self, shared: &Shared, hint: Arc<Notify>) -> io::Result<()> {
        loop {
            self.wait_for_one_write_each()?;
            // There may have been one since the last.
            hint.notify_one();
            self.written().await?;
            hint.notify_one();
            // The writer looks by itself, and whoever has been told looks for a while.
            sleep(SHORTEST_PAUSE).await;
            while shared.last_written().elapsed() < WRITER_LOOKS {
                sleep(WRITER_LOOKS).await;
            }
        }
    }

    fn wait_for_one_write_each(&self) -> io::Result<()> {
        for path in &self.paths {
            let once = WatchMask::MODIFY | WatchMask::ONESHOT;
            match self.events.watches().add(path, once) {
                // The folder tells when it is made.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                added => drop(added?),
            }
        }
        Ok(())
    }

    /// Returns once one of the files was written to, made or exchanged.
    async fn written(&mut self) -> io::Result<()> {
        while let Some(event) = self.events.next().await {
            if self.is_of_ours(&event?) {
                return Ok(());
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Those of the folder have a name; the end of a watch is nothing that was written.
    fn is_of_ours(&self, event: &Event<OsString>) -> bool {
        match &event.name {
            Some(name) => self.paths.iter().any(|it| it.file_name() == Some(name)),
            None => !event.mask.contains(EventMask::IGNORED),
        }
    }
}
