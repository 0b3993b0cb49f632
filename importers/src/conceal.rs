//! Finds what may be a secret in the text of any format, also if no importer can read it.
//!
//! A tolerant look at lines, made for excerpts of broken files: it rather hides too much. What
//! follows a secret's name is hidden to where its value surely ends: a closing quote or bracket,
//! or the end of the line and of the lines that go on from it.

use std::ops::Range;

use self::line::Line;
use crate::secret::{self, text};

mod line;

/// Says of a name in a file whether it is a secret's, besides those that look like one.
pub(crate) type IsSecret<'a> = &'a dyn Fn(&str) -> bool;

/// A text without its secrets, and what they were.
pub(crate) struct Concealed {
    /// `*` for every byte of a secret: all other bytes are where they were.
    pub text: String,
    secrets: Vec<String>,
}

/// A shorter secret, in characters, is not looked for in other texts: it would be found anywhere.
pub(crate) const MIN_CHARACTERS: usize = 4;

impl Concealed {
    pub fn new(text: &str, is_secret: IsSecret) -> Self {
        let ranges = ranges(text, is_secret);
        let mut secrets: Vec<String> =
            ranges.iter().flat_map(|range| forms(&text[range.clone()])).collect();
        // The longest first, so that none is left in part.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self { text: starred(text, &ranges), secrets }
    }

    /// What another program says of the text: it may repeat any part, in any words.
    pub fn foreign(&self, message: &str) -> String {
        let message = without_pairs(message, &none);
        let secrets = self.secrets.iter().filter(|secret| message.contains(*secret));
        let secrets: Vec<&String> = secrets.collect();
        secrets.into_iter().fold(message, |message, secret| message.replace(secret, HIDDEN))
    }

    /// What we say of the text: only what stands between backticks may be from it.
    pub fn message(&self, message: &str) -> String {
        quoted_replaced(message, |quoted| self.secrets.iter().any(|it| quoted.contains(it)))
    }

    /// The message of a fault about this part of the text, `original` before it was concealed.
    ///
    /// A short secret is not known again by itself, but what is quoted comes from there.
    pub fn fault(&self, message: &str, original: &str, part: Range<usize>) -> String {
        let message = self.message(message);
        let (Some(before), Some(now)) = (original.get(part.clone()), self.text.get(part)) else {
            return message;
        };
        if before == now {
            return message;
        }
        quoted_replaced(&message, |quoted| {
            let bare = quoted.trim_matches(|c: char| "&*!\"'".contains(c));
            !bare.is_empty() && before.contains(bare)
        })
    }
}

/// As many names around a value are looked at.
const MAX_DEPTH: usize = 16;

const HIDDEN: &str = "****";

/// The message with those parts between backticks hidden that are secret.
fn quoted_replaced(message: &str, is_secret: impl Fn(&str) -> bool) -> String {
    let pieces = message
        .split('`')
        .enumerate()
        .map(|(index, piece)| if index % 2 == 1 && is_secret(piece) { HIDDEN } else { piece });
    pieces.collect::<Vec<_>>().join("`")
}

/// No name besides those that look like a secret's.
pub(crate) fn none(_name: &str) -> bool {
    false
}

/// The bytes that may be secrets, in order.
pub(crate) fn ranges(text: &str, is_secret: IsSecret) -> Vec<Range<usize>> {
    // UTF-16, most likely, in which no name would be found.
    if text.contains('\0') {
        return std::iter::once(0..text.len()).collect();
    }
    let (state, path, found) = (State::Open, Vec::new(), Vec::new());
    let mut pass = Pass { is_secret, state, path, told: false, found };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        pass.line(&Line::new(line), start);
        start += line.len();
    }
    pass.found.sort_by_key(|range| range.start);
    pass.found
}

/// A message without what it says after a secret's name.
pub(crate) fn without_pairs(message: &str, is_secret: IsSecret) -> String {
    starred(message, &pairs(message, is_secret))
}

fn pairs(text: &str, is_secret: IsSecret) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        // What is quoted from a file stands between backticks.
        let quotes = line.match_indices('`').map(|(at, _)| at + 1);
        for at in std::iter::once(0).chain(quotes) {
            let part = &line[at..];
            let part = &part[..part.find('`').unwrap_or(part.len())];
            let found = self::ranges(part, is_secret).into_iter();
            let is_pair = |range: &Range<usize>| {
                part[..range.start].trim_end_matches(['"', '\'', ' ']).ends_with([':', '=', '@'])
            };
            ranges
                .extend(found.filter(is_pair).map(|it| start + at + it.start..start + at + it.end));
        }
        start += line.len();
    }
    ranges.sort_by_key(|range| range.start);
    ranges
}

