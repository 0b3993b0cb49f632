//! Hashes, which carry the name of their algorithm: `sha256:…` in lower-case hexadecimal.

use std::io;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// What the hash of the first revision chains to.
pub const NO_HASH: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of some bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    named(&digest(bytes))
}

/// The same as it is before it is written down.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The digest that the text of a hash stands for.
pub(crate) fn parsed(hash: &str) -> Option<[u8; 32]> {
    let digits = hash.strip_prefix("sha256:").filter(|it| it.len() == 64)?.as_bytes();
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |it: u8| char::from(it).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(digest)
}

/// The hash of `previous` followed by `document` as JSON.
///
/// The JSON is canonical (RFC 8785) as long as the fields of every struct are declared in the
/// order of their names and numbers are integers within 2^53: the documents that are hashed
/// hold values as texts and keep to that.
pub fn of_json(previous: &str, document: &impl Serialize) -> String {
    let mut writer = Hasher(Sha256::new());
    writer.0.update(previous);
    serde_json::to_writer(&mut writer, document)
        .expect("a document of texts and integers can be written, and a hash takes every byte");
    named(writer.0.finalize().as_slice())
}

pub(crate) fn named(digest: &[u8]) -> String {
    let mut name = String::with_capacity(7 + 64);
    name.push_str("sha256:");
    push_hex(&mut name, digest);
    name
}

/// Appends `bytes` in lower-case hexadecimal.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
