//! Explains many pairs by few rules.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Renamed, SuggestedRule, Suggestion};
use crate::key::Key;
use crate::mapping::Case;
use crate::value::TypedValue;

/// The rules that explain all pairs: a case, then moves, then a rename for each that is left.
///
/// `now` has the keys that no rule may touch.
pub(super) fn group(pairs: Vec<Renamed>, now: &[(Key, TypedValue)]) -> Vec<Suggestion> {
    let explained = Explained::new(&pairs, now);
    let rules: Vec<SuggestedRule> = pairs.iter().map(|pair| explained.rule_of(pair)).collect();
    let mut counts: HashMap<SuggestedRule, usize> = HashMap::new();
    for rule in &rules {
        *counts.entry(rule.clone()).or_default() += 1;
    }

    let mut suggestions: Vec<Suggestion> = Vec::new();
    let mut positions: HashMap<SuggestedRule, usize> = HashMap::new();
    for (pair, rule) in pairs.into_iter().zip(rules) {
        // For one key a rename says more clearly what it does.
        let rule = if counts[&rule] > 1 { rule } else { rename_of(&pair) };
        let position = *positions.entry(rule.clone()).or_insert(suggestions.len());
        if position == suggestions.len() {
            suggestions.push(Suggestion { rule, pairs: Vec::new() });
        }
        suggestions[position].pairs.push(pair);
    }
    suggestions.sort_by_key(|it| match it.rule {
        SuggestedRule::Case(_) => 0,
        SuggestedRule::Move { .. } => 1,
        SuggestedRule::Rename { .. } => 2,
    });
    suggestions
}

/// From section to section: what is left of each pair without the segments they end with alike.
///
/// A section that went to several others is not in it.
pub(super) fn sections(pairs: &[Renamed]) -> HashMap<Key, Key> {
    let mut sections: HashMap<Key, Option<Key>> = HashMap::new();
    for pair in pairs {
        let Some((from, to)) = shared_moves(pair).last() else { continue };
        let known = sections.entry(from).or_insert_with(|| Some(to.clone()));
        if known.as_ref() != Some(&to) {
            *known = None;
        }
    }
    sections.into_iter().filter_map(|(from, to)| Some((from, to?))).collect()
}

/// The rules for many keys that may be suggested.
struct Explained {
    case: Option<Case>,
    moves: BTreeMap<Key, Key>,
}

impl Explained {
    fn new(pairs: &[Renamed], now: &[(Key, TypedValue)]) -> Self {
        let case = common_case(pairs, now);
        let others = pairs.iter().filter(|pair| !case.is_some_and(|case| is_cased(case, pair)));
        Self { case, moves: common_moves(others, now) }
    }

    /// As a mapping with these rules would decide.
    fn rule_of(&self, pair: &Renamed) -> SuggestedRule {
        let mut paths = std::iter::once(pair.from.as_str()).chain(pair.from.ancestors());
        if let Some((from, to)) = paths.find_map(|path| self.moves.get_key_value(path)) {
            let arrives = pair.from.moved(from, to).is_ok_and(|it| it.as_ref() == Some(&pair.to));
            return match arrives {
                true => SuggestedRule::Move { from: from.clone(), to: to.clone() },
                false => rename_of(pair),
            };
        }
        match self.case {
            Some(case) if is_cased(case, pair) => SuggestedRule::Case(case),
            _ => rename_of(pair),
        }
    }
}

fn rename_of(pair: &Renamed) -> SuggestedRule {
    SuggestedRule::Rename { from: pair.from.clone(), to: pair.to.clone() }
}

/// The case that explains most pairs and that all keys have now.
fn common_case(pairs: &[Renamed], now: &[(Key, TypedValue)]) -> Option<Case> {
    let counted = Case::ALL.into_iter().map(|case| {
        let explained = pairs.iter().filter(|pair| is_cased(case, pair)).count();
        (explained, case)
    });
    let mut counted: Vec<(usize, Case)> = counted.filter(|(count, _)| *count > 1).collect();
    counted.sort_by_key(|(count, case)| (std::cmp::Reverse(*count), *case));
    let mut cases = counted.into_iter().map(|(_, case)| case);
    cases.find(|case| {
        now.iter().all(|(key, _)| key.segments().all(|name| case.convert(&name) == name))
    })
}

fn is_cased(case: Case, pair: &Renamed) -> bool {
    pair.from.segments().map(|name| case.convert(&name).into_owned()).eq(pair.to.segments())
}

/// For each section the move that explains most pairs, of those that touch no key there is now.
fn common_moves<'p>(
    pairs: impl Iterator<Item = &'p Renamed>,
    now: &[(Key, TypedValue)],
) -> BTreeMap<Key, Key> {
    let paths: HashSet<&str> =
        now.iter().flat_map(|(key, _)| key.ancestors().chain([key.as_str()])).collect();
    let mut counts: BTreeMap<(Key, Key), usize> = BTreeMap::new();
    for pair in pairs {
        let free = shared_moves(pair).take_while(|(from, _)| !paths.contains(from.as_str()));
        if let Some(outermost) = free.last() {
            *counts.entry(outermost).or_default() += 1;
        }
    }
    let mut most: BTreeMap<Key, (usize, Key)> = BTreeMap::new();
    for ((from, to), count) in counts.into_iter().filter(|(_, count)| *count > 1) {
        match most.get(&from) {
            Some((more, _)) if *more >= count => {}
            _ => _ = most.insert(from, (count, to)),
        }
    }
    most.into_iter().map(|(from, (_, to))| (from, to)).collect()
}

/// The moves of a section that would make this pair, from the key itself outwards.
fn shared_moves(pair: &Renamed) -> impl Iterator<Item = (Key, Key)> {
    let from: Vec<_> = pair.from.segments().map(|it| it.into_owned()).collect();
    let to: Vec<_> = pair.to.segments().map(|it| it.into_owned()).collect();
    let alike = from.iter().rev().zip(to.iter().rev()).take_while(|(from, to)| from == to).count();
    let most = alike.min(from.len() - 1).min(to.len() - 1);
    (0..=most).map(move |cut| {
        let section = |names: &[String]| {
            let outer = &names[..names.len() - cut];
            Key::from_segments(outer).expect("what a key lies in is a key")
        };
        (section(&from), section(&to))
    })
}
