//! One scalar with other text in its place, written so that the format takes it there.

use std::ops::Range;

use super::Edit;
use crate::place::Span;

/// The edits that put `word` in the place of a scalar; its line breaks and quotes stay.
pub(super) fn masked(text: &str, span: Span, format: &str, word: &str) -> Vec<Edit> {
    let scalar = &text[span.start..span.end];
    let replacement = match format {
        "json" => format!("\"{word}\""),
        "toml" => toml(scalar, word),
        "yaml" => yaml(scalar, word),
        _ => quoted(scalar, first_quote(scalar), word),
    };
    let tag = (format == "yaml").then(|| tag_before(text, span.start)).flatten();
    let untagged = tag.map(|tag| (tag.clone(), " ".repeat(tag.len())));
    untagged.into_iter().chain([(span.start..span.end, replacement)]).collect()
}

fn toml(scalar: &str, word: &str) -> String {
    match ["\"\"\"", "'''"].into_iter().find(|quote| scalar.starts_with(quote)) {
        Some(quote) => quoted(scalar, quote, word),
        None => format!("\"{word}\""),
    }
}

/// The lines of any style, each with its indent: of a block it is only the content.
fn yaml(scalar: &str, word: &str) -> String {
    let quote = first_quote(scalar);
    let is_quoted = scalar.len() > 1 && scalar.ends_with(quote);
    quoted(scalar, if is_quoted { quote } else { "" }, word)
}

fn first_quote(scalar: &str) -> &'static str {
    match scalar.as_bytes().first() {
        Some(b'"') => "\"",
        Some(b'\'') => "'",
        _ => "",
    }
}

/// `word` for what each line between the quotes holds.
fn quoted(scalar: &str, quote: &str, word: &str) -> String {
    let inside = &scalar[quote.len()..scalar.len() - quote.len()];
    let mut out = quote.to_owned();
    for line in inside.split_inclusive('\n') {
        let content = line.trim();
        let start = line.len() - line.trim_start().len();
        if content.is_empty() {
            out.push_str(line);
            continue;
        }
        out.push_str(&line[..start]);
        out.push_str(word);
        out.push_str(&line[start + content.len()..]);
    }
    out.push_str(quote);
    out
}

/// A tag right before a scalar, which text in its place need not fit, such as `!!int`.
fn tag_before(text: &str, start: usize) -> Option<Range<usize>> {
    let mut end = text[..start].trim_end_matches([' ', '\t']).len();
    loop {
        let begin = text[..end].rfind([' ', '\t', '\n', ',', '[', '{']).map_or(0, |at| at + 1);
        match text[begin..end].bytes().next()? {
            b'!' => return Some(begin..end),
            // An anchor may stand between.
            b'&' => end = text[..begin].trim_end_matches([' ', '\t']).len(),
            _ => return None,
        }
    }
}
