//! `/backups`: taken, read back, restored and removed, one at a time, and pinned. A backup holds all
//! namespaces, so whoever has business in some only sees none.

use std::sync::Arc;

use poem::http::StatusCode;
use poem_openapi::param::{Path, Query};
use poem_openapi::{ApiResponse, OpenApi};
use setpoint_ops::Pattern;
use setpoint_ops::backup::{self, Kind, Listing, Moment, Restore, Storage, Wish};
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::body::Body;
use crate::meters;
use crate::payload::Rendered;
use crate::problem::{ApiError, ApiResult};
use crate::service::{Service, aside, now};

mod restore;
mod shape;

use restore::{Asked, restored};
use shape::{BackupShape, ForeseenShape, NewBackup, RemovedShape, RestoreWish, RestoredShape};

pub(crate) struct Backups(pub Arc<Service>);

#[derive(ApiResponse)]
enum Made {
    /// It was taken and read back.
    #[oai(status = 201)]
    Created(Rendered<BackupShape>),
    /// With `dry_run`: it could be taken, and was not.
    #[oai(status = 200)]
    Foreseen(Rendered<ForeseenShape>),
}

#[derive(ApiResponse)]
enum Removed {
    /// It is gone.
    #[oai(status = 204)]
    Done,
    /// With `dry_run`: it could be removed, and was not.
    #[oai(status = 200)]
    Foreseen(Rendered<RemovedShape>),
}

#[OpenApi(prefix_path = "/backups", tag = "Tags::Operation")]
impl Backups {
    /// List backups
    ///
    /// The oldest first, after those that cannot be read.
    #[oai(path = "/", method = "get", operation_id = "list_backups")]
    async fn list(&self, caller: Caller) -> ApiResult<Rendered<Vec<BackupShape>>> {
        caller.may_everywhere(Role::Viewer)?;
        let work = |service: Arc<Service>| async move {
            let (location, settings) = (service.live.location(), service.setup.load().database);
            let listed = backup::list(location, settings, &storage(&service)).await;
            let Listing { backups, unknown, .. } = service.answer(listed)?;
            if let Some(error) = unknown {
                let error = error.in_a_line();
                tracing::warn!(error, "what is known of the backups cannot be read");
            }
            Ok(backups)
        };
        Ok(Rendered::of(&aside(&self.0, work).await?))
    }

