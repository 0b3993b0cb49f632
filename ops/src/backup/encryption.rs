//! Encryption of archives with age: to whom, and with whose key they are read. The key itself is
//! read from its file when it is needed, and kept no longer.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::secrecy::{ExposeSecret as _, SecretString};
use age::stream::{StreamReader, StreamWriter};
use age::x25519;
use serde::{Deserialize, Serialize};

use super::BackupError;
use super::archive::{Section, is_of_bytes};
use super::manifest::Manifest;
use crate::Result;

/// How many recipients there may be: the manifest names them, and has little room.
const MOST: usize = 20;

/// How large a file of identities may be, and the beginning of what is encrypted.
const FILE_BYTES: u64 = 1 << 16;
const HEADER_BYTES: usize = 1 << 16;

/// How the text of a private identity begins, in small letters.
const PRIVATE: &str = "age-secret-key-";

/// `[backups.encryption]`: to whom new backups are encrypted, and where the key is that reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// Any one of them can read a backup.
    pub recipients: Vec<Recipient>,
    /// X25519 identities, as `age-keygen` writes them. Without it backups can be listed and
    /// removed, and neither taken nor read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_file: Option<PathBuf>,
}

/// Whoever has the identity that belongs to it can read what is encrypted to it: `age1…`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recipient(x25519::Recipient);

impl Encryption {
    /// # Errors
    ///
    /// What is wrong with it, for people. It names no value: a key may be in the wrong place.
    pub fn check(&self) -> Result<(), &'static str> {
        let file = self.identity_file.as_deref().map(|it| it.to_string_lossy().to_lowercase());
        if file.is_some_and(|it| it.contains(PRIVATE)) {
            return Err("has an identity in place of its file: write it to a file that only its \
                        owner may read, and make a new one if others have seen this one");
        }
        match self.recipients.len() {
            0 => Err("has no recipients: give at least one, as `age-keygen -y` prints it"),
            1..=MOST => Ok(()),
            _ => Err("has more than 20 recipients"),
        }
    }

    /// Refuses to take a backup that could not be read back.
    ///
    /// # Errors
    ///
    /// [`BackupError::NoKey`], [`BackupError::WrongKey`], [`BackupError::NoKeyFile`],
    /// [`BackupError::BadKeyFile`].
    pub fn refuse_without_key(&self) -> Result<()> {
        unlock(Some(self), &self.recipients, "the new backup").map(drop)
    }

    /// Looks for the key: without it no backup is taken, and none read.
    ///
    /// # Errors
    ///
    /// As [`Encryption::refuse_without_key`].
    pub(crate) fn find_key(&self) -> Result<()> {
        unlock(Some(self), &self.recipients, "each new backup").map(drop)
    }
}

impl FromStr for Recipient {
    type Err = &'static str;

    /// # Errors
    ///
    /// Why it is none. The text is not named: it may be a private key.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.to_lowercase().contains(PRIVATE) {
            return Err("a private identity is no recipient: give what `age-keygen -y` prints of \
                        it, and make a new one if others have seen this one");
        }
        text.parse().map(Self).map_err(|_| "this is no X25519 recipient of age: age1 and 58 more")
    }
}

