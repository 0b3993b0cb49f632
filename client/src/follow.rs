//! News that go on when the connection does not.
//!
//! A follower holds a position and takes only what joins on to it, so nothing is missed, told
//! twice or told out of order without an [`Event::Gap`] that says so.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::error::{ClientError, Result};
use crate::types::{Changed, Hello, Position, Reloaded, ServerFrame, Welcome};
use crate::{Service, Socket};

/// How long to wait before the next try.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure. It doubles with each.
    pub first: Duration,
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// The wait after so many failures: half of it is by chance, so that clients that lost the
    /// same service do not come back in the same moment.
    fn wait(self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let most = doubled.min(self.longest);
        let chance = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
        most.div_f64(2.0) + most.mul_f64(chance / 2.0)
    }
}

/// What a follower tells.
#[derive(Debug)]
pub enum Event {
    /// It is connected. News of what was missed follow.
    Connected(Welcome),
    /// Everything: what was told before counts no more.
    Reloaded(Reloaded),
    /// What has changed since the last event.
    Changed(Changed),
    /// Nothing that was asked for has changed up to this revision.
    Unchanged(Position),
    /// The connection is gone. It tries again after `retry_in`, from where it is.
    Lost { error: ClientError, retry_in: Duration },
    /// The service told of changes that do not join on to what it told before. It connects again
    /// and asks for everything.
    Gap { error: ClientError, retry_in: Duration },
}

/// Follows the changes of a service.
pub struct Follower {
    service: Service,
    hello: Hello,
    backoff: Backoff,
    silence: Option<Duration>,
    socket: Option<Socket>,
    /// Whether this connection has told of another history, and has yet to tell all of it.
    is_foreign: bool,
    position: Option<Position>,
    /// Where the event leads that was handed over last.
    handed: Option<Position>,
    failures: u32,
    connected: Instant,
    retry_at: Option<Instant>,
}

impl Follower {
    /// Follows what `hello` asks for, from its position on. Nothing is sent yet.
    #[must_use]
    pub fn new(service: Service, mut hello: Hello) -> Self {
        let position = hello.position.take();
        Self {
            service,
            hello,
            backoff: Backoff::default(),
            silence: None,
            socket: None,
            is_foreign: false,
            position,
            handed: None,
            failures: 0,
            connected: Instant::now(),
            retry_at: None,
        }
    }

    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// The same, where a connection is lost after another silence than the service's timeout.
    #[must_use]
    pub fn with_silence(self, silence: Duration) -> Self {
        Self { silence: Some(silence), ..self }
    }

    /// Up to where it has told, as far as the caller has come back for more: what to begin with
    /// after a restart.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The next event. To call it again says that the one before was dealt with. To give up
    /// waiting loses nothing.
    ///
    /// # Errors
    ///
    /// What time alone does not heal: a token that is not accepted, an address where something
    /// else answers. It may be called again, which tries again after a wait.
    pub async fn next(&mut self) -> Result<Event> {
        if let Some(position) = self.handed.take() {
            self.position = Some(position);
        }
        if let Some(at) = self.retry_at {
            sleep_until(at).await;
            self.retry_at = None;
        }
        if self.socket.is_none() {
            return match self.connect().await {
                Ok(event) => Ok(event),
                Err(error) => self.lost(error),
            };
        }
        loop {
            let Some(socket) = &mut self.socket else { unreachable!("it is connected") };
            match socket.next().await {
                Err(error) => return self.lost(error),
                Ok(frame) => match self.judge(frame) {
                    Ok(Some(event)) => return Ok(event),
                    Ok(None) => {}
                    Err(reason) => return Ok(self.gap(reason)),
                },
            }
        }
    }

    /// Reports that this client runs with `revision`. If the connection is gone, the next event
    /// says so.
    pub async fn applied(&mut self, revision: i64) {
        if let Some(socket) = &mut self.socket {
            drop(socket.applied(revision).await);
        }
    }

    /// Reports that this client will not run with `revision`, and why.
    pub async fn rejected(&mut self, revision: i64, reason: &str) {
        if let Some(socket) = &mut self.socket {
            drop(socket.rejected(revision, reason).await);
        }
    }