    /// Take a backup
    ///
    /// It is read back before it gets its name. Nobody who writes waits for it, and it goes on if
    /// whoever asked goes away. For admins.
    #[oai(path = "/", method = "post", operation_id = "create_backup")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<NewBackup>,
        /// Tell what it would be called and the room it needs, and take none.
        dry_run: Query<Option<bool>>,
    ) -> ApiResult<Made> {
        caller.may_everywhere(Role::Admin)?;
        let NewBackup { name, note, pin } = body.0;
        let wish = Wish { name, kind: Kind::Manual, note, pin };
        if dry_run.unwrap_or_default() {
            let work = |service: Arc<Service>| async move {
                let (location, settings) = (service.live.location(), service.setup.load().database);
                let storage = storage(&service);
                let foreseen = backup::foresee(location, settings, &storage, &wish, now()).await;
                service.answer(foreseen)
            };
            return Ok(Made::Foreseen(Rendered::of(&aside(&self.0, work).await?)));
        }
        let author = caller.author(None);
        let work = |service: Arc<Service>| async move {
            let (location, settings) = (service.live.location(), service.setup.load().database);
            let storage = storage(&service);
            let made = backup::create(location, settings, &storage, wish, &author, now()).await;
            let made = service.answer(made)?;
            let (backup, revision) = (&made.verified.name, made.verified.manifest.revision);
            let actor = &author.actor;
            match made.is_tampered() {
                true => tracing::warn!(backup, revision, actor, "took one of a damaged history"),
                false => tracing::info!(backup, revision, actor, "took a backup"),
            }
            Ok(made)
        };
        Ok(Made::Created(Rendered::of(&self.alone(work).await?)))
    }

    /// Look at a backup
    ///
    /// What it says of itself, and whether it is known to be whole. For admins.
    #[oai(path = "/:name", method = "get", operation_id = "get_backup")]
    async fn get(&self, caller: Caller, name: Path<String>) -> ApiResult<Rendered<BackupShape>> {
        caller.may_everywhere(Role::Admin)?;
        let work = |service: Arc<Service>| async move {
            let (location, settings) = (service.live.location(), service.setup.load().database);
            service.answer(backup::find(location, settings, &storage(&service), &name).await)
        };
        Ok(Rendered::of(&aside(&self.0, work).await?))
    }

    /// Remove a backup
    ///
    /// For good. One that is pinned stays, the newest that is known to restore, and one that this
    /// database has no record of: 409, unless it is forced. For admins.
    #[oai(path = "/:name", method = "delete", operation_id = "remove_backup")]
    async fn remove(
        &self,
        caller: Caller,
        name: Path<String>,
        /// Remove it whatever it is.
        force: Query<Option<bool>>,
        /// Tell whether it may go, and remove nothing.
        dry_run: Query<Option<bool>>,
    ) -> ApiResult<Removed> {
        caller.may_everywhere(Role::Admin)?;
        let (is_forced, is_dry) = (force.unwrap_or_default(), dry_run.unwrap_or_default());
        let (actor, asked) = (caller.name.clone(), name.0.clone());
        let work = move |service: Arc<Service>| async move {
            let (location, settings) = (service.live.location(), service.setup.load().database);
            let storage = storage(&service);
            let removed =
                backup::remove(location, settings, &storage, &name, is_forced, is_dry, &actor)
                    .await;
            service.answer(removed)
        };
        self.alone(work).await?;
        Ok(match is_dry {
            true => Removed::Foreseen(Rendered::of(&RemovedShape { name: asked, removed: false })),
            false => Removed::Done,
        })
    }

    /// Pin a backup
    ///
    /// It stays whatever the retention says. 409 if the record of this database does not have it:
    /// read it back first. For admins.
    #[oai(path = "/:name/pin", method = "put", operation_id = "pin_backup")]
    async fn pin(&self, caller: Caller, name: Path<String>) -> ApiResult<Rendered<BackupShape>> {
        self.pinned(caller, name.0, true).await
    }

    /// Take the pin of a backup away
    ///
    /// The retention decides on it again. 409 if the record of this database does not have it. For
    /// admins.
    #[oai(path = "/:name/pin", method = "delete", operation_id = "unpin_backup")]
    async fn unpin(&self, caller: Caller, name: Path<String>) -> ApiResult<Rendered<BackupShape>> {
        self.pinned(caller, name.0, false).await
    }

    /// Read a backup back and compare everything
    ///
    /// In a scratch database. It goes on if whoever asked goes away. For admins.
    #[oai(path = "/:name/verify", method = "post", operation_id = "verify_backup")]
    async fn verify(&self, caller: Caller, name: Path<String>) -> ApiResult<Rendered<BackupShape>> {
        caller.may_everywhere(Role::Admin)?;
        let work = |service: Arc<Service>| async move {
            let (location, settings) = (service.live.location(), service.setup.load().database);
            let storage = storage(&service);
            let verified = backup::verify(location, settings, &storage, &name, now()).await;
            service.answer(verified)
        };
        Ok(Rendered::of(&self.alone(work).await?))
    }

    /// Put a backup back
    ///
    /// All of it, after a backup of what is there now: the history is then that of the backup, in
    /// a new epoch, which everybody who listens is told. Tokens and the record of backups stay. With
    /// `only` it is an ordinary change of some settings. It goes on if whoever asked goes away.
    /// For admins.
    #[oai(path = "/:name/restore", method = "post", operation_id = "restore_backup")]
    async fn restore(
        &self,
        caller: Caller,
        name: Path<String>,
        body: Body<RestoreWish>,
        /// With `only`: in this namespace; in all without.
        ns: Query<Option<String>>,
        /// Why, for the history.
        reason: Query<Option<String>>,
        /// Answer with the plan and change nothing.
        dry_run: Query<Option<bool>>,
    ) -> ApiResult<Rendered<RestoredShape>> {
        caller.may_everywhere(Role::Admin)?;
        let RestoreWish { at, only } = body.0;
        let at = at.map(|it| Moment::parse(&it, now())).transpose()?;
        if only.as_ref().is_some_and(Vec::is_empty) {
            let detail = "`only` names no keys";
            return Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "request::invalid",
                detail,
            )
            .help("nothing was changed; name keys, or leave `only` out to restore all"));
        }
        let only = only.iter().flatten().map(|it| pattern(it)).collect::<ApiResult<Vec<_>>>()?;
        if ns.is_some() && only.is_empty() {
            let detail = "`ns` is for the keys of `only`: a backup is put back as a whole";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "request::invalid", detail)
                .help("nothing was changed; leave `ns` out, or name keys, such as `**`"));
        }
        let namespace = match ns.0 {
            Some(_) => {
                let snapshot = self.0.live.snapshot();
                Some(self.0.namespace(&snapshot, &caller, Role::Admin, ns.0)?)
            }
            None => None,
        };
        let is_dry = dry_run.unwrap_or_default();
        let asked = Asked { only, namespace, reason: reason.0, is_dry };
        let work = |service: Arc<Service>| async move {
            let opened = Restore::open(&storage(&service), &name, at.as_ref()).await;
            let restore = service.answer(opened)?;
            let done = restored(&service, &caller, &restore, asked).await;
            let closed = restore.close().await;
            let done = done?;
            service.answer(closed)?;
            Ok(done)
        };
        Ok(Rendered::of(&self.alone(work).await?))
    }
}

