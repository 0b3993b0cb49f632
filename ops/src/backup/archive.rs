//! Reading an archive, which may come from anywhere: nothing in it is believed before it is
//! compared with the manifest, and nothing is unpacked under a name that it gives.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::task::JoinError;

use super::encryption::{Keys, Opened};
use super::manifest::{ENCRYPTED, MANIFEST, MANIFEST_SUM, Manifest, Member, member_name};
use super::storage::{BEGINNING_BYTES, Beginning, EXTENSION, beginning_of, unreadable};
use super::work::Work;
use super::{BackupError, Storage, tar, write};
use crate::background::Gentle;
use crate::{Error, Result, hash};

/// The largest manifest that is read.
const MANIFEST_BYTES: u64 = BEGINNING_BYTES - tar::BLOCK_BYTES;

/// What may follow the last file of a tar: its end, and what fills it to the size of a tape's block.
const FILLED_BYTES: u64 = 20 << 10;

/// What is wrong with an archive whose manifest has another hash than stands at its end.
const NOT_THE_MANIFEST: &str = "its manifest is not the one that was written, or its end is lost";

/// An open archive.
pub(super) struct Archive {
    pub name: String,
    pub manifest: Manifest,
    pub size_bytes: u64,
    file: Arc<File>,
    /// Where each member lies, packed.
    places: Vec<(String, u64, u64)>,
}

/// The manifest of an archive, and the size of the whole.
///
/// # Errors
///
/// As [`Storage::open`]; [`BackupError::Damaged`], [`BackupError::Newer`].
pub(super) async fn head(storage: &Storage, name: &str) -> Result<(Manifest, u64)> {
    let beginning = storage.beginning(name).await?;
    let Head { manifest, sum, .. } = Head::of(&beginning.bytes, name)?;
    let ending = storage.ending(name, beginning.size_bytes).await?;
    match ending.windows(sum.len()).any(|it| it == sum.as_bytes()) {
        true => Ok((manifest, beginning.size_bytes)),
        false => Err(damaged(name, NOT_THE_MANIFEST)),
    }
}

/// Opens the archive `name`, and a folder to work on it in. What nobody here can decrypt is not
/// fetched.
///
/// # Errors
///
/// As [`head`]; [`Error::Unwritable`], [`BackupError::NoRoom`]; as
/// [`super::Encryption::refuse_without_key`].
pub(super) async fn open(storage: &Storage, name: &str) -> Result<(Archive, Work)> {
    let beginning = storage.beginning(name).await?;
    let Head { manifest, .. } = Head::of(&beginning.bytes, name)?;
    drop(Keys::of(storage.encryption(), &manifest, name)?);
    let (file, work) = storage.open(name).await?;
    Ok((Archive::of(file, name)?, work))
}

impl Archive {
    /// The archive in `file`, which is called `name` where something is wrong with it.
    ///
    /// # Errors
    ///
    /// As [`head`]; [`Error::Unreadable`].
    pub(super) fn of(file: File, name: &str) -> Result<Self> {
        let beginning = beginning_of(&file).map_err(|it| failed(name, it))?;
        let Beginning { bytes, size_bytes } = beginning;
        let Head { manifest, sum, end: mut at } = Head::of(&bytes, name)?;
        let wanted = manifest.wanted();
        let said = manifest.members.iter().map(|it| it.name.as_str());
        if !said.eq(wanted.iter().map(String::as_str)) {
            return Err(damaged(name, "its manifest names other files than it has to hold"));
        }
        let mut names = wanted.iter().map(String::as_str).chain([MANIFEST_SUM]);
        let other = || damaged(name, "it holds other files than its manifest names");
        let mut places = Vec::new();
        while let Some(header) = header_at(&file, at, name)? {
            // There may be millions of them.
            names.next().filter(|it| *it == header.name).ok_or_else(other)?;
            let start = at + tar::BLOCK_BYTES;
            let end = start.checked_add(header.size_bytes).filter(|it| *it <= size_bytes);
            let end = end.ok_or_else(|| damaged(name, "its end is missing"))?;
            at = tar::padded(end);
            places.push((header.name, start, header.size_bytes));
        }
        if names.next().is_some() {
            return Err(other());
        }
        refuse_more(&file, at, size_bytes, name)?;
        let (_, start, _) = places.pop().expect("there is at least the hash of the manifest");
        let mut said = vec![0; sum.len()];
        file.read_exact_at(&mut said, start).map_err(|it| failed(name, it))?;
        if said != sum.as_bytes() {
            return Err(damaged(name, NOT_THE_MANIFEST));
        }
        Ok(Self { name: name.to_owned(), manifest, size_bytes, file: Arc::new(file), places })
    }

