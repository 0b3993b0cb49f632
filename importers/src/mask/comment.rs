//! The comments of every format, in what lies between keys and values.

use std::ops::Range;

/// The comments in a gap. Whole lines of comments that follow each other are one, from the start
/// of the first line, so that what one line says of the next is seen.
pub(super) fn find(text: &str, gap: &Range<usize>, format: &str) -> Vec<Range<usize>> {
    let mut comments: Vec<Range<usize>> = Vec::new();
    let mut at = gap.start;
    while let Some((start, end)) = next(text, at..gap.end, format) {
        let line = text[at..start].rfind('\n').map(|line| at + line + 1).or((at == 0).then_some(0));
        let line = line.filter(|line| text[*line..start].trim().is_empty());
        let begin = line.unwrap_or(start);
        match comments.last_mut() {
            Some(last) if line.is_some() && text[last.end..begin].bytes().eq(*b"\n") => {
                last.end = end;
            }
            _ => comments.push(begin..end),
        }
        at = end;
        if format == "json" && text[at..gap.end].starts_with("*/") {
            at += 2;
        }
    }
    comments
}

/// Where the next comment starts and ends, without its line break and what closes it.
fn next(text: &str, range: Range<usize>, format: &str) -> Option<(usize, usize)> {
    let gap = &text[range.clone()];
    let line_end = |start: usize| gap[start..].find('\n').map_or(gap.len(), |at| start + at);
    let (start, end) = if format == "json" {
        let start = gap.find('/')?;
        let block = gap[start..].starts_with("/*");
        let closed = gap[start + 1..].find("*/").map(|at| start + 1 + at);
        match closed.filter(|_| block) {
            Some(close) => (start + 2, close.max(start + 2)),
            None => (start, line_end(start)),
        }
    } else {
        let marks = gap.match_indices('#').map(|(at, _)| at);
        let is_free = |at: &usize| {
            let before = text[..range.start + at].chars().next_back();
            format == "toml" || before.is_none_or(char::is_whitespace)
        };
        let start = marks.into_iter().find(is_free)?;
        (start, line_end(start))
    };
    Some((range.start + start, range.start + end))
}
