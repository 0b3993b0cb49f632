//! Which items of a list stay, so that their text and comments can stay.

use serde_json::Value;

/// Larger products of lengths are paired in order instead of compared each with each.
const MAX_COMPARISONS: usize = 1 << 20;

/// One step from an old list to a new one. Positions are those of the old and of the new list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Replace {
        old: usize,
        new: usize,
    },
    Remove {
        old: usize,
    },
    /// Before that old item, or after the last one.
    Insert {
        before: usize,
        new: usize,
    },
}

/// The steps, in order of place. Lists of the same length only have items replaced.
pub(super) fn align(old: &[Value], new: &[Value]) -> Vec<Step> {
    let mut steps = Vec::new();
    if old.len() == new.len() {
        between(old, new, 0..old.len(), 0..new.len(), &mut steps);
        return steps;
    }
    let shorter = old.len().min(new.len());
    let head = (0..shorter).take_while(|at| old[*at] == new[*at]).count();
    let same_from_end = |at: &usize| old[old.len() - 1 - at] == new[new.len() - 1 - at];
    let tail = (0..shorter - head).take_while(same_from_end).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let (mut old_at, mut new_at) = (head, head);
    for (old_same, new_same) in common(&old[head..old_end], &new[head..new_end]) {
        let (old_same, new_same) = (head + old_same, head + new_same);
        between(old, new, old_at..old_same, new_at..new_same, &mut steps);
        (old_at, new_at) = (old_same + 1, new_same + 1);
    }
    between(old, new, old_at..old_end, new_at..new_end, &mut steps);
    steps
}

/// Pairs two runs in order; what is left of the longer one is removed or inserted.
fn between(
    old: &[Value],
    new: &[Value],
    mut olds: std::ops::Range<usize>,
    mut news: std::ops::Range<usize>,
    steps: &mut Vec<Step>,
) {
    let before = olds.end;
    loop {
        match (olds.next(), news.next()) {
            (Some(at), Some(other)) if old[at] == new[other] => {}
            (Some(old), Some(new)) => steps.push(Step::Replace { old, new }),
            (Some(old), None) => steps.push(Step::Remove { old }),
            (None, Some(new)) => steps.push(Step::Insert { before, new }),
            (None, None) => return,
        }
    }
}

/// A longest common subsequence, as pairs of positions.
fn common(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    if old.len() * new.len() > MAX_COMPARISONS {
        return Vec::new();
    }
    let width = new.len() + 1;
    let mut longest = vec![0_u32; (old.len() + 1) * width];
    for at in (0..old.len()).rev() {
        for other in (0..new.len()).rev() {
            longest[at * width + other] = if old[at] == new[other] {
                longest[(at + 1) * width + other + 1] + 1
            } else {
                longest[(at + 1) * width + other].max(longest[at * width + other + 1])
            };
        }
    }
    let (mut at, mut other) = (0, 0);
    let mut pairs = Vec::new();
    while at < old.len() && other < new.len() {
        if old[at] == new[other] {
            pairs.push((at, other));
            (at, other) = (at + 1, other + 1);
        } else if longest[(at + 1) * width + other] >= longest[at * width + other + 1] {
            at += 1;
        } else {
            other += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn steps(old: Value, new: Value) -> Vec<Step> {
        align(old.as_array().unwrap(), new.as_array().unwrap())
    }

    #[test]
    fn a_list_of_the_same_length_only_has_items_replaced() {
        let replaced = [Step::Replace { old: 0, new: 0 }, Step::Replace { old: 1, new: 1 }];

        assert_eq!(steps(json!([1, 2, 3]), json!([2, 1, 3])), replaced);
    }

    #[test]
    fn items_that_stay_are_left_alone() {
        let removed = [Step::Remove { old: 0 }, Step::Remove { old: 2 }];
        let inserted = [Step::Insert { before: 1, new: 1 }, Step::Insert { before: 3, new: 4 }];

        assert_eq!(steps(json!([1, 2, 3, 4]), json!([2, 4])), removed);
        assert_eq!(steps(json!([1, 2, 3]), json!([1, 9, 2, 3, 8])), inserted);
    }
}
