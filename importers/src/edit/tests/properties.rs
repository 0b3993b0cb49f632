//! What holds for any file and any edits.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::{Edit, apply};
use crate::testing::read;
use crate::tests::properties::{map, scalar, toml, yaml};
use crate::{Entry, Key, TypedValue};

/// One change: which key is taken, what is done with it, and a value for it.
type Change = (prop::sample::Index, u8, Value);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let items = prop::collection::vec(scalar(false), 0..4).prop_map(Value::from);
    let value = prop_oneof![3 => scalar(false), 1 => items];
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), value), 1..6)
}

/// Pieces of real style, so that what is edited is not only what we print.
fn styled(format: &'static str) -> impl Strategy<Value = String> {
    let pieces: &[&str] = match format {
        "a.yaml" => &[
            "a: 1 # one\n",
            "b: 'x'\n",
            "c: # c\n  5\n",
            "d: |\n  one\n  two\n",
            "e: >-\n  one\n\n  two\n",
            "f: {x: 1, y: [1, 2], 'z': {w: 2}} # f\n",
            "g:\n- 1 # one\n# two\n- 2\n",
            "h:\n  i: 1\n  # h\n  j:\n    k: 2\n",
            "l: &l {x: 1}\n",
            "m: &m 5\n",
            "# comment\n",
            "\n",
            "n:\n",
            "o: [\n  1, # c\n  2\n]\n",
            "p: \"x\\ty\"\n",
            "q: !!str 5\n",
            "r: []\n",
            "s: {}\n",
            "t:\n  - u: 1\n    v: 2\n  - w\n",
            "'x y': 2\r\n",
            "? z\n: 1\n",
            "k: |+\n  x\n\n",
            "aa: {b, c: , d: 1,}\n",
            "bb: &bb\n  x: 1\n  y: 2\n",
        ],
        "a.toml" => &[
            "a = 1 # one\n",
            "b.c = 'x'\n",
            "b.d = \"y\"\n",
            "e = '''\nx\n'''\n",
            "f = {x = 1, y.z = 2}\n",
            "g = [\n  1, # c\n  2\n]\n",
            "# comment\n",
            "\n",
            "[h]\ni = 1 # i\n",
            "[h.j]\nk = 2\n",
            "[[l]]\nm = 1\n",
            "[[l]]\nm = 2\n[l.n]\no = 1\n",
            "[p.q]\nr = 1\n",
            "[p]\ns = 1.5\n",
            "[t]\n",
            "u = 2026-05-01\n",
            "\"v w\" = []\r\n",
            "[x]\ny.z = 1\n",
            "[[h.aa]]\nbb = []\n",
        ],
        "a.json" => &[
            "\"a\": 1, // one\n",
            "\"b\":{\"x\":1,\"y\":[1,2]},",
            "\"c\": [\n  1, // c\n  2\n],\n",
            "/* c */",
            "\n  ",
            "\"d\": {\n \"e\": {},\n \"f\": null /* f */\n},\n",
            "\"g h\": \"x\",",
        ],
        _ => &[
            "A=1\n",
            "export B='x' # b\n",
            "C=\"x\ny\"\n",
            "# c\n",
            "\n",
            "D=\n",
            "E= # e\n",
            "F=$X y\r\n",
            "G=\"$X\"\n",
        ],
    };
    let more: &[&str] = match format {
        "a.yaml" => {
            &["ref: *l\n", "num: *m\n", "own:\n  <<: *bb\n  y: 3\n", "all:\n  <<: [*l, *bb]\n"]
        }
        _ => &[],
    };
    let count = pieces.len();
    let pieces = prop::sample::subsequence(pieces, 0..=count).prop_shuffle();
    let more = prop::sample::subsequence(more, 0..=more.len());
    (pieces, more, any::<bool>()).prop_map(move |(pieces, more, cut)| {
        let text = pieces.concat() + &more.concat();
        let text = if format == "a.json" { format!("{{{text}}}") } else { text };
        if cut { text.trim_end().to_owned() } else { text }
    })
}

