//! `/audit`: who changed what, and whether the history was tampered with.

use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::{Object, OpenApi};
use setpoint_ops::audit::verify;
use setpoint_ops::history::Wanted;
use setpoint_ops::time::between;
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::history::{EventsPage, page_of};
use crate::payload::Rendered;
use crate::problem::ApiResult;
use crate::service::{Service, now};
use crate::settings::key;

pub(crate) struct Audit(pub Arc<Service>);

/// Whether the history is what was written.
#[derive(Object)]
struct Verdict {
    revisions: i64,
    /// Edits made in SQL that the next writer will seal.
    unsealed: i64,
    /// Those that retention has removed: the chain goes on over them.
    removed: i64,
    /// The hash of the newest sealed revision: the thing to keep elsewhere.
    head_hash: String,
    /// The first revision that is not what was written; null if all are.
    #[oai(nullable)]
    first_bad: Option<Bad>,
}

/// A revision that is not what was written.
#[derive(Object)]
#[oai(rename = "BadRevision")]
struct Bad {
    revision: i64,
    reason: String,
}

#[OpenApi(prefix_path = "/audit", tag = "Tags::History")]
impl Audit {
    /// List changes
    ///
    /// One for each key that a revision changed, the newest first. What SQL wrote and the
    /// service keeps out says so.
    #[oai(path = "/", method = "get", operation_id = "list_changes")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those in this namespace.
        ns: Query<Option<String>>,
        /// Only those of this key, or one below it.
        key: Query<Option<String>>,
        /// Only those by this token or user.
        actor: Query<Option<String>>,
        /// Only those through this door: `cli`, `api`, `panel`, `job` or `sql`.
        channel: Query<Option<String>>,
        /// Not before this: `12h` ago, a day such as `2030-01-31`, or a time.
        from: Query<Option<String>>,
        /// Not after this.
        to: Query<Option<String>>,
        /// Only what is kept out.
        kept_out: Query<Option<bool>>,
        /// How many at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
        /// Where the page before this one ended.
        cursor: Query<Option<String>>,
    ) -> ApiResult<Rendered<EventsPage>> {
        let (from, to) = between(from.as_deref(), to.as_deref(), now())?;
        let wanted = Wanted {
            namespaces: self.0.visible(&caller, ns.0)?,
            key: key.as_deref().map(self::key).transpose()?,
            actor: actor.0,
            channel: channel.0,
            from,
            to,
            kept_out: kept_out.unwrap_or_default(),
            ..Wanted::default()
        };
        Ok(Rendered::of(&page_of(&self.0, &wanted, cursor.0, limit.0).await?))
    }

    /// Compute the chain of hashes again
    #[oai(path = "/verify", method = "get", operation_id = "verify_audit")]
    async fn verify(&self, caller: Caller) -> ApiResult<Rendered<Verdict>> {
        caller.may_everywhere(Role::Viewer)?;
        let db = self.0.reader().await?;
        Ok(Rendered::of(&self.0.answer(verify(&db).await)?))
    }
}
