//! Lists where sections are meant: whoever reads a section would take a list for its values, in the
//! order in which they are declared.

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::value::{Dict, Value};

use super::{ConfigError, explained};

/// Every section; `*` stands for each name, and for each of a list. Those of jobs are looked at with
/// the jobs.
const SECTIONS: [&str; 14] = [
    "sqlite",
    "postgres",
    "limits",
    "backups",
    "backups.retention",
    "backups.s3",
    "backups.encryption",
    "revisions",
    "server",
    "log",
    "namespaces.*",
    "jobs",
    "source.*",
    "source.*.convert.*",
];

/// Refuses every list in place of a section.
///
/// # Errors
///
/// [`ConfigError::Invalid`], or several of it.
pub(super) fn refuse_lists(figment: &Figment) -> Result<(), ConfigError> {
    // What is no configuration at all is told by whoever reads it.
    let Ok(all) = figment.extract::<Dict>() else { return Ok(()) };
    let (all, mut found) = (Value::from(all), Vec::new());
    for section in SECTIONS {
        find(&all, &section.split('.').collect::<Vec<_>>(), "", &mut found);
    }
    let wrong = found.iter().flat_map(|key| explained(figment, no_section(), key));
    let wrong: Vec<ConfigError> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(ConfigError::of(wrong)) }
}

/// What is wrong with a list that should be a section.
pub(super) fn no_section() -> figment::Error {
    Kind::InvalidType(Actual::Seq, "struct of a section".to_owned()).into()
}

/// Finds the lists where `path` leads from `value`, which is that of `key`.
fn find(value: &Value, path: &[&str], key: &str, found: &mut Vec<String>) {
    let Some((first, rest)) = path.split_first() else {
        found.extend(value.as_array().map(|_| key.to_owned()));
        return;
    };
    let below = |name: &str| match key {
        "" => name.to_owned(),
        key => format!("{key}.{name}"),
    };
    match value {
        Value::Dict(_, members) => {
            for (name, inner) in members.iter().filter(|it| *first == "*" || it.0 == first) {
                find(inner, rest, &below(name), found);
            }
        }
        Value::Array(_, items) if *first == "*" => {
            for (at, inner) in items.iter().enumerate() {
                find(inner, rest, &below(&at.to_string()), found);
            }
        }
        _ => {}
    }
}
