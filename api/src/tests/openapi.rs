use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use setpoint_client::types::{ClientFrame, ServerFrame};

use super::World;
use crate::openapi::DOCUMENT;

/// The document that is served is kept beside the code, so that a change of what programs rely on is
/// seen. `SETPOINT_UPDATE=1` writes it anew.
#[tokio::test]
async fn the_document_that_is_served_is_the_one_of_the_code() {
    let world = World::new().await;

    let made = document(&crate::api(&world.service).spec());

    if std::env::var_os("SETPOINT_UPDATE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
        fs::write(path, &made).unwrap();
        return;
    }
    assert!(
        made == DOCUMENT,
        "api/openapi.json is stale; `SETPOINT_UPDATE=1 cargo nextest run -p setpoint-api openapi` \
         writes it"
    );
    assert!(world.text("/api/openapi.json").await == DOCUMENT);
    assert!(world.text("/docs").await.contains(DOCUMENT));
}

#[tokio::test]
async fn the_frames_of_the_document_are_those_that_are_spoken() {
    let world = World::new().await;

    let served = world.get("/api/openapi.json").await.body;

    let examples = |side: &str| -> Vec<Value> {
        let all = served["components"]["schemas"][side]["oneOf"].as_array().unwrap().clone();
        let name = |it: &Value| it["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        all.iter().map(|it| served["components"]["schemas"][name(it)]["example"].clone()).collect()
    };
    for example in examples("ServerFrame") {
        let frame: ServerFrame = serde_json::from_value(example.clone()).unwrap();
        let again = serde_json::to_value(&frame).unwrap();
        assert_eq!(again, example);
    }
    for example in examples("ClientFrame") {
        let frame: ClientFrame = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::to_value(&frame).unwrap(), example);
    }
}

#[tokio::test]
async fn every_operation_says_what_it_is() {
    let world = World::new().await;

    let served = world.get("/api/openapi.json").await.body;

    for (path, methods) in served["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for part in ["operationId", "summary", "tags", "security"] {
                assert!(!operation[part].is_null(), "{method} {path} has no {part}");
            }
        }
    }
}

/// The document of the code. poem-openapi cannot say that a body has no other members than those it
/// names: every body here is read so, and what only bodies are made of says so here.
fn document(spec: &str) -> String {
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

const NEWS: &str = include_str!("../frames.json");

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
