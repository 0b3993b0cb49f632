//! What stands between a key's colon, or an item's dash, and the value.

use std::ops::Range;

/// The properties and the block header of a value.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// Where a value can be written that has none: after the colon or the properties.
    pub end: usize,
    /// The tag, with the white space after it.
    pub tag: Option<Range<usize>>,
    /// `|` or `>` with what belongs to it.
    pub header: Option<Range<usize>>,
}

/// Reads the gap, which holds no value.
pub(super) fn read(text: &str, from: usize, to: usize) -> Gap {
    let mut gap = Gap { end: from, ..Gap::default() };
    let mut at = from;
    while at < to {
        let rest = &text[at..to];
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        match rest.as_bytes()[0] {
            b'#' => at += rest.find('\n').unwrap_or(rest.len()),
            b'&' => {
                at += word;
                gap.end = at;
            }
            b'!' => {
                let spaces =
                    rest[word..].len() - rest[word..].trim_start_matches([' ', '\t']).len();
                gap.tag = Some(at..at + word + spaces);
                at += word;
                gap.end = at;
            }
            b'|' | b'>' => {
                gap.header = Some(at..at + word);
                at += rest.find('\n').unwrap_or(rest.len());
            }
            _ => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    gap
}

/// The offset after the colon of the key that ends at `at`.
pub(super) fn colon(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    rest[spaces..].starts_with(':').then_some(at + spaces + 1)
}

/// The offset of the dash of the item that comes next.
pub(super) fn dash(text: &str, from: usize, to: usize) -> Option<usize> {
    let mut at = from;
    while at < to {
        let rest = &text[at..to];
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        match rest.as_bytes()[0] {
            b'-' if word == 1 => return Some(at),
            b'#' => at += rest.find('\n').unwrap_or(rest.len()),
            b'&' | b'!' => at += word,
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            _ => return None,
        }
    }
    None
}
