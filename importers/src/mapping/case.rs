//! The case of names: `spring_k`, `springK`, `spring-k`.
//!
//! Only names of ASCII letters, digits, `_` and `-` have one; all others are left alone.

use std::borrow::Cow;
use std::fmt;

/// How the words of a name are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Case {
    /// `spring_k`
    Snake,
    /// `springK`
    Camel,
    /// `spring-k`
    Kebab,
}

impl Case {
    pub const ALL: [Self; 3] = [Self::Snake, Self::Camel, Self::Kebab];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snake => "snake",
            Self::Camel => "camel",
            Self::Kebab => "kebab",
        }
    }

    /// The case of that name, as [`Case::as_str`] gives it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// The name in this case; as it is if it is already right, or has no case.
    ///
    /// A digit belongs to the word before it, and of a row of capitals the last begins the next
    /// word: `oauth2Token` is `oauth2_token`, `HTTPServer` is `http_server`. `_` and `-` around a
    /// name stay. Converting twice is converting once.
    pub fn convert(self, name: &str) -> Cow<'_, str> {
        let core = name.trim_matches(is_separator);
        let has_case =
            name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-');
        if !has_case || self.is_right(core) {
            return Cow::Borrowed(name);
        }
        let start = name.len() - name.trim_start_matches(is_separator).len();
        let words: Vec<&str> = words(core).collect();
        let core = match self {
            Self::Snake => words.join("_").to_ascii_lowercase(),
            Self::Kebab => words.join("-").to_ascii_lowercase(),
            Self::Camel => camel(&words),
        };
        let end = name.trim_end_matches(is_separator).len();
        Cow::Owned(format!("{}{core}{}", &name[..start], &name[end..]))
    }

    /// The case that names in this one are taken to have come from.
    ///
    /// Nobody can tell where `spring-k` came from.
    pub(super) fn origin(self) -> Option<Self> {
        match self {
            Self::Snake => Some(Self::Camel),
            Self::Camel => Some(Self::Snake),
            Self::Kebab => None,
        }
    }

    /// Whether a name without separators around it is in this case.
    fn is_right(self, core: &str) -> bool {
        let upper = |it: char| it.is_ascii_uppercase();
        match self {
            Self::Snake => !core.contains(|it| upper(it) || it == '-'),
            Self::Kebab => !core.contains(|it| upper(it) || it == '_'),
            Self::Camel => !core.starts_with(upper) && !core.contains(is_separator),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_separator(character: char) -> bool {
    matches!(character, '_' | '-')
}

fn words(core: &str) -> impl Iterator<Item = &str> {
    core.split(is_separator).filter(|part| !part.is_empty()).flat_map(humps)
}

/// The words of a name without separators.
fn humps(part: &str) -> Vec<&str> {
    let bytes = part.as_bytes();
    let mut words = Vec::new();
    let mut start = 0;
    for at in 1..bytes.len() {
        let before = bytes[at - 1];
        let ends_capitals =
            before.is_ascii_uppercase() && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        if bytes[at].is_ascii_uppercase() && (!before.is_ascii_uppercase() || ends_capitals) {
            words.push(&part[start..at]);
            start = at;
        }
    }
    words.push(&part[start..]);
    words
}

fn camel(words: &[&str]) -> String {
    let mut name = String::new();
    for (at, word) in words.iter().enumerate() {
        let mut word = word.to_ascii_lowercase();
        if at > 0 {
            word[..1].make_ascii_uppercase();
        }
        name.push_str(&word);
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_change_their_case() {
        for (snake, camel, kebab) in [
            ("spring_k", "springK", "spring-k"),
            ("oauth2_token", "oauth2Token", "oauth2-token"),
            ("max_velocity_ms", "maxVelocityMs", "max-velocity-ms"),
            ("_private_key", "_privateKey", "_private-key"),
            ("port", "port", "port"),
        ] {
            for name in [snake, camel, kebab] {
                assert_eq!(Case::Snake.convert(name), snake, "{name}");
                assert_eq!(Case::Camel.convert(name), camel, "{name}");
                assert_eq!(Case::Kebab.convert(name), kebab, "{name}");
            }
        }
    }

    #[test]
    fn rows_of_capitals_are_words() {
        let snake = |name| Case::Snake.convert(name).into_owned();

        assert_eq!(snake("HTTPServer"), "http_server");
        assert_eq!(snake("parseURL"), "parse_url");
        assert_eq!(snake("S3Bucket"), "s3_bucket");
        assert_eq!(snake("MAX_SIZE"), "max_size");
        assert_eq!(Case::Camel.convert("MAX_SIZE"), "maxSize");
        assert_eq!(Case::Camel.convert("HTTPServer"), "httpServer");
    }

    #[test]
    fn names_that_are_right_or_have_no_case_stay() {
        for name in ["aBC", "größeK", "a b_C", "a.b_C", "", "_", "2fa"] {
            assert_eq!(Case::Camel.convert(name), name);
        }
        assert_eq!(Case::Snake.convert("a__b"), "a__b");
    }

    proptest! {
        #[test]
        fn converting_twice_is_converting_once(name in "[a-cA-C1_-]{0,8}|[aBé. _]{0,5}") {
            for case in Case::ALL {
                let once = case.convert(&name).into_owned();
                prop_assert_eq!(case.convert(&once), once.as_str());
                }
        }
    }
}
