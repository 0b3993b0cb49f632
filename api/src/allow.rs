//! Which methods a path has: HEAD wherever there is GET, and told with 405.

use std::collections::BTreeMap;

use poem::error::MethodNotAllowedError;
use poem::http::header::ALLOW;
use poem::http::{HeaderValue, Method, StatusCode};
use poem::{Endpoint, IntoResponse, Request, Response};
use serde::Deserialize;
use serde_json::Value;

/// An endpoint that answers HEAD as GET, and tells what else there is in place of a method that
/// there is not.
pub(crate) struct Allowing<E> {
    inner: E,
    /// Of each path of the document its methods.
    paths: Vec<(Vec<String>, String)>,
}

/// What is not in the document is read, and no more.
const READ: &str = "GET, HEAD";

impl<E> Allowing<E> {
    /// `document` is the OpenAPI document of what there is.
    pub(crate) fn new(inner: E, document: &str) -> Self {
        #[derive(Deserialize)]
        struct Document {
            paths: BTreeMap<String, BTreeMap<String, Value>>,
        }
        let document: Document =
            serde_json::from_str(document).expect("the document is one of ours");
        let paths = document.paths.into_iter().map(|(path, methods)| {
            let mut allowed: Vec<String> = methods.keys().map(|it| it.to_uppercase()).collect();
            if allowed.iter().any(|it| it == "GET") {
                allowed.push("HEAD".to_owned());
            }
            allowed.sort();
            (segments(&path).map(str::to_owned).collect(), allowed.join(", "))
        });
        Self { inner, paths: paths.collect() }
    }

    /// The methods of a path; of the most exact, where several fit.
    fn of(&self, path: &str) -> &str {
        let path: Vec<&str> = segments(path).collect();
        let fits = |it: &&(Vec<String>, String)| {
            let mut both = it.0.iter().zip(&path);
            it.0.len() == path.len() && both.all(|(a, b)| is_name(a) || a == b)
        };
        let names = |it: &&(Vec<String>, String)| it.0.iter().filter(|it| is_name(it)).count();
        self.paths.iter().filter(fits).min_by_key(names).map_or(READ, |it| it.1.as_str())
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_matches('/').split('/')
}

/// Whether a segment stands for any.
fn is_name(segment: &str) -> bool {
    segment.starts_with('{')
}

impl<E: Endpoint> Endpoint for Allowing<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let path = request.uri().path().to_owned();
        if request.method() == Method::HEAD {
            // What comes after the headers is left out by the server.
            request.set_method(Method::GET);
        }
        match self.inner.call(request).await {
            Err(error) if error.is::<MethodNotAllowedError>() => {
                let mut answer = StatusCode::METHOD_NOT_ALLOWED.into_response();
                if let Ok(methods) = HeaderValue::from_str(self.of(&path)) {
                    answer.headers_mut().insert(ALLOW, methods);
                }
                Ok(answer)
            }
            answered => answered.map(IntoResponse::into_response),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_path_says_what_is_allowed() {
        let document = r#"{"paths": {
            "/api/settings/{key}": {"get": {}, "put": {}},
            "/api/settings/update": {"post": {}},
            "/api/plans/{hash}/apply": {"post": {}}
        }}"#;
        let allowing = Allowing::new((), document);

        let of = ["/api/settings/a.b", "/api/settings/update", "/api/plans/x/apply", "/health"];
        let said = of.map(|it| allowing.of(it));

        assert_eq!(said, ["GET, HEAD, PUT", "POST", "POST", "GET, HEAD"]);
    }
}
