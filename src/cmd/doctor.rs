use std::path::Path;

use chrono::Utc;
use rustix::fs::{Access as Right, access};
use serde::Serialize;
use setpoint_ops::amount::counted;
use setpoint_ops::confirm::waiting;
use setpoint_ops::database::{self, Access};
use setpoint_ops::setting::layers;
use setpoint_ops::source::imported;

use super::{Context, Exit};
use crate::console;

/// Look for what is wrong before it hurts: configuration, database, files, folders
///
/// Exits with 1 if anything is.
#[derive(clap::Args)]
pub(super) struct Args {}

#[derive(Serialize)]
struct Check {
    check: &'static str,
    ok: bool,
    says: String,
}

pub(super) async fn run(context: &Context, _: Args) -> miette::Result<Exit> {
    let mut checks = vec![Check {
        check: "configuration",
        ok: true,
        says: format!("{} declared", counted(context.loaded.config.sources.len(), "source")),
    }];
    if let Some(bundle) = &context.seeds {
        let says = format!("{}, {} files", bundle.name(), bundle.sources.len());
        checks.push(Check { check: "seeds", ok: true, says });
    }
    for source in &context.loaded.config.sources {
        let path = context.loaded.root.join(&source.path);
        if let Err(error) = std::fs::metadata(&path) {
            checks.push(Check {
                check: "source",
                ok: false,
                says: format!("{}: {error}", path.display()),
            });
        }
    }
    checks.extend(jobs(context));
    checks.push(backups(context));
    checks.extend(bucket(context).await);
    checks.extend(encryption(context));
    checks.extend(database(context).await);

    let failed = checks.iter().any(|it| !it.ok);
    if context.json {
        console::show_json(&checks)?;
    } else {
        let rows = checks.into_iter().map(|it| {
            vec![it.check.to_owned(), if it.ok { "ok" } else { "WRONG" }.to_owned(), it.says]
        });
        console::show(console::table(&["check", "state", "says"], &rows.collect::<Vec<_>>()))?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn jobs(context: &Context) -> Vec<Check> {
    match context.loaded.jobs() {
        Ok(jobs) if jobs.is_empty() => Vec::new(),
        Ok(jobs) => {
            let says = format!("{} declared", counted(jobs.len(), "job"));
            vec![Check { check: "jobs", ok: true, says }]
        }
        Err(error) => {
            let wrong = error.each().iter();
            wrong.map(|it| Check { check: "jobs", ok: false, says: told(it) }).collect()
        }
    }
}

fn backups(context: &Context) -> Check {
    let folder = context.loaded.backups();
    // It is made when it is needed, in what is there of its path.
    let nearest = folder.ancestors().find(|it| it.exists()).filter(|it| !it.as_os_str().is_empty());
    let nearest = nearest.unwrap_or(Path::new("."));
    let says = match access(nearest, Right::WRITE_OK | Right::EXEC_OK) {
        _ if !nearest.is_dir() => format!("{} is no folder", nearest.display()),
        Err(error) => format!("{} cannot be written to: {error}", nearest.display()),
        Ok(()) => return Check { check: "backups", ok: true, says: folder.display().to_string() },
    };
    Check { check: "backups", ok: false, says }
}

/// Where backups are kept, if that is not the folder.
async fn bucket(context: &Context) -> Option<Check> {
    context.loaded.config.backups.s3.as_ref()?;
    let storage = context.loaded.storage();
    Some(match storage.reach().await {
        Ok(()) => Check { check: "bucket", ok: true, says: storage.place() },
        Err(error) => Check { check: "bucket", ok: false, says: told(&error) },
    })
}

/// Whether backups that are encrypted can be read back.
fn encryption(context: &Context) -> Option<Check> {
    let encryption = context.loaded.encryption()?;
    Some(match encryption.refuse_without_key() {
        Ok(()) => {
            let recipients = encryption.recipients.iter().map(ToString::to_string);
            let says = recipients.collect::<Vec<_>>().join(", ");
            Check { check: "encryption", ok: true, says }
        }
        Err(error) => Check { check: "encryption", ok: false, says: told(&error) },
    })
}

/// What went wrong, and what to do.
fn told(error: &impl miette::Diagnostic) -> String {
    let help = error.help().map(|it| format!("; {it}")).unwrap_or_default();
    format!("{error}{help}")
}

async fn database(context: &Context) -> Vec<Check> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let bad = |error: setpoint_ops::Error| {
        let says = told(&error);
        Check { check: "database", ok: false, says }
    };
    let db = match database::open(&location, Access::Read, settings).await {
        Ok(db) => db,
        Err(error) => return vec![bad(error)],
    };
    let mut checks = vec![Check { check: "database", ok: true, says: db.place().to_owned() }];
    match setpoint_ops::audit::verify(&db.connection).await {
        Ok(verdict) => checks.push(Check {
            check: "history",
            ok: verdict.first_bad.is_none(),
            says: match verdict.first_bad {
                None => format!("{} revisions hold together", verdict.revisions),
                Some(it) => format!("revision {}: {}", it.revision, it.reason),
            },
        }),
        Err(error) => checks.push(bad(error)),
    }
    match layers(&db.connection).await {
        Ok(found) => {
            for (namespace, layer) in found {
                let known = context.loaded.scope(&namespace).layers.contains(&layer);
                if !known && !layer.starts_with("user:") {
                    let says =
                        format!("{namespace} has settings in `{layer}`, which is not declared");
                    checks.push(Check { check: "layer", ok: false, says });
                }
            }
        }
        Err(error) => checks.push(bad(error)),
    }
    match waiting(&db.connection).await {
        Ok(found) => {
            let now = Utc::now();
            checks.extend(found.iter().map(|it| Check {
                check: "unconfirmed",
                ok: !it.is_over(now),
                says: match it.is_over(now) {
                    false => format!("revision {} waits until {}", it.revision, it.until),
                    true => format!(
                        "revision {} is to be undone since {}, and no service does: start \
                         `setpoint serve`, or change something",
                        it.revision, it.until
                    ),
                },
            }));
        }
        Err(error) => checks.push(bad(error)),
    }
    match imported(&db.connection).await {
        Ok(sources) => {
            checks.extend(sources.iter().map(|it| Check {
                check: "imported",
                ok: it.open_conflicts == 0,
                says: format!(
                    "{} into {}, version {} at revision {}, {} conflicts open",
                    it.path, it.namespace, it.version, it.revision, it.open_conflicts
                ),
            }));
        }
        Err(error) => checks.push(bad(error)),
    }
    checks
}
