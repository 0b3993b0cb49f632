use std::borrow::Cow;

use proptest::prelude::*;

use super::{Pattern, PatternError, Segment};
use crate::key::{Key, KeyError};

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn rewrite(from: &str, to: &str, text: &str) -> Option<String> {
    let key = key(text);
    let segments: Vec<_> = key.segments().collect();
    let rewritten = pattern(from).rewrite(&pattern(to), &segments)?;
    Some(rewritten.unwrap().to_string())
}

#[test]
fn a_star_is_one_segment_and_two_are_any_number() {
    for (text, matching, other) in [
        ("physics.gravity", "physics.gravity", "physics.gravity.x"),
        ("*.api_key", "github.api_key", "a.b.api_key"),
        ("*.api_key", "github.api_key", "api_key"),
        ("physics.**", "physics", "physicsx"),
        ("physics.**", "physics.a.b", "other.physics"),
        ("**.api_key", "api_key", "api_key.old"),
        ("**.api_key", "a.b.api_key", "a.api_keys"),
        (r#"hosts."a.b".*"#, r#"hosts."a.b".port"#, "hosts.a.b.port"),
        (r#"hosts."*""#, r#"hosts."*""#, "hosts.a"),
        ("a.**.b.*.c", "a.b.b.x.c", "a.b.c"),
    ] {
        assert!(pattern(text).matches(&key(matching)), "{text} {matching}");
        assert!(!pattern(text).matches(&key(other)), "{text} {other}");
    }
}

#[test]
fn a_star_is_never_a_part_of_a_segment() {
    for text in ["api_*", "*_key", "***", "a.**b", "a*b", "**\"a\""] {
        let error = Pattern::parse(text).unwrap_err();
        assert!(matches!(error, PatternError::PartOfSegment { .. }), "{text}: {error}");
    }
    assert_eq!(
        Pattern::parse("a.b*").unwrap_err().to_string(),
        "segment 2 of `a.b*` is not all wildcard; `*` and `**` stand for whole segments, and a \
         star in a name needs double quotes"
    );
}

#[test]
fn what_is_no_key_is_no_pattern() {
    assert_eq!(Pattern::parse(""), Err(KeyError::Empty.into()));
    assert!(matches!(
        Pattern::parse("a..*"),
        Err(PatternError::Key(KeyError::EmptySegment { position: 2, .. }))
    ));
    assert!(matches!(
        Pattern::parse(&"*.".repeat(600)),
        Err(PatternError::Key(KeyError::TooLong { bytes: 1200 }))
    ));
}

#[test]
fn wildcards_of_the_target_are_filled_in_order() {
    let rewritten = |from, to, text| rewrite(from, to, text).unwrap();

    assert_eq!(rewritten("a.*.apiKey", "b.*.api_key", r#"a."x.y".apiKey"#), r#"b."x.y".api_key"#);
    assert_eq!(rewritten("*.in.*", "*.*", "a.in.b"), "a.b");
    assert_eq!(rewritten("**.x.*", "*.**", "a.b.x.c"), "c.a.b");
    assert_eq!(rewritten("old.**", "new.**", "old"), "new");
    assert_eq!(rewrite("a.*", "b.*", "c.d"), None);
}

#[test]
fn the_leftmost_stars_take_as_little_as_they_can() {
    assert_eq!(rewrite("**.x.**", "**.y.**", "a.x.b.x.c").unwrap(), "a.y.b.x.c");
}

#[test]
fn a_long_row_of_stars_is_matched_in_no_time() {
    let stars = pattern(&format!("{}b", "**.a.".repeat(60)));
    let many = key(&["a"; 500].join("."));

    assert!(!stars.matches(&many));
}

#[test]
fn a_pattern_is_text_in_a_file() {
    let read: Pattern = serde_json::from_str(r#""a.'b'.'c.d'.**""#).unwrap();

    assert_eq!(serde_json::to_string(&read).unwrap(), r#""a.b.\"c.d\".**""#);
    assert!(serde_json::from_str::<Pattern>(r#""a*""#).is_err());
}

/// Few names, so that much matches.
fn any_pattern() -> impl Strategy<Value = Pattern> {
    let segment = prop_oneof![
        prop::sample::select(vec!["a", "b", "*", "x.y"])
            .prop_map(|name| Segment::Literal(name.to_owned())),
        Just(Segment::One),
        Just(Segment::Any),
    ];
    prop::collection::vec(segment, 1..6).prop_map(|segments| Pattern { segments })
}

fn any_key() -> impl Strategy<Value = Vec<Cow<'static, str>>> {
    let name = prop::sample::select(vec!["a", "b", "*", "x.y"]).prop_map(Cow::Borrowed);
    prop::collection::vec(name, 1..7)
}

/// The meaning of a pattern, without a thought for time.
fn means(pattern: &[Segment], key: &[Cow<'_, str>]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, _) => key.is_empty(),
        (Some((Segment::Any, rest)), _) => (0..=key.len()).any(|taken| means(rest, &key[taken..])),
        (Some((Segment::One, rest)), Some((_, after))) => means(rest, after),
        (Some((Segment::Literal(name), rest)), Some((first, after))) => {
            name == first && means(rest, after)
        }
        (Some(_), None) => false,
    }
}

proptest! {
    #[test]
    fn matching_is_what_it_means(pattern in any_pattern(), key in any_key()) {
        prop_assert_eq!(pattern.matches_segments(&key), means(&pattern.segments, &key));
    }

    #[test]
    fn a_pattern_survives_its_text(pattern in any_pattern()) {
        prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
    }

    #[test]
    fn rewriting_to_itself_changes_nothing(pattern in any_pattern(), key in any_key()) {
        let Some(rewritten) = pattern.rewrite(&pattern, &key) else { return Ok(()) };

        prop_assert_eq!(rewritten, Key::from_segments(&key));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a*.\"'\\\\é ]{0,12}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
        }
    }
}