/// The text with `*` for every byte of the ranges that breaks no line.
pub(crate) fn starred(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        let hidden = bytes[range.clone()].iter_mut();
        hidden.filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'*');
    }
    String::from_utf8(bytes).expect("whole characters were replaced by ASCII")
}

/// How a message may repeat a hidden part: as it is, or without the signs around it.
fn forms(part: &str) -> impl Iterator<Item = String> {
    let bare = part.trim_matches(|c: char| !c.is_alphanumeric());
    [part.trim(), bare]
        .into_iter()
        .filter(|form| form.chars().count() >= MIN_CHARACTERS)
        .map(str::to_owned)
}

/// What the lines before say of the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// A secret's name stood alone: its separator may come.
    Named {
        column: usize,
    },
    /// A value may go on in lines that stand more to the right, or are no entry of their own.
    Below {
        column: usize,
        commented: bool,
    },
    /// Until this quote closes.
    Quoted(&'static str),
    /// Until as many brackets close.
    Brackets(usize),
    /// Until the end of a key in PEM.
    PrivateKey,
}

struct Pass<'a> {
    is_secret: IsSecret<'a>,
    state: State,
    /// The columns and names that the line stands below.
    path: Vec<(usize, String)>,
    /// Whether `name: DB_PASSWORD` was read, which makes the next `value` a secret.
    told: bool,
    found: Vec<Range<usize>>,
}

