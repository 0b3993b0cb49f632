//! What the document says that a path takes: its methods, HEAD wherever there is GET, and the
//! parameters of its query. A parameter that is misspelt might be the one that prevents a change.

use std::collections::BTreeMap;

use poem::error::MethodNotAllowedError;
use poem::http::header::ALLOW;
use poem::http::{HeaderValue, Method, StatusCode};
use poem::{Endpoint, IntoResponse, Request, Response};
use serde::Deserialize;

use crate::problem::{ApiError, ApiResult};

/// An endpoint that answers HEAD as GET, and tells what else there is in place of a method that
/// there is not.
pub(crate) struct Allowing<E> {
    inner: E,
    paths: Vec<Known>,
}

/// A path of the document.
struct Known {
    path: Vec<String>,
    methods: String,
    /// Of each method, in capitals, the parameters of its query.
    queries: BTreeMap<String, Vec<String>>,
}

/// What is in no document, and reads its query itself.
const APART: [&str; 2] = ["/api/settings/ws", "/api/settings/events"];

/// What is not in the document is read, and no more.
const READ: &str = "GET, HEAD";

impl<E> Allowing<E> {
    /// `document` is the OpenAPI document of what there is.
    pub(crate) fn new(inner: E, document: &str) -> Self {
        #[derive(Deserialize)]
        struct Document {
            paths: BTreeMap<String, BTreeMap<String, Operation>>,
        }
        #[derive(Deserialize)]
        struct Operation {
            #[serde(default)]
            parameters: Vec<Parameter>,
        }
        #[derive(Deserialize)]
        struct Parameter {
            name: String,
            r#in: String,
        }
        let document: Document =
            serde_json::from_str(document).expect("the document is one of ours");
        let paths = document.paths.into_iter().map(|(path, methods)| {
            let mut allowed: Vec<String> = methods.keys().map(|it| it.to_uppercase()).collect();
            if allowed.iter().any(|it| it == "GET") {
                allowed.push("HEAD".to_owned());
            }
            allowed.sort();
            let queries = methods.into_iter().map(|(method, operation)| {
                let parameters = operation.parameters.into_iter();
                let names = parameters.filter(|it| it.r#in == "query").map(|it| it.name);
                (method.to_uppercase(), names.collect())
            });
            Known {
                path: segments(&path).map(str::to_owned).collect(),
                methods: allowed.join(", "),
                queries: queries.collect(),
            }
        });
        Self { inner, paths: paths.collect() }
    }

    /// What is known of a path; of the most exact, where several fit.
    fn find(&self, path: &str) -> Option<&Known> {
        let path: Vec<&str> = segments(path).collect();
        let fits = |it: &&Known| {
            let mut both = it.path.iter().zip(&path);
            it.path.len() == path.len() && both.all(|(a, b)| is_name(a) || a == b)
        };
        let names = |it: &&Known| it.path.iter().filter(|it| is_name(it)).count();
        self.paths.iter().filter(fits).min_by_key(names)
    }

    /// The methods of a path.
    fn of(&self, path: &str) -> &str {
        self.find(path).map_or(READ, |it| it.methods.as_str())
    }

    /// Refuses a query with parameters that there are not.
    fn check_query(&self, request: &Request) -> ApiResult<()> {
        let path = request.uri().path();
        if request.uri().query().is_none_or(str::is_empty) || APART.contains(&path) {
            return Ok(());
        }
        let known = self.find(path).and_then(|it| it.queries.get(request.method().as_str()));
        // What cannot be read is told by whoever is to read it.
        let (Some(known), Ok(asked)) = (known, request.params::<Vec<(String, String)>>()) else {
            return Ok(());
        };
        let Some((other, _)) = asked.iter().find(|(name, _)| !known.contains(name)) else {
            return Ok(());
        };
        let detail = format!("there is no parameter `{}` here", other.escape_default());
        let help = match known.is_empty() {
            true => "nothing was changed; there are none".to_owned(),
            false => format!("nothing was changed; there are: {}", known.join(", ")),
        };
        Err(ApiError::new(StatusCode::BAD_REQUEST, "request::parameter", detail).help(help))
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
        if let Err(error) = self.check_query(&request) {
            return Ok(error.into_response());
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
