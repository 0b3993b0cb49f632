//! A file without its secrets, which can still be read and has the same keys.
//!
//! Each scalar of a secret value is replaced where it stands, so lines, comments, anchors and
//! quotes stay. Keys stay too, even one that is spelled like a secret: they are stored anyway.

use std::collections::HashSet;
use std::ops::Range;

use crate::conceal;
use crate::place::Span;
use crate::{Document, Entry, IMPORTERS, Importer, Key, Limits, Reading, TypedValue};

use self::needles::Needles;

pub use self::needles::is_telling;

mod comment;
mod needles;
mod scalar;

/// What is left of a file when its secrets are taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masked {
    /// The file with every secret replaced. It is empty if an external importer read the file,
    /// or if without its secrets it could not be read as the same keys.
    pub bytes: Vec<u8>,
    /// The keys, in the file's order, whose values must not be stored: secrets, what repeats a
    /// secret's text, and what is another value in the masked file, as through an alias.
    pub hidden: Vec<Key>,
}

/// Masks every secret of a file, from whose `bytes` this `document` was read.
pub fn masked(
    bytes: &[u8],
    limits: &Limits,
    document: &Document,
    is_secret: &dyn Fn(&Key, &TypedValue) -> bool,
) -> Masked {
    let secrets: Vec<bool> =
        document.entries.iter().map(|entry| is_secret(&entry.key, &entry.value)).collect();
    let importer = IMPORTERS.iter().find(|it| it.name() == document.format);
    let text = std::str::from_utf8(bytes).ok().filter(|_| importer.is_some());
    let unmarked = text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let needles = Needles::of(&document.entries, &secrets, unmarked.unwrap_or_default());
    let mut hidden: Vec<bool> = document
        .entries
        .iter()
        .zip(&secrets)
        .map(|(entry, secret)| *secret || needles.are_in(&entry.value.json))
        .collect();

    let mut masked = Vec::new();
    if let (Some(importer), Some(text)) = (importer, unmarked) {
        let file = File { text, importer: *importer, limits, entries: &document.entries };
        if let Some((text, read)) = file.masked(&hidden, &needles) {
            let mark = &bytes[..bytes.len() - file.text.len()];
            masked = [mark, text.as_bytes()].concat();
            for ((entry, read), hidden) in document.entries.iter().zip(read).zip(&mut hidden) {
                *hidden |= entry.value != read.value;
            }
        }
    }
    let keys = document.entries.iter().zip(hidden).filter(|(_, hidden)| *hidden);
    Masked { bytes: masked, hidden: keys.map(|(entry, _)| entry.key.clone()).collect() }
}

/// Whether a comment in `bytes`, in whatever format, seems to tell a secret. It is a look at
/// lines: what is no comment may count as one.
pub fn comments_tell_secrets(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut comments = String::new();
    for line in text.lines() {
        let at = ["#", "//", "/*"].into_iter().find_map(|mark| {
            let is_free =
                |at: &usize| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
            line.match_indices(mark).map(|(at, _)| at).find(is_free)
        });
        if let Some(at) = at {
            comments.push_str(line[at..].trim_start_matches(['#', '/', '*']));
            comments.push('\n');
        }
    }
    !comments.is_empty() && !conceal::ranges(&comments, &conceal::none).is_empty()
}

struct File<'a> {
    text: &'a str,
    importer: &'static dyn Importer,
    limits: &'a Limits,
    entries: &'a [Entry],
}

/// A part of the text, and what is to stand there.
type Edit = (Range<usize>, String);

