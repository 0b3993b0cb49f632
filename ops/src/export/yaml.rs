//! YAML 1.2.

use serde::{Serialize, Serializer};

use super::Node;
use crate::{Error, Result};

pub(super) fn write(document: &Node) -> Result<String> {
    serde_yaml::to_string(document).map_err(|error| Error::NotInFormat {
        what: format!("this document ({error})"),
        format: "yaml",
        help: "export another format".to_owned(),
    })
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leaf(value) => value.json.serialize(serializer),
            Self::Map(members) => serializer.collect_map(members),
        }
    }
}
