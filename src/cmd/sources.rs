//! Which files a command is about.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use miette::miette;
use setpoint_ops::Mapping;
use setpoint_ops::source::{Declared, Interpretation, Named, declare, imported, with_known};

use super::{Context, key};
use crate::config::BASE;
use crate::console;

/// Files given on the command line, and how they are read.
#[derive(clap::Args)]
pub(super) struct Given {
    /// Files, or folders of files
    #[arg(value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    /// The layer that files given as paths go into
    #[arg(long, value_name = "NAME", default_value = BASE)]
    layer: String,

    /// The key that everything in files given as paths goes below
    #[arg(long, value_name = "KEY")]
    prefix: Option<String>,

    /// The format of files given as paths: yaml, toml, json, env or one of your own
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
}

/// The files to read: those given, as setpoint.toml declares them if it does; else all it
/// declares.
pub(super) fn chosen(
    context: &Context,
    given: &Given,
    verb: &str,
) -> miette::Result<Vec<Declared>> {
    let root = &context.loaded.root;
    let configured = context.loaded.sources()?;
    if given.paths.is_empty() {
        if configured.is_empty() && context.seeds.is_none() {
            return Err(miette!(
                code = "migrate::nothing",
                help = format!(
                    "name files, as in `setpoint {verb} config/*.yaml`, or declare them in \
                     setpoint.toml:\n\n[[source]]\npath = \"config/settings.yaml\""
                ),
                "there is nothing to {verb}"
            ));
        }
        let mut declared = told(declare(&configured, root)?)?;
        declared.extend(seeds(context));
        return Ok(declared);
    }

    let layer = context.layer(&given.layer)?;
    let prefix = given.prefix.as_deref().map(key).transpose()?;
    let mut named = Vec::new();
    for path in &given.paths {
        named.push(Named {
            path: path.clone(),
            namespace: context.namespace().to_owned(),
            layer: layer.clone(),
            interpretation: Interpretation {
                format: given.format.clone(),
                mapping: Mapping {
                    prefix: prefix.as_ref().map(ToString::to_string),
                    ..Mapping::default()
                },
                secrets: context.secrets()?,
                ..Interpretation::default()
            },
            write_back: false,
        });
    }
    let mut declared = told(declare(&named, root)?)?;
    for one in &mut declared {
        let known = configured.iter().filter_map(|it| declare(std::slice::from_ref(it), root).ok());
        let known = known.flat_map(|(declared, _)| declared).find(|it| it.is_same(one));
        if let Some(known) = known {
            *one = known;
        }
    }
    Ok(declared)
}

fn told((declared, skipped): (Vec<Declared>, Vec<PathBuf>)) -> miette::Result<Vec<Declared>> {
    for path in skipped {
        console::tell(format_args!("note: {} is left out: no importer reads it", path.display()));
    }
    Ok(declared)
}

/// The sources that come with the program.
fn seeds(context: &Context) -> Vec<Declared> {
    context.seeds.iter().flat_map(|it| it.sources.iter().cloned()).collect()
}

/// Every source that setpoint.toml declares, and the seeds. A folder that is gone has none.
pub(super) fn configured(context: &Context) -> miette::Result<Vec<Declared>> {
    let root = &context.loaded.root;
    let mut declared: Vec<Declared> = Vec::new();
    for named in context.loaded.sources()? {
        // Not there, or an empty folder: by its name alone, so that it can be told.
        let found = match declare(std::slice::from_ref(&named), root) {
            Ok((found, _)) if named.path.exists() => found,
            _ => vec![Declared::at(&named, root)],
        };
        for one in found {
            if !declared.iter().any(|it| it.is_same(&one)) {
                declared.push(one);
            }
        }
    }
    declared.extend(seeds(context));
    Ok(declared)
}

/// Those sources, declared or imported before, whose paths are `names`; all without any.
pub(super) async fn named(context: &Context, names: &[PathBuf]) -> miette::Result<Vec<Declared>> {
    let configured = configured(context)?;
    let known = context.read(async |db| imported(db).await).await?;
    let root = &context.loaded.root;
    let all = with_known(&configured, &known, root)?;
    if names.is_empty() {
        return Ok(all);
    }
    let mut chosen = Vec::new();
    for name in names {
        let is_it = |it: &&Declared| it.is_named(name, root);
        let found: Vec<Declared> = all.iter().filter(is_it).cloned().collect();
        if found.is_empty() {
            let known = all.iter().map(|it| it.path.as_str()).collect::<Vec<_>>().join(", ");
            return Err(miette!(
                code = "source::unknown",
                help = format!("known are: {known}"),
                "there is no source {}",
                Path::new(name).display()
            ));
        }
        chosen.extend(found);
    }
    Ok(chosen)
}
