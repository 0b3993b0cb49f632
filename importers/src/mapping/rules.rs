//! What is said of keys by patterns, found again by key.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::key::Key;
use crate::pattern::Pattern;

/// One thing a pattern, of which the most specific counts.
///
/// A pattern without wildcards comes before all others; then more names before fewer, then fewer
/// `**`; then the order of their texts, since a TOML table has no order of its own.
#[derive(Clone, Debug)]
pub(super) struct Rules<T> {
    exact: HashMap<Key, T>,
    /// The most specific first.
    patterns: Vec<(Pattern, T)>,
}

impl<T> Rules<T> {
    pub fn new(rules: impl IntoIterator<Item = (Pattern, T)>) -> Self {
        let mut exact = HashMap::new();
        let mut patterns = Vec::new();
        for (pattern, rule) in rules {
            match pattern.exact() {
                Some(key) => _ = exact.insert(key, rule),
                None => patterns.push((pattern, rule)),
            }
        }
        patterns.sort_by_cached_key(|(it, _)| (it.specificity(), it.to_string()));
        Self { exact, patterns }
    }

    /// The rule for `key`, whose segments are given too, since taking it apart costs more than
    /// all the rest.
    pub fn find(&self, key: &Key, segments: &[Cow<'_, str>]) -> Option<Found<'_, T>> {
        if let Some(rule) = self.exact.get(key) {
            return Some(Found { pattern: None, rule });
        }
        let mut patterns = self.patterns.iter();
        let (pattern, rule) = patterns.find(|(pattern, _)| pattern.matches_segments(segments))?;
        Some(Found { pattern: Some(pattern), rule })
    }

    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    pub fn exact(&self) -> impl Iterator<Item = (&Key, &T)> {
        self.exact.iter()
    }

    /// The rules with wildcards.
    pub fn patterns(&self) -> impl Iterator<Item = (&Pattern, &T)> {
        self.patterns.iter().map(|(pattern, rule)| (pattern, rule))
    }
}

/// A rule, and the pattern by which it was found unless it names its one key.
pub(super) struct Found<'r, T> {
    pub pattern: Option<&'r Pattern>,
    pub rule: &'r T,
}
