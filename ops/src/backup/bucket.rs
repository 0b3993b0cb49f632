//! Archives in a bucket of an S3-compatible store. What else lies there is left alone.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, GetResult, HeaderMap, HeaderValue,
    ObjectStore as _, ObjectStoreExt as _, RetryConfig, path,
};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::spawn_blocking;

use super::content::panicked;
use super::storage::{BEGINNING_BYTES, Beginning, EXTENSION};
use super::{BackupError, write};
use crate::{Error, Result};

mod declared;
mod failed;
mod names;
mod probe;
mod upload;

pub use declared::S3;
use failed::{Answer, Silent};
pub(crate) use probe::Forbidden;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the store may take for what is little, with all that is tried again.
const QUICK: Duration = Duration::from_secs(25);

/// How long nothing may come of what is read.
const SILENCE: Duration = Duration::from_secs(30);

/// How many pieces wait to be written to the disk.
const WAITING: usize = 16;

/// A bucket. What goes wrong with it is one of [`BackupError::NoCredentials`],
/// [`BackupError::StoreUnreachable`], [`BackupError::StoreRefused`], [`BackupError::NoBucket`],
/// [`BackupError::WrongRegion`], [`BackupError::StoreFailed`].
#[derive(Clone)]
pub struct Bucket {
    declared: S3,
    clients: Arc<OnceLock<Clients>>,
}

struct Clients {
    plain: AmazonS3,
    /// With the condition in every request that there is no such object.
    creating: AmazonS3,
}

/// Without the key.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.declared).finish()
    }
}

impl Bucket {
    /// Asks nobody yet, nor for a key.
    pub fn new(declared: S3) -> Self {
        Self { declared, clients: Arc::default() }
    }

    pub(super) fn place(&self) -> String {
        self.declared.place()
    }

    /// The beginning of an archive, as much as there is.
    ///
    /// # Errors
    ///
    /// [`BackupError::Unknown`].
    pub(super) async fn beginning(&self, name: &str) -> Result<Beginning> {
        let range = Some(GetRange::Bounded(0..BEGINNING_BYTES));
        let options = GetOptions { range, ..GetOptions::default() };
        let clients = self.clients()?;
        let got = async {
            let got = clients.plain.get_opts(&self.path(name), options).await?;
            let size_bytes = got.meta.size;
            Ok((got.bytes().await?, size_bytes))
        };
        match within(QUICK, got).await {
            Ok((bytes, size_bytes)) => Ok(Beginning { bytes: bytes.into(), size_bytes }),
            // Of nothing there is no part.
            Err(error) if Answer::of(&error).status == Some(416) => {
                Ok(Beginning { bytes: Vec::new(), size_bytes: 0 })
            }
            Err(error) => Err(self.failed_at(name, &error)),
        }
    }

    /// A part of an archive that is at least so long.
    ///
    /// # Errors
    ///
    /// [`BackupError::Unknown`].
    pub(super) async fn part(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let (clients, path) = (self.clients()?, self.path(name));
        let got = clients.plain.get_range(&path, range);
        let bytes = within(QUICK, got).await.map_err(|error| self.failed_at(name, &error))?;
        Ok(bytes.into())
    }

