//! What one listener is told, in order and without gaps: everything first, or what came after
//! that which it has; then each revision, or what several have come to if it is slow.
//!
//! There are no queues to fill: a listener is a place in the list of recent revisions that all of
//! them share. Whoever falls off its end is sent everything again.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use setpoint_client::types::{Change, Changed, Position, ReloadReason, Reloaded, ServerFrame};
use setpoint_ops::live::{Entry, Live, Moved, News, Snapshot, View};
use setpoint_ops::{Key, Pattern};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;

/// How many revisions a listener can be behind and still be told each of them.
const BEHIND: usize = 64;

/// How many settings make a large message.
const BIG: usize = 5_000;

/// For how long one that is being sent keeps others from being made.
const MOMENT: Duration = Duration::from_secs(2);

/// What somebody wants to hear of.
#[derive(Clone, Debug)]
pub struct Wants {
    pub namespace: String,
    /// Everything, if there are none.
    pub patterns: Vec<Pattern>,
    /// Whose preferences lie on top.
    pub user: Option<String>,
}

/// What one listener is told.
pub struct Feed {
    live: Live,
    news: watch::Receiver<u64>,
    wants: Wants,
    /// Up to where it has been looked for what is wanted.
    at: Option<Position>,
    /// The revision that the listener was told last: between the two there was nothing for it.
    told: i64,
    generation: u64,
    /// Leave to make a large message.
    big: Arc<Semaphore>,
    /// The place among those who wait for it, which is kept while something else is done.
    waiting: Option<Waiting>,
    /// Whether it has been told everything once.
    is_started: bool,
}

/// A frame, as JSON.
pub struct Message {
    pub text: String,
    /// Where the listener is once it has taken it.
    pub position: Position,
    pub is_reload: bool,
    /// Held until a large message is sent: a thousand of them at once would fill the memory.
    leave: Option<OwnedSemaphorePermit>,
}

impl Message {
    /// The revision it leads to, the text, and what to hold while it is sent.
    pub(crate) fn into_parts(self) -> (i64, String, Option<Sending>) {
        (self.position.revision, self.text, self.leave.map(Sending::new))
    }
}

/// Held while a large message is sent. Whoever is slow to take it keeps others waiting for a
/// moment and no longer.
pub(crate) struct Sending {
    _until: oneshot::Sender<()>,
}

impl Sending {
    fn new(leave: OwnedSemaphorePermit) -> Self {
        let (until, sent) = oneshot::channel();
        tokio::spawn(async move {
            drop(timeout(MOMENT, sent).await);
            drop(leave);
        });
        Self { _until: until }
    }
}

type Waiting =
    Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send + Sync>>;

type Frame<'a> = ServerFrame<&'a RawValue>;

impl Wants {
    fn view(&self) -> View<'_> {
        self.user.as_deref().map_or(View::Effective, View::User)
    }

    fn matches(&self, key: &Key) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|it| it.matches(key))
    }

    fn is_everything(&self) -> bool {
        self.patterns.is_empty() && self.user.is_none()
    }
}

impl Feed {
    /// Tells what came after `at`, or everything if that is not known any more.
    pub(crate) fn new(live: Live, wants: Wants, at: Option<Position>, big: Arc<Semaphore>) -> Self {
        let (news, generation) = (live.news(), live.snapshot().generation);
        let told = at.as_ref().map_or(0, |it| it.revision);
        Self { live, news, wants, at, told, generation, big, waiting: None, is_started: false }
    }

    /// For the only listener of a process: everything first.
    pub fn of_one(live: Live, wants: Wants) -> Self {
        Self::new(live, wants, None, Arc::new(Semaphore::new(1)))
    }

    /// The next message, as soon as there is one. Nothing is lost if this is not awaited to the
    /// end.
    pub async fn next(&mut self) -> Message {
        loop {
            self.news.mark_unchanged();
            if self.knows_where_it_is().await {
                let leave = self.leave().await;
                if let Some(message) = self.take() {
                    return Message { leave, ..message };
                }
            }
            // The sender lives as long as `live`.
            drop(self.news.changed().await);
        }
    }

