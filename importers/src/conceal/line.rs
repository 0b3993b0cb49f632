//! One line as the pass over it sees it: names, separators, quotes and brackets of any format.

use std::ops::Range;

pub(super) struct Line<'t> {
    pub text: &'t str,
    content: Range<usize>,
}

/// A name before a separator.
pub(super) struct Name<'t> {
    pub text: &'t str,
    /// Where it ends.
    pub end: usize,
    /// Behind its separator.
    pub after: usize,
    pub column: usize,
    /// Whether it is written with escapes, so that it may be any name.
    pub is_escaped: bool,
}

/// How a value begins.
pub(super) enum Opening {
    Quote(&'static str),
    Bracket,
    Plain,
}

const QUOTES: [&str; 4] = ["\"\"\"", "'''", "\"", "'"];

/// What may stand around a name or a short value and is no part of it.
pub(super) fn is_around(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '{' | '}' | '`')
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

impl<'t> Line<'t> {
    pub fn new(text: &'t str) -> Self {
        let start = text.len() - text.trim_start().len();
        let end = text.trim_end().len();
        Self { text, content: start.min(end)..end }
    }

    /// The line without white space around it.
    pub fn content(&self) -> Range<usize> {
        self.content.clone()
    }

    /// The same without the signs of a comment.
    pub fn inside(&self) -> Range<usize> {
        self.column()..self.content.end
    }

    pub fn is_blank(&self) -> bool {
        self.content.is_empty()
    }

    pub fn is_comment(&self) -> bool {
        let content = &self.text[self.content()];
        content.starts_with('#') || content.starts_with("//")
    }

    /// Where the text of the line begins, behind the signs of a comment.
    pub fn column(&self) -> usize {
        if !self.is_comment() {
            return self.content.start;
        }
        self.text
            .find(|c: char| !c.is_whitespace() && !matches!(c, '#' | '/'))
            .unwrap_or(self.content.end)
    }

    /// Whether the line begins an entry of its own, below a name at `column`.
    pub fn is_entry(&self, column: usize) -> bool {
        let line = self.text[self.column()..self.content.end].trim_start();
        if let Some(item) = line.strip_prefix("- ") {
            return self.column() < column && self.starts_with_name(item);
        }
        line.starts_with(['[', '{', '}', ']']) || line == "---" || self.starts_with_name(line)
    }

