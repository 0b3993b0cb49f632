//! Writing an archive: a tar of the manifest and of what it names, which `tar` and `zstd` unpack,
//! after `age` if it is encrypted.
//!
//! The manifest comes first and is known last, so its place is kept free.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, SeekFrom, Write};

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::Receiver;

use super::encryption::{Recipient, Sealing};
use super::manifest::{MANIFEST, MANIFEST_SUM, Manifest, Member, SLOT_BYTES, member_name};
use super::tar;
use crate::background::Gentle;
use crate::hash;

/// Quick rather than small.
const LEVEL: i32 = 1;

const BUFFER_BYTES: usize = 1 << 18;

/// Leaves room for the manifest at the beginning of `file`.
pub(super) fn begin(file: &mut File) -> io::Result<()> {
    file.seek(SeekFrom::Start(tar::BLOCK_BYTES + SLOT_BYTES as u64)).map(drop)
}

/// Appends what comes from `pieces` to the archive `file`, compressed and encrypted to
/// `recipients` if there are any, as the member `name`.
pub(super) fn content(
    mut file: File,
    name: &str,
    recipients: &[Recipient],
    pieces: Receiver<String>,
) -> io::Result<(File, Member)> {
    let start = tar::begin(&mut file)?;
    let mut out = packing(file, recipients)?;
    pour(pieces, &mut out)?;
    let (mut file, member) = packed(out, name, recipients)?;
    tar::end(&mut file, start, &member.name)?;
    Ok((file, member))
}

/// Compresses the whole of `from` into `to`, and encrypts it as [`content`] does; what it is when
/// it is unpacked is the member `name`.
pub(super) fn pack(
    from: File,
    to: File,
    name: &str,
    recipients: &[Recipient],
) -> io::Result<Member> {
    let mut out = packing(to, recipients)?;
    let mut from = BufReader::with_capacity(BUFFER_BYTES, Gentle::new(from));
    io::copy(&mut from, &mut out)?;
    Ok(packed(out, name, recipients)?.1)
}

/// What hashes, compresses, encrypts and writes.
type Packing = Hashing<zstd::Encoder<'static, Sealing<BufWriter<File>>>>;

fn packing(to: File, recipients: &[Recipient]) -> io::Result<Packing> {
    let sealing = Sealing::new(BufWriter::with_capacity(BUFFER_BYTES, to), recipients)?;
    Ok(Hashing::new(zstd::Encoder::new(sealing, LEVEL)?))
}

fn packed(out: Packing, name: &str, recipients: &[Recipient]) -> io::Result<(File, Member)> {
    let (packed, member) = out.finish(&member_name(name, !recipients.is_empty()));
    Ok((packed.finish()?.finish()?.into_inner()?, member))
}

/// Appends the whole of `packed` to the archive `file`, under `name`.
pub(super) fn append(file: &mut File, name: &str, packed: &mut File) -> io::Result<()> {
    let start = tar::begin(file)?;
    packed.rewind()?;
    io::copy(packed, file)?;
    tar::end(file, start, name)
}

/// Ends the archive, with its manifest, and brings it to the disk. Gives its size and hash.
pub(super) fn finish(file: &mut File, manifest: &Manifest) -> io::Result<(u64, String)> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "the manifest is too long");
    let slot = manifest.slot().ok_or_else(too_long)?;
    let start = tar::begin(file)?;
    file.write_all(sum(&slot).as_bytes())?;
    tar::end(file, start, MANIFEST_SUM)?;
    tar::finish(file)?;
    let size_bytes = file.stream_position()?;
    file.rewind()?;
    file.write_all(&tar::header(MANIFEST, SLOT_BYTES as u64))?;
    file.write_all(&slot)?;
    file.sync_all()?;
    Ok((size_bytes, hash_of(file)?))
}

/// What `sha256sum --check` reads: the manifest is what all else is compared with.
pub(super) fn sum(manifest: &[u8]) -> String {
    let hash = hash::of_bytes(manifest);
    let digits = hash.trim_start_matches("sha256:");
    format!("{digits}  {MANIFEST}\n")
}

/// The hash of the whole of `file`.
pub(super) fn hash_of(file: &mut File) -> io::Result<String> {
    file.rewind()?;
    let mut out = Hashing::new(io::sink());
    io::copy(&mut BufReader::with_capacity(BUFFER_BYTES, Gentle::new(file)), &mut out)?;
    Ok(out.finish("").1.sha256)
}

/// What comes from `pieces`, without keeping it.
pub(super) fn hash_content(name: &str, pieces: Receiver<String>) -> io::Result<Member> {
    let mut out = Hashing::new(io::sink());
    pour(pieces, &mut out)?;
    Ok(out.finish(name).1)
}

fn pour(mut pieces: Receiver<String>, out: &mut impl Write) -> io::Result<()> {
    while let Some(piece) = pieces.blocking_recv() {
        out.write_all(piece.as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Counts and hashes what passes.
pub(super) struct Hashing<W> {
    inner: W,
    hash: Sha256,
    size_bytes: u64,
}

impl<W> Hashing<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), size_bytes: 0 }
    }

    pub(super) fn finish(self, name: &str) -> (W, Member) {
        let sha256 = hash::named(self.hash.finalize().as_slice());
        (self.inner, Member { name: name.to_owned(), size_bytes: self.size_bytes, sha256 })
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
