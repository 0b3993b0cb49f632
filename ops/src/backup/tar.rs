//! As much of tar (POSIX.1-1988 ustar) as an archive needs: plain files one after the other.
//!
//! Written by hand since it is that little. Links, folders and extended headers are not read.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

/// Everything in a tar is a multiple of this.
pub(super) const BLOCK_BYTES: u64 = 512;

/// The largest size that fits into eleven octal digits; larger ones are written in binary, as
/// GNU tar does.
const OCTAL_LIMIT: u64 = 1 << 33;

/// What is wrong where a file should begin.
pub(super) const NO_HEADER: &str = "no file begins where one has to";

/// A file in a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub name: String,
    pub size_bytes: u64,
}

/// The block before a file of this name and size, which only its owner may read.
///
/// Its time is 1970: the manifest knows when it was made.
pub(super) fn header(name: &str, size_bytes: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000600\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    if size_bytes < OCTAL_LIMIT {
        block[124..136].copy_from_slice(format!("{size_bytes:011o}\0").as_bytes());
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size_bytes.to_be_bytes());
    }
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Reads the block before a file; none at the end of the tar.
///
/// # Errors
///
/// In words, if it is not the header of a plain file.
pub(super) fn parse(block: &[u8; 512]) -> Result<Option<Header>, &'static str> {
    if block.iter().all(|it| *it == 0) {
        return Ok(None);
    }
    if &block[257..262] != b"ustar" || octal(&block[148..156]) != Some(checksum(block)) {
        return Err(NO_HEADER);
    }
    if !matches!(block[156], b'0' | 0) {
        return Err("it holds something that is no plain file");
    }
    let size_bytes = match block[124] {
        0x80 => u64::from_be_bytes(block[128..136].try_into().expect("eight bytes are eight")),
        _ => octal(&block[124..136]).ok_or("the size of a file in it cannot be read")?,
    };
    let end = block[..100].iter().position(|it| *it == 0).unwrap_or(100);
    let name = str::from_utf8(&block[..end]).map_err(|_| "a file in it has no readable name")?;
    if block[345] != 0 {
        return Err("a file in it lies in a folder");
    }
    Ok(Some(Header { name: name.to_owned(), size_bytes }))
}

/// Leaves room for the header of a file that is written now. [`end`] takes what this gives.
pub(super) fn begin(file: &mut File) -> io::Result<u64> {
    let start = file.stream_position()?;
    file.seek(SeekFrom::Current(BLOCK_BYTES as i64))?;
    Ok(start)
}

/// Ends the file that was begun at `start`: fills its last block, and writes its header.
pub(super) fn end(file: &mut File, start: u64, name: &str) -> io::Result<()> {
    let at = file.stream_position()?;
    let size_bytes = at - start - BLOCK_BYTES;
    let filler = padded(size_bytes) - size_bytes;
    file.write_all(&vec![0; usize::try_from(filler).unwrap_or_default()])?;
    let next = file.stream_position()?;
    file.seek(SeekFrom::Start(start))?;
    file.write_all(&header(name, size_bytes))?;
    file.seek(SeekFrom::Start(next))?;
    Ok(())
}

/// What ends a tar.
pub(super) fn finish(file: &mut File) -> io::Result<()> {
    file.write_all(&[0; 1024])
}

/// The size of a file with what fills its last block.
pub(super) fn padded(size_bytes: u64) -> u64 {
    size_bytes.next_multiple_of(BLOCK_BYTES)
}

/// Of all bytes, with spaces in place of itself.
fn checksum(block: &[u8; 512]) -> u64 {
    let own = 148..156;
    let byte = |(at, byte): (usize, &u8)| if own.contains(&at) { 32 } else { u64::from(*byte) };
    block.iter().enumerate().map(byte).sum()
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for size_bytes in [0, 1, 512, OCTAL_LIMIT - 1, OCTAL_LIMIT, 1 << 45] {
            let written = header("content.jsonl.zst", size_bytes);

            let name = "content.jsonl.zst".to_owned();
            assert_eq!(parse(&written), Ok(Some(Header { name, size_bytes })));
        }
    }

    #[test]
    fn a_header_with_any_byte_changed_is_none() {
        let good = header("manifest.json", 16_384);

        for at in 0..512 {
            let mut bad = good;
            bad[at] ^= 0x55;

            let read = parse(&bad);
            // What is no part of the checksum's own field cannot be changed unnoticed.
            assert!(read.is_err(), "byte {at}: {read:?}");
        }
    }

    #[test]
    fn a_link_or_a_file_in_a_folder_is_refused() {
        let mut link = header("manifest.json", 0);
        link[156] = b'2';
        let sum = checksum(&link);
        link[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut folder = header("manifest.json", 0);
        folder[345] = b'.';
        let sum = checksum(&folder);
        folder[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());

        assert_eq!(parse(&link), Err("it holds something that is no plain file"));
        assert_eq!(parse(&folder), Err("a file in it lies in a folder"));
    }

    #[test]
    fn two_empty_blocks_are_the_end() {
        assert_eq!(parse(&[0; 512]), Ok(None));
    }
}
