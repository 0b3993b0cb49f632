use serde_json::json;

use super::{set, unset};

fn after(text: &str, asked: serde_json::Value) -> String {
    set("a.json", text, asked)
}

const PRETTY: &str = "{\n  // one\n  \"a\": 1, // a\n  \"b\": {\n    \"c\": [1, 2],\n    \"d\": {} /* d */\n  }\n}\n";

#[test]
fn new_keys_look_like_their_siblings() {
    assert_eq!(
        after(PRETTY, json!({"e": "x", "b.f.g": 1, "b.f.h": null})),
        "{\n  // one\n  \"a\": 1, // a\n  \"b\": {\n    \"c\": [1, 2],\n    \"d\": {}, /* d */\n    \"f\": {\n      \"g\": 1,\n      \"h\": null\n    }\n  },\n  \"e\": \"x\"\n}\n"
    );
    assert_eq!(
        after("{\"a\":1,\"b\":{\"c\":2}}", json!({"d": 1, "b.e": [1, 2]})),
        "{\"a\":1,\"b\":{\"c\":2,\"e\":[1, 2]},\"d\":1}"
    );
    assert_eq!(after("{}", json!({"a.b": 1})), "{\"a\": {\"b\": 1}}");
    assert_eq!(after("{\n  \"a\": 1,\n}", json!({"b": 2})), "{\n  \"a\": 1,\n  \"b\": 2,\n}");
}

#[test]
fn removed_keys_take_their_comma() {
    assert_eq!(
        unset("a.json", PRETTY, &["a", "b.d"]),
        "{\n  // one\n  \"b\": {\n    \"c\": [1, 2]\n  }\n}\n"
    );
    assert_eq!(unset("a.json", PRETTY, &["b.c", "b.d"]), "{\n  // one\n  \"a\": 1 // a\n}\n");
    assert_eq!(unset("a.json", "{\"a\":1,\"b\":2,\"c\":3}", &["b", "c"]), "{\"a\":1}");
    assert_eq!(unset("a.json", "{\"a\":1,\"b\":2,\"c\":3}", &["a"]), "{\"b\":2,\"c\":3}");
    assert_eq!(unset("a.json", "{\"a\": {\"b\": 1}}", &["a.b"]), "{}");
}

#[test]
fn values_change_in_place() {
    assert_eq!(
        after(PRETTY, json!({"a": 1.0, "b.c": [2, 2, 3], "b.d": "é\n"})),
        PRETTY
            .replace("\"a\": 1", "\"a\": 1.0")
            .replace("[1, 2]", "[2, 2, 3]")
            .replace("{} /", "\"é\\n\" /")
    );
}
