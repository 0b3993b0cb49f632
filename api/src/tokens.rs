//! `/tokens`: who may use the service.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::{Deserialize, Serialize};
use setpoint_ops::time;
use setpoint_ops::token::{self, Role, Token};

use crate::Tags;
use crate::access::Caller;
use crate::body::{Body, given};
use crate::payload::Rendered;
use crate::problem::ApiResult;
use crate::service::{Service, now};

pub(crate) struct Tokens(pub Arc<Service>);

/// Who is to have a token.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
struct NewToken {
    /// What it is called, also in the history. A name is never used again.
    #[oai(validator(max_length = 100, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    name: String,
    role: RoleName,
    /// The namespaces it is for; all without this.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none, validator(min_items = 1))]
    namespaces: Option<Vec<String>>,
    /// How long: `12h`, `90d`, a day or a time; until it is revoked without this.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none)]
    expires: Option<String>,
}

impl Example for NewToken {
    fn example() -> Self {
        Self {
            name: "coach".to_owned(),
            role: RoleName::Editor,
            namespaces: Some(vec!["default".to_owned()]),
            expires: Some("90d".to_owned()),
        }
    }
}

/// What somebody may do. Each may do what those before may.
#[derive(Clone, Copy, Deserialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "Role", rename_all = "lowercase")]
enum RoleName {
    /// Read.
    Viewer,
    /// Change settings.
    Editor,
    /// Everything, tokens too.
    Admin,
}

#[derive(Enum)]
#[oai(rename = "TokenState", rename_all = "lowercase")]
enum State {
    Active,
    Expired,
    Revoked,
}

/// All that may be known of a token: everything but its text.
#[derive(Object)]
#[oai(rename = "Token")]
struct TokenShape {
    name: String,
    role: RoleName,
    /// Null if it is for all.
    #[oai(nullable)]
    namespaces: Option<Vec<String>>,
    created_at: String,
    created_by: String,
    #[oai(nullable)]
    expires_at: Option<String>,
    #[oai(nullable)]
    revoked_at: Option<String>,
    #[oai(nullable)]
    revoked_by: Option<String>,
    /// Missing in an answer about one token.
    #[oai(skip_serializing_if_is_none)]
    state: Option<State>,
}

/// A new token.
#[derive(Object)]
struct CreatedToken {
    /// The text, this once: what is kept is its hash.
    token: String,
    about: TokenShape,
}

#[derive(Serialize)]
struct Created<'a> {
    token: &'a str,
    about: &'a Token,
}

#[derive(ApiResponse)]
enum Made {
    /// It is good from now on.
    #[oai(status = 201)]
    Created(Rendered<CreatedToken>),
}

#[OpenApi(prefix_path = "/tokens", tag = "Tags::Access")]
impl Tokens {
    /// List tokens
    ///
    /// In order of name, also those that are revoked. For admins of all namespaces.
    #[oai(path = "/", method = "get", operation_id = "list_tokens")]
    async fn list(&self, caller: Caller) -> ApiResult<Rendered<Vec<TokenShape>>> {
        caller.may_everywhere(Role::Admin)?;
        let db = self.0.reader().await?;
        Ok(Rendered::of(&self.0.answer(token::list(&db, now()).await)?))
    }

    /// Make a token
    ///
    /// Its text is in the answer, and nowhere else.
    #[oai(path = "/", method = "post", operation_id = "create_token")]
    async fn create(&self, caller: Caller, body: Body<NewToken>) -> ApiResult<Made> {
        caller.may_everywhere(Role::Admin)?;
        let NewToken { name, role, namespaces, expires } = body.0;
        let role = match role {
            RoleName::Viewer => Role::Viewer,
            RoleName::Editor => Role::Editor,
            RoleName::Admin => Role::Admin,
        };
        let expires = expires.map(|it| time::until(&it, now())).transpose()?;
        let work = async {
            let db = self.0.live.writer()?;
            token::create(db, &name, role, namespaces, expires, &caller.name, now()).await
        };
        let (about, secret) = self.0.answer(work.await)?;
        self.look().await;
        tracing::info!(token = about.name, actor = &*caller.name, "made a token");
        let created = Created { token: secret.reveal(), about: &about };
        Ok(Made::Created(Rendered::of(&created)))
    }

    /// Have a token refused from now on
    #[oai(path = "/:name", method = "delete", operation_id = "revoke_token")]
    async fn revoke(&self, caller: Caller, name: Path<String>) -> ApiResult<Rendered<TokenShape>> {
        caller.may_everywhere(Role::Admin)?;
        let work = async { token::revoke(self.0.live.writer()?, &name, &caller.name, now()).await };
        let revoked = self.0.answer(work.await)?;
        self.look().await;
        tracing::info!(token = revoked.name, actor = &*caller.name, "revoked a token");
        Ok(Rendered::of(&revoked))
    }
}

impl Tokens {
    /// Takes the tokens as they are now. What was done is told in any case: a new token's text is
    /// in that answer alone.
    async fn look(&self) {
        if let Err(error) = self.0.live.catch_up().await {
            tracing::error!(%error, "tokens were changed, and the change does not count yet");
        }
    }
}