impl Pass<'_> {
    /// Looks at one line, which starts at `start` in the text.
    fn line(&mut self, line: &Line, start: usize) {
        let hide = |pass: &mut Self, range: Range<usize>| {
            if !range.is_empty() {
                pass.found.push(start + range.start..start + range.end);
            }
        };
        let mut from = 0;
        match self.state.clone() {
            State::Open => {}
            State::PrivateKey => {
                if line.text.contains("-----END") {
                    self.state = State::Open;
                }
                return hide(self, line.inside());
            }
            State::Quoted(quote) => match line.close_of(quote, 0) {
                None => return hide(self, line.inside()),
                Some(close) => {
                    self.state = State::Open;
                    if !line.ends_value(close) {
                        return hide(self, line.inside());
                    }
                    hide(self, line.inside().start..close);
                    from = close;
                }
            },
            State::Brackets(depth) => match line.brackets(0, depth) {
                Err(depth) => {
                    self.state = State::Brackets(depth);
                    return hide(self, line.inside());
                }
                Ok(close) => {
                    self.state = State::Open;
                    hide(self, line.inside().start..close);
                    from = close;
                }
            },
            State::Named { column } => {
                if line.is_blank() {
                    return;
                }
                self.state = State::Open;
                if line.text.trim_start().starts_with([':', '=']) {
                    match self.value(line, column, line.content().start + 1, start) {
                        Some(end) => from = end,
                        None => return,
                    }
                }
            }
            State::Below { column, commented } => {
                if line.is_blank() {
                    return;
                }
                if line.is_comment() && !commented && line.content().start <= column {
                    // It does not end the value, whatever is in it.
                    let state = self.state.clone();
                    self.names(line, 0, start);
                    self.state = state;
                    return;
                }
                if commented && !line.is_comment()
                    || line.column() <= column && line.is_entry(column)
                {
                    self.state = State::Open;
                } else {
                    if begins_private_key(line) {
                        self.state = State::PrivateKey;
                    }
                    return hide(self, line.inside());
                }
            }
        }
        self.names(line, from, start);
        self.values(line, start);
    }

    /// Hides what follows the secret names of a line, from `from` on.
    fn names(&mut self, line: &Line, mut from: usize, start: usize) {
        if let Some(header) = line.header() {
            self.path = vec![(0, header.to_owned())];
        } else if let Some(name) = line.lonely_name().filter(|name| self.is_secret(&[name.text])) {
            if name.end < line.content().end {
                // A name without a separator: that may well be the fault.
                self.state = State::Below { column: name.column, commented: false };
                return self.found.push(start + name.end..start + line.content().end);
            }
            self.state = State::Named { column: name.column };
        }
        let mut above: Option<String> = None;
        let mut is_first = true;
        while let Some(name) = line.next_name(from) {
            if is_first && !line.is_comment() {
                let section = usize::from(self.path.first().is_some_and(|_| self.in_section()));
                let keep = self.path.iter().skip(section).take_while(|(it, _)| *it < name.column);
                let keep = section + keep.count();
                self.path.truncate(keep);
            }
            let mut path: Vec<&str> = self.path.iter().map(|(_, name)| name.as_str()).collect();
            path.extend(above.as_deref());
            path.push(name.text);
            let is_told = self.told && name.text.eq_ignore_ascii_case("value");
            if name.is_escaped || is_told || self.is_secret(&path) {
                match self.value(line, name.column, name.after, start) {
                    Some(end) => from = end,
                    None => return,
                }
            } else {
                if ["name", "key", "variable"].iter().any(|it| name.text.eq_ignore_ascii_case(it)) {
                    let value = line.text[name.after..].trim_matches(line::is_around);
                    let value = value.split(line::is_around).next().unwrap_or_default();
                    self.told = self.is_secret(&[value]);
                }
                from = name.after;
            }
            if is_first && !line.is_comment() {
                self.path.push((name.column, name.text.to_owned()));
            } else {
                above = line.opens(name.after).then(|| name.text.to_owned()).or(above);
            }
            is_first = false;
        }
    }

    /// Hides the value of one secret name, which begins at `after`; returns where it ends if
    /// that is on this line.
    fn value(&mut self, line: &Line, column: usize, after: usize, start: usize) -> Option<usize> {
        let end = line.content().end;
        let at = line.value_start(after);
        let mut hide = |range: Range<usize>| {
            if !range.is_empty() {
                self.found.push(start + range.start..start + range.end);
            }
        };
        let value = &line.text[at.min(end)..end];
        let is_one_word = !value.contains([' ', '\t', ',', '"', '\'', '}']);
        if is_one_word && (secret::is_reference(value) || text::is_placeholder(value)) {
            return Some(end);
        }
        let classified = line.without_properties(at);
        self.state = match line.opening(classified) {
            line::Opening::Quote(quote) => {
                let inside = classified + quote.len();
                match line.close_of(quote, inside) {
                    Some(close) if line.ends_value(close) => {
                        hide(at..classified);
                        hide(inside..close - quote.len());
                        return Some(close);
                    }
                    Some(_) => {
                        hide(at..end);
                        State::Below { column, commented: line.is_comment() }
                    }
                    None => {
                        hide(at..end);
                        State::Quoted(quote)
                    }
                }
            }
            line::Opening::Bracket => match line.brackets(classified, 0) {
                Ok(close) => {
                    hide(at..close);
                    return Some(close);
                }
                Err(depth) => {
                    hide(at..end);
                    State::Brackets(depth)
                }
            },
            line::Opening::Plain => {
                hide(at..end);
                match line.open_brackets(after) {
                    0 => State::Below { column, commented: line.is_comment() },
                    depth if !value.contains(['}', ']']) => State::Brackets(depth),
                    _ => State::Open,
                }
            }
        };
        None
    }

    /// Hides what is a secret by its value.
    fn values(&mut self, line: &Line, start: usize) {
        let passwords = text::passwords_in(line.text).into_iter();
        self.found.extend(passwords.map(|it| start + it.start..start + it.end));
        if text::is_private_key(line.text) {
            self.found.push(start + line.content().start..start + line.content().end);
        }
        if begins_private_key(line) {
            self.state = State::PrivateKey;
        }
    }

    fn in_section(&self) -> bool {
        self.path.first().is_some_and(|(_, name)| name.ends_with(']'))
    }

    fn is_secret(&self, path: &[&str]) -> bool {
        let own = path.last().is_some_and(|name| {
            (self.is_secret)(name) || name.rsplit('.').next().is_some_and(self.is_secret)
        });
        own || {
            let trim = |part: &str| part.trim_matches(line::is_around).to_owned();
            let near = &path[path.len().saturating_sub(MAX_DEPTH)..];
            let segments: Vec<String> =
                near.iter().flat_map(|name| name.split('.')).map(trim).collect();
            secret::is_secret_name(&segments)
        }
    }
}

/// Whether a private key in PEM begins on this line and goes on in the next ones.
fn begins_private_key(line: &Line) -> bool {
    text::is_private_key(line.text) && !line.text.contains("-----END")
}

#[cfg(test)]
mod tests;
