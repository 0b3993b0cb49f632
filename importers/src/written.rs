//! Where the keys and the scalars of a file are written; what lies between is layout.

use std::collections::HashSet;
use std::ops::Range;

use crate::place::Span;
use crate::tree::{Content, Tree};

/// Spans in order, none of them empty.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub names: Vec<Span>,
    pub scalars: Vec<Span>,
}

impl Written {
    pub fn of(tree: &Tree) -> Self {
        let mut written = Self::default();
        for node in tree.nodes() {
            match &node.content {
                Content::Map(members) => {
                    written.names.extend(members.iter().map(|member| member.name_span));
                }
                Content::Scalar(_) => written.scalars.push(node.span),
                Content::List(_) | Content::Alias(_) | Content::Nothing => {}
            }
        }
        // A key with an anchor is a node as well.
        let names: HashSet<Span> = written.names.iter().copied().collect();
        written.scalars.retain(|scalar| !names.contains(scalar));
        for spans in [&mut written.names, &mut written.scalars] {
            spans.retain(|span| span.start < span.end);
            spans.sort();
            spans.dedup();
        }
        written
    }

    /// What lies between, in a text of that many bytes.
    pub fn gaps(&self, length: usize) -> Vec<Range<usize>> {
        let mut spans: Vec<Span> = self.names.iter().chain(&self.scalars).copied().collect();
        spans.sort();
        let mut gaps = Vec::new();
        let mut end = 0;
        for span in spans {
            if span.start > end {
                gaps.push(end..span.start);
            }
            end = end.max(span.end);
        }
        gaps.push(end..length.max(end));
        gaps
    }
}
