//! The texts of secrets, to be found wherever a file repeats them.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use serde_json::Value;

use crate::Entry;
use crate::secret::{self, text};

/// Whether a text is so much like a secret that wherever it is found, that is the secret.
///
/// `admin`, `postgres` and `production` are passwords too, and other settings say them by chance.
pub fn is_telling(text: &str) -> bool {
    let kinds: [fn(char) -> bool; 4] = [
        |it| it.is_lowercase(),
        |it| it.is_uppercase(),
        |it| it.is_numeric(),
        |it| !it.is_alphanumeric() && !it.is_whitespace(),
    ];
    let kinds = kinds.into_iter().filter(|kind| text.chars().any(kind)).count();
    let is_number = text.chars().all(|it| it.is_ascii_digit());
    match text.chars().count() {
        16.. => true,
        6.. => kinds > 1 || is_number,
        4.. => kinds > 2,
        _ => false,
    }
}

/// All the texts at once, so that many secrets in a large file take no longer than few.
pub(super) struct Needles {
    /// None if there are too many; then everything counts as a secret.
    all: Option<AhoCorasick>,
}

/// What may stand for a secret; the last is too short to hold a needle.
const WORDS: [&str; 3] = ["masked", "hidden", "xxx"];

impl Needles {
    /// The texts of those entries of `text` that are marked as secrets.
    pub fn of(entries: &[Entry], secrets: &[bool], text: &str) -> Self {
        let mut needles = Vec::new();
        for (entry, _) in entries.iter().zip(secrets).filter(|(_, secret)| **secret) {
            add_entry(&mut needles, entry, text);
        }
        needles.retain(|needle| is_telling(needle));
        needles.sort();
        needles.dedup();
        Self { all: AhoCorasick::new(&needles).ok() }
    }

    /// Every place where one of them is written in a text as it is.
    pub fn found_in<'t>(&'t self, text: &'t str) -> Box<dyn Iterator<Item = Range<usize>> + 't> {
        match &self.all {
            Some(all) => Box::new(all.find_overlapping_iter(text).map(|found| found.range())),
            None => Box::new(std::iter::once(0..text.len())),
        }
    }

    /// Whether a text or a number in the value holds one of them.
    pub fn are_in(&self, value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) => false,
            Value::Number(number) => self.found_in(&number.to_string()).next().is_some(),
            Value::String(text) => self.found_in(text).next().is_some(),
            Value::Array(items) => items.iter().any(|item| self.are_in(item)),
            Value::Object(members) => members.values().any(|member| self.are_in(member)),
        }
    }

    /// A word that holds none of them.
    pub fn harmless_word(&self) -> &'static str {
        let harmless = WORDS.into_iter().find(|word| self.found_in(word).next().is_none());
        harmless.unwrap_or("xxx")
    }
}

fn add_entry(needles: &mut Vec<String>, entry: &Entry, text: &str) {
    let mut secrets = secret::secrets_in(&entry.key, &entry.value.json);
    // It is a secret by configuration, or what is secret in it is only a part of a text.
    if secrets.is_empty() {
        add_scalars(&mut secrets, &entry.value.json);
    }
    if !entry.value.json.is_array() {
        let written = text.get(entry.span.start..entry.span.end).unwrap_or_default();
        secrets.push(written.trim_matches(['"', '\'']).to_owned());
    }
    for secret in secrets {
        let parts = text::passwords_in(&secret).into_iter().map(|part| secret[part].to_owned());
        needles.extend(parts);
        let lines = secret.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        needles.extend(lines.map(str::to_owned));
        let escaped = Value::from(secret.as_str()).to_string();
        needles.push(escaped[1..escaped.len() - 1].to_owned());
        needles.push(secret);
    }
}

fn add_scalars(scalars: &mut Vec<String>, value: &Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => scalars.push(number.to_string()),
        Value::String(text) => scalars.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| add_scalars(scalars, item)),
        Value::Object(members) => members.values().for_each(|it| add_scalars(scalars, it)),
    }
}
