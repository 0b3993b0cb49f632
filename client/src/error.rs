//! What can go wrong between a client and the service. No message holds a token.

use std::io;
use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;

use crate::types::Problem;

pub(crate) type Cause = dyn std::error::Error + 'static;

pub type Result<T> = std::result::Result<T, ClientError>;

#[derive(Debug, Error, Diagnostic)]
pub enum ClientError {
    #[error("`{url}` is no address of a service: {reason}")]
    #[diagnostic(code(client::address), help("write it as in http://127.0.0.1:8080"))]
    Address { url: String, reason: String },

    #[error("the token cannot be sent: it holds characters that no token has")]
    #[diagnostic(code(client::token), help("give it as `setpoint token create` printed it"))]
    Token,

    #[error("nothing answers at {url}: {reason}")]
    #[diagnostic(
        code(client::unreachable),
        help("is it running? `setpoint serve` says at its start where it listens")
    )]
    Unreachable { url: String, reason: String },

    #[error("{} ({})", problem.detail, problem.code)]
    #[diagnostic(code(client::refused))]
    Refused {
        /// What the service said.
        #[help]
        help: Option<String>,
        problem: Box<Problem>,
    },

    #[error("what answers at {url} is not Setpoint: {reason}")]
    #[diagnostic(
        code(client::not_setpoint),
        help("check host, port and path; a proxy between may answer in its place")
    )]
    NotSetpoint { url: String, reason: String },

    #[error("no secure connection to {url}: {reason}")]
    #[diagnostic(
        code(client::tls),
        help("if its certificate is of your own authority, name that in SSL_CERT_FILE")
    )]
    Tls { url: String, reason: String },

    #[error("what answers at {url} does not speak TLS")]
    #[diagnostic(
        code(client::no_tls),
        help("try http:// in place of https://; or have the service given a certificate")
    )]
    NoTls { url: String },

    #[error("no answer from {url} within {after:?}")]
    #[diagnostic(
        code(client::timeout),
        help("the service is overloaded, or something on the way to it drops what is sent")
    )]
    Timeout { url: String, after: Duration },

    #[error("the answer of {url} has more than {limit_bytes} bytes")]
    #[diagnostic(code(client::too_large), help("ask for less: a prefix, a limit or a pattern"))]
    TooLarge { url: String, limit_bytes: usize },

    #[error("the connection to {url} has ended: {reason}")]
    #[diagnostic(code(client::lost), help("connect again; nothing is missed that way"))]
    Lost { url: String, reason: String },

    #[error("{url} told of changes out of order: {reason}")]
    #[diagnostic(
        code(client::gap),
        help("connect again without a position, and report it with both versions")
    )]
    Gap { url: String, reason: String },
}

impl ClientError {
    pub(crate) fn refused(problem: Problem) -> Self {
        Self::Refused { help: problem.help.clone(), problem: Box::new(problem) }
    }

    /// Whether the same may go well later, with nothing changed but time.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Lost { .. }
            | Self::Gap { .. } => true,
            Self::Refused { problem, .. } => {
                problem.status >= 500 || matches!(problem.status, 408 | 425 | 429)
            }
            Self::Address { .. }
            | Self::Token
            | Self::NotSetpoint { .. }
            | Self::Tls { .. }
            | Self::NoTls { .. }
            | Self::TooLarge { .. } => false,
        }
    }
}

/// What `error` comes of, itself first.
pub(crate) fn causes(error: &Cause) -> impl Iterator<Item = &Cause> {
    std::iter::successors(Some(error), |error| {
        // An I/O error gives the cause of what it wraps for its own.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|it| it as &Cause).or_else(|| error.source())
    })
}

/// The innermost cause, which is what a person can do something about.
pub(crate) fn root(error: &Cause) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// Whether `error` comes of TLS.
pub(crate) fn is_tls(error: &Cause) -> bool {
    causes(error).any(|it| it.is::<rustls::Error>())
}

/// The error of TLS, for `error` that comes of it.
pub(crate) fn of_tls(url: String, error: &Cause) -> ClientError {
    let is_other = |it: &Cause| matches!(it.downcast_ref(), Some(rustls::Error::InvalidMessage(_)));
    match causes(error).any(is_other) {
        true => ClientError::NoTls { url },
        false => ClientError::Tls { url, reason: root(error) },
    }
}
