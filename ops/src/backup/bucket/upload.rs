//! An archive on its way into the bucket: never over another, and only whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::{ObjectStore as _, PutMode, PutPayload, path};
use tokio::task::spawn_blocking;

use super::{Bucket, Clients, QUICK, within};
use crate::backup::BackupError;
use crate::backup::content::panicked;
use crate::backup::storage::unreadable;
use crate::{Error, Result};

/// What is larger goes in parts of this size. Stores want them to be 5 MiB at least.
const PART_BYTES: u64 = 8 << 20;

/// How many parts there may be. Stores take 10,000.
const PARTS: u64 = 9_000;

/// How many parts are on their way, and in memory.
const AT_ONCE: usize = 2;

/// How long a part may take: 70 KB/s.
const PATIENCE: Duration = Duration::from_secs(120);

impl Bucket {
    /// Makes the file at `temporary`, of that hash, the archive of that name, and reads it back.
    ///
    /// It is a condition of the request itself that there is none of that name (`If-None-Match`).
    /// Some stores do not know it: there an archive that somebody makes by that name meanwhile is
    /// replaced, which is why it was looked for before the work began. A run that is killed here
    /// leaves parts which no list shows; stores remove them by a rule of their own.
    ///
    /// # Errors
    ///
    /// [`BackupError::Exists`], [`BackupError::NotVerified`], [`Error::Unreadable`]; as [`Bucket`]
    /// has them. There is no such archive then, unless the store fell silent after it had it: then it
    /// is one that this database does not know, until it is verified.
    pub(in crate::backup) async fn keep(
        &self,
        name: &str,
        temporary: &Path,
        sha256: &str,
    ) -> Result<()> {
        let clients = self.clients()?;
        let file = File::open(temporary).map_err(unreadable(temporary))?;
        let size_bytes = file.metadata().map_err(unreadable(temporary))?.len();
        let from = Source { file: Arc::new(file), size_bytes, path: temporary };
        let to = self.path(name);
        let sent = match size_bytes <= PART_BYTES {
            true => self.send(clients, &to, &from).await,
            false => self.send_parts(clients, &to, &from).await,
        };
        let there = match &sent {
            // A request that was sent again finds what the first one has made, and one that was
            // not answered may have made it.
            Err(Stopped::Store(_)) => self.hash(name).await.ok().flatten(),
            Err(Stopped::Here(_)) => None,
            Ok(()) => self.hash(name).await?,
        };
        match (sent, there) {
            (_, Some(there)) if there == sha256 => Ok(()),
            (Ok(()), there) => {
                if there.is_some() {
                    self.remove(name).await?;
                }
                let reason = "the store does not hold what was sent".to_owned();
                Err(BackupError::NotVerified { reason }.into())
            }
            (Err(Stopped::Here(error)), _) => Err(error),
            (Err(Stopped::Store(error)), there) => Err(match &error {
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. }
                    if there.is_some() =>
                {
                    BackupError::Exists { name: name.to_owned() }.into()
                }
                error => self.failed(error),
            }),
        }
    }

    /// The whole in one request.
    async fn send(
        &self,
        clients: &Clients,
        to: &path::Path,
        from: &Source<'_>,
    ) -> Result<(), Stopped> {
        let bytes = from.part(0, from.size_bytes).await?;
        let put = clients.plain.put_opts(to, bytes, PutMode::Create.into());
        Ok(within(PATIENCE, put).await.map(drop)?)
    }

    /// In parts, which are an object once all are there.
    async fn send_parts(
        &self,
        clients: &Clients,
        to: &path::Path,
        from: &Source<'_>,
    ) -> Result<(), Stopped> {
        let store = &clients.plain;
        let id = within(QUICK, store.create_multipart(to)).await?;
        let sent = async {
            let part_bytes = PART_BYTES.max(from.size_bytes.div_ceil(PARTS));
            let starts =
                (0..from.size_bytes).step_by(usize::try_from(part_bytes).unwrap_or(1 << 30));
            let id = &id;
            let parts = starts.enumerate().map(|(number, start)| async move {
                let bytes = from.part(start, part_bytes).await?;
                let put = store.put_part(to, id, number, bytes);
                Ok::<_, Stopped>(within(PATIENCE, put).await?)
            });
            let parts: Vec<PartId> = stream::iter(parts).buffered(AT_ONCE).try_collect().await?;
            let whole = clients.creating.complete_multipart(to, id, parts);
            Ok(within(PATIENCE, whole).await.map(drop)?)
        };
        let sent = sent.await;
        if sent.is_err() {
            // What was sent is charged for otherwise. If it cannot be told, it cannot be helped.
            drop(within(QUICK, store.abort_multipart(to, &id)).await);
        }
        sent
    }
}

/// Why an archive did not arrive.
enum Stopped {
    Store(object_store::Error),
    Here(Error),
}

impl From<object_store::Error> for Stopped {
    fn from(error: object_store::Error) -> Self {
        Self::Store(error)
    }
}

/// What is sent.
struct Source<'a> {
    file: Arc<File>,
    size_bytes: u64,
    path: &'a Path,
}

impl Source<'_> {
    /// As much as there is of so many bytes.
    async fn part(&self, start: u64, most_bytes: u64) -> Result<PutPayload, Stopped> {
        let length = most_bytes.min(self.size_bytes - start);
        let file = self.file.clone();
        let read = move || {
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, start)?;
            Ok(PutPayload::from(bytes))
        };
        let read = spawn_blocking(read).await.unwrap_or_else(|error| Err(panicked(error)));
        read.map_err(|error| Stopped::Here(unreadable(self.path)(error)))
    }
}
