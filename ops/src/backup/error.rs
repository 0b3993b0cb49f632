//! Everything that can happen to backups.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::amount::size;

/// What can happen to a user of backups. Codes are public and never renamed.
#[derive(Debug, Error, Diagnostic)]
pub enum BackupError {
    #[error("`{name}` cannot be the name of a backup")]
    #[diagnostic(
        code(backup::bad_name),
        help("nothing was done; give 1 to 100 of A-Z a-z 0-9 . _ -, a letter or digit first")
    )]
    BadName { name: String },

    #[error("a note of {length} characters is too long")]
    #[diagnostic(code(backup::bad_note), help("there is no new backup; give no more than {limit}"))]
    BadNote { length: usize, limit: usize },

    #[error("there is a backup `{name}`")]
    #[diagnostic(
        code(backup::exists),
        help("there is no new backup; choose another name, or none: one is made of the time")
    )]
    Exists { name: String },

    #[error("there is no backup `{name}`")]
    #[diagnostic(
        code(backup::unknown),
        help("nothing was done; `setpoint backup list` has the names")
    )]
    Unknown { name: String },

    #[error("there is no backup in {place}")]
    #[diagnostic(
        code(backup::none),
        help("take one: `setpoint backup create`; or mend [backups] if there should be some")
    )]
    None { place: String },

    #[error("this database does not know backup `{name}`")]
    #[diagnostic(
        code(backup::not_recorded),
        help(
            "nothing was changed; `setpoint backup verify {name}` records it if it is of this \
             database's history; if it is not, no rule removes it, and `setpoint backup remove \
             --force {name}` does (over HTTP force=true)"
        )
    )]
    NotRecorded { name: String },

    #[error("this database does not know backup `{name}`: it may be another's, or pinned")]
    #[diagnostic(
        code(backup::not_ours),
        help(
            "nothing was removed; `setpoint backup verify {name}` records one that is of this history; \
             --force removes it all the same"
        )
    )]
    NotOurs { name: String },

    #[error("backup `{name}` is not the archive that this database knows by that name")]
    #[diagnostic(
        code(backup::replaced),
        help(
            "nothing was changed; somebody has put it in the place of the one that was taken: put that \
             one back, or have this one removed by --force (over HTTP force=true) if nobody needs it"
        )
    )]
    Replaced { name: String },

    #[error("{} cannot be removed", path.display())]
    #[diagnostic(
        code(backup::not_removed),
        help(
            "it is as it was; look at its owner, mode and attributes, and at those of the folder"
        )
    )]
    NotRemoved { path: PathBuf, source: io::Error },

    #[error("backup `{name}` is pinned")]
    #[diagnostic(
        code(backup::pinned),
        help(
            "it was not removed; unpin it first, or say --force (over HTTP force=true) if it has to \
             go all the same"
        )
    )]
    Pinned { name: String },

    #[error("backup `{name}` is the newest that is known to restore")]
    #[diagnostic(
        code(backup::last_verified),
        help(
            "it was not removed; take a newer one first, or say --force (over HTTP force=true) if \
             it has to go all the same"
        )
    )]
    LastVerified { name: String },

    #[error("backup `{name}` is to stay by now: {reasons}")]
    #[diagnostic(
        code(backup::stays),
        help("nothing was removed; look again at what goes: `setpoint backup prune --dry-run`")
    )]
    Stays { name: String, reasons: String },

    #[error("removed {}, and not {}: {reason}", removed.join(", "), stayed.join(", "))]
    #[diagnostic(
        code(backup::partly_pruned),
        help(
            "those that were removed are gone, the others are as they were; look at their owner, mode \
             and attributes, or at the store, and prune again"
        )
    )]
    PartlyPruned {
        removed: Vec<String>,
        /// Those that no rule keeps either.
        stayed: Vec<String>,
        /// Of the first of them.
        reason: String,
    },

    #[error("backup `{name}` is damaged: {reason}")]
    #[diagnostic(
        code(backup::damaged),
        help("nothing was changed; `setpoint backup verify --all` tells which ones are whole")
    )]
    Damaged { name: String, reason: String },

    #[error("the new backup does not restore: {reason}")]
    #[diagnostic(
        code(backup::not_verified),
        help("it was not kept; look at `setpoint verify` and at the disk, then try again")
    )]
    NotVerified { reason: String },

    #[error("backup `{name}` was made by a newer Setpoint: it has {what}")]
    #[diagnostic(code(backup::newer), help("nothing was changed; use that Setpoint"))]
    Newer { name: String, what: String },

    #[error(
        "{} has {} free, and {} are needed",
        folder.display(), size(*free_bytes), size(*needed_bytes)
    )]
    #[diagnostic(
        code(backup::no_room),
        help("nothing was changed; make room there, or name another folder: [backups] folder")
    )]
    NoRoom { folder: PathBuf, needed_bytes: u64, free_bytes: u64 },

    #[error("backup `{name}` holds nothing of {wanted}: {holds}")]
    #[diagnostic(
        code(backup::no_such_moment),
        help("nothing was changed; `setpoint backup list` tells what each backup holds")
    )]
    NoSuchMoment { name: String, wanted: String, holds: String },

    #[error("none of the keys in backup `{name}` or in the database is meant by {patterns}")]
    #[diagnostic(
        code(backup::no_such_keys),
        help("nothing was changed; give keys, or patterns such as http.*")
    )]
    NoSuchKeys { name: String, patterns: String },

    #[error("there is no variable {variable}, and {place} wants a key")]
    #[diagnostic(
        code(backup::no_credentials),
        help(
            "nothing was changed; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and \
             AWS_SESSION_TOKEN if there is one"
        )
    )]
    NoCredentials { variable: &'static str, place: String },

    #[error("{place} cannot be reached: {reason}")]
    #[diagnostic(
        code(backup::store_unreachable),
        help("nothing was changed; check [backups.s3] endpoint, the network, and that store")
    )]
    StoreUnreachable { place: String, reason: String },

    #[error("{place} refuses access: {reason}")]
    #[diagnostic(
        code(backup::store_refused),
        help(
            "nothing was changed; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, what they \
             may do there (list, get, put, delete), and the clock of this machine"
        )
    )]
    StoreRefused { place: String, reason: String },

    #[error("there is no bucket {place}")]
    #[diagnostic(
        code(backup::no_bucket),
        help("nothing was changed; make it there, or mend [backups.s3] bucket or endpoint")
    )]
    NoBucket { place: String },

    #[error("{place} is not in the region {region}")]
    #[diagnostic(code(backup::wrong_region), help("nothing was changed; mend [backups.s3] region"))]
    WrongRegion { place: String, region: String },

    #[error("{place} answers {reason}")]
    #[diagnostic(
        code(backup::store_failed),
        help("nothing was changed; try again, and look at what that store says of itself")
    )]
    StoreFailed { place: String, reason: String },

    #[error("{what} is encrypted, and there is no key that reads it")]
    #[diagnostic(
        code(backup::no_key),
        help(
            "nothing was changed; name the file with the identity of one of {recipients}: \
             [backups.encryption] identity_file"
        )
    )]
    NoKey { what: String, recipients: String },

    #[error("{what} is encrypted, and {} holds no key that reads it", path.display())]
    #[diagnostic(
        code(backup::wrong_key),
        help("nothing was changed; put the identity of one of these into it: {recipients}")
    )]
    WrongKey { what: String, recipients: String, path: PathBuf },

    #[error("{} cannot be the file of a key: {reason}", path.display())]
    #[diagnostic(
        code(backup::bad_key_file),
        help(
            "nothing was changed; give a file of X25519 identities, as `age-keygen` writes it, \
             that only its owner may read: chmod 600"
        )
    )]
    BadKeyFile { path: PathBuf, reason: String },

    #[error("there is no file {}, where the key of backups should be", path.display())]
    #[diagnostic(
        code(backup::no_key_file),
        help(
            "nothing was changed; put it there, with mode 600, or mend [backups.encryption] \
             identity_file"
        )
    )]
    NoKeyFile { path: PathBuf },

    #[error("others keep changing the settings")]
    #[diagnostic(
        code(backup::overtaken),
        help("nothing was changed; try again, or stop who writes first")
    )]
    Overtaken,
}
