//! What the database itself tells.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement};

use super::Check;
use super::jobs::runs;
use crate::amount::counted;
use crate::confirm::waiting;
use crate::database::{self, Location, Settings};
use crate::job::Job;
use crate::setting::{is_of_user, layers};
use crate::source::imported;
use crate::{Error, Result, audit};

/// Looks at the database at `location`, all of it as of one moment, and at what it tells of `jobs`.
/// `declared` are the layers of a namespace. SQLite reads the whole file for it.
pub async fn database(
    location: &Location,
    settings: Settings,
    declared: impl Fn(&str) -> Vec<String>,
    jobs: &[Job],
    now: DateTime<Utc>,
) -> Vec<Check> {
    let look = async |db: &DatabaseTransaction| {
        let (mut checks, place) = (Vec::new(), location.name());
        // Where one thing cannot be read, what follows tells nothing any more.
        if let Err(error) = look(db, &place, &declared, jobs, now, &mut checks).await {
            checks.push(Check::failed("database", &error.at(&place)));
        }
        Ok(checks)
    };
    let looked = database::reading(location, settings, look).await;
    looked.unwrap_or_else(|error| vec![Check::failed("database", &error)])
}

async fn look(
    db: &DatabaseTransaction,
    place: &str,
    declared: &impl Fn(&str) -> Vec<String>,
    jobs: &[Job],
    now: DateTime<Utc>,
    checks: &mut Vec<Check>,
) -> Result<()> {
    refuse_damaged(db, place).await?;
    checks.push(Check::well("database", place));
    checks.push(history(db).await?);
    checks.extend(undeclared(db, declared).await?);
    checks.extend(unconfirmed(db, now).await?);
    checks.extend(sources(db).await?);
    checks.extend(runs(db, jobs, now).await?);
    Ok(())
}

/// Has SQLite read every page, and stop at the first that is none of its own. PostgreSQL has tools
/// for that beside it.
async fn refuse_damaged(db: &DatabaseTransaction, place: &str) -> Result<()> {
    if db.get_database_backend() != DbBackend::Sqlite {
        return Ok(());
    }
    let ask = Statement::from_string(DbBackend::Sqlite, "PRAGMA quick_check(1)");
    let row = db.query_one_raw(ask).await?;
    let said: Option<String> = row.map(|it| it.try_get_by_index(0)).transpose()?;
    match said.as_deref() {
        Some("ok") => Ok(()),
        _ => Err(Error::Damaged { place: place.to_owned() }),
    }
}

async fn history(db: &DatabaseTransaction) -> Result<Check> {
    let verdict = audit::verify(db).await?;
    Ok(match verdict.first_bad {
        None => Check::well("history", verdict.to_string()),
        Some(_) => Check::wrong("history", verdict.to_string()),
    })
}

/// The layers that nobody reads.
async fn undeclared(
    db: &DatabaseTransaction,
    declared: &impl Fn(&str) -> Vec<String>,
) -> Result<Vec<Check>> {
    let found = layers(db).await?.into_iter();
    let unknown = found
        .filter(|(namespace, layer)| !declared(namespace).contains(layer) && !is_of_user(layer));
    let check = |(namespace, layer): (String, String)| {
        let says = format!("{namespace} has settings in `{layer}`, which is not declared");
        Check::wrong("layer", says)
    };
    Ok(unknown.map(check).collect())
}

async fn unconfirmed(db: &DatabaseTransaction, now: DateTime<Utc>) -> Result<Vec<Check>> {
    let waiting = waiting(db).await?;
    let check = waiting.iter().map(|it| match it.is_over(now) {
        false => {
            let says = format!("revision {} waits until {}", it.revision, it.until);
            Check::well("unconfirmed", says)
        }
        true => {
            let says = format!(
                "revision {} is to be undone since {}, and no service does: start `setpoint \
                 serve`, or change something",
                it.revision, it.until
            );
            Check::wrong("unconfirmed", says)
        }
    });
    Ok(check.collect())
}

async fn sources(db: &DatabaseTransaction) -> Result<Vec<Check>> {
    let imported = imported(db).await?;
    let check = imported.iter().map(|it| Check {
        check: "imported",
        ok: it.open_conflicts == 0,
        says: format!(
            "{} into {}, version {} at revision {}, {} open",
            it.path,
            it.namespace,
            it.version,
            it.revision,
            counted(it.open_conflicts, "conflict")
        ),
    });
    Ok(check.collect())
}
