use serde_json::json;

use super::{apply, set, unset, without};

fn after(text: &str, asked: serde_json::Value) -> String {
    set("a.toml", text, asked)
}

#[test]
fn a_value_keeps_its_style_while_it_can() {
    let text = "a = 'x' # c\nb = \"x\"\nc = '''\nx\n'''\nd = \"\"\"x\"\"\"\ne = 'x'\nf = 1\n";
    let asked =
        json!({"a": "y", "b": "it's \"q\"", "c": "z\\\nw\n", "d": "1\n\\", "e": "it's", "f": 1.0});

    assert_eq!(
        after(text, asked),
        "a = 'y' # c\nb = \"it's \\\"q\\\"\"\nc = '''\nz\\\nw\n'''\nd = \"\"\"1\n\\\\\"\"\"\ne = \"it's\"\nf = 1.0\n"
    );
}

#[test]
fn dates_and_other_types() {
    let text = "a = 2026-05-01 # c\nb = 1\nc = [1, 2]\nd = true\n";

    assert_eq!(
        after(text, json!({"a": "2026-05-02", "b": "x", "c": [1, 3], "d": {}})),
        "a = \"2026-05-02\" # c\nb = \"x\"\nc = [1, 3]\nd = {}\n"
    );
}

#[test]
fn new_keys_find_their_table() {
    let text =
        "top = 1\n\n[a] # c\nb = 1 # c\n\n# d\n[a.d]\ne.f = 1\n\n[x.y]\nz = 1\n[i]\nj = {k = 1}\n";
    let asked = json!({
        "new": 1, "a.c": 2, "a.d.e.g": 2, "a.n.m": 3, "a.n.o": 4, "x.w": 5, "i.j.l": 6, "p.\"q.r\".s": 7
    });

    assert_eq!(
        after(text, asked),
        "top = 1\nnew = 1\n\n[a] # c\nb = 1 # c\nc = 2\n\n# d\n[a.d]\ne.f = 1\ne.g = 2\n\n[a.n]\nm = 3\no = 4\n\n[x.y]\nz = 1\n\n[x]\nw = 5\n[i]\nj = {k = 1, l = 6}\n\n[p.\"q.r\"]\ns = 7\n"
    );
    assert_eq!(
        after("# top\n\n# a\n[a]\nb = 1\n", json!({"c": 1})),
        "# top\n\nc = 1\n# a\n[a]\nb = 1\n"
    );
    assert_eq!(after("a.b = 1\n", json!({"a.c": 1, "d.e": 2})), "a.b = 1\na.c = 1\nd.e = 2\n");
    assert_eq!(after("", json!({"a": 1, "b.c": 2})), "a = 1\n\n[b]\nc = 2\n");
}

#[test]
fn removed_keys_take_their_lines_and_emptied_tables() {
    let text = "[a]\nb = 1 # c\nc = [\n  1, # c\n]\n[a.d]\ne = 1\n[f]\n[f.g]\nh = {i = 1}\n";

    assert_eq!(
        unset("a.toml", text, &["a.b", "a.d.e"]),
        "[a]\nc = [\n  1, # c\n]\n[f]\n[f.g]\nh = {i = 1}\n"
    );
    assert_eq!(unset("a.toml", text, &["f.g.h.i", "a.b", "a.c"]), "[a]\n[a.d]\ne = 1\n");
}

#[test]
fn a_list_keeps_the_comments_of_the_items_that_stay() {
    let text = "a = [\n  1, # one\n  # two\n  2, # 2\n  3 # three\n]\nb = [1, 2, 3]\n";

    assert_eq!(
        after(text, json!({"a": [1, 3, 4], "b": [1, 3]})),
        "a = [\n  1, # one\n  # two\n  3, # 2\n  4 # three\n]\nb = [1, 3]\n"
    );
    assert_eq!(
        after(text, json!({"a": [1, 2, 3, 4], "b": [0, 1, 2, 3]})),
        "a = [\n  1, # one\n  # two\n  2, # 2\n  3, # three\n  4\n]\nb = [0, 1, 2, 3]\n"
    );
    assert_eq!(
        after(text, json!({"a": [1], "b": [1, 2]})),
        "a = [\n  1 # one\n  # two\n]\nb = [1, 2]\n"
    );
}

#[test]
fn arrays_of_tables_are_lists() {
    let text = "[[a]]\nb = 1 # c\n\n[[a]]\nb = 2\n[a.c]\nd = 1\n[e]\nf = 1\n";

    assert_eq!(
        after(text, json!({"a": [{"b": 9}, {"b": 2, "c": {"d": 8}}]})),
        "[[a]]\nb = 9 # c\n\n[[a]]\nb = 2\n[a.c]\nd = 8\n[e]\nf = 1\n"
    );
    assert_eq!(after(text, json!({"a": [{"b": 1}]})), "[[a]]\nb = 1 # c\n\n[e]\nf = 1\n");
    assert_eq!(
        after("[[a]]\nb = 1\n", json!({"a": [{"b": 1}, {"b": 2}]})),
        "[[a]]\nb = 1\n\n[[a]]\nb = 2\n"
    );
    assert_eq!(unset("a.toml", text, &["a"]), "\n[e]\nf = 1\n");
}

#[test]
fn tables_become_values_and_values_become_tables() {
    let mut edits = without(&["a.b", "c", "d.e.f"]);
    edits.extend(super::edits(json!({"a": 1, "c.x": 2, "d.e": {}})));

    assert_eq!(
        apply("a.toml", "c = 1 # c\n[a]\nb = 1\n[d.e]\nf = 1\n", &edits).unwrap(),
        "c = {x = 2} # c\na = 1\n[d.e]\n"
    );
}
