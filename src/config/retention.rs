//! `[backups.retention]`: which backups stay.

use setpoint_ops::retention::Policy;
use validator::ValidationError;

/// A policy that keeps nothing is none.
pub(super) fn keeps_something(policy: &Policy) -> Result<(), ValidationError> {
    policy.check().map_err(|_| {
        ValidationError::new("retention")
            .with_message("keeps nothing: say what to keep, as in keep_daily = 7".into())
    })
}
