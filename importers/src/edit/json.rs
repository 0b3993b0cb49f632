//! JSON: everything is in brackets.

use serde_json::Value;

use super::flow::{Flow, Notation};
use super::meant::Meant;
use super::work::Work;
use crate::json;
use crate::tree::Content;

pub(super) fn plan(work: &mut Work, meant: &Meant) {
    let tree = json::tree(work.text);
    let Some(root) = tree.root else {
        return work.refuse(0, "the file is empty; write `{}` into it");
    };
    if !matches!(tree.get(root).content, Content::Map(_)) {
        return work.refuse(0, "the file is no map");
    }
    Flow { tree: &tree, notation: &Json, meant }.map(work, root, &meant.wish);
}

struct Json;

impl Notation for Json {
    fn colon(&self) -> &'static str {
        ": "
    }

    fn comment_end(&self, text: &str, at: usize) -> Option<usize> {
        let rest = &text[at..];
        if rest.starts_with("//") {
            return Some(rest.find('\n').map_or(text.len(), |end| at + end));
        }
        rest.strip_prefix("/*")?.find("*/").map(|end| at + end + 4)
    }

    fn name(&self, name: &str) -> String {
        Value::from(name).to_string()
    }

    fn inline(&self, value: &Value, _dates: bool) -> Result<String, String> {
        Ok(match value {
            Value::Array(items) => {
                let items: Result<Vec<_>, _> =
                    items.iter().map(|it| self.inline(it, false)).collect();
                format!("[{}]", items?.join(", "))
            }
            Value::Object(map) => {
                let member = |(name, value): (&String, &Value)| {
                    Ok(format!("{}: {}", self.name(name), self.inline(value, false)?))
                };
                let members: Result<Vec<_>, String> = map.iter().map(member).collect();
                format!("{{{}}}", members?.join(", "))
            }
            other => other.to_string(),
        })
    }
}
