//! A first look over JSON text, for what the parser does not tell or would accept.

use std::borrow::Cow;
use std::ops::Range;

use crate::Limits;
use crate::fault::Fault;
use crate::recover;

/// What stands in a text, by one pass over its bytes.
#[derive(Default)]
pub(super) struct Survey {
    /// The first thing that the parser takes and JSON does not know.
    pub syntax: Option<Fault>,
    /// Maps and lists that lie too deep, with all that is in them.
    pub too_deep: Vec<Range<usize>>,
    comments: Seen,
    trailing_commas: Seen,
}

/// How often, and where first.
#[derive(Default)]
struct Seen {
    count: usize,
    first: usize,
}

impl Seen {
    fn at(&mut self, at: usize) {
        if self.count == 0 {
            self.first = at;
        }
        self.count += 1;
    }
}

impl Survey {
    pub fn of(text: &str, limits: &Limits) -> Self {
        let mut survey = Self::default();
        let bytes = text.as_bytes();
        let (mut at, mut depth, mut deep_start) = (0, 0_usize, 0);
        let mut comma = None;
        while let Some(byte) = bytes.get(at) {
            let start = at;
            at += 1;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'/' if matches!(bytes.get(at), Some(b'/' | b'*')) => {
                    survey.comments.at(start);
                    at = comment_end(text, start);
                    continue;
                }
                b'"' => at = survey.string(text, start),
                b'{' | b'[' => {
                    depth += 1;
                    if depth == limits.depth + 1 {
                        deep_start = start;
                    }
                }
                b'}' | b']' => {
                    if let Some(comma) = comma {
                        survey.trailing_commas.at(comma);
                    }
                    if depth == limits.depth + 1 {
                        survey.too_deep.push(deep_start..at);
                    }
                    depth = depth.saturating_sub(1);
                }
                0x0B | 0x0C | 0x80.. => {
                    let character = text[start..].chars().next().unwrap_or_default();
                    at = start + character.len_utf8();
                    if character.is_whitespace() {
                        survey.fault(start..at, "JSON has no such white space; use spaces");
                    }
                }
                _ => {}
            }
            comma = (*byte == b',').then_some(start);
        }
        if depth > limits.depth {
            survey.too_deep.push(deep_start..text.len());
        }
        survey
    }

    /// The end of the string that starts at `start`, at its line's end if it does not close.
    fn string(&mut self, text: &str, start: usize) -> usize {
        let bytes = text.as_bytes();
        let mut at = start + 1;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' if bytes.get(at + 1).is_some_and(|byte| *byte >= 0x20) => at += 1,
                b'\n' | b'\r' => {
                    self.fault(start..at, "this string does not close on its line");
                    return at;
                }
                0..0x20 => self.fault(at..at + 1, "a control character; write it as an escape"),
                _ => {}
            }
            at += 1;
        }
        at.min(bytes.len())
    }

    fn fault(&mut self, range: Range<usize>, message: &str) {
        self.syntax.get_or_insert_with(|| Fault::new(range, message));
    }

    /// The text with `0` in the place of what lies too deep, so that the parser need not recurse.
    pub fn shallow<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.too_deep.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut shallow = String::with_capacity(text.len());
        for range in &self.too_deep {
            shallow.push_str(&text[shallow.len()..range.start]);
            shallow.push('0');
            shallow
                .push_str(&recover::blank(&text[range.start + 1..range.end], 0..range.len() - 1));
        }
        shallow.push_str(&text[shallow.len()..]);
        Cow::Owned(shallow)
    }

    /// What was accepted although JSON does not have it: its place and what to say.
    pub fn notes(&self) -> Vec<(usize, String)> {
        let kinds = [(&self.comments, "comment"), (&self.trailing_commas, "trailing comma")];
        let seen = kinds.into_iter().filter(|(seen, _)| seen.count > 0);
        seen.map(|(seen, kind)| {
            let plural = if seen.count == 1 { "" } else { "s" };
            let count = seen.count;
            (seen.first, format!("accepted {count} {kind}{plural}, which JSON does not have"))
        })
        .collect()
    }
}

fn comment_end(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let end = if rest.starts_with("//") {
        rest.find(['\n', '\r'])
    } else {
        rest[2..].find("*/").map(|at| at + 4)
    };
    end.map_or(text.len(), |end| start + end)
}
