//! `[backups.retention]` and `[revisions]`: which backups and which revisions stay.

use setpoint_ops::retention::{Policy, revisions};
use validator::ValidationError;

/// A policy that keeps nothing is none.
pub(super) fn keeps_something(policy: &Policy) -> Result<(), ValidationError> {
    policy.check().map_err(|_| {
        ValidationError::new("retention")
            .with_message("keeps nothing: say what to keep, as in keep_daily = 7".into())
    })
}

/// The same of revisions.
pub(super) fn keeps_revisions(policy: &revisions::Policy) -> Result<(), ValidationError> {
    policy.check().map_err(|_| {
        ValidationError::new("retention")
            .with_message("keeps nothing: say what to keep, as in keep_within = \"2y\"".into())
    })
}
