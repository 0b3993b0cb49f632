//! Backups that are known to restore: taken, listed, read back, restored and removed.
//!
//! The archives are the truth, in a folder or in a bucket. The table `backup` is a record of them: a folder of archives that is
//! moved to another machine lists and restores there. What is kept for how long is decided
//! elsewhere.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::background::in_background;
use crate::database::{Location, Settings};
use crate::{Error, Result, time};

mod archive;
mod bucket;
mod content;
mod create;
mod encryption;
mod error;
mod folder;
mod follows;
mod lines;
mod list;
mod manifest;
mod pin;
mod prove;
mod prune;
mod record;
mod remove;
mod replay;
mod restore;
mod scratch;
mod steps;
mod storage;
mod tables;
mod taken;
mod tar;
mod verify_each;
mod work;
mod write;

pub(crate) use bucket::Forbidden;
pub use bucket::{Bucket, S3};
pub use create::{Foreseen, create, foresee};
pub(crate) use encryption::Keys;
pub use encryption::{Encryption, Recipient};
pub use error::BackupError;
pub use list::{Listed, Listing, ends, find, list};
pub use manifest::{Encrypted, Engine, Kind, Manifest, Member};
pub use pin::pin;
pub use prove::prove;
pub use prune::{plan_prune, prune, prune_planned};
pub use record::{Freshness, freshness};
pub use remove::remove;
pub use replay::Moment;
pub use restore::{Counted, Restoration, Restore, Restored};
pub use steps::{Stepped, down, up};
pub use storage::{Storage, passed_over};
pub use verify_each::verify_each;

use record::Origin;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What it is called; made of the time and the revision if nothing is said.
    pub name: Option<String>,
    pub kind: Kind,
    pub note: Option<String>,
    /// Whether it is not to be removed.
    pub pin: bool,
}

/// A backup that was read back whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub name: String,
    /// Of the archive.
    pub size_bytes: u64,
    pub sha256: String,
    pub verified_at: String,
    #[serde(flatten)]
    pub manifest: Manifest,
}

/// How many changes and settings there may be for the history to be computed again with each backup:
/// it takes 5 µs each at one go, and all settings are in memory meanwhile. Of a longer one [`verify`]
/// does that.
const CHECKED_ROWS: u64 = 50_000;

/// A backup that was read back whole, and what was wrong already when it was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    #[serde(flatten)]
    pub verified: Verified,
    /// Where its history and its settings do not hold together, in words; none if nobody has looked:
    /// it is too long for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<String>>,
    /// Whether this database has it in its record: of another's history it never has. None if the
    /// record could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<bool>,
}

impl Checked {
    /// Whether its history is known to be damaged.
    pub fn is_tampered(&self) -> bool {
        self.problems.as_ref().is_some_and(|it| !it.is_empty())
    }
}

/// Reads the backup `name` back into a scratch database and compares everything in it with what
/// was written, and with what this database knows of it. What came of it is recorded, unless the
/// backup is of another database's history. A history that did not hold together when it was
/// backed up is told: the archive is whole all the same.
///
/// # Errors
///
/// [`BackupError::Unknown`], [`BackupError::Damaged`], [`BackupError::Newer`],
/// [`BackupError::NoRoom`]; [`Error::Unreadable`], [`Error::Unwritable`]; as [`Bucket`] and
/// [`Encryption::refuse_without_key`] have them: nothing is recorded then, unless it is damaged.
pub async fn verify(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Checked> {
    let checked = async {
        let (archive, work) = archive::open(storage, name).await?;
        let reading = {
            let (location, storage) = (location.clone(), storage.clone());
            move || async move {
                let sha256 = archive.sha256()?;
                record::refuse_other(&location, settings, &archive.name, &sha256).await?;
                let scratch = scratch::extract(&storage, &work, &archive).await?;
                let problems = scratch::problems(&scratch).await?;
                Ok::<_, Error>((archive, sha256, problems))
            }
        };
        let read = in_background(reading).await;
        let (archive, sha256, problems) = read.map_err(Error::unwritable(storage.folder()))??;
        let verified = Verified {
            name: name.to_owned(),
            size_bytes: archive.size_bytes,
            sha256,
            verified_at: time::stamp(now),
            manifest: archive.manifest,
        };
        Ok(Checked { verified, problems: Some(problems), recorded: None })
    };
    let mut checked: Result<Checked> = checked.await;
    match &mut checked {
        Ok(checked) => {
            checked.recorded = record::keep(location, settings, checked, Origin::Found).await;
            if storage.refuse_unknown(name).await.is_err_and(|it| it.is_no_backup()) {
                // Somebody has removed it while it was read.
                record::forget(location, settings, name).await;
            }
        }
        Err(error) if error.damage().is_some() => {
            record::doubt(location, settings, name, now).await;
        }
        Err(_) => {}
    }
    checked
}
