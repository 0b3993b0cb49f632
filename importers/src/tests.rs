//! Over all formats: the fixtures, real data if it is there, and anything at all.

mod fixtures;
pub(crate) mod properties;
mod real_data;
mod refusals;
