//! Why a result did not read back as meant.

use super::work::{EditId, Work};
use crate::tree::{Content, Tree};
use crate::{Document, Limits, Place, yaml};

const NOT_AS_MEANT: &str = "the file would not read back as meant; it was left as it is";

/// Says of each edit that did not come out as meant why, as far as it can be found.
pub(super) fn explain(
    work: &mut Work,
    before: &Document,
    limits: &Limits,
    faults: Vec<(EditId, Option<String>)>,
) {
    let tree = match before.format.as_str() {
        "yaml" => yaml::tree(work.text, limits),
        _ => Tree::default(),
    };
    let mut shared = Vec::new();
    for splice in &work.splices {
        if let Some((target, alias)) = alias_into(&tree, work, splice.range.clone()) {
            let line = work.place(alias).line;
            let reason = format!("the alias on line {line} uses what would change here");
            shared.push((splice.edit, work.place(target), reason));
        }
    }
    if !shared.is_empty() {
        for (edit, place, reason) in shared {
            work.refuse_edit(edit, place, reason);
        }
        return;
    }
    for (edit, other) in faults {
        let splice = work.splices.iter().find(|it| it.edit == edit);
        let place = splice.map_or(Place::START, |it| work.place(it.range.start));
        let reason = match other {
            Some(other) => format!("this would change `{other}` as well"),
            None if work.edits[edit].value.is_none() && has_merges(&tree) => {
                "a merge key brings it as well, so it would not be gone".to_owned()
            }
            None => NOT_AS_MEANT.to_owned(),
        };
        work.refuse_edit(edit, place, reason);
    }
}

fn has_merges(tree: &Tree) -> bool {
    tree.nodes().iter().any(|node| match &node.content {
        Content::Map(members) => members.iter().any(|member| member.merge),
        _ => false,
    })
}

/// An anchored node that the range touches, and an alias of it that stays.
fn alias_into(tree: &Tree, work: &Work, range: std::ops::Range<usize>) -> Option<(usize, usize)> {
    let stays = |at: usize| !work.splices.iter().any(|it| it.range.contains(&at));
    tree.nodes().iter().find_map(|node| {
        let Content::Alias(target) = node.content else { return None };
        let target = tree.get(target).span;
        let touched = target.start < range.end && range.start < target.end.max(target.start + 1);
        (touched && stays(node.span.start)).then_some((target.start, node.span.start))
    })
}
