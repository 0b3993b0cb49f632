//! Errors as they travel: problem documents of RFC 9457, with stable codes.

use miette::Diagnostic;
use poem::http::header::CONTENT_TYPE;
use poem::http::{HeaderMap, HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use setpoint_client::types::{Fault, Problem, Setting};
use setpoint_ops::Error;
use setpoint_ops::backup::BackupError;

/// A problem document.
#[derive(Debug)]
pub(crate) struct ProblemJson(pub Box<Problem>);

const PROBLEM_JSON: &str = "application/problem+json";

impl Payload for ProblemJson {
    const CONTENT_TYPE: &'static str = PROBLEM_JSON;

    fn schema_ref() -> MetaSchemaRef {
        Problem::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

impl IntoResponse for ProblemJson {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self.0).expect("a problem is texts and JSON");
        let mut response = Response::builder().content_type(PROBLEM_JSON).body(text);
        response.set_status(StatusCode::from_u16(self.0.status).unwrap_or_default());
        response
    }
}

/// Everything that a request can be refused with.
#[derive(ApiResponse, Debug)]
pub(crate) enum ApiError {
    /// The request is not one that can be understood.
    #[oai(status = 400)]
    BadRequest(ProblemJson),
    /// There is no valid token with it.
    #[oai(status = 401)]
    Unauthorized(ProblemJson, #[oai(header = "WWW-Authenticate")] String),
    /// The token, the host or the origin may not do that.
    #[oai(status = 403)]
    Forbidden(ProblemJson),
    /// Nothing has that name.
    #[oai(status = 404)]
    NotFound(ProblemJson),
    /// There is no such method here.
    #[oai(status = 405)]
    MethodNotAllowed(ProblemJson),
    /// The body came too slowly.
    #[oai(status = 408)]
    TooSlow(ProblemJson),
    /// Something has changed meanwhile, or stands in the way.
    #[oai(status = 409)]
    Conflict(ProblemJson),
    /// It is there already, and was to be new.
    #[oai(status = 412)]
    PreconditionFailed(ProblemJson),
    /// The body is larger than this takes.
    #[oai(status = 413)]
    TooLarge(ProblemJson),
    /// The body is of a type that this does not read.
    #[oai(status = 415)]
    UnsupportedType(ProblemJson),
    /// What is asked for is understood, and cannot be.
    #[oai(status = 422)]
    Unprocessable(ProblemJson),
    /// Too many requests.
    #[oai(status = 429)]
    TooMany(ProblemJson, #[oai(header = "Retry-After")] u64),
    /// The service failed; its log says how.
    #[oai(status = 500)]
    Internal(ProblemJson),
    /// The database cannot be written or asked now. Reads of what is live go on.
    #[oai(status = 503)]
    Unavailable(ProblemJson, #[oai(header = "Retry-After")] u64),
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let kind = format!("urn:setpoint:problem:{}", code.replace("::", ":"));
        Self::of(Problem {
            kind,
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            help: None,
            errors: Vec::new(),
            current: None,
        })
    }

    pub(crate) fn of(problem: Problem) -> Self {
        let status = problem.status;
        let problem = ProblemJson(Box::new(problem));
        match status {
            400 => Self::BadRequest(problem),
            401 => Self::Unauthorized(problem, "Bearer".to_owned()),
            403 => Self::Forbidden(problem),
            404 => Self::NotFound(problem),
            405 => Self::MethodNotAllowed(problem),
            408 => Self::TooSlow(problem),
            409 => Self::Conflict(problem),
            412 => Self::PreconditionFailed(problem),
            413 => Self::TooLarge(problem),
            415 => Self::UnsupportedType(problem),
            422 => Self::Unprocessable(problem),
            429 => Self::TooMany(problem, 1),
            503 => Self::Unavailable(problem, 1),
            _ => Self::Internal(problem),
        }
    }

    pub(crate) fn problem(&mut self) -> &mut Problem {
        match self {
            Self::BadRequest(it)
            | Self::Unauthorized(it, _)
            | Self::Forbidden(it)
            | Self::NotFound(it)
            | Self::MethodNotAllowed(it)
            | Self::TooSlow(it)
            | Self::Conflict(it)
            | Self::PreconditionFailed(it)
            | Self::TooLarge(it)
            | Self::UnsupportedType(it)
            | Self::Unprocessable(it)
            | Self::TooMany(it, _)
            | Self::Internal(it)
            | Self::Unavailable(it, _) => &mut it.0,
        }
    }

    /// What to do next.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.problem().help = Some(help.into());
        self
    }

    /// Every fault, where there are several.
    pub(crate) fn errors(mut self, errors: Vec<Fault>) -> Self {
        self.problem().errors = errors;
        self
    }

    /// What is live, where a condition was not met.
    pub(crate) fn current(mut self, current: Option<Setting>) -> Self {
        self.problem().current = current;
        self
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let error = error.at("the database");
        let status = status_of(&error);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %chain(&error), "a request failed");
        }
        let code = error.code().map(|it| it.to_string()).unwrap_or_default();
        let detail = match status {
            // A database's own words may hold values.
            StatusCode::INTERNAL_SERVER_ERROR => "the service failed; its log says how".to_owned(),
            _ => error.to_string(),
        };
        let mut answer = Self::new(status, &code, detail);
        answer.problem().help = error.help().map(|it| it.to_string());
        answer.problem().errors = faults(&error);
        answer
    }
}

