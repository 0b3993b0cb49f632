//! `[backups.encryption]`: to whom backups are encrypted, and with whose key they are read.

use setpoint_ops::backup::Encryption;
use validator::ValidationError;

/// Somebody can read what is encrypted, and no key stands in the configuration.
pub(super) fn is_encryption(declared: &Encryption) -> Result<(), ValidationError> {
    let check = declared.check();
    check.map_err(|reason| ValidationError::new("encryption").with_message(reason.into()))
}
