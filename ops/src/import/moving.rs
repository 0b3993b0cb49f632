//! Keys that a mapping gives another name: their seeds and live values go there first, so that
//! an edit follows its key.

use std::collections::{BTreeSet, HashMap, HashSet};

use setpoint_importers::{Key, Mapper};

use super::Layer;
use crate::Result;
use crate::plan::Move;
use crate::source::ReadSource;

/// Moves what `layer` knows of keys that have another name by now.
///
/// A live value stays where it is if another one stands in its way: it is a user's own key then.
pub(super) fn move_renamed(
    namespace: &str,
    name: &str,
    layer: &mut Layer<'_>,
    sources: &[ReadSource],
) -> Result<Vec<Move>> {
    let renamed = renamed(namespace, name, layer, sources)?;
    if renamed.is_empty() {
        return Ok(Vec::new());
    }
    let leaving: HashSet<&Key> = renamed.iter().map(|(from, _)| from).collect();
    let staying: BTreeSet<&str> =
        layer.live.keys().filter(|it| !leaving.contains(it)).map(Key::as_str).collect();
    let is_free = |key: &Key| {
        let below = format!("{key}.");
        let below = staying.range(below.as_str()..).next().is_some_and(|it| it.starts_with(&below));
        !below && !staying.contains(key.as_str()) && !key.ancestors().any(|it| staying.contains(it))
    };
    let moves = renamed.iter().map(|(from, to)| Move {
        namespace: namespace.to_owned(),
        layer: name.to_owned(),
        live: layer.live.get(from).filter(|_| is_free(to)).cloned(),
        from: from.clone(),
        to: to.clone(),
    });
    let moves: Vec<Move> = moves.collect();

    let taken = moves.iter().map(|it| {
        let live = it.live.as_ref().and_then(|_| layer.live.remove(&it.from));
        (it.to.clone(), layer.seeds.remove(&it.from), live)
    });
    for (to, seed, live) in taken.collect::<Vec<_>>() {
        layer.seeds.extend(seed.map(|it| (to.clone(), it)));
        layer.live.extend(live.map(|it| (to, it)));
    }
    Ok(moves)
}

/// The keys that have a seed, each with the other key that the mapping of its source makes of
/// its name in the file; in order. No two go to one, and none to a seed that stays.
fn renamed(
    namespace: &str,
    name: &str,
    layer: &Layer<'_>,
    sources: &[ReadSource],
) -> Result<Vec<(Key, Key)>> {
    let merged = sources.iter().filter(|it| it.status.is_merged());
    let here = merged
        .map(|it| &it.declared)
        .filter(|it| (it.namespace.as_str(), it.layer.as_str()) == (namespace, name));
    let mappers = here.map(|it| Ok((it.path.as_str(), it.mapper()?)));
    let mappers: HashMap<&str, Mapper> = mappers.collect::<Result<_>>()?;
    let mut renamed = Vec::new();
    for (key, seed) in &layer.seeds {
        let Some(mapper) = mappers.get(seed.source.as_str()) else { continue };
        let raw_key = seed.raw_key.as_ref().unwrap_or(key);
        if let Some(to) = mapper.key(raw_key)?.filter(|to| to != key) {
            renamed.push((key.clone(), to));
        }
    }
    renamed.sort();
    let leaving: HashSet<Key> = renamed.iter().map(|(from, _)| from.clone()).collect();
    let mut taken = HashSet::new();
    renamed.retain(|(_, to)| {
        (leaving.contains(to) || !layer.seeds.contains_key(to)) && taken.insert(to.clone())
    });
    Ok(renamed)
}
