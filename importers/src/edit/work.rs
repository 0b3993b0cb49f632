//! An edit in the making: spans of the text and what takes their place, and what was refused.

use std::cell::OnceCell;
use std::ops::Range;

use super::{Edit, RefusedEdit};
use crate::Place;
use crate::place::Lines;

/// Which of the edits something is for.
pub(super) type EditId = usize;

pub(super) struct Work<'t> {
    pub text: &'t str,
    pub edits: &'t [Edit],
    /// What is said of the edit that is being made.
    pub current: EditId,
    pub splices: Vec<Splice>,
    pub refusals: Vec<RefusedEdit>,
    lines: OnceCell<Lines<'t>>,
}

/// A span of the text and what takes its place.
pub(super) struct Splice {
    pub range: Range<usize>,
    pub text: String,
    pub edit: EditId,
}

impl<'t> Work<'t> {
    pub fn new(text: &'t str, edits: &'t [Edit]) -> Self {
        let (splices, refusals) = (Vec::new(), Vec::new());
        Self { text, edits, current: 0, splices, refusals, lines: OnceCell::new() }
    }

    pub fn replace(&mut self, range: impl Into<Range<usize>>, text: impl Into<String>) {
        let (range, text) = (range.into(), text.into());
        if self.text[range.clone()] != text {
            self.splices.push(Splice { range, text, edit: self.current });
        }
    }

    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    pub fn delete(&mut self, range: Range<usize>) {
        self.replace(range, "");
    }

    /// Takes out whole lines; where the last one has no line break, the one before them goes.
    pub fn delete_lines(&mut self, lines: Range<usize>) {
        let break_before = self.text[..lines.start]
            .strip_suffix('\n')
            .map(|before| before.strip_suffix('\r').unwrap_or(before).len());
        match break_before {
            Some(start) if !self.text[lines.clone()].ends_with('\n') => {
                self.delete(start..lines.end);
            }
            _ => self.delete(lines),
        }
    }

    /// Puts lines, each with its line break, where a line starts or the text ends.
    pub fn insert_lines(&mut self, at: usize, lines: &str) {
        let unbroken = at == self.text.len() && !self.text.is_empty() && !self.text.ends_with('\n');
        if !unbroken {
            return self.insert(at, lines);
        }
        let line_break = self.line_break();
        let lines = lines.strip_suffix(line_break).unwrap_or(lines);
        self.insert(at, format!("{line_break}{lines}"));
    }

    /// Says of the current edit why it cannot be made.
    pub fn refuse(&mut self, at: usize, reason: impl Into<String>) {
        let place = self.place(at);
        self.refuse_edit(self.current, place, reason);
    }

    pub fn refuse_edit(&mut self, edit: EditId, place: Place, reason: impl Into<String>) {
        let key = self.edits[edit].key.clone();
        self.refusals.push(RefusedEdit { key, place, reason: reason.into() });
    }

    pub fn place(&self, at: usize) -> Place {
        self.lines.get_or_init(|| Lines::new(self.text)).place(at)
    }

    /// The text with all splices made; none if two of them are about the same bytes.
    pub fn applied(&mut self) -> Option<String> {
        // Stable: of two insertions at one place the one that was made first comes first.
        self.splices.sort_by_key(|it| (it.range.start, !it.range.is_empty()));
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        let mut deleted = false;
        let mut clash = None;
        for splice in &self.splices {
            let Range { start, end } = splice.range;
            if start < at && !(deleted && (splice.text.is_empty() || end == at && start == at)) {
                clash = Some((splice.edit, start));
                break;
            }
            out.push_str(&self.text[at.min(start.max(at))..start.max(at)]);
            out.push_str(&splice.text);
            deleted = splice.text.is_empty();
            at = at.max(end);
        }
        if let Some((edit, start)) = clash {
            let place = self.place(start);
            self.refuse_edit(edit, place, "another edit changes the same text; make one at a time");
            return None;
        }
        out.push_str(&self.text[at..]);
        Some(out)
    }

    pub fn into_refusals(self) -> Vec<RefusedEdit> {
        self.refusals
    }

    /// Where the line that `at` stands in starts.
    pub fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |at| at + 1)
    }

    /// Where the line after that of `at` starts, or the text ends.
    pub fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |found| at + found + 1)
    }

    /// Where the line of `at` ends, before its line break.
    pub fn content_end(&self, at: usize) -> usize {
        let end = self.line_end(at);
        let line = self.text[at..end].strip_suffix('\n').unwrap_or(&self.text[at..end]);
        at + line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// The white space that the line of `at` starts with, if nothing else is before `at`.
    pub fn indent_before(&self, at: usize) -> Option<&'t str> {
        let before = &self.text[self.line_start(at)..at];
        before.chars().all(|c| matches!(c, ' ' | '\t')).then_some(before)
    }

    /// How the lines of this file end.
    pub fn line_break(&self) -> &'static str {
        match self.text.find('\n') {
            Some(at) if self.text[..at].ends_with('\r') => "\r\n",
            _ => "\n",
        }
    }
}
