//! Files of environment variables: every value is text.

use std::collections::HashMap;

use serde_json::Value;

use super::meant::{Meant, State};
use super::work::Work;
use crate::dotenv;
use crate::tree::{Content, Member, Tree};

pub(super) fn plan(work: &mut Work, meant: &Meant) {
    let tree = dotenv::tree(work.text);
    let members = match tree.root.map(|root| &tree.get(root).content) {
        Some(Content::Map(members)) => members.as_slice(),
        _ => &[],
    };
    let by_name: HashMap<&str, &Member> = members.iter().map(|it| (&*it.name, it)).collect();
    for wish in &meant.wish.below {
        work.current = wish.edit;
        let member = by_name.get(wish.name.as_str());
        let at = member.map_or(0, |it| it.name_span.start);
        let text = match &wish.state {
            State::Leaf { new, .. } => match &new.json {
                Value::String(text) => Some(text),
                Value::Null => {
                    work.refuse(at, "a variable cannot be null; take it out, or set it to a text");
                    continue;
                }
                _ => {
                    work.refuse(at, "a variable is one text, and no list or map");
                    continue;
                }
            },
            State::Gone => None,
            State::Map => {
                work.refuse(
                    at,
                    "a variable's name is one segment of a key, with no dots outside quotes",
                );
                continue;
            }
        };
        match (text, member) {
            (Some(text), Some(member)) => change(work, &tree, member, text),
            (Some(text), None) => add(work, &tree, members, &wish.name, text),
            (None, Some(member)) => {
                let end = tree.get(member.value).span.end;
                work.delete_lines(work.line_start(at)..work.line_end(end));
            }
            (None, None) => {}
        }
    }
}

fn change(work: &mut Work, tree: &Tree, member: &Member, text: &str) {
    let span = tree.get(member.value).span;
    let old = &work.text[span.start..span.end];
    if !old.is_empty() {
        return work.replace(span.start..span.end, restyled(old, text));
    }
    // White space before a comment is what makes it one.
    let before = &work.text[..span.start];
    work.insert(before.trim_end_matches([' ', '\t']).len(), plain(text));
}

fn add(work: &mut Work, tree: &Tree, members: &[Member], name: &str, text: &str) {
    if !dotenv::is_name(name) {
        let reason = "no name of a variable; it is a letter or `_`, then letters, digits and `_.-`";
        return work.refuse(0, reason);
    }
    let last = members.last();
    let at = last.map_or(work.text.len(), |it| work.line_end(tree.get(it.value).span.end));
    let exported = last.is_some_and(|it| {
        work.text[work.line_start(it.name_span.start)..].trim_start().starts_with("export")
            && work.indent_before(it.name_span.start).is_none()
    });
    let export = if exported { "export " } else { "" };
    work.insert_lines(at, &format!("{export}{name}={}{}", plain(text), work.line_break()));
}

/// The text in the quotes of `old`, if it can stand in them.
fn restyled(old: &str, text: &str) -> String {
    match old.chars().next() {
        Some('\'') if !text.contains(['\'', '\r']) => format!("'{text}'"),
        Some('"') => double(text, !has_variable(old)),
        Some('\'') => double(text, true),
        _ if fits_unquoted(text) && (is_safe(text) || !is_safe(old)) => text.to_owned(),
        _ => plain(text),
    }
}

/// The text with as few quotes as it needs, also in a shell.
fn plain(text: &str) -> String {
    if text.is_empty() || is_safe(text) {
        text.to_owned()
    } else if !text.contains(['\'', '\r', '\n']) {
        format!("'{text}'")
    } else {
        double(text, true)
    }
}

fn is_safe(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c))
}

/// Whether an unquoted value can be this text.
fn fits_unquoted(text: &str) -> bool {
    text.trim() == text
        && !text.starts_with(['"', '\'', '#'])
        && !text.contains(['\n', '\r'])
        && !text.contains(" #")
        && !text.contains("\t#")
}

/// `dollars` says whether a `$` is kept from being read as a variable.
fn double(text: &str, dollars: bool) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '$' if dollars => out.push_str("\\$"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Whether another reader may put a variable into this double-quoted text.
fn has_variable(quoted: &str) -> bool {
    quoted.match_indices('$').any(|(at, _)| !quoted[..at].ends_with('\\'))
}
