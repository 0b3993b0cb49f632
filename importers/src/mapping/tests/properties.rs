//! What holds for any mapping.

use proptest::prelude::*;
use serde_json::json;

use crate::mapping::Mapping;
use crate::{Entry, Key, Place, Span, TypedValue};

/// Short keys of few names, so that rules meet them often.
fn any_key() -> impl Strategy<Value = Key> {
    let name = prop::sample::select(vec![
        "a",
        "b",
        "springK",
        "spring_k",
        "a-b",
        "HTTPServer",
        "x.y",
        "aBC",
        "desk",
        "new",
    ]);
    prop::collection::vec(name, 1..4).prop_map(|names| Key::from_segments(names).unwrap())
}

fn any_mapping() -> impl Strategy<Value = Mapping> {
    let case = prop::option::of(prop::sample::select(vec!["snake", "camel", "kebab"]));
    let text = |texts: &[&'static str]| prop::sample::select(texts.to_vec());
    let drop = prop::collection::vec(text(&["a.b", "**.aBC", "b.*"]), 0..2);
    let rename = prop::collection::btree_map(
        text(&["a", "a.*", "**.springK", "b.**", "*.b", "spring_k"]),
        text(&["b", "new.*", "**.spring_k", "new.**", "*.springK", "a"]),
        0..3,
    );
    let moves = prop::collection::btree_map(text(&["a", "b.a", "desk"]), text(&["new", "b"]), 0..3);
    let prefix = prop::option::of(text(&["desk", "a.b"]));
    (case, drop, rename, moves, prefix).prop_map(|(case, drop, rename, moves, prefix)| {
        let owned = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
        Mapping {
            case: case.map(str::to_owned),
            drop: drop.into_iter().map(str::to_owned).collect(),
            rename: rename.into_iter().map(owned).collect(),
            moves: moves.into_iter().map(owned).collect(),
            prefix: prefix.map(str::to_owned),
            ..Mapping::default()
        }
    })
}

proptest! {
    #[test]
    fn what_is_unmapped_comes_back(mapping in any_mapping(), key in any_key()) {
        let Ok(mapper) = mapping.check() else { return Ok(()) };
        // Both a key that may be out of reach, and one that is not.
        let reached = mapper.key(&key).unwrap();

        for key in [Some(key), reached].into_iter().flatten() {
            let Some(raw) = mapper.unmap(&key) else { continue };
            prop_assert_eq!(mapper.key(&raw).unwrap(), Some(key));
        }
    }

    #[test]
    fn without_a_mapping_nothing_changes(
        keys in prop::collection::btree_set("[a-zA-Z_. ]{1,6}", 0..20),
    ) {
        let entries: Vec<Entry> = keys
            .iter()
            .map(|name| Entry {
                key: Key::from_segments([name]).unwrap(),
                value: TypedValue::from(json!([name])),
                place: Place::START,
                span: Span::default(),
            })
            .collect();
        let mapper = Mapping::default().check().unwrap();

        let mapped = mapper.apply(entries.clone()).unwrap();

        for (mapped, entry) in mapped.into_iter().zip(entries) {
            prop_assert_eq!(mapper.unmap(&entry.key), Some(entry.key.clone()));
            let written = mapper.unvalue(&mapped.raw, &entry.value, None);
            prop_assert_eq!(written.unwrap(), entry.value.clone());
            prop_assert_eq!(mapped.raw, entry.key.clone());
            prop_assert_eq!(mapped.entry, entry);
        }
    }
}
