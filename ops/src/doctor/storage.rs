//! Whether backups could be taken, and read back.

use std::path::Path;

use chrono::{DateTime, Utc};
use rustix::fs::{Access, access};

use super::Check;
use crate::Error;
use crate::amount::counted;
use crate::backup::{
    BackupError, Encryption, Forbidden, Keys, Kind, Listed, Storage, Wish, foresee, list,
};
use crate::database::{Location, Settings};
use crate::retention::Trust;

/// Looks at the folder of backups, at the bucket if there is one, and at the key of those that are
/// encrypted; where all that is well, at the backups there are, and whether there is room for one
/// more of the database at `location`.
pub async fn storage(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    now: DateTime<Utc>,
) -> Vec<Check> {
    let mut checks = vec![folder(storage.folder())];
    if storage.has_bucket() {
        checks.push(bucket(storage).await);
    }
    checks.extend(storage.encryption().map(encryption));
    if checks.iter().all(|it| it.ok) {
        checks.extend(backups(location, settings, storage).await);
        checks.extend(room(location, settings, storage, now).await);
    }
    checks
}

/// The backups that cannot be restored as they are.
async fn backups(location: &Location, settings: Settings, storage: &Storage) -> Vec<Check> {
    let listed = match list(location, settings, storage).await {
        Ok(listed) => listed.backups,
        Err(error) => return vec![Check::failed("backups", &error)],
    };
    let of = counted(listed.len(), "backup");
    let told = |what: &str, is: fn(&Listed) -> bool| {
        // The newest is the last, or of those that do not tell the one that is called so.
        let name = &listed.iter().rev().find(|it| is(it))?.name;
        let count = listed.iter().filter(|it| is(it)).count();
        let says = format!("{count} of {of} {what}, such as {name}: see `setpoint backup list`");
        Some(Check::wrong("backups", says))
    };
    let found = [
        told("cannot be read", |it| it.problem.is_some()),
        told("took the place of another", |it| it.trust == Trust::Replaced),
        unread(&listed, storage),
    ];
    found.into_iter().flatten().collect()
}

/// The backups that no key reads which is declared now: of each its manifest tells, which is not
/// encrypted.
fn unread(listed: &[Listed], storage: &Storage) -> Option<Check> {
    let refused = listed
        .iter()
        .rev()
        .filter_map(|it| Keys::of(storage.encryption(), it.manifest.as_ref()?, &it.name).err());
    let refused: Vec<Error> = refused.collect();
    let [newest, older @ ..] = refused.as_slice() else { return None };
    let Check { says, .. } = Check::failed("backups", newest);
    let older = match older.len() {
        0 => String::new(),
        count => format!("; the same goes for {}", counted(count, "older backup")),
    };
    let keep = "an old identity stays beside the new one for as long as there are backups of it";
    Some(Check::wrong("backups", format!("{says}{older}; {keep}")))
}

/// What keeps a backup from being begun now. Of a database that cannot be read others tell.
async fn room(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    now: DateTime<Utc>,
) -> Option<Check> {
    let wish = Wish { name: None, kind: Kind::Manual, note: None, pin: false };
    match foresee(location, settings, storage, &wish, now).await {
        Err(error @ Error::Backup(BackupError::NoRoom { .. })) => {
            let Check { says, .. } = Check::failed("backups", &error);
            Some(Check::wrong("backups", format!("{says}; until then no backup is taken")))
        }
        _ => None,
    }
}

fn folder(folder: &Path) -> Check {
    // It is made when it is needed, in what is there of its path.
    let nearest = folder.ancestors().find(|it| it.exists()).filter(|it| !it.as_os_str().is_empty());
    let nearest = nearest.unwrap_or(Path::new("."));
    let says = match access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
        _ if !nearest.is_dir() => format!("{} is no folder", nearest.display()),
        Err(error) => format!("{} cannot be written to: {error}", nearest.display()),
        Ok(()) => return Check::well("backups", folder.display().to_string()),
    };
    Check::wrong("backups", says)
}

async fn bucket(storage: &Storage) -> Check {
    if let Err(error) = storage.reach().await {
        return Check::failed("bucket", &error);
    }
    match storage.probe().await {
        Ok(()) => Check::well("bucket", storage.place()),
        Err(Forbidden { what, error }) => {
            let Check { says, .. } = Check::failed("bucket", &error);
            Check::wrong("bucket", format!("{what}: {says}"))
        }
    }
}

fn encryption(encryption: &Encryption) -> Check {
    match encryption.find_key() {
        Ok(()) => {
            let recipients = encryption.recipients.iter().map(ToString::to_string);
            Check::well("encryption", recipients.collect::<Vec<_>>().join(", "))
        }
        Err(error) => {
            let Check { says, .. } = Check::failed("encryption", &error);
            Check::wrong("encryption", format!("{says}; until then no backup is taken"))
        }
    }
}
