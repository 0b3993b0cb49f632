//! Which tables a TOML file has, and which lines of it belong to them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use toml_parser::decoder::Encoding;
use toml_parser::parser::{Event, EventKind, parse_document};
use toml_parser::{Source, Span};

use crate::Key;

/// The file from its top to its first header, and from each header to the next one.
pub(super) struct Outline {
    pub sections: Vec<Section>,
    /// The place of each `key = value` that is in no array of tables: section and statement.
    statements: HashMap<String, (usize, usize)>,
    headers: HashMap<String, usize>,
    arrays: HashSet<String>,
}

pub(super) struct Section {
    /// The segments of the table; none at the top of the file.
    pub path: Vec<String>,
    /// From bracket to bracket.
    pub header: Range<usize>,
    pub statements: Vec<Statement>,
    /// Whether it is `[[…]]`.
    array: bool,
}

pub(super) struct Statement {
    /// The segments left of the `=`.
    pub path: Vec<String>,
    pub start: usize,
    pub end: usize,
}

impl Outline {
    pub fn of(text: &str) -> Self {
        let sections = sections(text);
        let arrays: HashSet<String> =
            sections.iter().filter(|it| it.array).map(|it| key(&it.path)).collect();
        let mut outline =
            Self { sections, statements: HashMap::new(), headers: HashMap::new(), arrays };
        for (at, section) in outline.sections.iter().enumerate() {
            if outline.in_array(&section.path) {
                continue;
            }
            outline.headers.insert(key(&section.path), at);
            for (statement, it) in section.statements.iter().enumerate() {
                let path = key(section.path.iter().chain(&it.path));
                outline.statements.insert(path, (at, statement));
            }
        }
        outline
    }

    pub fn statement(&self, path: &str) -> Option<&Statement> {
        let (section, statement) = self.statements.get(path)?;
        Some(&self.sections[*section].statements[*statement])
    }

    /// The section of `[path]`, or the top of the file.
    pub fn section(&self, path: &str) -> Option<usize> {
        self.headers.get(path).copied()
    }

    pub fn is_array(&self, path: &str) -> bool {
        self.arrays.contains(path)
    }

    /// Whether a table is one of an array of tables, or lies in one.
    pub fn in_array(&self, path: &[String]) -> bool {
        !self.arrays.is_empty()
            && (1..=path.len()).any(|length| self.arrays.contains(&key(&path[..length])))
    }

    /// The sections of each table of an array of tables.
    pub fn tables_of(&self, path: &str) -> Vec<Vec<usize>> {
        let mut tables: Vec<Vec<usize>> = Vec::new();
        let segments = self.sections.iter().find(|it| it.array && key(&it.path) == path);
        let Some(segments) = segments.map(|it| it.path.as_slice()) else { return tables };
        for (at, section) in self.sections.iter().enumerate() {
            if section.array && section.path == segments {
                tables.push(vec![at]);
            } else if section.path.starts_with(segments)
                && let Some(table) = tables.last_mut()
            {
                table.push(at);
            }
        }
        tables
    }

    /// The last section of a table or of one below it.
    pub fn last_section_below(&self, path: &[String]) -> Option<usize> {
        self.sections.iter().rposition(|it| it.path.starts_with(path))
    }

    /// The last statement that names the table by dots, and its section.
    pub fn last_dotted(&self, path: &[String]) -> Option<(usize, usize)> {
        self.sections.iter().enumerate().rev().find_map(|(at, section)| {
            let rest = path.strip_prefix(section.path.as_slice())?;
            if rest.is_empty() || self.in_array(&section.path) {
                return None;
            }
            let lies_in = |it: &Statement| it.path.len() > rest.len() && it.path.starts_with(rest);
            Some((at, section.statements.iter().rposition(lies_in)?))
        })
    }

    /// Whether tables are only named by dots in this file.
    pub fn is_dotted(&self) -> bool {
        self.sections.len() == 1 && self.sections[0].statements.iter().any(|it| it.path.len() > 1)
    }
}

impl Section {
    /// The end of the last thing in it.
    pub fn end(&self) -> usize {
        self.statements.last().map_or(self.header.end, |it| it.end)
    }
}

/// A path as a key writes it.
pub(super) fn key<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> String {
    Key::from_segments(path).map(String::from).unwrap_or_default()
}

fn sections(text: &str) -> Vec<Section> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let top = Section { path: Vec::new(), header: 0..0, statements: Vec::new(), array: false };
    let mut sections = vec![top];
    let mut depth = 0_usize;
    let mut in_header = false;
    let mut expects_value = false;
    let name = |span: Span, encoding: Option<Encoding>| {
        let mut name = Cow::Borrowed("");
        if let Some(raw) = source.get(span) {
            let raw = toml_parser::Raw::new_unchecked(raw.as_str(), encoding, span);
            raw.decode_key(&mut name, &mut ());
        }
        name.into_owned()
    };
    let mut read = |event: Event| {
        let span = event.span();
        let section = sections.last_mut().expect("the top of the file is a section");
        match event.kind() {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                in_header = true;
                let header = span.start()..span.end();
                let array = event.kind() == EventKind::ArrayTableOpen;
                sections.push(Section { path: Vec::new(), header, statements: Vec::new(), array });
            }
            EventKind::StdTableClose | EventKind::ArrayTableClose => {
                in_header = false;
                section.header.end = span.end();
            }
            EventKind::SimpleKey if depth > 0 => {}
            EventKind::SimpleKey if in_header => section.path.push(name(span, event.encoding())),
            EventKind::SimpleKey => {
                let name = name(span, event.encoding());
                match section.statements.last_mut().filter(|it| it.end == usize::MAX) {
                    Some(statement) => statement.path.push(name),
                    None => section.statements.push(Statement {
                        path: vec![name],
                        start: span.start(),
                        end: usize::MAX,
                    }),
                }
            }
            EventKind::KeyValSep if depth == 0 => expects_value = true,
            EventKind::ArrayOpen | EventKind::InlineTableOpen => depth += 1,
            EventKind::ArrayClose | EventKind::InlineTableClose => {
                depth = depth.saturating_sub(1);
                if depth == 0 && expects_value {
                    expects_value = false;
                    section.statements.last_mut().into_iter().for_each(|it| it.end = span.end());
                }
            }
            EventKind::Scalar if depth == 0 && expects_value => {
                expects_value = false;
                section.statements.last_mut().into_iter().for_each(|it| it.end = span.end());
            }
            _ => {}
        }
    };
    parse_document(&tokens, &mut read, &mut ());
    sections
}