    /// An archive, to be fetched.
    ///
    /// # Errors
    ///
    /// [`BackupError::Unknown`].
    pub(super) async fn open(&self, name: &str) -> Result<Found<'_>> {
        let path = self.path(name);
        let got = self.clients()?.plain.get_opts(&path, GetOptions::default());
        match within(QUICK, got).await {
            Ok(got) => Ok(Found { bucket: self, got }),
            Err(error) => Err(self.failed_at(name, &error)),
        }
    }

    /// # Errors
    ///
    /// [`BackupError::Unknown`].
    pub(super) async fn sha256(&self, name: &str) -> Result<String> {
        let held = self.held(name).await?;
        Ok(held.ok_or_else(|| BackupError::Unknown { name: name.to_owned() })?.sha256)
    }

    /// What an archive is, read as a whole; none if there is none.
    async fn held(&self, name: &str) -> Result<Option<Held>> {
        let found = match self.open(name).await {
            Err(error) if error.is_no_backup() => return Ok(None),
            found => found?,
        };
        let tag = found.got.meta.e_tag.clone();
        let mut out = write::Hashing::new(io::sink());
        let mut pieces = found.got.into_stream();
        while let Some(piece) = within(SILENCE, pieces.try_next()).await.map_err(self.why())? {
            out.write_all(&piece).expect("what is not kept can be written");
        }
        Ok(Some(Held { sha256: out.finish("").1.sha256, tag }))
    }

    /// # Errors
    ///
    /// [`BackupError::Exists`].
    pub(super) async fn refuse_taken(&self, name: &str) -> Result<()> {
        match self.has(name).await? {
            true => Err(BackupError::Exists { name: name.to_owned() }.into()),
            false => Ok(()),
        }
    }

    /// # Errors
    ///
    /// [`BackupError::Unknown`].
    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        // A store does not tell whether there was anything.
        if !self.has(name).await? {
            return Err(BackupError::Unknown { name: name.to_owned() }.into());
        }
        let path = self.path(name);
        within(QUICK, self.clients()?.plain.delete(&path)).await.map_err(self.why())
    }

    fn path(&self, name: &str) -> path::Path {
        // Both were looked at: there is nothing in them that has to be written otherwise.
        path::Path::from(format!("{}{name}{EXTENSION}", self.declared.folder()))
    }

    fn failed(&self, error: &object_store::Error) -> Error {
        failed::failed(&self.declared, error)
    }

    fn why(&self) -> impl FnOnce(object_store::Error) -> Error {
        |error| self.failed(&error)
    }

    /// What went wrong with an archive, which may not be there.
    fn failed_at(&self, name: &str, error: &object_store::Error) -> Error {
        let is_bucket = Answer::of(error).code.as_deref() == Some("NoSuchBucket");
        match error {
            object_store::Error::NotFound { .. } if !is_bucket => {
                BackupError::Unknown { name: name.to_owned() }.into()
            }
            error => self.failed(error),
        }
    }

    fn clients(&self) -> Result<&Clients> {
        if let Some(clients) = self.clients.get() {
            return Ok(clients);
        }
        let built = self.built()?;
        Ok(self.clients.get_or_init(|| built))
    }

    fn built(&self) -> Result<Clients> {
        // Another part of the program may have chosen one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let said = |name: &'static str| std::env::var(name).ok().filter(|it| !it.is_empty());
        let wanted = |variable: &'static str| {
            let place = self.place();
            said(variable).ok_or(BackupError::NoCredentials { variable, place })
        };
        let (endpoint, is_virtual) = self.declared.endpoint();
        let options = ClientOptions::new()
            .with_allow_http(endpoint.as_ref().is_some_and(|it| it.starts_with("http://")))
            .with_connect_timeout(CONNECT)
            // A large one takes as long as it takes, if it only goes on.
            .with_timeout_disabled();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.declared.bucket)
            .with_region(&self.declared.region)
            .with_virtual_hosted_style_request(is_virtual)
            .with_access_key_id(wanted("AWS_ACCESS_KEY_ID")?)
            .with_secret_access_key(wanted("AWS_SECRET_ACCESS_KEY")?)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 3,
                retry_timeout: QUICK,
            });
        if let Some(token) = said("AWS_SESSION_TOKEN") {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let condition =
            HeaderMap::from_iter([(reqwest::header::IF_NONE_MATCH, HeaderValue::from_static("*"))]);
        let creating = options.clone().with_default_headers(condition);
        let build = |options| builder.clone().with_client_options(options).build();
        let (plain, creating) = (build(options), build(creating));
        Ok(Clients { plain: plain.map_err(self.why())?, creating: creating.map_err(self.why())? })
    }
}

/// What the store holds by a name.
struct Held {
    sha256: String,
    /// What the store calls this state of it (`ETag`).
    tag: Option<String>,
}

/// An archive that is there.
pub(super) struct Found<'a> {
    bucket: &'a Bucket,
    got: GetResult,
}

impl Found<'_> {
    pub(super) fn size_bytes(&self) -> u64 {
        self.got.meta.size
    }

    /// Writes it to the empty `file`, which is at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Unwritable`].
    pub(super) async fn fetch(self, file: File, path: &Path) -> Result<File> {
        let (sender, pieces) = mpsc::channel(WAITING);
        let writing = spawn_blocking(move || pour(pieces, file));
        let mut stream = self.got.into_stream();
        let received = async {
            while let Some(piece) = within(SILENCE, stream.try_next()).await? {
                // Whoever takes no more has failed, and says why.
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
            drop(sender);
            Ok(())
        };
        let received = received.await;
        let written = writing.await.unwrap_or_else(|error| Err(panicked(error)));
        received.map_err(self.bucket.why())?;
        written.map_err(Error::unwritable(path))
    }
}

/// Writes all `pieces` to `file`.
fn pour(mut pieces: Receiver<impl AsRef<[u8]>>, mut file: File) -> io::Result<File> {
    while let Some(piece) = pieces.blocking_recv() {
        file.write_all(piece.as_ref())?;
    }
    Ok(file)
}

/// What comes of `work`, unless it takes longer than `most`.
async fn within<T>(
    most: Duration,
    work: impl Future<Output = object_store::Result<T>>,
) -> object_store::Result<T> {
    let silent = |_| object_store::Error::Generic { store: "S3", source: Box::new(Silent(most)) };
    tokio::time::timeout(most, work).await.map_err(silent)?
}
