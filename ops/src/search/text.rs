//! Texts as bytes that can be compared one by one, and where words and segments begin in them.

use std::iter;

use nucleo_matcher::chars::{normalize, to_lower_case};

use super::{Field, Fields, SEARCHED_TEXT_BYTES, SEARCHED_VALUE_BYTES};

/// The character that stands for all that are looked on as the same: in lower case, without
/// accent. None for an accent of its own.
pub(super) fn fold(character: char) -> Option<char> {
    match character {
        '-' => Some('_'),
        _ if character.is_ascii() => Some(character.to_ascii_lowercase()),
        '\u{300}'..='\u{36f}' => None,
        _ => Some(to_lower_case(normalize(character))),
    }
}

/// The texts of a setting but its key, as far as they are searched.
pub(super) fn searched<'a>(fields: &Fields<'a>) -> impl Iterator<Item = (Field, &'a str)> {
    let cut = |text: &'a str, most| &text[..text.floor_char_boundary(most)];
    let label = fields.label.map(|it| (Field::Label, cut(it, SEARCHED_TEXT_BYTES)));
    let about = fields.description.map(|it| (Field::Description, cut(it, SEARCHED_TEXT_BYTES)));
    let value = (Field::Value, cut(fields.value, SEARCHED_VALUE_BYTES));
    label.into_iter().chain(about).chain(iter::once(value))
}

/// The characters of a query that are not ASCII: letters are bytes from 128 on, signs the
/// first control characters.
#[derive(Debug, Default)]
pub(super) struct Alphabet {
    letters: Vec<char>,
    signs: Vec<char>,
}

/// A letter that the query does not have.
const OTHER: u8 = 0;
/// Signs beyond these are looked on as the same.
const SIGNS: usize = 8;

impl Alphabet {
    /// The byte of a folded character, also if it is new. A query is too short for more new
    /// letters than there are bytes.
    pub fn learn(&mut self, character: char) -> u8 {
        if !character.is_ascii() {
            let known =
                if character.is_alphanumeric() { &mut self.letters } else { &mut self.signs };
            if !known.contains(&character) {
                known.push(character);
            }
        }
        self.byte(character)
    }

    fn byte(&self, character: char) -> u8 {
        let place = |known: &[char]| known.iter().position(|it| *it == character);
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => byte,
            _ if character.is_alphanumeric() => match place(&self.letters) {
                Some(at) => u8::try_from(128 + at).unwrap_or(OTHER),
                None => OTHER,
            },
            _ => match place(&self.signs) {
                Some(at) => u8::try_from(1 + at.min(SIGNS - 1)).unwrap_or(b' '),
                None => b' ',
            },
        }
    }
}

/// Room for a text that is not ASCII: it is used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// For each byte the place of its character in the text.
    places: Vec<usize>,
}

/// A text as bytes to compare.
#[derive(Clone, Copy)]
pub(super) struct Reading<'t> {
    pub bytes: &'t [u8],
    places: &'t [usize],
    text: &'t str,
}

impl Buffer {
    /// The text as bytes to compare; ASCII is as it is. Latin letters keep their case, which
    /// tells where words begin.
    pub fn read<'t>(
        &'t mut self,
        text: &'t str,
        is_foreign: bool,
        alphabet: &Alphabet,
    ) -> Reading<'t> {
        if !is_foreign {
            return Reading { bytes: text.as_bytes(), places: &[], text };
        }
        self.bytes.clear();
        self.places.clear();
        for (place, character) in text.char_indices() {
            let plain = normalize(character);
            let byte = match fold(character) {
                None => continue,
                Some(_) if plain.is_ascii() => alphabet.byte(plain),
                Some(letter) => alphabet.byte(letter),
            };
            self.bytes.push(byte);
            self.places.push(place);
        }
        Reading { bytes: &self.bytes, places: &self.places, text }
    }
}

impl Reading<'_> {
    /// Where the byte `at` lies in the text that was read.
    pub fn place(&self, at: usize) -> usize {
        match self.places.get(at) {
            Some(place) => *place,
            None if self.places.is_empty() => at,
            None => self.text.len(),
        }
    }
}

/// The byte that stands for all that are looked on as the same: see [`fold`].
pub(super) const fn folded(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        _ => byte.to_ascii_lowercase(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sign,
    Digit,
    Lower,
    Upper,
}

static KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Sign; 256];
    let mut byte = 0;
    while byte < kinds.len() {
        kinds[byte] = match byte as u8 {
            b'0'..=b'9' => Kind::Digit,
            b'A'..=b'Z' => Kind::Upper,
            OTHER | b'a'..=b'z' | 128.. => Kind::Lower,
            _ => Kind::Sign,
        };
        byte += 1;
    }
    kinds
};

/// Whether the byte is of a letter or digit.
pub(super) fn is_word(byte: u8) -> bool {
    KINDS[usize::from(byte)] != Kind::Sign
}

/// Whether a word begins at `at`: after a sign, at a hump, or between letters and digits. A
/// sign is a word of its own.
pub(super) fn starts_word(text: &[u8], at: usize) -> bool {
    let kind = |at: usize| text.get(at).map(|byte| KINDS[usize::from(*byte)]);
    let Some(before) = at.checked_sub(1).and_then(kind) else { return true };
    match (before, kind(at)) {
        (Kind::Sign, _) | (_, None | Some(Kind::Sign)) => true,
        (Kind::Upper, Some(Kind::Lower)) => false,
        (Kind::Upper, Some(Kind::Upper)) => kind(at + 1) == Some(Kind::Lower),
        (before, Some(here)) => before != here,
    }
}

/// Whether a segment begins at `at`, or the name in its quotes.
pub(super) fn starts_segment(text: &[u8], at: usize) -> bool {
    matches!(text[..at], [] | [.., b'.'] | [b'"'] | [.., b'.', b'"'])
}

/// Whether a segment ends before `at`, or the name in its quotes.
pub(super) fn ends_segment(text: &[u8], at: usize) -> bool {
    matches!(text[at..], [] | [b'.', ..] | [b'"'] | [b'"', b'.', ..])
}