impl TryFrom<String> for Recipient {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Recipient> for String {
    fn from(recipient: Recipient) -> Self {
        recipient.to_string()
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What reads archives that are encrypted, if they are.
pub(crate) struct Keys(Vec<x25519::Identity>);

impl Keys {
    /// Those that read what `manifest` tells of, an archive that is called `name`.
    ///
    /// # Errors
    ///
    /// As [`Encryption::refuse_without_key`].
    pub(crate) fn of(
        encryption: Option<&Encryption>,
        manifest: &Manifest,
        name: &str,
    ) -> Result<Self> {
        match &manifest.encryption {
            None => Ok(Self(Vec::new())),
            Some(to) => unlock(encryption, &to.recipients, &format!("backup `{name}`")),
        }
    }

    /// What is in `sealed`, piece by piece: that it is whole is known at its end.
    ///
    /// # Errors
    ///
    /// Why it is not what it has to be. It was encrypted to one of these keys, so that says
    /// nothing of them.
    pub(super) fn open(&self, sealed: Section) -> io::Result<Opened> {
        let mut beginning = vec![0; sealed.left.min(HEADER_BYTES as u64) as usize];
        sealed.file.read_exact_at(&mut beginning, sealed.at)?;
        let bad = || io::Error::other("what tells who can read it is damaged");
        // Nobody has to read gigabytes to find that they are no header.
        if !beginning.windows(5).any(|it| it == b"\n--- ") {
            return Err(bad());
        }
        let sealed = age::Decryptor::new_buffered(BufReader::with_capacity(1 << 18, sealed));
        let identities = self.0.iter().map(|it| it as &dyn age::Identity);
        sealed.and_then(|it| it.decrypt(identities)).map_err(|error| match error {
            age::DecryptError::Io(error) if !is_of_bytes(&error) => error,
            _ => bad(),
        })
    }
}

/// A part of an archive that is being decrypted.
pub(super) type Opened = StreamReader<BufReader<Section>>;

/// The keys for `what`, which is encrypted to `recipients`.
fn unlock(encryption: Option<&Encryption>, recipients: &[Recipient], what: &str) -> Result<Keys> {
    let told = || {
        let told: Vec<_> = recipients.iter().map(ToString::to_string).collect();
        (what.to_owned(), told.join(", "))
    };
    let Some(path) = encryption.and_then(|it| it.identity_file.as_deref()) else {
        let (what, recipients) = told();
        return Err(BackupError::NoKey { what, recipients }.into());
    };
    let identities = identities(path)?;
    if !identities.iter().any(|it| recipients.contains(&Recipient(it.to_public()))) {
        let ((what, recipients), path) = (told(), path.to_owned());
        return Err(BackupError::WrongKey { what, recipients, path }.into());
    }
    Ok(Keys(identities))
}

/// The identities in the file at `path`. What is in it appears in no error.
fn identities(path: &Path) -> Result<Vec<x25519::Identity>> {
    let bad = |reason: String| BackupError::BadKeyFile { path: path.to_owned(), reason };
    // Nobody waits for a pipe.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let opened = file.and_then(|it| Ok((it.metadata()?, it)));
    let (found, file) = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => BackupError::NoKeyFile { path: path.to_owned() },
        _ => bad(error.to_string()),
    })?;
    if !found.is_file() {
        return Err(bad("it is no plain file".to_owned()).into());
    }
    if found.mode() & 0o077 != 0 {
        let mode = found.mode() & 0o777;
        return Err(bad(format!("others than its owner may use it (mode {mode:03o})")).into());
    }
    let text = text_of(file).map_err(|_| bad("it cannot be read as text".to_owned()))?;
    let lines = text.expose_secret().lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = |(at, line): (usize, &str)| {
        line.parse().map_err(|_| bad(format!("line {} is no X25519 identity", at + 1)))
    };
    let identities: Vec<x25519::Identity> = lines.map(read).collect::<Result<_, _>>()?;
    match identities.is_empty() {
        true => Err(bad("there is no identity in it".to_owned()).into()),
        false => Ok(identities),
    }
}

/// No more of it than a file of identities may have.
fn text_of(file: File) -> io::Result<SecretString> {
    let mut text = String::new();
    file.take(FILE_BYTES + 1).read_to_string(&mut text)?;
    let is_short = text.len() as u64 <= FILE_BYTES;
    let text = SecretString::from(text);
    is_short.then_some(text).ok_or_else(|| io::Error::other("too long"))
}

/// What is written, encrypted if there are recipients.
pub(super) enum Sealing<W: Write> {
    Plain(W),
    Sealed(Box<StreamWriter<W>>),
}

impl<W: Write> Sealing<W> {
    pub(super) fn new(to: W, recipients: &[Recipient]) -> io::Result<Self> {
        if recipients.is_empty() {
            return Ok(Self::Plain(to));
        }
        let recipients = recipients.iter().map(|it| &it.0 as &dyn age::Recipient);
        let sealing = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Self::Sealed(Box::new(sealing.wrap_output(to)?)))
    }

    /// Without this what was encrypted is not whole.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(to) => Ok(to),
            Self::Sealed(sealed) => sealed.finish(),
        }
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(to) => to.write(bytes),
            Self::Sealed(sealed) => sealed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(to) => to.flush(),
            Self::Sealed(sealed) => sealed.flush(),
        }
    }
}
