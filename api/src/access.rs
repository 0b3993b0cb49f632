//! Who asks, and what they may do.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use miette::Diagnostic;
use poem::http::StatusCode;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use setpoint_ops::plan::Author;
use setpoint_ops::token::{Keyring, Role};

use crate::problem::{ApiError, ApiResult};

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The name of the token, or of whoever runs a service without tokens.
    pub name: Arc<str>,
    pub role: Role,
    /// Those the token is for; none if it is for all.
    pub namespaces: Option<Arc<[String]>>,
}

impl Caller {
    /// Refuses whoever may not do what a `role` may.
    pub(crate) fn may(&self, role: Role) -> ApiResult<()> {
        if self.role >= role {
            return Ok(());
        }
        let wanted = format!("{role:?}").to_lowercase();
        let own = format!("{:?}", self.role).to_lowercase();
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "access::role",
            format!("this needs at least the role {wanted}, and `{}` is {own}", self.name),
        )
        .help(format!("ask an admin for one: `setpoint token create --role {wanted}`")))
    }

    /// Refuses whoever may change nothing at all.
    pub(crate) fn may_change(&self) -> ApiResult<()> {
        if self.role >= Role::Editor {
            return Ok(());
        }
        let detail = format!("`{}` may look, and change nothing", self.name);
        Err(ApiError::new(StatusCode::FORBIDDEN, "access::role", detail).help(
            "ask an admin for a token with a role that may: editor for settings, admin for files, \
             tokens, backups and jobs",
        ))
    }

    /// Whether the token is for `namespace`.
    pub(crate) fn sees(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|it| it.iter().any(|it| it == namespace))
    }

    /// Refuses whoever has no business in `namespace`.
    pub(crate) fn may_in(&self, role: Role, namespace: &str) -> ApiResult<()> {
        self.may(role)?;
        if self.sees(namespace) {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "access::namespace",
            format!("`{}` is not for namespace `{namespace}`", self.name),
        )
        .help("ask an admin for a token that is"))
    }

    /// Refuses whoever has business in some namespaces only.
    pub(crate) fn may_everywhere(&self, role: Role) -> ApiResult<()> {
        self.may(role)?;
        match self.namespaces {
            None => Ok(()),
            Some(_) => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "access::namespace",
                format!("this is about all namespaces, and `{}` is for some", self.name),
            )
            .help("ask an admin for a token that is for all")),
        }
    }

    /// Who is named in the history.
    pub(crate) fn author(&self, reason: Option<String>) -> Author {
        Author { actor: self.name.to_string(), reason }
    }
}

const SCHEME: &str = "token";

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some("A token that `setpoint token create` made."),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: Some("sp_…"),
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let caller = request.extensions().get::<Self>();
        Ok(caller.expect("the front puts it there before anything is routed").clone())
    }
}

/// Refuses a caller whose token was revoked, or has expired, since it came in.
pub(crate) fn still_good(keys: &Keyring, caller: &Caller, now: DateTime<Utc>) -> ApiResult<()> {
    if keys.is_empty() {
        return Ok(());
    }
    keys.named(&caller.name, now).map(drop).map_err(|error| {
        let code = error.code().map(|it| it.to_string()).unwrap_or_default();
        ApiError::new(StatusCode::UNAUTHORIZED, &code, error.to_string())
    })
}
