//! Clients of all kinds that listen while something happens, come back when they are cut off, and
//! write down what they hear.

use std::net::SocketAddr;
use std::time::Duration;

use setpoint_client::types::Position;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::history::{History, Wants, led};
use super::wire::{Kind, Wire};
use super::{DEADLINE, as_told};
use crate::world::{World, block_on, spawn};

/// Clients that listen.
pub struct Audience {
    clients: Vec<JoinHandle<History>>,
    /// Where everybody is to come to.
    goal: watch::Sender<Option<Position>>,
    /// How far each has come.
    held: Vec<watch::Receiver<Option<Position>>>,
}

/// Where the services are that clients turn to, one after the other.
#[derive(Clone)]
pub struct Places {
    pub addresses: Vec<SocketAddr>,
    pub token: Option<String>,
}

struct Client {
    kind: Kind,
    wants: Wants,
    places: Places,
    /// Which place it begins with.
    first: usize,
    goal: watch::Receiver<Option<Position>>,
    held: watch::Sender<Option<Position>>,
}

/// All kinds of clients with all sorts of wishes: 21.
fn wishes() -> Vec<(Kind, Wants)> {
    let all = [
        Wants::of(&[], None),
        Wants::of(&["**"], None),
        Wants::of(&["a.**", "end"], None),
        Wants::of(&["*.k1", "b.k0", "end"], None),
        Wants::of(&["end"], None),
        Wants::of(&[], Some("ann")),
        Wants::of(&["b.**", "end"], Some("bob")),
    ];
    let kinds = [Kind::Raw, Kind::Shipped, Kind::Events];
    kinds.into_iter().flat_map(|kind| all.clone().map(|wants| (kind, wants))).collect()
}

impl Audience {
    /// Lets clients of all kinds listen. All of them have been told everything when this returns.
    pub fn gather(places: &Places) -> Self {
        let goal = watch::Sender::new(None);
        let (mut clients, mut receivers) = (Vec::new(), Vec::new());
        for (first, (kind, wants)) in wishes().into_iter().enumerate() {
            let held = watch::Sender::new(None);
            receivers.push(held.subscribe());
            let (places, goal) = (places.clone(), goal.subscribe());
            let client = Client { kind, wants, places, first, goal, held };
            clients.push(spawn(client.listen()));
        }
        let mut audience = Self { clients, goal, held: receivers };
        audience.wait_until("is told everything", |it| it.is_some());
        audience
    }

    /// Waits until each has come so far.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, is_there: impl Fn(&Option<Position>) -> bool) {
        for held in &mut self.held {
            let come =
                block_on(async { timeout(DEADLINE, held.wait_for(&is_there)).await.is_ok() });
            assert!(come, "a client never {what}: it is at {:?}", *held.borrow());
        }
    }

    /// Waits until all have been told everything that there is. Gives what they were told.
    #[track_caller]
    pub fn end(mut self, world: &World) -> Vec<History> {
        let position = newest(world);
        self.goal.send_replace(Some(position.clone()));
        self.wait_until("comes to the end", |it| it.as_ref() == Some(&position));
        let ended =
            self.clients.into_iter().map(|it| block_on(async { timeout(DEADLINE, it).await }));
        ended.map(|it| it.expect("a client ends").unwrap()).collect()
    }
}

/// The newest revision of `world`.
pub fn newest(world: &World) -> Position {
    let row = world.sql("SELECT epoch, revision FROM head");
    let (epoch, revision) = row.split_once('|').unwrap();
    Position { epoch: as_told(world, epoch), revision: revision.parse().unwrap() }
}

/// How long whoever turns to a service that is not there waits until the next try.
pub const PATIENCE: Duration = Duration::from_millis(50);

impl Client {
    async fn listen(mut self) -> History {
        let name = format!("{:?} {} for {:?}", self.kind, self.first, self.wants);
        let mut history = History::of(&name, &self.wants);
        for turn in self.first.. {
            let held = self.held.borrow().clone();
            if self.is_there() {
                break;
            }
            let place = self.places.addresses[turn % self.places.addresses.len()];
            let token = self.places.token.as_deref();
            let wire = Wire::connect(self.kind, place, token, &self.wants, held.as_ref()).await;
            let wire = match wire {
                Ok(wire) => wire,
                Err(error) => {
                    eprintln!("{name} cannot connect: {error}");
                    sleep(PATIENCE).await;
                    continue;
                }
            };
            history.connected(held);
            if let Wire::Shipped(socket) = &wire {
                let welcome = serde_json::to_value(socket.welcome()).unwrap();
                let mut frame = serde_json::json!({"type": "Welcome"});
                frame.as_object_mut().unwrap().extend(welcome.as_object().unwrap().clone());
                history.heard(frame);
            }
            if self.hear(wire, &mut history).await {
                break;
            }
        }
        history
    }

    /// Hears until the connection ends. True once it is where everybody is to come to, and has
    /// heard a ping there: until then something could follow that should not.
    async fn hear(&mut self, mut wire: Wire, history: &mut History) -> bool {
        while let Some(frame) = wire.next().await {
            let led = led(self.held.borrow().clone(), &frame);
            let was_there = self.is_there();
            let is_ping = frame["type"] == "Ping";
            history.heard(frame);
            self.held.send_if_modified(|held| {
                let is_new = *held != led;
                *held = led;
                is_new
            });
            if was_there && is_ping {
                return true;
            }
        }
        false
    }

    fn is_there(&self) -> bool {
        let goal = self.goal.borrow();
        goal.is_some() && *goal == *self.held.borrow()
    }
}
