//! JSON, as RFC 8259 defines it.

use super::Node;

pub(super) fn write(document: &Node) -> String {
    format!("{:#}\n", document.to_json())
}
