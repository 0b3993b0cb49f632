use std::fs;
use std::path::Path;

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
