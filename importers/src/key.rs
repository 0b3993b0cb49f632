//! The name of a setting: dotted segments, quoted as in TOML where they must be.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest key, in bytes of its text: what a PostgreSQL index row holds with room to spare.
pub const MAX_KEY_BYTES: usize = 1024;

/// Path of a setting, such as `hosts."a.b".port`.
///
/// Always in canonical text: a segment made of `A-Za-z0-9_-` is bare, any other is a TOML
/// basic string, so two keys are the same path exactly if their texts are equal.
/// See <https://toml.io/en/v1.0.0#keys>.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// Why a text is no key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    #[error("a key needs at least one segment")]
    Empty,
    #[error("segment {position} of `{key}` is empty; write \"\" if that is its name")]
    EmptySegment { key: String, position: usize },
    #[error("segment {position} of `{key}` has {found:?}; put the segment in double quotes")]
    NeedsQuotes { key: String, position: usize, found: char },
    #[error("the quotes of segment {position} of `{key}` do not close, or text follows them")]
    Unclosed { key: String, position: usize },
    #[error("segment {position} of `{key}` has an escape that TOML does not know")]
    UnknownEscape { key: String, position: usize },
    #[error("a key of {bytes} bytes is too long; the limit is {MAX_KEY_BYTES}")]
    TooLong { bytes: usize },
}

impl Key {
    /// Reads a key as a person writes it: bare, `"basic"` and `'literal'` segments.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with the position of the segment, counted from 1.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut segments = Vec::new();
        let mut rest = text;
        loop {
            let (segment, after) = read_segment(text, rest, segments.len() + 1)?;
            segments.push(segment);
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None => return Self::from_segments(&segments),
            }
        }
    }

    /// The key whose segments these are, unquoted.
    ///
    /// # Errors
    ///
    /// [`KeyError::Empty`] without a segment, [`KeyError::TooLong`] over [`MAX_KEY_BYTES`].
    pub fn from_segments<S: AsRef<str>>(
        segments: impl IntoIterator<Item = S>,
    ) -> Result<Self, KeyError> {
        let mut text = String::new();
        for segment in segments {
            if !text.is_empty() {
                text.push('.');
            }
            push_segment(&mut text, segment.as_ref());
        }
        Self::checked(text)
    }

    /// The key of `segment` below this one.
    ///
    /// # Errors
    ///
    /// [`KeyError::TooLong`] over [`MAX_KEY_BYTES`].
    pub fn child(&self, segment: &str) -> Result<Self, KeyError> {
        let mut text = String::with_capacity(self.0.len() + segment.len() + 3);
        text.push_str(&self.0);
        text.push('.');
        push_segment(&mut text, segment);
        Self::checked(text)
    }

    /// The same path below `prefix`.
    ///
    /// # Errors
    ///
    /// [`KeyError::TooLong`] over [`MAX_KEY_BYTES`].
    pub fn below(&self, prefix: &Self) -> Result<Self, KeyError> {
        Self::checked(format!("{prefix}.{self}"))
    }

    /// The path below `prefix`, if this one lies below it: the way back from [`Key::below`].
    pub fn inside(&self, prefix: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(prefix.as_str())?.strip_prefix('.')?;
        Some(Self(rest.to_owned()))
    }

    /// The same path with `to` in place of `from`, if it starts with `from`.
    ///
    /// # Errors
    ///
    /// [`KeyError::TooLong`] over [`MAX_KEY_BYTES`].
    pub fn moved(&self, from: &Self, to: &Self) -> Result<Option<Self>, KeyError> {
        if !self.starts_with(from) {
            return Ok(None);
        }
        let rest = &self.0[from.0.len()..];
        Self::checked(format!("{to}{rest}")).map(Some)
    }

    fn checked(text: String) -> Result<Self, KeyError> {
        match text.len() {
            0 => Err(KeyError::Empty),
            bytes if bytes > MAX_KEY_BYTES => Err(KeyError::TooLong { bytes }),
            _ => Ok(Self(text)),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, unquoted.
    pub fn segments(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let mut rest = Some(self.0.as_str());
        std::iter::from_fn(move || {
            let text = rest?;
            let (segment, after) =
                read_segment(text, text, 1).expect("a key is in canonical text by construction");
            rest = after.strip_prefix('.');
            Some(segment)
        })
    }

    /// Whether `prefix` is this key or one of the maps it lies in.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Every map this key lies in, from the nearest to the outermost.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        let mut quoted = false;
        let mut escaped = false;
        let mut dots = Vec::new();
        for (at, character) in self.0.char_indices() {
            match character {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '.' if !quoted => dots.push(at),
                _ => {}
            }
        }
        dots.into_iter().rev().map(|at| &self.0[..at])
    }
}

fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// Adds a segment in canonical text: bare, or a TOML basic string.
pub(crate) fn push_segment(text: &mut String, segment: &str) {
    if !segment.is_empty() && segment.chars().all(is_bare) {
        text.push_str(segment);
        return;
    }
    text.push('"');
    for character in segment.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => text.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Splits the first segment off `rest`; `key` and `position` are for the error.
pub(crate) fn read_segment<'a>(
    key: &str,
    rest: &'a str,
    position: usize,
) -> Result<(Cow<'a, str>, &'a str), KeyError> {
    let unclosed = || KeyError::Unclosed { key: key.to_owned(), position };
    let (segment, after) = match rest.chars().next() {
        Some('\'') => {
            let end = rest[1..].find('\'').ok_or_else(unclosed)? + 1;
            (Cow::Borrowed(&rest[1..end]), &rest[end + 1..])
        }
        Some('"') => read_basic_string(key, rest, position)?,
        _ => {
            let end = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
            match rest[end..].chars().next() {
                Some(found) if found != '.' => {
                    return Err(KeyError::NeedsQuotes { key: key.to_owned(), position, found });
                }
                _ if end == 0 && key.is_empty() => return Err(KeyError::Empty),
                _ if end == 0 => {
                    return Err(KeyError::EmptySegment { key: key.to_owned(), position });
                }
                _ => (Cow::Borrowed(&rest[..end]), &rest[end..]),
            }
        }
    };
    if after.is_empty() || after.starts_with('.') {
        return Ok((segment, after));
    }
    Err(unclosed())
}

fn read_basic_string<'a>(
    key: &str,
    rest: &'a str,
    position: usize,
) -> Result<(Cow<'a, str>, &'a str), KeyError> {
    let unknown = || KeyError::UnknownEscape { key: key.to_owned(), position };
    let mut text = String::new();
    let mut characters = rest[1..].char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((Cow::Owned(text), &rest[at + 2..])),
            '\\' => {
                let (_, escape) = characters.next().ok_or_else(unknown)?;
                let digits = match escape {
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                let code = (0..digits).try_fold(0_u32, |code, _| {
                    let digit = characters.next().and_then(|(_, c)| c.to_digit(16));
                    digit.map(|digit| code << 4 | digit).ok_or_else(unknown)
                })?;
                text.push(match escape {
                    'b' => '\u{8}',
                    't' => '\t',
                    'n' => '\n',
                    'f' => '\u{c}',
                    'r' => '\r',
                    '"' | '\\' => escape,
                    'u' | 'U' => char::from_u32(code).ok_or_else(unknown)?,
                    _ => return Err(unknown()),
                });
            }
            other => text.push(other),
        }
    }
    Err(KeyError::Unclosed { key: key.to_owned(), position })
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sound because a key compares and hashes as its text.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::parse(&text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_only_what_toml_would_quote() {
        let key = Key::from_segments(["hosts", "a.b", "port"]).unwrap();

        assert_eq!(key.as_str(), r#"hosts."a.b".port"#);
        assert_eq!(key.ancestors().collect::<Vec<_>>(), [r#"hosts."a.b""#, "hosts"]);
    }

    #[test]
    fn says_which_segment_is_wrong() {
        assert_eq!(
            Key::parse("a..b").unwrap_err().to_string(),
            "segment 2 of `a..b` is empty; write \"\" if that is its name"
        );
        assert_eq!(
            Key::parse("a b").unwrap_err().to_string(),
            "segment 1 of `a b` has ' '; put the segment in double quotes"
        );
        assert_eq!(Key::parse(""), Err(KeyError::Empty));
        assert!(matches!(Key::parse("\"a"), Err(KeyError::Unclosed { .. })));
        assert!(matches!(Key::parse("\"a\"b"), Err(KeyError::Unclosed { .. })));
        assert!(matches!(Key::parse(r#""\q""#), Err(KeyError::UnknownEscape { .. })));
        assert!(matches!(Key::parse(&"a".repeat(1025)), Err(KeyError::TooLong { .. })));
    }

    #[test]
    fn a_literal_segment_is_the_same_key_as_its_basic_form() {
        assert_eq!(Key::parse("a.'b.c'"), Key::parse(r#"a."b.c""#));
    }

    #[test]
    fn a_key_moves_with_whole_segments_only() {
        let key = |text| Key::parse(text).unwrap();
        let moved = |text| key(text).moved(&key("old.a"), &key("new")).unwrap();

        assert_eq!(moved("old.a.b"), Some(key("new.b")));
        assert_eq!(moved("old.a"), Some(key("new")));
        assert_eq!(moved("old.ab"), None);
        assert_eq!(key("desk.a").inside(&key("desk")), Some(key("a")));
        assert_eq!(key("desk").inside(&key("desk")), None);
    }

    proptest! {
        #[test]
        fn any_segments_survive_the_text(segments in prop::collection::vec(any::<String>(), 1..4)) {
            let Ok(key) = Key::from_segments(&segments) else { return Ok(()) };

            let read = Key::parse(key.as_str()).unwrap();

            prop_assert_eq!(read.segments().collect::<Vec<_>>(), segments);
            prop_assert_eq!(read, key);
        }
    }
}
