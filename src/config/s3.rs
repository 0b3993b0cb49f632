//! `[backups.s3]`: the bucket that backups are kept in.

use setpoint_ops::backup::S3;
use validator::ValidationError;

/// Which it is can be told, and nobody else reads what is sent there.
pub(super) fn is_bucket(declared: &S3) -> Result<(), ValidationError> {
    declared.check().map_err(|reason| ValidationError::new("s3").with_message(reason.into()))
}
