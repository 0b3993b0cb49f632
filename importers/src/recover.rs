//! Finds every syntax fault of a file with a parser that stops at its first one.
//!
//! The faulty lines are blanked, which moves no other byte, and the text is parsed again.

use std::borrow::Cow;
use std::ops::Range;

use crate::Reading;
use crate::fault::Fault;

/// Rounds after which we stop looking for more syntax faults.
const MAX_ROUNDS: usize = 50;

/// Bytes parsed again after which we stop, so that a large file cannot keep us busy.
const MAX_BYTES: usize = 64 << 20;

/// What one round over the text gave.
pub(crate) struct Attempt {
    pub reading: Reading,
    /// The syntax fault that ended it early.
    pub syntax: Option<Fault>,
}

/// Reads `text` by `attempt`, and again without the lines that `lines_of` gives for a syntax
/// fault at an offset, until a round finds no further one.
pub(crate) fn read(
    text: &str,
    lines_of: fn(&str, usize) -> Option<Range<usize>>,
    attempt: impl Fn(&str) -> Attempt,
) -> Reading {
    let mut text = Cow::Borrowed(text);
    let mut faults: Vec<Fault> = Vec::new();
    let mut blanked = 0;
    let mut bytes_parsed = 0;
    let mut reading = loop {
        let Attempt { reading, syntax } = attempt(&text);
        let Some(fault) = syntax else { break reading };
        let at = fault.span.start;
        if !faults.is_empty() && at < blanked {
            break reading;
        }
        faults.push(fault);
        bytes_parsed += text.len();
        let enough = faults.len() >= MAX_ROUNDS || bytes_parsed >= MAX_BYTES;
        let Some(lines) = lines_of(&text, at).filter(|lines| !enough && !lines.is_empty()) else {
            break reading;
        };
        blanked = lines.end;
        text = Cow::Owned(blank(&text, lines));
    };
    if !faults.is_empty() {
        reading.entries.clear();
        reading.faults.retain(|fault| !fault.relative);
        reading.faults.append(&mut faults);
    }
    reading
}

/// `text` with spaces for every byte of `range` that is no line break.
pub(crate) fn blank(text: &str, range: Range<usize>) -> String {
    let mut blanked = String::with_capacity(text.len());
    blanked.push_str(&text[..range.start]);
    let kept = |byte: u8| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { ' ' };
    blanked.extend(text[range.clone()].bytes().map(kept));
    blanked.push_str(&text[range.end..]);
    blanked
}

/// The line that `offset` stands in, with its line break.
pub(crate) fn line_around(text: &str, offset: usize) -> Range<usize> {
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |at| offset + at + 1);
    start..end
}

/// A parser's message as we write ours.
pub(crate) fn lower_case(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect::<String>().trim_end_matches('.').to_owned()
    })
}
