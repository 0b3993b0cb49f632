//! What was not confirmed in time, or is rejected, taken back for as long as the service runs.

use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use super::Live;
use crate::Result;
use crate::confirm::{self, Rejection, Undone};

/// How long it is at most until it is looked again: a machine may sleep, or its clock jump.
const LOOK: Duration = Duration::from_secs(60);

/// The same after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// For how long it is not looked after it was: where many write there is always news.
const PAUSE: Duration = Duration::from_millis(100);

/// How many rejections wait at most to be written down.
const MOST: usize = 4096;

impl Live {
    /// Has it written down that a client will not run with a revision.
    pub fn reject(&self, rejection: Rejection) {
        let mut waiting = self.shared.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST && waiting.insert(rejection) {
            self.shared.newest_rejection.notify_one();
        }
    }

    /// Undoes what is due, whenever something is, for as long as it is awaited. `clock` tells what
    /// time it is.
    pub async fn undo_unconfirmed(&self, clock: impl Fn() -> DateTime<Utc>) {
        let mut news = self.news();
        loop {
            news.mark_unchanged();
            let wait = match self.undo_due(clock()).await {
                Ok(next) => next.map_or(LOOK, |it| it.min(LOOK)),
                Err(error) => {
                    tracing::error!(%error, "what was not confirmed is not undone yet");
                    RETRY
                }
            };
            tokio::select! {
                // The sender lives as long as `self`.
                _ = news.changed() => sleep(PAUSE).await,
                () = self.shared.newest_rejection.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Undoes what is due now, and makes that live. How long the next one waits, if another does.
    ///
    /// # Errors
    ///
    /// As [`confirm::undo`], and those of [`Live::reader`].
    pub async fn undo_due(&self, now: DateTime<Utc>) -> Result<Option<Duration>> {
        self.write_rejections(now).await?;
        let db = self.reader().await?;
        let due = confirm::due(&db, now).await;
        drop(db);
        let due = due?;
        if !due.revisions.is_empty() {
            for one in confirm::undo(self.writer()?, now).await? {
                let Undone { revision, undone_as, reason } = one;
                match undone_as {
                    Some(undone_as) => {
                        tracing::warn!(revision, undone_as, reason, "undid a revision");
                    }
                    None => tracing::warn!(revision, reason, "nothing was left of it to undo"),
                }
            }
            self.catch_up().await?;
        }
        Ok(due.next.map(|it| it.to_std().unwrap_or_default()))
    }

    /// What could not be written down is tried again.
    async fn write_rejections(&self, now: DateTime<Utc>) -> Result<()> {
        let rejected = &self.shared.rejected;
        let waiting = rejected.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if waiting.is_empty() {
            return Ok(());
        }
        // Most rejections are about revisions that do not wait: no other writer waits for those.
        let unconfirmed = confirm::waiting(&self.reader().await?).await?;
        let is_unconfirmed =
            |it: &&Rejection| unconfirmed.iter().any(|row| row.revision == it.revision);
        let about: Vec<&Rejection> = waiting.iter().filter(is_unconfirmed).collect();
        if !about.is_empty() {
            confirm::reject(self.writer()?, about, now).await?;
        }
        let mut left = rejected.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|it| !waiting.contains(it));
        Ok(())
    }
}
