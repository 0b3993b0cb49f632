//! Keys that seem to have another name in their file now. Proposed, and nothing else.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use setpoint_entity::seed;
use setpoint_importers::{
    Key, Limits, Mapper, SuggestedRule, Suggestion, TypedValue, suggest_renames,
};

use crate::source::{Declared, Meaning, read_bytes};
use crate::{Result, rows};

/// What is proposed for one file.
#[derive(Debug)]
pub struct Proposed {
    pub path: String,
    pub suggestions: Vec<Suggestion>,
}

/// Compares what `declared` files say with what they said when they were last imported.
///
/// # Errors
///
/// Those of reading the files; [`crate::Error::Database`].
pub async fn suggestions(
    db: &impl ConnectionTrait,
    declared: &[Declared],
    limits: &Limits,
) -> Result<Vec<Proposed>> {
    let mut proposed = Vec::new();
    for one in declared {
        let bytes = read_bytes(one, limits)??;
        let meaning = Meaning::of(one, &bytes, limits)??;
        let found = seed::Entity::find()
            .filter(seed::Column::Namespace.eq(&one.namespace))
            .filter(seed::Column::Source.eq(&one.path));
        let before = found.all(db).await?.into_iter().map(|row| {
            let value = rows::value(&row.value, row.format.as_deref())?;
            Ok((rows::key(row.raw_key.unwrap_or(row.key))?, value))
        });
        let before: Vec<(Key, TypedValue)> = before.collect::<Result<_>>()?;
        let now = meaning.entries.iter().map(|it| {
            let raw_key = meaning.raw_keys.get(&it.key).unwrap_or(&it.key);
            (raw_key.clone(), it.value.clone())
        });
        let now: Vec<(Key, TypedValue)> = now.collect();
        let mut suggestions = suggest_renames(&before, &now);
        if !one.interpretation.mapping.is_identity() {
            suggestions = beside(suggestions, &one.mapper()?)?;
        }
        proposed.push(Proposed { path: one.path.clone(), suggestions });
    }
    Ok(proposed)
}

/// The same pairs as renames that can stand beside the rules there are: the new name leads to
/// the setting that the old one does. Those that do already are left out.
fn beside(suggestions: Vec<Suggestion>, mapper: &Mapper) -> Result<Vec<Suggestion>> {
    let mut renames = Vec::new();
    for pair in suggestions.into_iter().flat_map(|it| it.pairs) {
        let (Some(key), now) = (mapper.key(&pair.from)?, mapper.key(&pair.to)?) else { continue };
        if now.as_ref() == Some(&key) {
            continue;
        }
        let to = mapper.within(&key);
        let rule = SuggestedRule::Rename { from: pair.to.clone(), to };
        renames.push(Suggestion { rule, pairs: vec![pair] });
    }
    Ok(renames)
}
