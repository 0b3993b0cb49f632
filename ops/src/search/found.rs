//! Finding a query in one setting: the whole of it, then word by word.

use std::ops::Range;

use super::Fields;
use super::fuzzy::{self, Precise};
use super::grade::{Field, Grade, Score, Tier};
use super::letters::{FOREIGN, Letters};
use super::query::{Query, Word};
use super::text::{
    Buffer, Reading, ends_segment, folded, is_word, searched, starts_segment, starts_word,
};

/// What was found in one setting.
pub(super) enum Found {
    Nothing,
    /// Every word, as it was typed.
    Every(Score),
    /// Not every word; this is the best that leaving letters out can give.
    AtMost(Score),
}

/// Where it was found in the key, and how precisely the words that letters were left out of.
#[derive(Default)]
pub(super) struct Located {
    pub ranges: Vec<Range<usize>>,
    pub precision: u32,
}

/// Looks for one query in one setting after the other.
pub(super) struct Finder<'q> {
    pub query: &'q Query,
    key: Buffer,
    text: Buffer,
    /// Of each word, in the setting that was looked at last.
    grades: Vec<Grade>,
}

impl<'q> Finder<'q> {
    pub fn new(query: &'q Query) -> Self {
        let grades = vec![Grade::NONE; query.words.len()];
        Self { query, key: Buffer::default(), text: Buffer::default(), grades }
    }

    /// The best that may be found where these letters are from.
    pub fn bound(&self, letters: &Letters) -> Found {
        if letters.may_end_with(self.query) {
            return Found::Every(Score::BEST.with(Grade::new(Tier::Exact, Field::Key, true)));
        }
        let best = |word| letters.best_in_key(word).max(letters.best_in_texts(word));
        score(self.query.words.iter().map(|word| (word, best(word))), letters)
    }

    /// What is found in a setting, where nothing worse than `floor` is of use.
    pub fn find(&mut self, letters: &Letters, fields: &Fields<'_>, floor: Grade) -> Found {
        let Self { query, key, text, grades } = self;
        let key = key.read(fields.key, letters.key & FOREIGN != 0, &query.alphabet);
        if let Some((grade, _)) = whole(query, fields.key, key, letters) {
            return Found::Every(Score::BEST.with(grade));
        }
        for (word, grade) in query.words.iter().zip(grades.iter_mut()) {
            *grade = in_key(word, key, letters).map_or(Grade::NONE, |(grade, _)| grade);
            if letters.best_in_texts(word) >= floor.max(*grade) {
                *grade = (*grade).max(in_texts(query, word, text, letters, fields));
            }
            if *grade < floor {
                return Found::Nothing;
            }
        }
        score(query.words.iter().zip(grades.iter().copied()), letters)
    }

    /// After [`Finder::find`] in the same setting: the score if the words that were not found
    /// are, once letters are left out.
    pub fn find_rest(&mut self, letters: &Letters, fields: &Fields<'_>) -> Option<Score> {
        let Self { query, key, text, grades } = self;
        let key = key.read(fields.key, letters.key & FOREIGN != 0, &query.alphabet);
        for (word, grade) in query.words.iter().zip(grades.iter_mut()) {
            if *grade == Grade::NONE {
                *grade = if in_key_fuzzily(word, key, letters) {
                    Grade::new(Tier::Fuzzy, Field::Key, false)
                } else {
                    in_texts_fuzzily(query, word, text, letters, fields)?
                };
            }
        }
        Some(grades.iter().fold(Score::BEST, |score, grade| score.with(*grade)))
    }

    /// Where the words of a setting that was found lie in its key.
    pub fn locate(
        &mut self,
        letters: &Letters,
        fields: &Fields<'_>,
        precise: &mut Precise,
    ) -> Located {
        let Self { query, key, text, .. } = self;
        let key = key.read(fields.key, letters.key & FOREIGN != 0, &query.alphabet);
        let mut located = Located::default();
        if let Some((_, start)) = whole(query, fields.key, key, letters) {
            located.ranges.push(start..fields.key.len());
            return located;
        }
        for word in &query.words {
            if let Some((_, at)) = in_key(word, key, letters) {
                located.ranges.push(key.place(at)..key.place(at + word.bytes.len()));
            } else if in_texts(query, word, text, letters, fields) == Grade::NONE
                && in_key_fuzzily(word, key, letters)
            {
                located.precision += precise.find(&word.bare.text, fields.key, &mut located.ranges);
            }
        }
        located.ranges = merged(located.ranges);
        located
    }
}

