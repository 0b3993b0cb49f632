//! The wire, and a client that speaks it.

pub mod types;
