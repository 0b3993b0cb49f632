//! What the words of a text leave behind in few bits.

use super::text::{is_word, starts_word};

/// Which characters follow each other, and with which two words begin and end; some that do
/// not may seem to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs([u64; 4]);

/// What is known of two characters.
#[derive(Clone, Copy)]
enum Pair {
    Inside = 1,
    Start,
    End,
}

/// Before a word of one letter, where its end is noted.
const NOTHING: char = '\0';

/// Notes the words of a text: its folded characters, and the same as bytes to compare.
pub(super) fn note_words(letters: &[char], bytes: &[u8], pairs: &mut Pairs, words: &mut Edges) {
    let mut starts = true;
    for (at, letter) in letters.iter().copied().enumerate() {
        let ends = starts_word(bytes, at + 1);
        words.add(letter, starts, ends);
        let is_word = is_word(bytes[at]);
        if let Some(before) = at.checked_sub(1) {
            pairs.add(Pair::Inside, letters[before], letter);
            if is_word && ends {
                pairs.add(Pair::End, letters[before], letter);
            }
        }
        if let Some(next) = letters.get(at + 1)
            && is_word
            && starts
        {
            pairs.add(Pair::Start, letter, *next);
        }
        if is_word && starts && ends {
            pairs.add(Pair::End, NOTHING, letter);
        }
        starts = ends;
    }
}

impl Pairs {
    #[cfg(test)]
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// All that follow each other in a word.
    pub fn of(word: &[char]) -> Self {
        let mut pairs = Self::default();
        for pair in word.windows(2) {
            pairs.add(Pair::Inside, pair[0], pair[1]);
        }
        pairs
    }

    /// What a text has that a word of it begins as this one does.
    pub fn start(word: &[char]) -> Self {
        let mut pairs = Self::default();
        if let [first, second, ..] = word
            && is_letter(*first)
        {
            pairs.add(Pair::Start, *first, *second);
        }
        pairs
    }

    /// What a text has that a word of it ends as this one does.
    pub fn end(word: &[char]) -> Self {
        let mut pairs = Self::default();
        match *word {
            [.., before, last] if is_letter(last) => pairs.add(Pair::End, before, last),
            [last] if is_letter(last) => pairs.add(Pair::End, NOTHING, last),
            _ => {}
        }
        pairs
    }

    fn add(&mut self, pair: Pair, one: char, next: char) {
        let both = u32::from(one).wrapping_mul(0x9e37_79b1) ^ u32::from(next) << 7 ^ pair as u32;
        let place = both.wrapping_mul(0x85eb_ca6b) >> 24;
        self.0[place as usize / 64] |= 1 << (place % 64);
    }

    pub fn have(&self, others: &Self) -> bool {
        self.0.iter().zip(&others.0).fold(0, |all, (one, other)| all | other & !one) == 0
    }
}

/// Whether a folded character is one for certain that words are made of.
fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
}

/// Which characters words or segments begin and end with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edges {
    starts: u32,
    ends: u32,
}

impl Edges {
    #[cfg(test)]
    pub const ALL: Self = Self { starts: u32::MAX, ends: u32::MAX };

    /// Those of one word.
    pub fn of(letters: &[char]) -> Self {
        let half = |letter: Option<&char>| letter.map_or(0, |it| half(bit(*it)));
        Self { starts: half(letters.first()), ends: half(letters.last()) }
    }

    pub fn add(&mut self, letter: char, starts: bool, ends: bool) {
        let half = half(bit(letter));
        self.starts |= if starts { half } else { 0 };
        self.ends |= if ends { half } else { 0 };
    }

    /// Whether one begins as `other` does, and whether one ends so.
    pub fn have(self, other: Self) -> (bool, bool) {
        (other.starts & !self.starts == 0, other.ends & !self.ends == 0)
    }
}

/// The bit of a folded character. Rare ones share theirs.
pub(super) fn bit(character: char) -> u64 {
    let code = u32::from(character);
    1 << match character {
        'a'..='z' => code - u32::from('a'),
        '0'..='9' => 26 + code - u32::from('0'),
        '.' => 36,
        '_' => 37,
        _ if character.is_ascii() => 38 + code % 5,
        _ => 43 + code % 20,
    }
}

/// The same with one bit for each letter and one or another for the rest.
fn half(bit: u64) -> u32 {
    let place = bit.trailing_zeros();
    1 << if place < 26 { place } else { 26 + place % 6 }
}