    /// Ends the connection and says so.
    pub async fn close(self) {
        if let Some(socket) = self.socket {
            socket.close().await;
        }
    }

    async fn connect(&mut self) -> Result<Event> {
        let hello = Hello { position: self.position.clone(), ..self.hello.clone() };
        let mut socket = Socket::connect(&self.service, hello).await?;
        if let Some(silence) = self.silence {
            socket = socket.with_silence(silence);
        }
        let welcome = socket.welcome().clone();
        let held = self.position.as_ref();
        self.is_foreign = held.is_none_or(|it| it.epoch != welcome.position.epoch);
        self.connected = Instant::now();
        self.socket = Some(socket);
        Ok(Event::Connected(welcome))
    }

    /// The event that `frame` is, if it joins on to what was told.
    fn judge(&mut self, frame: ServerFrame) -> std::result::Result<Option<Event>, String> {
        let event = match frame {
            ServerFrame::SettingChanged(changed)
            | ServerFrame::SettingsBatchChanged(changed)
            | ServerFrame::PresetApplied(changed) => {
                self.joins(&changed)?;
                self.handed = Some(changed.position.clone());
                Event::Changed(changed)
            }
            ServerFrame::SettingsReloaded(reloaded) => {
                self.reloads(&reloaded)?;
                self.is_foreign = false;
                self.handed = Some(reloaded.position.clone());
                Event::Reloaded(reloaded)
            }
            ServerFrame::Ping { revision } => {
                let Some(held) = self.position.as_ref().filter(|_| !self.is_foreign) else {
                    return Ok(None);
                };
                if revision < held.revision {
                    return Err(format!("it is at {revision} after {}", held.revision));
                }
                if revision == held.revision {
                    return Ok(None);
                }
                let position = Position { revision, ..held.clone() };
                self.handed = Some(position.clone());
                Event::Unchanged(position)
            }
            ServerFrame::Pong {} => return Ok(None),
            ServerFrame::Welcome(_) => return Err("it welcomes twice".to_owned()),
            ServerFrame::Error { .. } => unreachable!("a socket makes it an error"),
        };
        Ok(Some(event))
    }

    fn joins(&self, changed: &Changed) -> std::result::Result<(), String> {
        let (after, new) = (changed.after, &changed.position);
        let Some(held) = self.position.as_ref().filter(|_| !self.is_foreign) else {
            return Err("there were changes before everything was told".to_owned());
        };
        if new.epoch != held.epoch {
            return Err("the history has become another without being told anew".to_owned());
        }
        if after != held.revision {
            return Err(format!("changes after {after} do not join on to {}", held.revision));
        }
        if new.revision <= after {
            return Err(format!("changes lead from {after} to {}", new.revision));
        }
        Ok(())
    }

    fn reloads(&self, reloaded: &Reloaded) -> std::result::Result<(), String> {
        match &self.position {
            Some(held)
                if held.epoch == reloaded.position.epoch
                    && held.revision > reloaded.position.revision =>
            {
                let (from, to) = (held.revision, reloaded.position.revision);
                Err(format!("everything is told as of {to}, and {from} was told before"))
            }
            _ => Ok(()),
        }
    }

    fn lost(&mut self, error: ClientError) -> Result<Event> {
        let retry_in = self.wait();
        if error.is_passing() { Ok(Event::Lost { error, retry_in }) } else { Err(error) }
    }

    fn gap(&mut self, reason: String) -> Event {
        self.position = None;
        let retry_in = self.wait();
        let url = self.service.url().to_owned();
        Event::Gap { error: ClientError::Gap { url, reason }, retry_in }
    }

    /// Lets go of the connection, and waits longer the more often it happens. One that has
    /// lasted was a good one.
    fn wait(&mut self) -> Duration {
        if self.socket.take().is_some() && self.connected.elapsed() > self.backoff.longest {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let wait = self.backoff.wait(self.failures);
        self.retry_at = Some(Instant::now() + wait);
        wait
    }
}
