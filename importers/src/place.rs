//! Where something stands in a file: byte spans while reading, lines and columns for people.

use serde::{Deserialize, Serialize};

/// A position that a person can find. Both count from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A range of bytes of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

impl From<std::ops::Range<usize>> for Span {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self::new(range.start, range.end)
    }
}

/// Finds the [`Place`] of a byte, in logarithmic time however long the lines are.
pub(crate) struct Lines<'a> {
    text: &'a str,
    /// The offset at which each line starts.
    starts: Vec<usize>,
    /// How many characters start before each multiple of [`STRIDE`]; empty if all are ASCII.
    characters: Vec<usize>,
}

const STRIDE: usize = 1024;

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(after_breaks.map(|(at, _)| at + 1)).collect();
        let characters = if text.is_ascii() { Vec::new() } else { count_characters(text) };
        Self { text, starts, characters }
    }

    pub fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let column = self.before(offset) - self.before(self.starts[line - 1]) + 1;
        Place { line: clamp(line), column: clamp(column) }
    }

    /// The offset of a place, or of the nearest one that exists.
    pub fn offset(&self, place: Place) -> usize {
        let line = (place.line.max(1) as usize).min(self.starts.len());
        let start = self.starts[line - 1];
        let end = self.starts.get(line).map_or(self.text.len(), |next| next - 1);
        let column = place.column.max(1) as usize;
        let mut characters = self.text[start..end].char_indices();
        characters.nth(column - 1).map_or(end, |(at, _)| start + at)
    }

    /// How many characters start before `offset`.
    fn before(&self, offset: usize) -> usize {
        if self.characters.is_empty() {
            return offset;
        }
        let stride = offset / STRIDE;
        let rest = &self.text.as_bytes()[stride * STRIDE..offset];
        self.characters[stride] + rest.iter().filter(|byte| starts_character(**byte)).count()
    }
}

fn count_characters(text: &str) -> Vec<usize> {
    let mut counts = vec![0];
    let mut count = 0;
    for chunk in text.as_bytes().chunks(STRIDE) {
        count += chunk.iter().filter(|byte| starts_character(**byte)).count();
        counts.push(count);
    }
    counts
}

fn starts_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let lines = Lines::new("é: 1\r\nb: ü\n");

        assert_eq!(lines.place("é: ".len()), Place { line: 1, column: 4 });
        assert_eq!(lines.place(11), Place { line: 2, column: 5 });
        assert_eq!(lines.place(999), Place { line: 3, column: 1 });
    }

    proptest! {
        #[test]
        fn a_place_leads_back_to_its_offset(text in "[aé\n]{0,3000}", at in 0_usize..3000) {
            let at = text.char_indices().map(|(at, _)| at).nth(at).unwrap_or(text.len());
            let lines = Lines::new(&text);

            prop_assert_eq!(lines.offset(lines.place(at)), at);
        }
    }
}