impl Backups {
    /// It is one row: nobody has to wait for another work on backups.
    async fn pinned(
        &self,
        caller: Caller,
        name: String,
        is_pinned: bool,
    ) -> ApiResult<Rendered<BackupShape>> {
        caller.may_everywhere(Role::Admin)?;
        let work = move |service: Arc<Service>| async move {
            let (location, settings) = (service.live.location(), service.setup.load().database);
            let storage = storage(&service);
            let pinned = backup::pin(location, settings, &storage, &name, is_pinned, now()).await;
            let pinned = service.answer(pinned)?;
            let said = if is_pinned { "pinned a backup" } else { "took the pin of a backup away" };
            tracing::info!(backup = name, actor = &*caller.name, "{said}");
            Ok(pinned)
        };
        Ok(Rendered::of(&aside(&self.0, work).await?))
    }

    /// Does `work` aside, unless somebody is at such work: each needs as much room as the database.
    async fn alone<T, F>(
        &self,
        work: impl FnOnce(Arc<Service>) -> F + Send + 'static,
    ) -> ApiResult<T>
    where
        F: Future<Output = ApiResult<T>>,
        T: Send + 'static,
    {
        let held = self.0.backing_up.clone().try_lock_owned().map_err(|_| busy())?;
        let work = |service: Arc<Service>| async move {
            let done = work(service.clone()).await;
            meters::of_backups(&service).await;
            drop(held);
            done
        };
        aside(&self.0, work).await
    }
}

fn storage(service: &Service) -> Storage {
    service.setup.load().backups.clone()
}

fn busy() -> ApiError {
    let detail = "another backup is being taken, read or restored";
    ApiError::new(StatusCode::CONFLICT, "backup::busy", detail)
        .help("nothing was done; try again when it is over")
}

fn pattern(text: &str) -> ApiResult<Pattern> {
    text.parse().map_err(|error| {
        let detail = format!("`{text}` names no keys: {error}");
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "backup::bad_pattern", detail)
            .help("nothing was changed; give keys, or patterns such as http.*")
    })
}
