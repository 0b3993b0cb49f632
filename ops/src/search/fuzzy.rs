//! Words that letters were left out of: `mxfrc` and `mf` for `max_force`.
//!
//! In a key, letters inside words and whole words may be left out, but a word is entered at its
//! first letter: `mf` is in `max_force`, not in `climb_half`. In prose and values nearly any
//! letters could be found so; there, all have to be in one word that begins with the first two of
//! them and ends with the last.

use std::ops::Range;

use memchr::memchr2_iter;
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::query::Word;
use super::text::{folded, is_word, starts_word};

/// Whether `word` is in `key` once letters of the key are left out.
pub(super) fn in_key(word: &Word, key: &[u8]) -> bool {
    let Some(fuzzy) = &word.fuzzy else { return false };
    let all = 1 << word.bare.bytes.len();
    // Bit n: the first n letters of the word were found, in their order.
    let step = |found: u64, byte: &u8| found | found << 1 & fuzzy.places[usize::from(*byte)];
    if key.iter().fold(1, step) & all == 0 {
        return false;
    }
    // `here` with the last one in the present word of the key, `before` in any earlier one.
    let (mut before, mut here) = (1_u64, 0);
    for (at, byte) in key.iter().enumerate() {
        let mut from = here;
        if starts_word(key, at) {
            before |= here;
            (from, here) = (before, 0);
        }
        here |= from << 1 & fuzzy.places[usize::from(*byte)];
    }
    (before | here) & all != 0
}

/// Prose has a word for any two letters.
pub(super) const SHORTEST_IN_TEXT: usize = 3;

/// Whether `word` is a word of `text` once letters of that are left out.
pub(super) fn in_text(word: &Word, text: &[u8]) -> bool {
    let letters = word.bare.bytes.as_slice();
    let [first, second, rest @ .., last] = letters else { return false };
    memchr2_iter(*first, first.to_ascii_uppercase(), text).any(|at| {
        if !starts_word(text, at) {
            return false;
        }
        let found = text[at..].split(|it| !is_word(*it)).next().unwrap_or_default();
        let [_, next, inside @ .., end] = found else { return false };
        let mut inside = inside.iter();
        folded(*next) == *second
            && folded(*end) == *last
            && rest.iter().all(|letter| inside.any(|it| folded(*it) == *letter))
    })
}

/// Compares precisely what was found: too slow for every setting, made for the best of them.
#[derive(Default)]
pub(super) struct Precise {
    matcher: Option<Matcher>,
    word: Vec<char>,
    key: Vec<char>,
    found: Vec<u32>,
}

impl Precise {
    /// How well `word` is in `key`, and where, as ranges of bytes.
    pub fn find(&mut self, word: &str, key: &str, ranges: &mut Vec<Range<usize>>) -> u32 {
        let matcher = self.matcher.get_or_insert_with(|| Matcher::new(Config::DEFAULT));
        self.found.clear();
        let word = Utf32Str::new(word, &mut self.word);
        let score = matcher.fuzzy_indices(Utf32Str::new(key, &mut self.key), word, &mut self.found);
        let mut characters = key.char_indices().enumerate();
        for at in &self.found {
            let found = characters.find(|(count, _)| u32::try_from(*count) == Ok(*at));
            ranges.extend(found.map(|(_, (at, letter))| at..at + letter.len_utf8()));
        }
        score.unwrap_or_default().into()
    }
}
