//! One module a table. Rows only: what may be done with them is in `ops`.
//!
//! Times are UTC text such as `2026-05-01T12:00:00.000Z`, values are JSON text.

pub mod backup;
pub mod change;
pub mod drift_report;
pub mod head;
pub mod ignored_drift;
pub mod invalid_change;
pub mod job;
pub mod job_run;
pub mod outbox;
pub mod pruned;
pub mod rejection;
pub mod removed_key;
pub mod resolution;
pub mod revision;
pub mod seed;
pub mod setting;
pub mod source;
pub mod token;
pub mod unconfirmed;
