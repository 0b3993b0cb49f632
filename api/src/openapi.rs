//! The OpenAPI document as it is served.
//!
//! poem-openapi cannot say that a body has no other members than those it names. Every body here
//! is read so, and what only bodies are made of says so in the document.

use std::collections::BTreeSet;

use serde_json::Value;

/// The document, with what only requests are made of closed to other members.
pub(crate) fn document(spec: &str) -> String {
    let mut document: Value = serde_json::from_str(spec).expect("the document is JSON");
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for operation in operations(&document) {
        refer(&document, &operation["requestBody"], &mut asked);
        refer(&document, &operation["responses"], &mut answered);
    }
    for name in asked.difference(&answered) {
        let schema = &mut document["components"]["schemas"][name];
        if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
            schema["additionalProperties"] = Value::Bool(false);
        }
    }
    add_news(&mut document);
    serde_json::to_string_pretty(&document).expect("a document is JSON") + "\n"
}

/// How news are heard, and what is said there: poem-openapi knows no WebSockets.
fn add_news(document: &mut Value) {
    let mut news: Value = serde_json::from_str(NEWS).expect("what we wrote is JSON");
    for (from, to) in [("/paths", "/paths"), ("/schemas", "/components/schemas")] {
        let added = news.pointer_mut(from).and_then(Value::as_object_mut);
        let all = document.pointer_mut(to).and_then(Value::as_object_mut);
        if let (Some(added), Some(all)) = (added, all) {
            all.extend(std::mem::take(added));
        }
    }
}

const NEWS: &str = include_str!("frames.json");

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(_, methods)| methods.as_object().into_iter().flatten()).map(|(_, it)| it)
}

/// Collects the names of the schemas that `part` refers to, and those that they refer to.
fn refer(document: &Value, part: &Value, names: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            let reference = members.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|it| it.rsplit('/').next())
                && names.insert(name.to_owned())
            {
                refer(document, &document["components"]["schemas"][name], names);
            }
            members.values().for_each(|it| refer(document, it, names));
        }
        Value::Array(items) => items.iter().for_each(|it| refer(document, it, names)),
        _ => {}
    }
}
