//! YAML 1.2, as <https://yaml.org/spec/1.2.2/> defines it, with the core schema.
//!
//! Merge keys are those of <https://yaml.org/type/merge.html>. One document a file; no tags
//! but those of the core schema.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};

use crate::fault::Fault;
use crate::key::MAX_KEY_BYTES;
use crate::place::{Lines, Place, Span};
use crate::recover::{self, Attempt};
use crate::resolve;
use crate::tree::{Content, Member, NodeId, Scalar, Tree};
use crate::{Importer, Limits, Note, Reading};

pub(crate) mod schema;

pub(crate) struct Yaml;

impl Importer for Yaml {
    fn name(&self) -> &'static str {
        "yaml"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["yaml", "yml"]
    }

    fn read(&self, text: &str, limits: &Limits) -> Reading {
        recover::read(text, line_and_block, |text| attempt(text, limits))
    }
}

/// A line and the lines below it that are indented more, which cannot be read without it.
fn line_and_block(text: &str, offset: usize) -> Option<Range<usize>> {
    let mut lines = recover::line_around(text, offset);
    let indent = |line: &str| line.find(|c: char| !c.is_ascii_whitespace());
    let own = indent(&text[lines.clone()])?;
    while lines.end < text.len() {
        let next = recover::line_around(text, lines.end);
        if indent(&text[next.clone()]).is_some_and(|indent| indent <= own) {
            break;
        }
        lines.end = next.end;
    }
    Some(lines)
}

/// The tree of a text that has no faults.
pub(crate) fn tree<'a>(text: &'a str, limits: &Limits) -> Tree<'a> {
    let lines = Lines::new(text);
    let (build, _) = parse(text, &lines, limits);
    build.tree
}

fn attempt(text: &str, limits: &Limits) -> Attempt {
    let lines = Lines::new(text);
    let (build, stopped) = parse(text, &lines, limits);
    if let Some(error) = stopped {
        return build.stopped(&error);
    }
    let Build { tree, mut reading, .. } = build;
    resolve::into(&mut reading, &tree, &lines, limits);
    Attempt { reading, syntax: None }
}

/// What the parser's events make, and the error that ended them early.
fn parse<'a, 'l>(
    text: &'a str,
    lines: &'l Lines<'a>,
    limits: &'l Limits,
) -> (Build<'a, 'l>, Option<ScanError>) {
    let mut build = Build::new(text, lines, limits);
    let options = granit_parser::options! {
        emit_unresolved_aliases: true,
        emit_comments: false,
        // YAML stops at 1024 characters, without saying that it is the key that is too long.
        simple_key_max_lookahead: 16 * MAX_KEY_BYTES,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                let tag_span = span.tag_span().and_then(|span| span.byte_range()).map(Span::from);
                let span = Span::from(span.byte_range().unwrap_or_default());
                if build.event(event, span, tag_span).is_break() {
                    break;
                }
            }
            Err(error) => return (build, Some(error)),
        }
    }
    (build, None)
}

/// Makes a tree of the parser's events, without recursion.
struct Build<'a, 'l> {
    text: &'a str,
    lines: &'l Lines<'a>,
    limits: &'l Limits,
    tree: Tree<'a>,
    reading: Reading,
    /// The maps and lists that are open, from the outermost.
    open: Vec<Open<'a>>,
    /// How many maps and lists are open that are left out because they are too deep.
    too_deep: usize,
    anchors: HashMap<usize, NodeId>,
    documents: usize,
    /// The end of the last event.
    at: usize,
}

struct Open<'a> {
    id: NodeId,
    holds: Holds<'a>,
}

enum Holds<'a> {
    Items(Vec<NodeId>),
    /// Members so far, and the key that waits for its value.
    Members(Vec<Member<'a>>, Option<Name<'a>>),
}

/// A key; no text if it cannot be one.
struct Name<'a> {
    text: Option<Cow<'a, str>>,
    span: Span,
    merge: bool,
}

impl<'a, 'l> Build<'a, 'l> {
    fn new(text: &'a str, lines: &'l Lines<'a>, limits: &'l Limits) -> Self {
        Self {
            text,
            lines,
            limits,
            tree: Tree::default(),
            reading: Reading::default(),
            open: Vec::new(),
            too_deep: 0,
            anchors: HashMap::new(),
            documents: 0,
            at: 0,
        }
    }

