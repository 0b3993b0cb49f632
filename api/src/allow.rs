//! What the document says that a path takes: its methods, HEAD wherever there is GET, and its
//! parameters. One of a query that is misspelt, or said twice, might be what prevents a change.

use std::collections::{BTreeMap, HashSet};

use poem::error::MethodNotAllowedError;
use poem::http::header::ALLOW;
use poem::http::{HeaderValue, Method, StatusCode};
use poem::{Endpoint, IntoResponse, Request, Response};
use poem_openapi::error::{ParseParamError, ParsePathError};
use serde::Deserialize;
use serde_json::Value;

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
    /// Of each method, in capitals, its parameters.
    parameters: BTreeMap<String, Vec<Parameter>>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    r#in: String,
    #[serde(default)]
    schema: Shape,
}

/// What is said of a parameter to those who got it wrong: no more of a schema is kept.
#[derive(Default, Clone, Deserialize)]
#[serde(default)]
struct Shape {
    #[serde(rename = "$ref")]
    named: Option<String>,
    r#type: Option<String>,
    r#enum: Vec<Value>,
    minimum: Option<f64>,
    maximum: Option<f64>,
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
            #[serde(default)]
            components: Components,
        }
        #[derive(Default, Deserialize)]
        struct Components {
            #[serde(default)]
            schemas: BTreeMap<String, Shape>,
        }
        #[derive(Deserialize)]
        struct Operation {
            #[serde(default)]
            parameters: Vec<Parameter>,
        }
        let document: Document =
            serde_json::from_str(document).expect("the document is one of ours");
        let schemas = document.components.schemas;
        let paths = document.paths.into_iter().map(|(path, methods)| {
            let mut allowed: Vec<String> = methods.keys().map(|it| it.to_uppercase()).collect();
            if allowed.iter().any(|it| it == "GET") {
                allowed.push("HEAD".to_owned());
            }
            allowed.sort();
            let parameters = methods.into_iter().map(|(method, mut operation)| {
                for it in &mut operation.parameters {
                    let name = it.schema.named.as_deref().and_then(|it| it.rsplit('/').next());
                    if let Some(shape) = name.and_then(|it| schemas.get(it)) {
                        it.schema = shape.clone();
                    }
                }
                (method.to_uppercase(), operation.parameters)
            });
            Known {
                path: segments(&path).map(str::to_owned).collect(),
                methods: allowed.join(", "),
                parameters: parameters.collect(),
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

    fn parameters(&self, request: &Request) -> Option<&Vec<Parameter>> {
        self.find(request.uri().path())?.parameters.get(request.method().as_str())
    }

    /// What was wrong with a parameter of the query, in place of what a library says of it.
    fn told(known: Option<&Vec<Parameter>>, name: &str) -> ApiError {
        let wanted = wanted(known, name);
        wrong(format!("`{name}` is missing, or not what it has to be: {wanted}"))
    }

    /// The same of one of the path. The library numbers those: `param0`, `param1`.
    fn told_of_path(&self, path: &str, known: Option<&Vec<Parameter>>, numbered: &str) -> ApiError {
        let shape = self.find(path).map(|it| it.path.as_slice()).unwrap_or_default();
        let nth = numbered.trim_start_matches("param").parse().unwrap_or_default();
        let both = shape.iter().zip(segments(path)).filter(|(it, _)| is_name(it)).nth(nth);
        let (name, said) = both.map_or(("", path), |(name, said)| (name.as_str(), said));
        let wanted = wanted(known, name.trim_matches(['{', '}']));
        wrong(format!("`{said}` is not what {name} in /{} has to be: {wanted}", shape.join("/")))
    }

    /// Refuses a query with parameters that there are not, or twice.
    fn check_query(&self, request: &Request) -> ApiResult<()> {
        let path = request.uri().path();
        if request.uri().query().is_none_or(str::is_empty) || APART.contains(&path) {
            return Ok(());
        }
        let known = self.parameters(request);
        // What cannot be read is told by whoever is to read it.
        let (Some(known), Ok(asked)) = (known, request.params::<Vec<(String, String)>>()) else {
            return Ok(());
        };
        let known: Vec<&Parameter> = known.iter().filter(|it| it.r#in == "query").collect();
        let mut said = HashSet::new();
        let is_single = |name: &str| {
            known.iter().any(|it| it.name == name && it.schema.r#type.as_deref() != Some("array"))
        };
        if let Some((twice, _)) =
            asked.iter().find(|(name, _)| is_single(name) && !said.insert(name))
        {
            let detail = format!("the parameter `{twice}` is there twice");
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "request::parameter", detail)
                .help("nothing was changed; give it once"));
        }
        let Some((other, _)) =
            asked.iter().find(|(name, _)| known.iter().all(|it| it.name != *name))
        else {
            return Ok(());
        };
        let known: Vec<&str> = known.iter().map(|it| it.name.as_str()).collect();
        let detail = format!("there is no parameter `{}` here", other.escape_default());
        let help = match known.is_empty() {
            true => "nothing was changed; there are none".to_owned(),
            false => format!("nothing was changed; there are: {}", known.join(", ")),
        };
        Err(ApiError::new(StatusCode::BAD_REQUEST, "request::parameter", detail).help(help))
    }
}

fn wrong(detail: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "request::parameter", detail)
        .help("nothing was changed; /docs says what fits")
}

/// What the parameter `name` has to be, in words.
fn wanted(known: Option<&Vec<Parameter>>, name: &str) -> String {
    let known = known.and_then(|it| it.iter().find(|it| it.name == name));
    known.map_or_else(|| "something else".to_owned(), |it| described(&it.schema))
}

/// What something of this shape is, in words.
fn described(shape: &Shape) -> String {
    if !shape.r#enum.is_empty() {
        let names: Vec<&str> = shape.r#enum.iter().filter_map(Value::as_str).collect();
        return format!("one of {}", names.join(", "));
    }
    match (shape.r#type.as_deref(), shape.minimum, shape.maximum) {
        (Some("integer"), Some(least), Some(most)) => format!("a number from {least} to {most}"),
        (Some("integer"), ..) => "a whole number".to_owned(),
        (Some("boolean"), ..) => "true or false".to_owned(),
        _ => "a text".to_owned(),
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
        let known = self.parameters(&request);
        match self.inner.call(request).await {
            Err(error) if error.is::<MethodNotAllowedError>() => {
                let mut answer = StatusCode::METHOD_NOT_ALLOWED.into_response();
                if let Ok(methods) = HeaderValue::from_str(self.of(&path)) {
                    answer.headers_mut().insert(ALLOW, methods);
                }
                Ok(answer)
            }
            Err(error) => {
                let in_query: Option<&ParseParamError> = error.downcast_ref();
                let in_path: Option<&ParsePathError> = error.downcast_ref();
                match (in_query, in_path) {
                    (Some(it), _) => Ok(Self::told(known, it.name).into_response()),
                    (_, Some(it)) => Ok(self.told_of_path(&path, known, it.name).into_response()),
                    (None, None) => Err(error),
                }
            }
            Ok(answer) => Ok(answer.into_response()),
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
