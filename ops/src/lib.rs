//! What can be done with settings, one verb a module.
//!
//! The command line, the HTTP service and the schedule are doors to these functions. Each takes
//! the database first and, where time matters, `now` as a plain value.

pub mod apply;
pub mod audit;
pub mod database;
pub mod edit;
pub mod explain;
pub mod export;
pub mod hash;
pub mod history;
pub mod import;
pub mod merge;
pub mod migrate;
pub mod originals;
pub mod plan;
pub mod revert;
pub mod setting;
pub mod source;
pub mod time;
pub mod verify;

mod bulk;
mod error;
mod rows;

pub use error::{Error, Result};
pub use setpoint_importers::{Format, Key, Limits, Place, TypedValue, ValueType};