/// What it makes of a setting that its words are found so well, or not at all as they were typed.
fn score<'w>(words: impl Iterator<Item = (&'w Word, Grade)>, letters: &Letters) -> Found {
    let mut score = Score::BEST;
    let mut is_fuzzy = false;
    for (word, mut grade) in words {
        if grade == Grade::NONE {
            (grade, is_fuzzy) = (letters.best_fuzzy(word), true);
        }
        if grade == Grade::NONE {
            return Found::Nothing;
        }
        score = score.with(grade);
    }
    if is_fuzzy { Found::AtMost(score) } else { Found::Every(score) }
}

/// The whole query as the end of a key: how, and from where in the key.
fn whole(query: &Query, text: &str, key: Reading<'_>, letters: &Letters) -> Option<(Grade, usize)> {
    if !letters.may_end_with(query) {
        return None;
    }
    if let Some(found) = as_typed(&query.text, text) {
        return Some(found);
    }
    let start = alike(&query.bare.bytes, key.bytes)?;
    let inner = key.bytes[..start].iter().any(|it| is_word(*it));
    let tier = if inner { Tier::TailAlike } else { Tier::Alike };
    let begins = !inner || starts_segment(key.bytes, start);
    begins.then(|| (Grade::new(tier, Field::Key, false), key.place(start)))
}

/// The query as the end of a key, letter by letter, but for case and a quote that it lacks.
fn as_typed(query: &str, key: &str) -> Option<(Grade, usize)> {
    let unquoted = key.strip_suffix('"').filter(|_| !query.ends_with('"'));
    let text = unquoted.unwrap_or(key).as_bytes();
    let start = text.len().checked_sub(query.len())?;
    let tier = if start == 0 { Tier::Exact } else { Tier::Tail };
    let same = text[start..] == *query.as_bytes();
    let found = same || text[start..].eq_ignore_ascii_case(query.as_bytes());
    (found && starts_segment(text, start)).then(|| (Grade::new(tier, Field::Key, same), start))
}

/// Where the end of the key begins that has these letters and digits.
fn alike(bare: &[u8], key: &[u8]) -> Option<usize> {
    let mut at = key.len();
    for wanted in bare.iter().rev() {
        at = key[..at].iter().rposition(|it| is_word(*it))?;
        if folded(key[at]) != *wanted {
            return None;
        }
    }
    (at < key.len()).then_some(at)
}

/// A word in a key as it was typed: the best of its places.
fn in_key(word: &Word, key: Reading<'_>, letters: &Letters) -> Option<(Grade, usize)> {
    if letters.best_in_key(word) == Grade::NONE {
        return None;
    }
    let key = key.bytes;
    let mut best = None;
    for at in word.places_in(key) {
        let end = at + word.bytes.len();
        let tier = match (starts_segment(key, at), starts_word(key, at)) {
            (true, _) if ends_segment(key, end) => Tier::Segment,
            (true, _) => Tier::Prefix,
            (_, true) => Tier::Part,
            _ => Tier::Inside,
        };
        let grade = Grade::new(tier, Field::Key, starts_word(key, end));
        if best.is_none_or(|(best, _)| grade > best) {
            best = Some((grade, at));
        }
        if tier == Tier::Segment {
            break;
        }
    }
    best
}

/// A word in the other texts as it was typed.
fn in_texts(
    query: &Query,
    word: &Word,
    buffer: &mut Buffer,
    letters: &Letters,
    fields: &Fields<'_>,
) -> Grade {
    let mut best = Grade::NONE;
    if letters.best_in_texts(word) == Grade::NONE {
        return best;
    }
    for (field, text) in searched(fields) {
        let text = buffer.read(text, letters.is_foreign(text), &query.alphabet).bytes;
        for at in word.places_in(text) {
            let tier = match starts_word(text, at) {
                true => Tier::Part,
                false if word.is_short() => continue,
                false => Tier::Inside,
            };
            let whole = starts_word(text, at + word.bytes.len());
            best = best.max(Grade::new(tier, field, whole));
            if best == Grade::new(Tier::Part, field, true) {
                return best;
            }
        }
    }
    best
}

fn in_key_fuzzily(word: &Word, key: Reading<'_>, letters: &Letters) -> bool {
    letters.may_be_fuzzy_in_key(word) && fuzzy::in_key(word, key.bytes)
}

fn in_texts_fuzzily(
    query: &Query,
    word: &Word,
    buffer: &mut Buffer,
    letters: &Letters,
    fields: &Fields<'_>,
) -> Option<Grade> {
    if !letters.may_be_fuzzy_in_texts(word) {
        return None;
    }
    let found = searched(fields).find(|(_, text)| {
        let text = buffer.read(text, letters.is_foreign(text), &query.alphabet).bytes;
        fuzzy::in_text(word, text)
    });
    found.map(|(field, _)| Grade::new(Tier::Fuzzy, field, false))
}

/// The same bytes, as ranges in order that do not touch.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|it| it.start);
    let mut merged = Vec::<Range<usize>>::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
