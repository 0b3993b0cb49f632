//! What every format is read into before it becomes settings: nodes with their byte spans.
//!
//! Merge keys and aliases are still in it; [`crate::resolve`] takes them out.

use std::borrow::Cow;

use serde_json::Number;

use crate::place::Span;
use crate::value::Format;

/// One file. Nodes stand in an arena, so an alias is only another id.
#[derive(Default)]
pub(crate) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    pub root: Option<NodeId>,
    /// YAML's scalars in the styles `|` and `>`, in ascending order: their spans do not tell.
    pub block_scalars: Vec<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

pub(crate) struct Node<'a> {
    pub span: Span,
    pub content: Content<'a>,
}

pub(crate) enum Content<'a> {
    Scalar(Scalar<'a>),
    List(Vec<NodeId>),
    Map(Vec<Member<'a>>),
    /// The same as that node, which was complete before this one began: so there are no cycles.
    Alias(NodeId),
    /// Begun and not complete, or a fault that has been told already.
    Nothing,
}

pub(crate) enum Scalar<'a> {
    Null,
    Boolean(bool),
    Number(Number),
    Text(Cow<'a, str>),
    Date(String, Format),
}

/// One key of a map and the node it names.
pub(crate) struct Member<'a> {
    pub name: Cow<'a, str>,
    pub name_span: Span,
    pub value: NodeId,
    /// Whether this is YAML's merge key, a plain `<<`.
    pub merge: bool,
}

impl<'a> Tree<'a> {
    pub fn add(&mut self, span: impl Into<Span>, content: Content<'a>) -> NodeId {
        let id = u32::try_from(self.nodes.len()).expect("a file is far smaller than 2^32 nodes");
        self.nodes.push(Node { span: span.into(), content });
        NodeId(id)
    }

    pub fn get(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.0 as usize]
    }

    pub fn get_mut(&mut self, id: NodeId) -> &mut Node<'a> {
        &mut self.nodes[id.0 as usize]
    }

    pub fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    pub fn is_block_scalar(&self, id: NodeId) -> bool {
        self.block_scalars.binary_search(&id).is_ok()
    }
}
