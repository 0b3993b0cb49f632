//! Why a file cannot be imported: one thing at one place.

use std::collections::HashSet;

use crate::place::Span;

/// One thing in a file that stops it from being imported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The bytes it is about.
    pub span: Span,
    pub message: String,
    /// Whether text elsewhere decides if this is a fault, such as the anchor of an alias. It is
    /// not told if some of that text could not be read.
    pub(crate) relative: bool,
}

impl Fault {
    pub fn new(span: impl Into<Span>, message: impl Into<String>) -> Self {
        Self { span: span.into(), message: message.into(), relative: false }
    }

    pub(crate) fn relative(span: impl Into<Span>, message: impl Into<String>) -> Self {
        Self { relative: true, ..Self::new(span, message) }
    }
}

/// The faults in order of place, each once.
pub(crate) fn in_order(faults: &mut Vec<Fault>) {
    let mut seen = HashSet::new();
    faults.retain(|fault| seen.insert(fault.clone()));
    faults.sort_by_key(|fault| fault.span);
}