/// Every fault that an error is made of, each with its place.
fn faults(error: &Error) -> Vec<Fault> {
    let fault = |key: Option<&str>, detail: String| Fault { key: key.map(str::to_owned), detail };
    match error {
        Error::Schema { key, reasons } => {
            reasons.iter().map(|it| fault(Some(key), it.clone())).collect()
        }
        Error::ClaimedTwice { claims } => {
            claims.iter().map(|it| fault(Some(&it.key), it.to_string())).collect()
        }
        Error::Import(error) => {
            let faults = error.faults().into_iter();
            faults
                .map(|(place, said)| {
                    fault(None, format!("{}:{}: {said}", place.line, place.column))
                })
                .collect()
        }
        Error::Refused { errors } => errors
            .iter()
            .flat_map(|it| match faults(it) {
                inner if inner.is_empty() => vec![fault(None, it.to_string())],
                inner => inner,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::UnknownKey { .. }
        | Error::UnknownRevision { .. }
        | Error::Pruned { .. }
        | Error::UnknownLayer { .. }
        | Error::NeverImported { .. }
        | Error::UnknownToken { .. }
        | Error::UnknownJob { .. }
        | Error::NothingUnconfirmed
        | Error::NoSource { .. }
        | Error::NoDrift { .. } => StatusCode::NOT_FOUND,
        Error::Backup(error) => status_of_backup(error),
        Error::BadKey { .. }
        | Error::BadTime { .. }
        | Error::BadLength { .. }
        | Error::LimitWithoutTrial
        | Error::BadPlan { .. }
        | Error::BadQuery { .. } => StatusCode::BAD_REQUEST,
        Error::Stale { .. }
        | Error::NotATree { .. }
        | Error::Conflicts { .. }
        | Error::NoConflict { .. }
        | Error::SeveralConflicts { .. }
        | Error::EditedMeanwhile { .. }
        | Error::TokenExists { .. }
        | Error::RestoredWhole { .. }
        | Error::RevokedBefore { .. }
        | Error::JobRunning { .. }
        | Error::JobLost { .. }
        | Error::NotUnconfirmed { .. }
        | Error::SeveralUnconfirmed { .. }
        | Error::ConfirmedTooLate { .. }
        | Error::TakenBack { .. }
        | Error::ConfirmedRejected { .. }
        | Error::Redeclared { .. } => StatusCode::CONFLICT,
        Error::Exists { .. } => StatusCode::PRECONDITION_FAILED,
        Error::Locked { .. }
        | Error::Busy
        | Error::Gone { .. }
        | Error::Unanswered { .. }
        | Error::Unreachable { .. }
        | Error::DiskFull { .. }
        | Error::DiskFailed { .. }
        | Error::NotWritable { .. }
        | Error::NoDatabase { .. }
        | Error::EmptyDatabase { .. }
        | Error::Damaged { .. }
        | Error::NotADatabase { .. }
        | Error::OlderDatabase { .. }
        | Error::NewerDatabase { .. } => StatusCode::SERVICE_UNAVAILABLE,
        error if error.is_of_the_connection() => StatusCode::SERVICE_UNAVAILABLE,
        Error::Database(_) | Error::NotReadBack { .. } | Error::NotVerified { .. } => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn status_of_backup(error: &BackupError) -> StatusCode {
    match error {
        BackupError::Unknown { .. }
        | BackupError::NoSuchMoment { .. }
        | BackupError::NoSuchKeys { .. } => StatusCode::NOT_FOUND,
        BackupError::Exists { .. }
        | BackupError::LastVerified { .. }
        | BackupError::NotOurs { .. }
        | BackupError::NotRecorded { .. }
        | BackupError::Overtaken
        | BackupError::Pinned { .. }
        | BackupError::Replaced { .. }
        | BackupError::Stays { .. } => StatusCode::CONFLICT,
        BackupError::BadKeyFile { .. }
        | BackupError::NoKey { .. }
        | BackupError::NoKeyFile { .. }
        | BackupError::NoRoom { .. }
        | BackupError::NoBucket { .. }
        | BackupError::NoCredentials { .. }
        | BackupError::StoreFailed { .. }
        | BackupError::StoreRefused { .. }
        | BackupError::StoreUnreachable { .. }
        | BackupError::WrongKey { .. }
        | BackupError::WrongRegion { .. } => StatusCode::SERVICE_UNAVAILABLE,
        BackupError::NotRemoved { .. }
        | BackupError::NotVerified { .. }
        | BackupError::PartlyPruned { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

/// What a library refuses by itself, as a problem.
pub(crate) fn of_status(status: StatusCode, detail: String) -> ApiError {
    let code = match status {
        StatusCode::NOT_FOUND => "request::no_such_path",
        StatusCode::METHOD_NOT_ALLOWED => "request::method",
        StatusCode::PAYLOAD_TOO_LARGE => "request::too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "request::media_type",
        status if status.is_client_error() => "request::invalid",
        _ => "service::failed",
    };
    let status = match status {
        StatusCode::INTERNAL_SERVER_ERROR => status,
        _ if of_known(status) => status,
        status if status.is_client_error() => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    ApiError::new(status, code, detail)
}

fn of_known(status: StatusCode) -> bool {
    [400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 429, 503].contains(&status.as_u16())
}

/// Whether `headers` say that the body tells a program what it is.
pub(crate) fn is_told(headers: &HeaderMap<HeaderValue>) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/"))
}
