//! What is searched for: words, and what of them can be prepared once.

use std::array;

use memchr::memchr2;

use super::letters::shortened;
use super::text::{Alphabet, fold, folded, is_word};
use super::traces::{Edges, Pairs, bit};
use crate::{Error, Result};

/// The longest query, in bytes.
pub const MAX_QUERY_BYTES: usize = 256;
/// The most words of a query.
pub const MAX_WORDS: usize = 8;

/// Words that are all to be found.
#[derive(Debug)]
pub struct Query {
    /// As it was typed, without spaces around it.
    pub(super) text: String,
    pub(super) words: Vec<Word>,
    /// All its letters and digits: equal for texts that are alike.
    pub(super) bare: Bare,
    pub(super) alphabet: Alphabet,
}

/// One word of a query.
#[derive(Debug)]
pub(super) struct Word {
    pub bytes: Vec<u8>,
    pub bare: Bare,
    /// What a setting must have for the word to be in its key, or in its other texts.
    pub letters: u64,
    pub pairs: Pairs,
    /// And for it to start or end a word or a segment.
    pub edges: Edges,
    pub start: Pairs,
    pub end: Pairs,
    /// None if the word is too short or too long for leaving letters out.
    pub fuzzy: Option<Fuzzy>,
    /// The byte of `bytes` that is the rarest in texts, in both its forms, and where.
    rarest: (u8, u8, usize),
}

/// For finding a word that letters were left out of.
#[derive(Debug)]
pub(super) struct Fuzzy {
    /// Bit `n + 1` of a byte's entry: it is the letter `n` of the bare word.
    pub places: Box<[u64; 256]>,
    pub edges: Edges,
    pub start: Pairs,
}

/// Letters and digits, folded.
#[derive(Debug, Default)]
pub(super) struct Bare {
    pub bytes: Vec<u8>,
    pub text: String,
    pub letters: u64,
    pub last: Option<u8>,
    pub edges: Edges,
}

impl Query {
    /// Reads words with spaces between them.
    ///
    /// # Errors
    ///
    /// [`Error::BadQuery`] over [`MAX_QUERY_BYTES`] or [`MAX_WORDS`].
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim().to_owned();
        if text.len() > MAX_QUERY_BYTES {
            let reason = format!("{} bytes are more than {MAX_QUERY_BYTES}", text.len());
            return Err(Error::BadQuery { reason });
        }
        let mut alphabet = Alphabet::default();
        let mut words = Vec::<Word>::new();
        for word in text.split_whitespace() {
            let Some(word) = Word::read(word, &mut alphabet) else { continue };
            if words.iter().all(|it| it.bytes != word.bytes) {
                words.push(word);
            }
        }
        if words.len() > MAX_WORDS {
            let reason = format!("{} words are more than {MAX_WORDS}", words.len());
            return Err(Error::BadQuery { reason });
        }
        let bare = Bare::read(&text, &mut alphabet);
        Ok(Self { text, words, bare, alphabet })
    }

    /// Whether there is nothing to find, so that nothing is found.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

impl Word {
    fn read(text: &str, alphabet: &mut Alphabet) -> Option<Self> {
        let letters: Vec<char> = text.chars().filter_map(fold).collect();
        if letters.is_empty() {
            return None;
        }
        let bytes: Vec<u8> = letters.iter().map(|it| alphabet.learn(*it)).collect();
        let bare = Bare::read(text, alphabet);
        Some(Self {
            letters: letters.iter().fold(0, |all, it| all | bit(*it)),
            pairs: Pairs::of(&letters),
            edges: Edges::of(&letters),
            start: Pairs::start(&letters),
            end: Pairs::end(&letters),
            fuzzy: Fuzzy::of(&bare),
            rarest: rarest(&bytes),
            bytes,
            bare,
        })
    }

    /// Whether it is too short to be looked for inside the words of prose and values; not in
    /// scripts that put a word in few characters, and no space between.
    pub fn is_short(&self) -> bool {
        self.bytes.len() < 3 && self.bytes.is_ascii()
    }

    /// Where the word begins in `text`, each time that it is there.
    pub fn places_in<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = usize> + 't {
        let (lower, upper, ahead) = self.rarest;
        let mut from = ahead;
        std::iter::from_fn(move || {
            loop {
                let at = from + memchr2(lower, upper, text.get(from..)?)?;
                from = at + 1;
                let rest = text.get(at - ahead..at - ahead + self.bytes.len())?;
                if rest.iter().zip(&self.bytes).all(|(one, other)| folded(*one) == *other) {
                    return Some(at - ahead);
                }
            }
        })
    }
}

impl Bare {
    fn read(text: &str, alphabet: &mut Alphabet) -> Self {
        let mut bare = Self::default();
        for letter in text.chars().filter_map(fold) {
            let byte = alphabet.learn(letter);
            if is_word(byte) {
                bare.bytes.push(byte);
                bare.text.push(letter);
                bare.letters |= bit(letter);
                bare.last = Some(shortened(letter));
            }
        }
        bare.edges = Edges::of(&bare.text.chars().collect::<Vec<_>>());
        bare
    }
}

impl Fuzzy {
    fn of(bare: &Bare) -> Option<Self> {
        let letters: Vec<char> = bare.text.chars().collect();
        if !(2..64).contains(&letters.len()) {
            return None;
        }
        let is_at = |byte: u8| {
            let places = bare.bytes.iter().enumerate().filter(|(_, it)| **it == byte);
            places.fold(0, |all, (at, _)| all | 2 << at)
        };
        // A byte that folds to a letter is that letter; a sign is in no bare word.
        let byte = |at: usize| u8::try_from(at).expect("an array of 256 has no more places");
        Some(Self {
            places: Box::new(array::from_fn(|at| is_at(folded(byte(at))))),
            edges: Edges::of(&letters),
            start: Pairs::start(&letters),
        })
    }
}

/// English letters in texts, the rarest first; digits and anything else are rarer.
const FREQUENCY: &[u8] = b"zqjxkvbywgpfmuchdlnrsoiate_";

fn rarest(word: &[u8]) -> (u8, u8, usize) {
    let rank = |byte: &u8| FREQUENCY.iter().position(|it| it == byte).map_or(0, |at| at + 1);
    let rarest = word.iter().enumerate().min_by_key(|(_, byte)| rank(byte));
    let (at, byte) = rarest.map_or((0, 0), |(at, byte)| (at, *byte));
    let upper = if byte == b'_' { b'-' } else { byte.to_ascii_uppercase() };
    (byte, upper, at)
}
