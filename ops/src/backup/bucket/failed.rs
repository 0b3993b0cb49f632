//! What a store did not do, in our words. Theirs are not passed on: an answer to a wrong signature
//! holds what was signed.

use std::error::Error as _;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

use super::S3;
use crate::backup::BackupError;
use crate::{Error, time};

/// It has not answered for so long.
#[derive(Debug, thiserror::Error)]
#[error("it does not answer within {}", time::told(*.0))]
pub(super) struct Silent(pub Duration);

/// What became of a request to the store.
pub(super) fn failed(declared: &S3, error: &object_store::Error) -> Error {
    let place = declared.place();
    let said = Answer::of(error);
    let reason = said.in_words();
    match (said.code.as_deref(), said.status) {
        _ if let Some(reason) = not_reached(error) => {
            BackupError::StoreUnreachable { place, reason }
        }
        (Some("NoSuchBucket"), _) => BackupError::NoBucket { place },
        (
            Some(
                "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
                | "IncorrectEndpoint"
                | "PermanentRedirect"
                | "TemporaryRedirect",
            ),
            _,
        )
        | (_, Some(301 | 302 | 307 | 308)) => {
            let region = declared.region.clone();
            BackupError::WrongRegion { place, region }
        }
        (_, Some(401 | 403)) => BackupError::StoreRefused { place, reason },
        _ => BackupError::StoreFailed { place, reason },
    }
    .into()
}

/// Why there is no answer at all, if there is none.
fn not_reached(error: &object_store::Error) -> Option<String> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(silent) = error.downcast_ref::<Silent>() {
            return Some(silent.to_string());
        }
        if let Some(error) = error.downcast_ref::<HttpError>() {
            let what = match error.kind() {
                HttpErrorKind::Connect => "no connection can be made",
                HttpErrorKind::Timeout => "it does not answer in time",
                _ => "it breaks off",
            };
            return Some(match innermost(error) {
                Some(why) => format!("{what}: {why}"),
                None => what.to_owned(),
            });
        }
        source = error.source();
    }
    None
}

/// The first cause: of the operating system, the name service or the certificate.
fn innermost(error: &HttpError) -> Option<String> {
    let mut last = error.source()?.source()?;
    while let Some(next) = last.source() {
        last = next;
    }
    Some(last.to_string().chars().filter(|it| !it.is_control()).take(200).collect())
}

/// What of an answer can be told.
pub(super) struct Answer {
    pub status: Option<u16>,
    /// The name that S3 has for the error.
    pub code: Option<String>,
}

impl Answer {
    /// The library keeps both in texts alone.
    pub(super) fn of(error: &object_store::Error) -> Self {
        let text = error.to_string();
        let after = |text: &str, start: &str| text.split_once(start).map(|it| it.1.to_owned());
        let code =
            after(&text, "<Code>").and_then(|it| Some(it.split_once("</Code>")?.0.to_owned()));
        let is_code = |it: &String| {
            (1..=64).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_alphanumeric())
        };
        let status = after(&text, "status code: ").and_then(|it| it.get(..3)?.parse().ok());
        let moved = text.contains("redirect without LOCATION").then_some(301);
        Self { status: status.or(moved), code: code.filter(is_code) }
    }

    fn in_words(&self) -> String {
        match (&self.code, self.status) {
            (Some(code), Some(status)) => format!("{status} {code}"),
            (Some(code), None) => code.clone(),
            (None, Some(status)) => status.to_string(),
            (None, None) => "what is no answer of S3".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (String, String) {
        let s3: S3 = serde_json::from_str(r#"{"bucket": "backups"}"#).unwrap();
        let error = object_store::Error::Generic { store: "S3", source: text.into() };
        let error = failed(&s3, &error);
        (miette::Diagnostic::code(&error).unwrap().to_string(), error.to_string())
    }

    /// As Amazon answers.
    #[test]
    fn an_answer_is_told_in_our_words_and_nothing_that_was_signed_is() {
        let answers = [
            (
                "Server returned non-2xx status code: 400 Bad Request: <Error><Code>\
                 AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>",
                "backup::wrong_region",
            ),
            (
                "Received redirect without LOCATION, this normally indicates an incorrectly \
                 configured region",
                "backup::wrong_region",
            ),
            (
                "Server returned non-2xx status code: 403 Forbidden: <Error><Code>\
                 SignatureDoesNotMatch</Code><StringToSign>canary</StringToSign></Error>",
                "backup::store_refused",
            ),
            (
                "Server returned non-2xx status code: 404 Not Found: <Error><Code>NoSuchBucket\
                 </Code></Error>",
                "backup::no_bucket",
            ),
            (
                "Server returned non-2xx status code: 503 Service Unavailable: <html>canary",
                "backup::store_failed",
            ),
            ("Got invalid list response: <Code>canary is no code</Code>", "backup::store_failed"),
        ];

        for (answer, code) in answers {
            let (told, message) = told(answer);
            assert_eq!(told, code, "{answer}");
            assert!(!message.contains("canary"), "{message}");
        }
        assert!(told(answers[2].0).1.ends_with(": 403 SignatureDoesNotMatch"));
    }
}