    /// Whether what the listener has is of the past. What is news to this service it may have
    /// from another one: that is looked up, and until it can be, the listener is not taken back.
    async fn knows_where_it_is(&self) -> bool {
        let snapshot = self.live.snapshot();
        let is_past =
            |it: &Position| *it.epoch == *snapshot.history && it.revision <= snapshot.revision;
        self.is_started
            || self.at.as_ref().is_none_or(is_past)
            || self.live.catch_up().await.is_ok()
    }

    /// Up to where everything has been told, which the listener is told with this.
    pub fn position(&mut self) -> Position {
        let position = self.at.clone().unwrap_or_default();
        self.told = position.revision;
        position
    }

    /// Leave to make the next message, if it is a large one.
    async fn leave(&mut self) -> Option<OwnedSemaphorePermit> {
        if !self.is_big() {
            self.waiting = None;
            return None;
        }
        let big = &self.big;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(big.clone().acquire_owned()));
        let leave = waiting.await.ok();
        self.waiting = None;
        leave
    }

    /// Whether the next message is about many settings.
    fn is_big(&self) -> bool {
        let snapshot = self.live.snapshot();
        let at = self.at.as_ref().filter(|it| *it.epoch == *snapshot.history);
        match at.and_then(|it| snapshot.since(it.revision)) {
            Some(pending) if self.generation == snapshot.generation => {
                let changed = pending.flat_map(|it| &it.effective);
                let wanted = changed.filter(|it| *it.namespace == *self.wants.namespace);
                wanted.filter(|it| self.wants.matches(&it.key)).nth(BIG).is_some()
            }
            _ => {
                let live = snapshot.list(&self.wants.namespace, self.wants.view(), None, None);
                live.filter(|it| self.wants.matches(&it.setting.key)).nth(BIG).is_some()
            }
        }
    }

    /// The next message, if there is one now.
    pub fn take(&mut self) -> Option<Message> {
        let snapshot = self.live.snapshot();
        let Some(at) = self.at.as_ref().filter(|it| *it.epoch == *snapshot.history) else {
            let reason = match &self.at {
                Some(at) if is_of(&at.epoch, &snapshot.epoch) => ReloadReason::Reconfigured,
                Some(_) => ReloadReason::Resync,
                None => ReloadReason::Hello,
            };
            return Some(self.reload(&snapshot, reason));
        };
        if self.generation != snapshot.generation {
            return Some(self.reload(&snapshot, ReloadReason::Reconfigured));
        }
        let Some(pending) = snapshot.since(at.revision) else {
            let reason = match self.is_started {
                true => ReloadReason::Overflow,
                false => ReloadReason::Resync,
            };
            return Some(self.reload(&snapshot, reason));
        };
        self.is_started = true;
        let after = self.told;
        let pending: Vec<&Arc<News>> = pending.collect();
        if pending.len() > BEHIND || self.wants.user.is_some() {
            return self.all_of(&snapshot, &pending, after);
        }
        for news in pending {
            self.at = Some(Position { epoch: snapshot.history.to_string(), revision: news.id });
            if let Some(text) = self.one(&snapshot, news, after) {
                let position = self.position();
                return Some(Message { text, position, is_reload: false, leave: None });
            }
        }
        None
    }

    /// Tells one revision.
    fn one(&self, snapshot: &Snapshot, news: &News, after: i64) -> Option<String> {
        if self.wants.is_everything()
            && after == news.id - 1
            && news.effective.iter().all(|it| *it.namespace == *self.wants.namespace)
            && !news.effective.is_empty()
        {
            // The same text for all who want everything and have kept up.
            let render = || {
                let changes = news.effective.iter().map(change).collect();
                self.render(snapshot, news, after, changes, false).into()
            };
            return Some(news.rendered.get_or_init(render).to_string());
        }
        let changes: Vec<Change<&RawValue>> = news
            .effective
            .iter()
            .filter(|it| *it.namespace == *self.wants.namespace && self.wants.matches(&it.key))
            .map(change)
            .collect();
        (!changes.is_empty()).then(|| self.render(snapshot, news, after, changes, false))
    }

    /// Tells what several revisions have come to.
    fn all_of(
        &mut self,
        snapshot: &Snapshot,
        pending: &[&Arc<News>],
        after: i64,
    ) -> Option<Message> {
        let newest = pending.last()?;
        let position =
            Position { epoch: snapshot.history.to_string(), revision: snapshot.revision };
        self.at = Some(position.clone());
        let own = self.wants.user.as_ref().map(|it| format!("user:{it}"));
        let mut changed = BTreeMap::<&Key, Option<&Arc<Entry>>>::new();
        for news in pending {
            let effective = news.effective.iter().map(|it| (&it.namespace, &it.key));
            let preferred = news.moved.iter().filter(|it| own.as_deref() == Some(&*it.layer));
            let preferred = preferred.flat_map(|it| hidden(snapshot, it));
            for (namespace, key) in effective.chain(preferred) {
                if **namespace == *self.wants.namespace && self.wants.matches(key) {
                    let now = snapshot.get(namespace, self.wants.view(), key.as_str());
                    changed.insert(key, now);
                }
            }
        }
        if changed.is_empty() {
            return None;
        }
        let changes = changed.into_iter().map(|(key, entry)| Change {
            key: key.to_string(),
            setting: entry.map(|it| &*it.json),
        });
        let is_batch = pending.len() > 1;
        let text = self.render(snapshot, newest, after, changes.collect(), is_batch);
        self.told = position.revision;
        Some(Message { text, position, is_reload: false, leave: None })
    }

    fn render(
        &self,
        snapshot: &Snapshot,
        news: &News,
        after: i64,
        changes: Vec<Change<&RawValue>>,
        is_batch: bool,
    ) -> String {
        let is_one = changes.len() == 1 && !is_batch;
        let changed = Changed {
            after,
            position: Position { epoch: snapshot.history.to_string(), revision: news.id },
            namespace: self.wants.namespace.clone(),
            changes,
            at: news.at.clone(),
            actor: news.actor.clone(),
            channel: news.channel.clone(),
            kind: news.kind.clone(),
            reason: news.reason.clone(),
        };
        text(&match news.kind.as_str() {
            "preset" if !is_batch => Frame::PresetApplied(changed),
            _ if is_one => Frame::SettingChanged(changed),
            _ => Frame::SettingsBatchChanged(changed),
        })
    }

    fn reload(&mut self, snapshot: &Snapshot, reason: ReloadReason) -> Message {
        let position =
            Position { epoch: snapshot.history.to_string(), revision: snapshot.revision };
        self.at = Some(position.clone());
        self.told = position.revision;
        self.generation = snapshot.generation;
        self.is_started = true;
        let settings = snapshot.list(&self.wants.namespace, self.wants.view(), None, None);
        let settings = settings.filter(|it| self.wants.matches(&it.setting.key));
        let reloaded = Reloaded {
            position: position.clone(),
            namespace: self.wants.namespace.clone(),
            reason,
            settings: settings.map(|it| &*it.json).collect(),
        };
        let text = text(&Frame::SettingsReloaded(reloaded));
        Message { text, position, is_reload: true, leave: None }
    }
}

/// Whether a history as clients see it is of this epoch, whatever was declared then.
fn is_of(history: &str, epoch: &str) -> bool {
    history.strip_prefix(epoch).is_some_and(|it| it.is_empty() || it.starts_with('.'))
}

/// The key of a preference, and those above and below it, which it may hide.
fn hidden<'a>(
    snapshot: &'a Snapshot,
    moved: &'a Moved,
) -> impl Iterator<Item = (&'a Arc<str>, &'a Key)> {
    let Moved { namespace, key, .. } = moved;
    let above = key.ancestors().filter_map(|it| snapshot.get(namespace, View::Effective, it));
    let below = snapshot.list(namespace, View::Effective, Some(key), None);
    let around = above.chain(below).map(|it| &it.setting.key);
    std::iter::once(key).chain(around).map(move |it| (namespace, it))
}

fn change(one: &setpoint_ops::live::Effective) -> Change<&RawValue> {
    Change { key: one.key.to_string(), setting: one.entry.as_ref().map(|it| &*it.json) }
}

pub(crate) fn text(frame: &Frame<'_>) -> String {
    serde_json::to_string(frame).expect("a frame is texts, numbers and JSON")
}