    /// What the member `name` is when it is decrypted with `keys`, if it has to be, and unpacked.
    /// At its end it is known to be what the manifest says, and it is never more: reading fails
    /// otherwise.
    pub(super) fn member(&self, name: &str, keys: &Keys) -> Result<Unpacked> {
        let is_encrypted = self.manifest.encryption.is_some();
        let member = self.manifest.member(name);
        let place = self.places.iter().find(|it| it.0 == member_name(name, is_encrypted));
        let (Some(member), Some((_, at, left))) = (member, place) else {
            return Err(damaged(&self.name, format!("it has no {name}")));
        };
        let packed = Section { file: self.file.clone(), at: *at, left: *left };
        let broken = |error: io::Error| match is_of_bytes(&error) {
            true => self.damaged(format!("{}: {error}", member.name)),
            false => self.failed(error),
        };
        let packed = match is_encrypted {
            true => Packed::Sealed(Box::new(keys.open(packed).map_err(broken)?)),
            false => Packed::Plain(packed),
        };
        let packed = BufReader::with_capacity(1 << 18, Gentle::new(packed));
        // Nothing is read yet: there can only be no memory.
        let inner = zstd::Decoder::with_buffer(packed).map_err(unread(&self.name))?;
        Ok(Unpacked { inner, member: member.clone(), hash: Sha256::new(), size_bytes: 0 })
    }

    /// The error of something that is not as it has to be.
    pub(super) fn damaged(&self, reason: impl Into<String>) -> Error {
        damaged(&self.name, reason)
    }

    /// The error of reading it: that it is damaged, unless it could not be read at all.
    pub(super) fn failed(&self, error: io::Error) -> Error {
        failed(&self.name, error)
    }

    /// The hash of the whole.
    pub(super) fn sha256(&self) -> Result<String> {
        let all = Section { file: self.file.clone(), at: 0, left: self.size_bytes };
        let mut out = write::Hashing::new(io::sink());
        let hashed = io::copy(&mut BufReader::with_capacity(1 << 18, Gentle::new(all)), &mut out);
        hashed.map_err(|error| self.failed(error))?;
        Ok(out.finish("").1.sha256)
    }
}

fn damaged(name: &str, reason: impl Into<String>) -> Error {
    BackupError::Damaged { name: name.to_owned(), reason: reason.into() }.into()
}

/// What reading the archive `name` failed with.
fn failed(name: &str, error: io::Error) -> Error {
    match error.kind() {
        _ if !is_of_bytes(&error) => unread(name)(error),
        io::ErrorKind::UnexpectedEof => damaged(name, "its end is missing"),
        _ => damaged(name, error.to_string()),
    }
}

fn unread(name: &str) -> impl FnOnce(io::Error) -> Error {
    let file = format!("{name}{EXTENSION}");
    move |error| unreadable(Path::new(&file))(error)
}

/// Whether it is what was read that is not as it has to be. Of what the system did not read, and of
/// a thread that ended by itself, nothing follows for the archive.
pub(super) fn is_of_bytes(error: &io::Error) -> bool {
    let is_panic = error.get_ref().is_some_and(|it| it.is::<JoinError>());
    error.raw_os_error().is_none() && error.kind() != io::ErrorKind::OutOfMemory && !is_panic
}

/// The beginning of an archive.
struct Head {
    manifest: Manifest,
    /// What the archive has to say of its hash.
    sum: String,
    /// Where it ends.
    end: u64,
}

