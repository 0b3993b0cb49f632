use std::fs;
use std::path::Path;

use serde_json::Value;
use setpoint_client::types::{ClientFrame, ServerFrame};

use super::World;

/// The document is kept beside the code, so that a change of what programs rely on is seen.
/// `SETPOINT_UPDATE=1` writes it anew.
#[tokio::test]
async fn the_document_that_is_kept_is_the_one_that_is_served() {
    let world = World::new().await;

    let text = world.text("/api/openapi.json").await;

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("SETPOINT_UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "api/openapi.json is stale; `SETPOINT_UPDATE=1 cargo nextest run -p setpoint-api openapi` \
         writes it"
    );
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
