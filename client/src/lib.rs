//! The wire, and a client that speaks it: requests, a connection for news, and news that go on
//! when the connection does not. It knows no database.

mod error;
mod follow;
mod http;
mod socket;
pub mod types;

pub use error::{ClientError, Result};
pub use follow::{Backoff, Event, Follower};
pub use http::{Service, encoded};
pub use socket::Socket;

#[cfg(test)]
mod tests;