    /// Whether `line` begins with `name:` or `name=`, and not with what may be Base64.
    fn starts_with_name(&self, line: &str) -> bool {
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let rest = match line.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                line[1..].find(quote).map_or("", |close| &line[close + 2..])
            }
            _ => line.trim_start_matches(is_name),
        };
        if rest.len() == line.len() {
            return false;
        }
        let rest = rest.trim_start();
        match rest.strip_prefix(':') {
            Some(value) => value.is_empty() || value.starts_with([' ', '\t', '"', '\'', '[', '{']),
            None => rest.strip_prefix('=').is_some_and(|it| !it.is_empty() && !it.starts_with('=')),
        }
    }

    /// The name of a table in TOML and its like, with its last bracket.
    pub fn header(&self) -> Option<&'t str> {
        let line = &self.text[self.content()];
        let name = line.strip_prefix('[')?.trim_start_matches('[');
        let end = name.find(']')?;
        let is_header = end > 0 && name[..end].chars().all(|c| is_name(c) || " \"'".contains(c));
        is_header.then(|| &name[..=end])
    }

    /// The first word of a line if no separator follows it: a name that lacks one.
    pub fn lonely_name(&self) -> Option<Name<'t>> {
        let begin = self.content.start;
        let line = &self.text[self.content()];
        let bare = line.trim_start_matches(|c: char| is_around(c) || matches!(c, '-' | '?'));
        let bare = bare.strip_prefix("export ").map_or(bare, str::trim_start);
        let start = begin + (line.len() - bare.len());
        let length = bare.find(|c| !is_name(c)).unwrap_or(bare.len());
        let rest = bare[length..].trim_start_matches(['"', '\'', ' ', '\t']);
        if length == 0 || rest.starts_with([':', '=', '>', ',', ']', '}']) {
            return None;
        }
        let end = self.content.end - rest.len();
        Some(self.name(start..start + length, end, end, false))
    }

    /// The first name whose separator stands behind `from`.
    pub fn next_name(&self, from: usize) -> Option<Name<'t>> {
        let mut separators = self.text[from..].match_indices([':', '=', '>']);
        separators.find_map(|(at, _)| self.name_before(from, from + at))
    }

    fn name_before(&self, from: usize, separator: usize) -> Option<Name<'t>> {
        let before = self.text[from..separator].trim_end();
        let end = from + before.len();
        let after = separator + 1;
        if let Some(quote) = before.chars().next_back().filter(|c| matches!(c, '"' | '\'')) {
            let inside = &before[..before.len() - 1];
            let open = inside.rfind(quote)?;
            let range = from + open + 1..end - 1;
            let is_escaped = inside[open..].contains('\\');
            return Some(self.name(range, end, after, is_escaped));
        }
        let bare = before.trim_end_matches(is_name);
        let range = from + bare.len()..end;
        (!range.is_empty()).then(|| self.name(range, end, after, false))
    }

    fn name(&self, range: Range<usize>, end: usize, after: usize, is_escaped: bool) -> Name<'t> {
        let text = &self.text[range.clone()];
        let ahead = &self.text[..range.start];
        // Only white space, a dash of a list and a quote may stand before the first name.
        let is_first = ahead.chars().all(|c| c.is_whitespace() || "-?\"'#/".contains(c));
        let column = if is_first { range.start } else { self.content.start };
        let column = if ahead.ends_with(['"', '\'']) && is_first { column - 1 } else { column };
        Name { text, end, after, column, is_escaped }
    }

    /// Whether the value behind a separator opens a map.
    pub fn opens(&self, after: usize) -> bool {
        self.text[after..].trim_start().starts_with('{')
    }

    /// Where the value behind a separator begins.
    pub fn value_start(&self, after: usize) -> usize {
        let end = self.content.end.max(after);
        let (before, rest) = (&self.text[..after], &self.text[after..end]);
        let is_pair = before.ends_with('=') && rest.starts_with('>')
            || before.ends_with(':') && rest.starts_with('=');
        end - rest[usize::from(is_pair)..].trim_start().len()
    }

    /// Where a value begins behind the anchors and tags that YAML may have there.
    pub fn without_properties(&self, at: usize) -> usize {
        let mut at = at;
        while self.text[at..].starts_with(['&', '!'])
            && let Some(space) = self.text[at..self.content.end].find(' ')
        {
            at = self.value_start(at + space);
        }
        at
    }

    pub fn opening(&self, at: usize) -> Opening {
        let value = &self.text[at..];
        match QUOTES.iter().find(|quote| value.starts_with(**quote)) {
            Some(quote) => Opening::Quote(quote),
            None if value.starts_with(['[', '{']) => Opening::Bracket,
            None => Opening::Plain,
        }
    }

    /// Behind the quote that closes what is open at `from`.
    pub fn close_of(&self, quote: &str, from: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = from;
        while at < bytes.len() {
            let doubled = quote == "'" && self.text[at..].starts_with("''");
            if bytes[at] == b'\\' && quote.starts_with('"') || doubled {
                at += 2;
            } else if bytes[at..].starts_with(quote.as_bytes()) {
                return Some(at + quote.len());
            } else {
                at += 1;
            }
            at = (at..=bytes.len()).find(|at| self.text.is_char_boundary(*at)).unwrap_or(at);
        }
        None
    }

    /// Whether nothing of a value can follow its closing quote, which ends at `close`.
    pub fn ends_value(&self, close: usize) -> bool {
        let rest = &self.text[close..];
        let next = rest.trim_start();
        next.is_empty()
            || next.starts_with([',', '}', ']', ';'])
            || rest.len() > next.len() && next.starts_with('#')
            || next.starts_with("//")
            || next.starts_with("/*")
    }

    /// Behind the bracket that closes the last of those open at `from`.
    ///
    /// # Errors
    ///
    /// How many are open at the end of the line.
    pub fn brackets(&self, from: usize, mut depth: usize) -> Result<usize, usize> {
        let mut at = from;
        while let Some(byte) = self.text.as_bytes().get(at) {
            match byte {
                b'"' | b'\'' => {
                    let quote = if *byte == b'"' { "\"" } else { "'" };
                    match self.close_of(quote, at + 1) {
                        Some(close) => {
                            at = close;
                            continue;
                        }
                        None => return Err(depth.max(1)),
                    }
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Err(depth)
    }

    /// How many brackets are open on this line before `to`.
    pub fn open_brackets(&self, to: usize) -> usize {
        self.text[..to].bytes().fold(0, |depth, byte| match byte {
            b'[' | b'{' => depth + 1,
            b']' | b'}' => depth.saturating_sub(1),
            _ => depth,
        })
    }
}