impl Head {
    fn of(beginning: &[u8], name: &str) -> Result<Self> {
        let short = || damaged(name, "its end is missing");
        let (block, rest) = beginning.split_first_chunk().ok_or_else(short)?;
        let header = tar::parse(block).map_err(|reason| match reason {
            tar::NO_HEADER => {
                damaged(name, "it is no archive of Setpoint, or its beginning is lost")
            }
            reason => damaged(name, reason),
        })?;
        let header = header.filter(|it| it.name == MANIFEST && it.size_bytes <= MANIFEST_BYTES);
        let header = header.ok_or_else(|| damaged(name, "it does not begin with a manifest"))?;
        let length = usize::try_from(header.size_bytes).unwrap_or(usize::MAX);
        let bytes = rest.get(..length).ok_or_else(short)?;

        #[derive(serde::Deserialize)]
        struct Versioned {
            format: u32,
        }
        // A newer one may say what is not known here, so this is asked first.
        let unlike = |error: serde_json::Error| match error.is_data() {
            true => {
                let line = error.line();
                damaged(name, format!("its manifest is not one that we write, at its line {line}"))
            }
            false => damaged(name, "its manifest cannot be read"),
        };
        let Versioned { format } = serde_json::from_slice(bytes).map_err(unlike)?;
        if format > ENCRYPTED {
            let what = format!("format {format}");
            return Err(BackupError::Newer { name: name.to_owned(), what }.into());
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(unlike)?;
        if manifest.revision < 0 {
            return Err(damaged(name, "its manifest tells of a revision below 0"));
        }
        if manifest.encryption.is_some() != (format == ENCRYPTED) {
            return Err(damaged(name, "its manifest tells two things of how it is encrypted"));
        }
        let end = tar::padded(tar::BLOCK_BYTES + header.size_bytes);
        Ok(Self { manifest, sum: write::sum(bytes), end })
    }
}

/// Refuses an archive that is followed by something, from `at` on: tar fills with zeros what it
/// writes at once.
fn refuse_more(file: &File, at: u64, size_bytes: u64, name: &str) -> Result<()> {
    let more = || damaged(name, "something follows its end");
    let left = size_bytes.saturating_sub(at);
    let mut rest =
        vec![0; usize::try_from(left).ok().filter(|_| left <= FILLED_BYTES).ok_or_else(more)?];
    file.read_exact_at(&mut rest, at).map_err(|it| failed(name, it))?;
    match rest.iter().all(|it| *it == 0) {
        true => Ok(()),
        false => Err(more()),
    }
}

fn header_at(file: &File, at: u64, name: &str) -> Result<Option<tar::Header>> {
    let mut block = [0; 512];
    file.read_exact_at(&mut block, at).map_err(|it| failed(name, it))?;
    let broken = |reason| damaged(name, format!("{reason}, at byte {at}"));
    tar::parse(&block).map_err(broken)
}

/// A part of a file, which others may be reading too.
pub(super) struct Section {
    pub file: Arc<File>,
    pub at: u64,
    pub left: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A member as it lies in its archive, decrypted.
enum Packed {
    Plain(Section),
    Sealed(Box<Opened>),
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(packed) => packed.read(buffer),
            Self::Sealed(sealed) => sealed.read(buffer),
        }
    }
}

/// A member that is being unpacked.
pub(super) struct Unpacked {
    inner: zstd::Decoder<'static, BufReader<Gentle<Packed>>>,
    member: Member,
    hash: Sha256,
    size_bytes: u64,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let name = &self.member.name;
        let bad = |what: &str| io::Error::other(format!("{name} {what}"));
        let read = self.inner.read(buffer);
        let count = read.map_err(|error| match is_of_bytes(&error) {
            true => bad(&format!("cannot be unpacked: {error}")),
            false => error,
        })?;
        self.size_bytes += count as u64;
        if self.size_bytes > self.member.size_bytes {
            return Err(bad("is larger than the manifest says"));
        }
        self.hash.update(&buffer[..count]);
        if count == 0 && !buffer.is_empty() {
            let hash = hash::named(self.hash.clone().finalize().as_slice());
            if self.size_bytes != self.member.size_bytes || hash != self.member.sha256 {
                return Err(bad("is not what the manifest says"));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_not_read_is_not_said_to_be_damaged() {
        let panicked = tokio::spawn(async { panic!("by itself") }).await.unwrap_err();
        let other = |error: io::Error| failed("first", error);

        let eio = other(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
        assert_eq!(eio.to_string(), "cannot read first.setpoint.tar");
        for error in [eio, other(io::Error::other(panicked))] {
            assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        }
        for error in [io::ErrorKind::UnexpectedEof.into(), io::Error::other("it is no frame")] {
            let error = other(error);
            assert!(matches!(error, Error::Backup(BackupError::Damaged { .. })), "{error}");
        }
    }
}
