//! What holds for any settings and any query.

use std::ops::Range;

use proptest::prelude::*;

use super::super::{Letters, Query, rank};
use super::{Sample, ranked};

fn sample() -> impl Strategy<Value = Sample> {
    let word = "[a-dA-D]{1,3}|[ab0-2_-]{1,4}|[äÄжЖ重→.\"]{1,2}|e\u{301}";
    let key = prop::collection::vec(word, 1..4).prop_map(|it| it.join("."));
    let text = || prop::collection::vec(word, 0..4).prop_map(|it| it.join(" "));
    (key, text(), text(), text()).prop_map(|(key, value, label, description)| Sample {
        key,
        value,
        label,
        description,
    })
}

fn some_samples() -> impl Strategy<Value = Vec<Sample>> {
    prop::collection::vec(sample(), 0..20).prop_map(|mut samples| {
        samples.sort_by(|a, b| a.key.cmp(&b.key));
        samples
    })
}

/// Key, score and ranges of what is found, in so many parts.
fn found(
    query: &Query,
    samples: &[Sample],
    limit: usize,
    parts: usize,
    letters: impl Fn(Letters) -> Letters + Copy + Send,
) -> Vec<(String, u32, Vec<Range<usize>>)> {
    let size = samples.len().div_ceil(parts).max(1);
    let parts = samples
        .chunks(size)
        .map(|part| part.iter().map(move |it| (it, letters(Letters::of(&it.fields())))));
    let hits = rank(query, parts, |it| it.fields(), limit);
    hits.into_iter().map(|it| (it.item.key.clone(), it.score, it.ranges)).collect()
}

proptest! {
    #[test]
    fn the_letters_rule_out_nothing_that_is_there(
        samples in some_samples(),
        query in "([a-dA-D0-2]{1,4}|[äжЖ重→a._]{1,3})( [a-d]{1,2})?",
        limit in 1_usize..6,
    ) {
        let query = Query::parse(&query).unwrap();
        let seeing = found(&query, &samples, limit, 1, |it| it);

        prop_assert_eq!(seeing, found(&query, &samples, limit, 1, Letters::blind));
    }

    #[test]
    fn it_makes_no_difference_in_how_many_parts_it_is_looked_for(
        samples in some_samples(),
        query in "[a-dA-D0-2]{1,4}( [a-d]{1,2})?",
        limit in 1_usize..6,
        parts in 2_usize..5,
    ) {
        let query = Query::parse(&query).unwrap();
        let in_one = found(&query, &samples, limit, 1, |it| it);

        prop_assert_eq!(in_one, found(&query, &samples, limit, parts, |it| it));
    }

    #[test]
    fn a_key_finds_itself_first(samples in prop::collection::vec(sample(), 1..20)) {
        for sample in &samples {
            let found = ranked(&sample.key, &samples, 3);

            prop_assert_eq!(found.first().map(|it| it.item), Some(sample.key.as_str()));
        }
    }

    #[test]
    fn a_smaller_limit_cuts_off_the_rest(
        samples in prop::collection::vec(sample(), 0..20),
        query in "[a-d]{1,3}",
        limit in 1_usize..20,
    ) {
        let mut all = ranked(&query, &samples, 20);
        all.truncate(limit);

        prop_assert_eq!(ranked(&query, &samples, limit), all);
    }

    #[test]
    fn what_a_key_holds_is_found_in_it(samples in prop::collection::vec(sample(), 1..5), query in "[a-d0-2_]{1,3}") {
        for sample in &samples {
            let holds = sample.key.to_lowercase().replace('-', "_").contains(&query);
            let found = ranked(&query, &samples, 20).iter().any(|it| it.item == sample.key);

            prop_assert!(found || !holds, "{query} in {}", sample.key);
        }
    }

    #[test]
    fn any_text_can_be_searched(
        texts in prop::collection::vec(("\\PC{0,8}", "\\PC{0,8}"), 1..5),
        query in "\\PC{0,12}",
    ) {
        let sample = |(key, value): (String, String)| {
            Sample { key, value: value.clone(), label: value, description: String::new() }
        };
        let samples: Vec<Sample> = texts.into_iter().map(sample).collect();

        for hit in ranked(&query, &samples, 9) {
            for range in hit.ranges {
                prop_assert!(hit.item.get(range).is_some());
            }
        }
    }
}