/// Edits to a file with these settings, which may contradict each other.
fn edits_of(before: &BTreeMap<Key, TypedValue>, changes: &[Change]) -> Vec<Edit> {
    let keys: Vec<&Key> = before.keys().collect();
    let edit = |(index, kind, value): &Change| {
        let value = Some(TypedValue::from(value.clone()));
        let near = match keys.is_empty() {
            true => Key::parse("new"),
            false => Ok(keys[index.index(keys.len())].clone()),
        }
        .unwrap();
        let beside = near.ancestors().next().map_or("new".to_owned(), |map| format!("{map}.new"));
        match kind % 6 {
            0 | 1 => Edit { key: near, value },
            2 | 3 => Edit { key: near, value: None },
            4 => Edit { key: Key::parse(&beside).unwrap(), value },
            _ => Edit { key: Key::parse(&format!("{beside}.er")).unwrap(), value },
        }
    };
    changes.iter().map(edit).collect()
}

fn settings(name: &str, text: &str) -> Option<BTreeMap<Key, TypedValue>> {
    let entries = read(name, text).ok()?.entries;
    Some(entries.into_iter().map(|it| (it.key, it.value)).collect())
}

/// Makes the edits and returns whether they were made; then they read back as meant.
fn check(name: &str, text: &str, changes: &[Change]) -> Result<bool, TestCaseError> {
    let Some(before) = settings(name, text) else { return Ok(false) };
    let edits = edits_of(&before, changes);
    let Ok(edited) = apply(name, text, &edits) else { return Ok(false) };
    let keys: Vec<Key> = edits.iter().map(|it| it.key.clone()).collect();
    let mut meant = before;
    for Edit { key, value } in edits {
        match value {
            Some(value) if name == "a.env" => _ = meant.insert(key, as_text(value)),
            Some(value) => _ = meant.insert(key, value),
            None => _ = meant.remove(&key),
        }
    }

    prop_assert_eq!(settings(name, &edited).unwrap(), meant, "{}\n{}", text, edited);
    for line in untouched(name, text, &keys) {
        prop_assert!(edited.lines().any(|it| it == line), "{line:?} is gone:\n{text}\n{edited}");
    }
    Ok(true)
}

/// The lines with a setting that no edit is about, and with no brackets that one could be in.
fn untouched<'t>(name: &str, text: &'t str, edited: &[Key]) -> Vec<&'t str> {
    let lines: Vec<&str> = text.lines().collect();
    let entries = read(name, text).unwrap().entries;
    let concerned =
        |it: &Entry| edited.iter().any(|key| key.starts_with(&it.key) || it.key.starts_with(key));
    let touched: Vec<u32> =
        entries.iter().filter(|it| concerned(it)).map(|it| it.place.line).collect();
    let free = entries.iter().map(|it| it.place.line).filter(|line| !touched.contains(line));
    let free = free.map(|line| lines[line as usize - 1]);
    free.filter(|line| !line.contains(['{', '['])).filter(|_| name != "a.json").collect()
}

fn as_text(value: TypedValue) -> TypedValue {
    match value.json {
        json @ Value::String(_) => json.into(),
        json => Value::from(json.to_string()).into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn edited_yaml_reads_back_as_meant(text in styled("a.yaml"), changes in changes()) {
        check("a.yaml", &text, &changes)?;
    }

    #[test]
    fn edited_toml_reads_back_as_meant(text in styled("a.toml"), changes in changes()) {
        check("a.toml", &text, &changes)?;
    }

    #[test]
    fn edited_json_reads_back_as_meant(text in styled("a.json"), changes in changes()) {
        check("a.json", &text, &changes)?;
    }

    #[test]
    fn edited_dotenv_reads_back_as_meant(text in styled("a.env"), changes in changes()) {
        check("a.env", &text, &changes)?;
    }

    #[test]
    fn any_document_can_have_a_value_set(tree in map(false), value in scalar(false), at in any::<prop::sample::Index>()) {
        let json = serde_json::to_string_pretty(&tree).unwrap();
        for (name, text) in [("a.yaml", yaml(&tree, 0)), ("a.toml", toml(&tree)), ("a.json", json)] {
            let made = check(name, &text, &[(at, 0, value.clone())])?;
            prop_assert!(made, "{text}");
        }
    }
}
