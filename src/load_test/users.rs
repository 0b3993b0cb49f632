//! The users: each sends its requests over a connection of its own, and listens over another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use setpoint_client::types::{Changed, Hello, Reloaded, Setting, Welcome};
use setpoint_client::{ClientError, Event, Follower, Result, Service};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::measure::{Kind, Measures};
use super::own::{OWN, Own};
use super::schedule::{Load, turn};

/// How long an answer may take, and how long after the end requests that are late are still sent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What all users share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub service: Service,
    pub own: Own,
    pub load: Load,
    /// What is read, in turn.
    pub keys: Vec<String>,
    /// What is searched for, in turn.
    pub words: Vec<String>,
    /// The two are only ever locked together, and never while something is waited for.
    state: Mutex<(Measures, Ledger)>,
}

impl Shared {
    pub fn new(own: Own, service: Service, load: Load, others: &[Setting], sql: bool) -> Self {
        let slots = (0..load.users).map(|_| Kind::Delivery).chain(sql.then_some(Kind::HotReload));
        let ledger = Ledger::new(&slots.collect::<Vec<_>>(), load.users);
        // Those of another load test may be gone in a moment.
        let others = others.iter().map(|it| &it.key).filter(|it| !it.starts_with(OWN));
        let mut keys: Vec<String> = others.cloned().collect();
        if keys.is_empty() {
            keys = (0..load.users).map(|slot| own.key(slot)).collect();
        }
        let words = keys.iter().filter_map(|it| it.rsplit(['.', '_']).find(|it| it.len() > 2));
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        words.dedup();
        if words.is_empty() {
            words.push("load".to_owned());
        }
        let state = Mutex::new((Measures::default(), ledger));
        Self { service, own, load, keys, words, state }
    }

    pub fn state(&self) -> MutexGuard<'_, (Measures, Ledger)> {
        // A panic has been reported by then, and the counts are whole after each statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `write`, which is given the number to write to `slot`, and keeps account of it.
    pub async fn written<T, E>(
        &self,
        slot: usize,
        write: impl AsyncFnOnce(usize) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let number = {
            let mut state = self.state();
            let (measures, ledger) = &mut *state;
            let is_sql = slot == self.load.users;
            measures.of(if is_sql { Kind::HotReload } else { Kind::Delivery });
            ledger.begin(slot, Instant::now())
        };
        let done = write(number).await;
        self.state().1.end(slot, done.is_ok());
        done
    }

    /// Waits until everybody has heard of everything, or nobody will.
    pub async fn settle(&self) {
        let give_up = Instant::now() + PATIENCE;
        while !self.state().1.is_settled() && Instant::now() < give_up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut state = self.state();
        let (measures, ledger) = &mut *state;
        ledger.settle(measures);
    }
}

/// Sends what `user` has to send.
pub(crate) async fn ask(shared: Arc<Shared>, user: usize, start: Instant) {
    let service = shared.service.apart();
    let give_up = start + shared.load.duration + PATIENCE;
    for number in 0.. {
        let Some(after) = shared.load.at(user, number) else { return };
        let kind = Load::kind(user, number);
        let begun = turn(start + after).await;
        if Instant::now() >= give_up {
            let why = "not sent in time: the answers before it came too late";
            shared.state().0.of(kind).gave_up(begun.elapsed(), why);
            continue;
        }
        let asked = ask_one(&shared, &service, kind, user, number).await;
        let mut state = shared.state();
        let measured = state.0.of(kind);
        match asked {
            Ok(()) => measured.took(begun.elapsed()),
            Err(error @ ClientError::Timeout { .. }) => {
                measured.gave_up(begun.elapsed(), error.to_string());
            }
            Err(error) => measured.failed(error.to_string()),
        }
    }
}

async fn ask_one(
    shared: &Shared,
    service: &Service,
    kind: Kind,
    user: usize,
    number: u64,
) -> Result<()> {
    let own = &shared.own;
    // Users begin at different places, far from each other.
    let place = usize::try_from(number).unwrap_or_default() + user * 7_919;
    let pick = |of: &'_ [String]| of[place % of.len()].clone();
    let _: Value = match kind {
        Kind::Read => service.get(&own.path_of(&pick(&shared.keys))).await?,
        Kind::Search => service.get(&own.search_path(&pick(&shared.words))).await?,
        Kind::Write | Kind::Delivery | Kind::HotReload => {
            shared.written(user, async |number| own.write(service, user, number).await).await?
        }
    };
    Ok(())
}

/// Connects a listener to the test's own keys, and has it hear how they are.
pub(crate) async fn listener(
    service: &Service,
    own: &Own,
    namespace: Option<String>,
    user: usize,
) -> Result<(Follower, Welcome)> {
    let hello = Hello {
        client: Some(format!("setpoint load-test, user {user}")),
        namespace,
        patterns: vec![own.pattern()],
        ..Hello::default()
    };
    let mut follower = Follower::new(service.clone(), hello);
    let mut welcomed = None;
    loop {
        match follower.next().await? {
            Event::Connected(welcome) => welcomed = Some(welcome),
            Event::Lost { error, .. } | Event::Gap { error, .. } => return Err(error),
            Event::Reloaded(_) => {
                let welcome = welcomed.expect("a connection begins with its welcome");
                return Ok((follower, welcome));
            }
            Event::Changed(_) | Event::Unchanged(_) => {}
        }
    }
}

/// Listens for ever.
pub(crate) async fn listen(shared: Arc<Shared>, mut follower: Follower, user: usize) {
    loop {
        match follower.next().await {
            Ok(Event::Changed(Changed { changes, .. })) => {
                hear(&shared, user, changes.iter().filter_map(|it| it.setting.as_ref()));
            }
            Ok(Event::Reloaded(Reloaded { settings, .. })) => hear(&shared, user, &settings),
            Ok(Event::Connected(_) | Event::Unchanged(_)) => {}
            Ok(Event::Lost { error, .. } | Event::Gap { error, .. }) | Err(error) => {
                shared.state().0.of(Kind::Delivery).failed(error.to_string());
            }
        }
    }
}

fn hear<'a>(shared: &Shared, user: usize, settings: impl IntoIterator<Item = &'a Setting>) {
    let now = Instant::now();
    let mut state = shared.state();
    let (measures, ledger) = &mut *state;
    for setting in settings {
        let number = setting.value.as_u64().and_then(|it| usize::try_from(it).ok());
        if let (Some(slot), Some(number)) = (shared.own.slot(&setting.key), number) {
            ledger.hear(user, slot, number, now, measures);
        }
    }
}
