//! Items and commas between two brackets: some are taken out, some are put in.

use std::collections::HashSet;
use std::ops::Range;

use super::flow::Notation;
use super::work::Work;

/// A list or map in brackets, and where everything in it stands.
pub(super) struct Brackets<'n> {
    notation: &'n dyn Notation,
    open: usize,
    close: usize,
    items: Vec<Item>,
}

struct Item {
    range: Range<usize>,
    /// The comma after it.
    comma: Option<usize>,
}

impl<'n> Brackets<'n> {
    /// `span` is from bracket to bracket; `ends` tells where each item ends.
    pub fn new(text: &str, span: Range<usize>, ends: &[usize], notation: &'n dyn Notation) -> Self {
        let close = span.end - 1;
        let mut at = span.start + 1;
        let mut items = Vec::with_capacity(ends.len());
        for end in ends {
            let start = skip(text, at, close, notation);
            let after = skip(text, (*end).max(start), close, notation);
            let comma = text[after..close].starts_with(',').then_some(after);
            items.push(Item { range: start..(*end).max(start), comma });
            at = comma.map_or(after, |comma| comma + 1);
        }
        Self { notation, open: span.start, close, items }
    }

    /// Takes items out and puts new ones in, each before an old item or after the last.
    pub fn rework(&self, work: &mut Work, removed: &HashSet<usize>, added: &[(usize, String)]) {
        let count = self.items.len();
        let last_kept = (0..count).rev().find(|at| !removed.contains(at));
        let appended: Vec<&str> =
            added.iter().filter(|it| it.0 >= count).map(|it| it.1.as_str()).collect();
        for (before, text) in added.iter().filter(|it| it.0 < count) {
            self.insert_before(work, *before, text);
        }
        let Some(last_kept) = last_kept else {
            let whole = match (self.items.first(), self.items.last()) {
                (Some(first), Some(last)) => first.range.start..self.end_of(last),
                _ => self.open + 1..self.open + 1,
            };
            return work.replace(whole, appended.join(", "));
        };
        for at in removed {
            self.remove(work, *at, *at > last_kept);
        }
        let trailing = self.items[count - 1].comma.is_some();
        let last = &self.items[last_kept];
        if appended.is_empty() {
            if last_kept + 1 < count && !trailing {
                let comma = last.comma.expect("an item stands after this one");
                work.delete(comma..comma + 1);
            }
            return;
        }
        self.append(work, last, trailing, &appended);
    }

    fn append(&self, work: &mut Work, last: &Item, trailing: bool, added: &[&str]) {
        let after = self.end_of(last);
        let own_line = work.indent_before(last.range.start).filter(|_| {
            self.open < work.line_start(last.range.start) && self.ends_line(work, after)
        });
        let Some(indent) = own_line else {
            let gap = self.gap(work);
            let comma = if last.comma.is_some() { gap.to_owned() } else { format!(",{gap}") };
            let end = if trailing { "," } else { "" };
            return work.insert(after, format!("{comma}{}{end}", added.join(&format!(",{gap}"))));
        };
        if last.comma.is_none() {
            work.insert(last.range.end, ",");
        }
        let line_break = work.line_break();
        let lines = added.join(&format!(",{line_break}{indent}"));
        let end = if trailing { "," } else { "" };
        let at = work.content_end(after);
        work.insert(at, format!("{line_break}{indent}{lines}{end}"));
    }

    /// Whether nothing, or only a comment, stands between `at` and the end of its line.
    fn ends_line(&self, work: &Work, at: usize) -> bool {
        let rest = &work.text[at..work.content_end(at)];
        let start = at + rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let blank = rest.trim().is_empty();
        let comment = || self.notation.comment_end(work.text, start);
        work.line_end(at) <= self.close
            && (blank || comment().is_some_and(|end| end >= work.content_end(at)))
    }

    fn insert_before(&self, work: &mut Work, before: usize, text: &str) {
        let start = self.items[before].range.start;
        match work.indent_before(start) {
            Some(indent) => work.insert(start, format!("{text},{}{indent}", work.line_break())),
            None => work.insert(start, format!("{text},{}", self.gap(work))),
        }
    }

    fn remove(&self, work: &mut Work, at: usize, in_tail: bool) {
        let item = &self.items[at];
        let end = self.end_of(item);
        let line_start = work.line_start(item.range.start);
        let own_lines = work.indent_before(item.range.start).is_some() && line_start > self.open;
        if own_lines && self.ends_line(work, end) {
            return work.delete(line_start..work.line_end(end));
        }
        if in_tail {
            let previous = self.end_of(&self.items[at - 1]);
            let gap = &work.text[previous..item.range.start];
            let start = if gap.trim().is_empty() { previous } else { item.range.start };
            return work.delete(start..end);
        }
        let next = &self.items[at + 1];
        let gap = &work.text[end..next.range.start];
        // White space before a comment is what makes it one.
        let blank = if gap.trim().is_empty() { gap.trim_start_matches([' ', '\t']) } else { gap };
        let spaces = gap.len() - blank.len();
        work.delete(item.range.start..end + spaces);
    }

    /// With its comma.
    fn end_of(&self, item: &Item) -> usize {
        item.comma.map_or(item.range.end, |comma| comma + 1)
    }

    /// What stands between a comma and the next item.
    fn gap(&self, work: &Work) -> &'static str {
        let gap = self.items.windows(2).find_map(|pair| {
            let comma = pair[0].comma?;
            Some(&work.text[comma + 1..pair[1].range.start])
        });
        let minified = gap.map_or_else(|| self.is_minified(work), str::is_empty);
        if minified { "" } else { " " }
    }

    /// Whether the one key in it has no white space around it.
    fn is_minified(&self, work: &Work) -> bool {
        let text = &work.text[self.open..self.close];
        !text.contains([' ', '\n']) && text.contains(self.notation.colon().trim())
    }
}

/// The next place that is no white space and no comment.
fn skip(text: &str, mut at: usize, end: usize, notation: &dyn Notation) -> usize {
    while at < end {
        if let Some(after) = notation.comment_end(text, at) {
            at = after;
            continue;
        }
        match text[at..].chars().next() {
            Some(c) if c.is_whitespace() => at += c.len_utf8(),
            _ => break,
        }
    }
    at.min(end)
}
