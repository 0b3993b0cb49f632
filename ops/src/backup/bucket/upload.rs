//! An archive on its way into the bucket: never over another, and only whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::{ObjectStore as _, PutMode, PutPayload, PutResult};
use tokio::task::spawn_blocking;

use super::{Bucket, Clients, Held, QUICK, within};
use crate::backup::BackupError;
use crate::backup::content::panicked;
use crate::backup::storage::unreadable;
use crate::{Error, Result};

/// What is larger goes in parts of this size. Stores want them to be 5 MiB at least.
const PART_BYTES: u64 = 8 << 20;

/// How many parts there may be; those of more than 8 GB are larger. Amazon takes 10,000, Swift as it
/// comes 1,000.
const PARTS: u64 = 1_000;

/// How many parts are on their way, and in memory.
const AT_ONCE: usize = 2;

/// How long a part of [`PART_BYTES`] may take: 70 KB/s.
const PATIENCE: Duration = Duration::from_secs(120);

impl Bucket {
    /// Makes the file at `temporary`, of that hash, the archive of that name, and reads it back.
    ///
    /// It is a condition of the request itself that there is none of that name (`If-None-Match`).
    /// Some stores do not know it, and some look once, before they take what is sent: an archive
    /// that somebody makes by that name just then is replaced there. That is why it is looked for
    /// right before that request too. What somebody else has put there is never removed. A run that
    /// is killed here leaves parts which no list shows; stores remove them by a rule of their own.
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
        let sent = match size_bytes <= PART_BYTES {
            true => self.send(clients, name, &from).await,
            false => self.send_parts(clients, name, &from).await,
        };
        let there = match &sent {
            // A request that was sent again finds what the first one has made, and one that was
            // not answered may have made it.
            Err(Stopped::Store(_)) => self.held(name).await.ok().flatten(),
            Err(Stopped::Here(_)) => None,
            Ok(_) => self.held(name).await?,
        };
        match (sent, there) {
            (_, Some(there)) if there.sha256 == sha256 => Ok(()),
            // It was replaced by a store that does not look at conditions.
            (Ok(sent), Some(there)) if !is_same(&sent, &there) => {
                Err(BackupError::Exists { name: name.to_owned() }.into())
            }
            (Ok(_), there) => {
                if there.is_some() {
                    self.remove(name).await?;
                }
                let reason = "the store does not hold what was sent".to_owned();
                Err(BackupError::NotVerified { reason }.into())
            }
            (Err(Stopped::Here(error)), _) => Err(error),
            // It was not there before. Whether the store says so is its own way.
            (Err(Stopped::Store(_)), Some(_)) => {
                Err(BackupError::Exists { name: name.to_owned() }.into())
            }
            (Err(Stopped::Store(error)), None) => Err(self.failed(&error)),
        }
    }

    /// The whole in one request.
    async fn send(
        &self,
        clients: &Clients,
        name: &str,
        from: &Source<'_>,
    ) -> Result<PutResult, Stopped> {
        let bytes = from.part(0, from.size_bytes).await?;
        self.refuse_taken(name).await?;
        let to = self.path(name);
        let put = clients.plain.put_opts(&to, bytes, PutMode::Create.into());
        Ok(within(PATIENCE, put).await?)
    }

    /// In parts, which are an object once all are there.
    async fn send_parts(
        &self,
        clients: &Clients,
        name: &str,
        from: &Source<'_>,
    ) -> Result<PutResult, Stopped> {
        let (store, to) = (&clients.plain, &self.path(name));
        let id = within(QUICK, store.create_multipart(to)).await?;
        let sent = async {
            let part_bytes = part_bytes(from.size_bytes);
            let patience = patience(part_bytes);
            let starts =
                (0..from.size_bytes).step_by(usize::try_from(part_bytes).unwrap_or(1 << 30));
            let id = &id;
            let parts = starts.enumerate().map(|(number, start)| async move {
                let bytes = from.part(start, part_bytes).await?;
                let put = store.put_part(to, id, number, bytes);
                Ok::<_, Stopped>(within(patience, put).await?)
            });
            let parts: Vec<PartId> = stream::iter(parts).buffered(AT_ONCE).try_collect().await?;
            self.refuse_taken(name).await?;
            let whole = clients.creating.complete_multipart(to, id, parts);
            Ok(within(PATIENCE, whole).await?)
        };
        let sent = sent.await;
        if sent.is_err() {
            // What was sent is charged for otherwise. If it cannot be told, it cannot be helped.
            drop(within(QUICK, store.abort_multipart(to, &id)).await);
        }
        sent
    }
}

/// How large the parts are of what is so large.
fn part_bytes(size_bytes: u64) -> u64 {
    PART_BYTES.max(size_bytes.div_ceil(PARTS))
}

/// How long a part of that size may take.
fn patience(part_bytes: u64) -> Duration {
    PATIENCE * u32::try_from(part_bytes.div_ceil(PART_BYTES)).unwrap_or(u32::MAX)
}

/// Whether the store holds still what it took, even if not as it was sent.
fn is_same(sent: &PutResult, there: &Held) -> bool {
    let bare = |tag: &Option<String>| tag.as_deref().map(|it| it.trim_matches('"').to_owned());
    bare(&sent.e_tag) == bare(&there.tag)
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

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Here(error)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_of_any_size_has_no_more_parts_than_stores_take() {
        for size_bytes in [PART_BYTES + 1, PARTS * PART_BYTES, PARTS * PART_BYTES + 1, 1 << 40] {
            let part_bytes = part_bytes(size_bytes);

            assert!(part_bytes >= PART_BYTES && size_bytes.div_ceil(part_bytes) <= 1_000);
            let slowest = part_bytes / patience(part_bytes).as_secs();
            assert!((30_000..=70_000).contains(&slowest), "{slowest} bytes a second");
        }
    }
}