    fn event(
        &mut self,
        event: Event<'a>,
        span: Span,
        tag_span: Option<Span>,
    ) -> std::ops::ControlFlow<()> {
        self.at = self.at.max(span.end);
        match event {
            Event::DocumentStart(_, version) => {
                self.documents += 1;
                if let Some(version) = version.filter(|it| (it.major, it.minor) < (1, 2)) {
                    let message =
                        format!("read as YAML 1.2, not {}.{}", version.major, version.minor);
                    self.reading.notes.push(Note { message, place: Place::START });
                }
                if self.documents > 1 {
                    self.fault(span, "a second document; put it into a file of its own");
                    return std::ops::ControlFlow::Break(());
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref(), span, tag_span.unwrap_or(span));
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", tag_span.unwrap_or(span));
                self.start(span, anchor, Holds::Items(Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", tag_span.unwrap_or(span));
                self.start(span, anchor, Holds::Members(Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::UnresolvedAlias(name) if self.too_deep == 0 => {
                let message = format!("no `&{name}` before this alias");
                self.reading.faults.push(Fault::relative(span, message));
                self.place(span, Content::Nothing, 0);
            }
            _ => {}
        }
        std::ops::ControlFlow::Continue(())
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
        tag_span: Span,
    ) {
        if self.too_deep > 0 {
            return;
        }
        let plain = style == ScalarStyle::Plain;
        // The parser gives `~` for a node that is not written.
        let text = if plain && span.start == span.end { Cow::Borrowed("") } else { text };
        let is_key = self.expects_key();
        if is_key {
            let merge = plain && tag.is_none() && text == "<<";
            self.name(Name { text: Some(text.clone()), span, merge });
            if anchor == 0 && tag.is_none() {
                return;
            }
        } else if plain
            && tag.is_none()
            && let Some(message) = schema::yaml_1_1(&text)
        {
            self.reading.notes.push(Note { message, place: self.lines.place(span.start) });
        }
        let content = match schema::scalar(text, plain, tag) {
            Ok(scalar) => Content::Scalar(scalar),
            Err(schema::Wrong::Tag(message)) => {
                self.fault(tag_span, message);
                Content::Nothing
            }
            Err(schema::Wrong::Value(_)) if is_key => Content::Nothing,
            Err(schema::Wrong::Value(message)) => {
                self.fault(span, message);
                Content::Nothing
            }
        };
        if is_key {
            let id = self.tree.add(span, content);
            self.anchor(anchor, id);
        } else {
            let id = self.place(span, content, anchor);
            if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                self.tree.block_scalars.push(id);
            }
        }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, own: &str, span: Span) {
        if self.too_deep == 0
            && let Some(tag) = tag
            && let Err(message) = schema::check_collection(tag, own)
        {
            self.fault(span, message);
        }
    }

    fn start(&mut self, span: Span, anchor: usize, holds: Holds<'a>) {
        if self.too_deep > 0 {
            self.too_deep += 1;
            return;
        }
        let id = self.tree.add(span, Content::Nothing);
        if self.open.len() >= self.limits.depth {
            self.fault(span, resolve::too_deep(self.limits));
            self.too_deep = 1;
            self.attach(id);
            return;
        }
        self.anchor(anchor, id);
        self.open.push(Open { id, holds });
    }

    fn end(&mut self, span: Span) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        let Some(Open { id, holds }) = self.open.pop() else { return };
        let node = self.tree.get_mut(id);
        node.span.end = span.end.max(node.span.start);
        node.content = match holds {
            Holds::Items(items) => Content::List(items),
            Holds::Members(members, _) => Content::Map(members),
        };
        self.attach(id);
    }

    fn alias(&mut self, anchor: usize, span: Span) {
        if self.too_deep > 0 {
            return;
        }
        let target = self.anchors.get(&anchor).copied();
        if let Some(target) = target
            && self.open.iter().any(|open| open.id == target)
        {
            self.fault(span, "this alias stands inside what it stands for");
            self.place(span, Content::Nothing, 0);
            return;
        }
        // An anchor that is not there was left out with a fault of its own.
        let Some(target) = target else {
            self.place(span, Content::Nothing, 0);
            return;
        };
        if !self.expects_key() {
            self.place(span, Content::Alias(target), 0);
            return;
        }
        let node = self.tree.get(target);
        let text = match &node.content {
            Content::Scalar(Scalar::Text(text)) => Some(text.clone()),
            Content::Scalar(_) => Some(Cow::Borrowed(&self.text[node.span.start..node.span.end])),
            _ => None,
        };
        if text.is_none() {
            self.fault(span, COLLECTION_AS_KEY);
        }
        self.name(Name { text, span, merge: false });
    }

    /// Adds a complete node where the events have come to.
    fn place(&mut self, span: Span, content: Content<'a>, anchor: usize) -> NodeId {
        let id = self.tree.add(span, content);
        self.anchor(anchor, id);
        self.attach(id);
        id
    }

    /// Remembers a node's anchor, which is 0 if it has none.
    fn anchor(&mut self, anchor: usize, id: NodeId) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
    }

    fn attach(&mut self, id: NodeId) {
        let span = self.tree.get(id).span;
        match self.open.last_mut().map(|open| &mut open.holds) {
            None => {
                let missing = matches!(self.tree.get(id).content, Content::Scalar(Scalar::Null));
                if !(missing && span.start == span.end) {
                    self.tree.root = Some(id);
                }
            }
            Some(Holds::Items(items)) => items.push(id),
            Some(Holds::Members(members, waiting @ Some(_))) => {
                if let Some(Name { text: Some(name), span, merge }) = waiting.take() {
                    members.push(Member { name, name_span: span, value: id, merge });
                }
            }
            Some(Holds::Members(_, waiting @ None)) => {
                *waiting = Some(Name { text: None, span, merge: false });
                if !matches!(self.tree.get(id).content, Content::Nothing) {
                    self.fault(span, COLLECTION_AS_KEY);
                }
            }
        }
    }

    fn name(&mut self, name: Name<'a>) {
        if let Some(Open { holds: Holds::Members(_, waiting), .. }) = self.open.last_mut() {
            *waiting = Some(name);
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { holds: Holds::Members(_, None), .. }))
    }

    fn fault(&mut self, span: Span, message: impl Into<String>) {
        self.reading.faults.push(Fault::new(span, message));
    }

    /// The round ended at a syntax error: what was read so far, and where it stands.
    fn stopped(self, error: &ScanError) -> Attempt {
        let Self { text, limits, mut reading, .. } = self;
        let mut at = error.marker().byte_offset().unwrap_or_default().min(text.len());
        let message = match error.kind() {
            ErrorKind::RecursionLimitExceeded => {
                reading.faults.retain(|fault| fault.message != resolve::too_deep(limits));
                resolve::too_deep(limits)
            }
            ErrorKind::TabInPlainScalar => {
                at += text[at..].find('\t').unwrap_or_default();
                "a tab cannot indent; use spaces".to_owned()
            }
            ErrorKind::MappingValueNotAllowed => {
                "no `key: value` can stand here; is it indented too far?".to_owned()
            }
            ErrorKind::ExpectedBlockMappingKey => {
                "this line belongs to no map above; is it indented wrongly?".to_owned()
            }
            ErrorKind::UnclosedQuotedScalar
            | ErrorKind::InvalidQuotedScalarIndent
            | ErrorKind::DocumentIndicatorInQuotedScalar => {
                at = open_quote(text, self.at.min(at)..at).unwrap_or(at);
                "this quote does not close, or text inside it is not indented".to_owned()
            }
            kind => recover::lower_case(&kind.to_string()),
        };
        Attempt { reading, syntax: Some(Fault::new(word_at(text, at), message)) }
    }
}

const COLLECTION_AS_KEY: &str = "a map or list cannot be a key; name the setting by text";

/// The first quote in the range that is in no comment.
fn open_quote(text: &str, range: Range<usize>) -> Option<usize> {
    let mut comment = false;
    let (at, _) = text.get(range.clone())?.char_indices().find(|(_, c)| {
        comment = *c == '#' || comment && *c != '\n';
        !comment && matches!(c, '"' | '\'')
    })?;
    Some(range.start + at)
}

/// The word that starts at `at`, or one character.
fn word_at(text: &str, at: usize) -> Range<usize> {
    let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let rest = &text[at..];
    let word = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'));
    let one = rest.chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
    at..at + word.unwrap_or(rest.len()).max(one)
}

#[cfg(test)]
mod tests;
