//! What can be done with settings, one verb a module.
//!
//! The command line, the HTTP service and the schedule are doors to these functions. Each takes
//! the database first and, where time matters, `now` as a plain value.

pub mod adopt;
pub mod amount;
pub mod apply;
pub mod audit;
mod background;
pub mod backup;
pub mod confirm;
pub mod database;
pub mod doctor;
pub mod drift;
pub mod edit;
pub mod expire;
pub mod explain;
pub mod export;
pub mod file;
pub mod hash;
pub mod history;
pub mod ignore;
pub mod import;
pub mod job;
pub mod live;
pub mod merge;
pub mod migrate;
pub mod originals;
pub mod plan;
pub mod report;
pub mod reset;
pub mod retention;
pub mod revert;
pub mod schema;
pub mod search;
pub mod secret;
pub mod setting;
pub mod skip;
pub mod source;
pub mod suggest;
pub mod time;
pub mod token;
pub mod verify;
pub mod webhook;
pub mod write_back;

mod bulk;
mod clock;
mod differing;
mod error;
mod nearest;
mod open;
mod rows;

pub use error::{Error, Result};
pub use setpoint_importers::{
    Format, Key, Limits, Mapping, MappingFault, Pattern, Place, TypedValue, ValueType,
};
