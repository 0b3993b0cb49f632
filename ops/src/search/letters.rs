//! What a setting has, in few bytes: most of what cannot be found is seen here, without a look
//! at the texts, which lie all over the memory.

use super::Fields;
use super::fuzzy::SHORTEST_IN_TEXT;
use super::grade::{Field, Grade, Tier};
use super::query::{Query, Word};
use super::text::{Alphabet, Buffer, ends_segment, fold, is_word, searched, starts_segment};
use super::traces::{Edges, Pairs, bit, note_words};

/// What a setting has, to be kept beside the pointer to it rather than behind. Take it anew
/// when one of the texts changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letters {
    /// Of the key.
    pub(super) key: u64,
    /// Of value, label and description together, as all that is called so here.
    pub(super) texts: u64,
    key_pairs: Pairs,
    texts_pairs: Pairs,
    key_words: Edges,
    key_segments: Edges,
    texts_words: Edges,
    pub(super) key_bytes: u16,
    /// The last letter or digit of the key, shortened.
    last: u8,
    /// The longest word of the texts, in letters.
    longest: u8,
    /// The most telling of the texts that are there.
    field: Field,
}

/// Set where a text is not all ASCII.
pub(super) const FOREIGN: u64 = 1 << 63;

impl Letters {
    pub fn of(fields: &Fields<'_>) -> Self {
        let mut letters = Self {
            key: 0,
            texts: 0,
            key_pairs: Pairs::default(),
            texts_pairs: Pairs::default(),
            key_words: Edges::default(),
            key_segments: Edges::default(),
            texts_words: Edges::default(),
            key_bytes: u16::try_from(fields.key.len()).unwrap_or(u16::MAX),
            last: 0,
            longest: 0,
            field: searched(fields).map(|(field, _)| field).max().unwrap_or(Field::Value),
        };
        letters.read_key(fields.key);
        for (_, text) in searched(fields) {
            letters.read_text(text);
        }
        letters
    }

    /// Letters that rule out next to nothing, for the test that they do rule out nothing.
    #[cfg(test)]
    pub(super) fn blind(self) -> Self {
        let (pairs, edges) = (Pairs::ALL, Edges::ALL);
        Self {
            key: u64::MAX,
            texts: u64::MAX,
            key_pairs: pairs,
            texts_pairs: pairs,
            key_words: edges,
            key_segments: edges,
            texts_words: edges,
            longest: u8::MAX,
            ..self
        }
    }

    fn read_key(&mut self, key: &str) {
        self.key = if key.is_ascii() { 0 } else { FOREIGN };
        let letters: Vec<char> = key.chars().filter_map(fold).collect();
        let mut buffer = Buffer::default();
        let bytes = buffer.read(key, !key.is_ascii(), &Alphabet::default()).bytes;
        note_words(&letters, bytes, &mut self.key_pairs, &mut self.key_words);
        // The first letter of a segment may come after signs.
        let mut is_first = true;
        for (at, letter) in letters.into_iter().enumerate() {
            self.key |= bit(letter);
            let is_word = is_word(bytes[at]);
            let starts = starts_segment(bytes, at);
            is_first |= starts;
            let starts = starts || is_word && is_first;
            self.key_segments.add(letter, starts, ends_segment(bytes, at + 1));
            if is_word {
                (self.last, is_first) = (shortened(letter), false);
            }
        }
    }

    fn read_text(&mut self, text: &str) {
        self.texts |= if text.is_ascii() { 0 } else { FOREIGN };
        let letters: Vec<char> = text.chars().filter_map(fold).collect();
        let mut buffer = Buffer::default();
        let bytes = buffer.read(text, !text.is_ascii(), &Alphabet::default()).bytes;
        note_words(&letters, bytes, &mut self.texts_pairs, &mut self.texts_words);
        self.texts |= letters.into_iter().fold(0, |all, letter| all | bit(letter));
        let words = bytes.split(|it| !is_word(*it)).map(<[u8]>::len);
        let longest = u8::try_from(words.max().unwrap_or_default()).unwrap_or(u8::MAX);
        self.longest = self.longest.max(longest);
    }

    /// Whether `text`, which is not the key, is not all ASCII.
    pub(super) fn is_foreign(&self, text: &str) -> bool {
        self.texts & FOREIGN != 0 && !text.is_ascii()
    }

    /// Whether the whole query may be the end of the key.
    pub(super) fn may_end_with(&self, query: &Query) -> bool {
        let bare = &query.bare;
        bare.letters & !self.key == 0
            && bare.last.is_none_or(|last| last == self.last)
            && self.key_segments.have(bare.edges).0
    }

    /// The best that a word may be in the key, as it was typed.
    pub(super) fn best_in_key(&self, word: &Word) -> Grade {
        if word.letters & !self.key != 0 || !self.key_pairs.have(&word.pairs) {
            return Grade::NONE;
        }
        let starts = self.key_words.have(word.edges).0 && self.key_pairs.have(&word.start);
        let tier = match self.key_segments.have(word.edges) {
            (true, true) => Tier::Segment,
            (true, false) => Tier::Prefix,
            _ if starts => Tier::Part,
            _ => Tier::Inside,
        };
        Grade::new(tier, Field::Key, self.key_pairs.have(&word.end))
    }

    /// The best that a word may be in the other texts, as it was typed.
    pub(super) fn best_in_texts(&self, word: &Word) -> Grade {
        if word.letters & !self.texts != 0 || !self.texts_pairs.have(&word.pairs) {
            return Grade::NONE;
        }
        let starts = self.texts_words.have(word.edges).0 && self.texts_pairs.have(&word.start);
        if !starts && word.is_short() {
            return Grade::NONE;
        }
        let tier = if starts { Tier::Part } else { Tier::Inside };
        Grade::new(tier, self.field, self.texts_pairs.have(&word.end))
    }

    /// The best that a word may be once letters are left out.
    pub(super) fn best_fuzzy(&self, word: &Word) -> Grade {
        if self.may_be_fuzzy_in_key(word) {
            Grade::new(Tier::Fuzzy, Field::Key, false)
        } else if self.may_be_fuzzy_in_texts(word) {
            Grade::new(Tier::Fuzzy, self.field, false)
        } else {
            Grade::NONE
        }
    }

    pub(super) fn may_be_fuzzy_in_key(&self, word: &Word) -> bool {
        let Some(fuzzy) = &word.fuzzy else { return false };
        word.bare.letters & !self.key == 0 && self.key_words.have(fuzzy.edges).0
    }

    pub(super) fn may_be_fuzzy_in_texts(&self, word: &Word) -> bool {
        let Some(fuzzy) = &word.fuzzy else { return false };
        let letters = word.bare.bytes.len();
        word.bare.letters & !self.texts == 0
            && (SHORTEST_IN_TEXT..usize::from(self.longest)).contains(&letters)
            && self.texts_words.have(fuzzy.edges) == (true, true)
            && self.texts_pairs.have(&fuzzy.start)
    }
}

/// Enough of a letter to tell it from most others.
pub(super) fn shortened(letter: char) -> u8 {
    (u32::from(letter) & 0xff) as u8
}