impl File<'_> {
    /// The text without the values of hidden entries and without needles, and what is read of it.
    fn masked(&self, hidden: &[bool], needles: &Needles) -> Option<(String, Vec<Entry>)> {
        let reading = self.importer.read(self.text, self.limits);
        let scalars = self.scalars_to_mask(&reading, hidden, needles);
        let word = needles.harmless_word();
        let mut edits: Vec<Edit> = scalars
            .iter()
            .flat_map(|span| scalar::masked(self.text, *span, self.importer.name(), word))
            .collect();
        edits.extend(self.between(&reading, needles, &scalars));
        let text = edited(self.text, edits);

        let read = self.importer.read(&text, self.limits);
        let keys = read.entries.iter().map(|entry| &entry.key);
        let is_same = read.faults.is_empty() && keys.eq(self.entries.iter().map(|it| &it.key));
        let is_clean = !read.entries.iter().any(|entry| needles.are_in(&entry.value.json))
            && !needles.found_in(&text).any(|found| touches(&read.written.scalars, &found));
        (is_same && is_clean).then_some((text, read.entries))
    }

    /// The scalars of all hidden values, and those in which a needle is written.
    fn scalars_to_mask(&self, reading: &Reading, hidden: &[bool], needles: &Needles) -> Vec<Span> {
        let scalars = &reading.written.scalars;
        let mut chosen = HashSet::new();
        for (entry, _) in self.entries.iter().zip(hidden).filter(|(_, hidden)| **hidden) {
            let first = scalars.partition_point(|scalar| scalar.start < entry.span.start);
            let inside = scalars[first..].iter().take_while(|it| it.end <= entry.span.end);
            chosen.extend(inside.copied());
        }
        for found in needles.found_in(self.text) {
            let first = scalars.partition_point(|scalar| scalar.end <= found.start);
            chosen.extend(scalars[first..].iter().take_while(|it| it.start < found.end).copied());
        }
        let mut chosen: Vec<Span> = chosen.into_iter().collect();
        chosen.sort();
        chosen
    }

    /// Edits of what is neither a key nor a value: comments, and the names of anchors.
    fn between(&self, reading: &Reading, needles: &Needles, masked: &[Span]) -> Vec<Edit> {
        let format = self.importer.name();
        let mut secret = vec![false; self.text.len()];
        needles.found_in(self.text).for_each(|found| secret[found].fill(true));
        let mut edits = Vec::new();
        for gap in reading.written.gaps(self.text.len()) {
            let comments = comment::find(self.text, &gap, format);
            // In TOML a key may be written more than once, of which one place is known.
            if format != "toml" {
                edits.extend(self.blanked(&gap, |at, c| secret[at] && c.is_alphanumeric()));
            }
            for comment in comments {
                // What stands behind a secret is often the one before it.
                let line = self.text[..comment.start].rfind('\n').map_or(0, |at| at + 1);
                let before = masked.partition_point(|span| span.end <= comment.start);
                if before > 0 && masked[before - 1].end > line {
                    let end = self.text[comment.clone()]
                        .find('\n')
                        .map_or(comment.end, |at| comment.start + at);
                    secret[comment.start..end].fill(true);
                }
                for told in conceal::ranges(&self.text[comment.clone()], &conceal::none) {
                    secret[comment.start + told.start..comment.start + told.end].fill(true);
                }
                edits.extend(self.blanked(&comment, |at, c| {
                    secret[at] && !c.is_whitespace() && !"#/*".contains(c)
                }));
            }
        }
        edits
    }

    /// `x` for each such character in the range.
    fn blanked(&self, range: &Range<usize>, is_secret: impl Fn(usize, char) -> bool) -> Vec<Edit> {
        let characters = self.text[range.clone()].char_indices();
        let characters = characters.map(|(at, c)| (range.start + at, c));
        let secret = characters.filter(|(at, c)| is_secret(*at, *c));
        secret.map(|(at, c)| (at..at + c.len_utf8(), "x".repeat(c.len_utf8()))).collect()
    }
}

fn touches(spans: &[Span], range: &Range<usize>) -> bool {
    let first = spans.partition_point(|span| span.end <= range.start);
    spans.get(first).is_some_and(|span| span.start < range.end)
}

/// The text with all the edits; of two that overlap the first counts.
fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, replacement) in edits {
        if range.start >= at {
            out.push_str(&text[at..range.start]);
            out.push_str(&replacement);
            at = range.end;
        }
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests;
