//! Settings as the nested document that they stand for.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use setpoint_importers::{Key, TypedValue};

/// A document, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Leaf(TypedValue),
    /// In the order in which the names were first met.
    Map(IndexMap<String, Node>),
}

impl Node {
    /// The document whose leaves these are. A leaf at or above another gives way to it: the
    /// settings of a layer are a tree and have none.
    pub fn of<'a>(settings: impl IntoIterator<Item = (&'a Key, &'a TypedValue)>) -> Self {
        let mut root = Self::Map(IndexMap::new());
        for (key, value) in settings {
            let mut node = &mut root;
            for segment in key.segments() {
                node = node.child(&segment);
            }
            *node = Self::Leaf(value.clone());
        }
        root
    }

    fn child(&mut self, name: &str) -> &mut Self {
        if let Self::Leaf(_) = self {
            *self = Self::Map(IndexMap::new());
        }
        let Self::Map(members) = self else { unreachable!("a leaf has just become a map") };
        if !members.contains_key(name) {
            members.insert(name.to_owned(), Self::Map(IndexMap::new()));
        }
        &mut members[name]
    }

    /// The part at `key`.
    pub fn at(&self, key: &Key) -> Option<&Self> {
        key.segments().try_fold(self, |node, segment| match node {
            Self::Map(members) => members.get(segment.as_ref()),
            Self::Leaf(_) => None,
        })
    }

    /// The same as JSON, in which a date is its text.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Leaf(value) => value.json.clone(),
            Self::Map(members) => {
                let members = members.iter().map(|(name, node)| (name.clone(), node.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

/// The value at `root` if `settings` has it, else the map of those below it.
pub fn subtree<'a>(
    root: &Key,
    settings: impl IntoIterator<Item = (&'a Key, &'a TypedValue)>,
) -> Option<TypedValue> {
    match Node::of(settings).at(root)? {
        Node::Leaf(value) => Some(value.clone()),
        map => Some(map.to_json().into()),
    }
}
