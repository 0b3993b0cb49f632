//! What one client was told: every frame, in order, with the connection that it came over.

use serde_json::Value;
use setpoint_client::types::Position;

/// What a client wants to hear of, in the namespace `default`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wants {
    /// Everything, if there are none.
    pub patterns: Vec<String>,
    pub user: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct History {
    pub client: String,
    pub wants: Wants,
    pub connections: Vec<Connection>,
}

#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// What the client said that it has.
    pub asked: Option<Position>,
    pub frames: Vec<Value>,
}

impl Wants {
    pub fn of(patterns: &[&str], user: Option<&str>) -> Self {
        let patterns = patterns.iter().map(|&it| it.to_owned()).collect();
        Self { patterns, user: user.map(str::to_owned) }
    }
}

impl History {
    pub fn of(client: &str, wants: &Wants) -> Self {
        Self { client: client.to_owned(), wants: wants.clone(), connections: Vec::new() }
    }

    pub fn connected(&mut self, asked: Option<Position>) {
        self.connections.push(Connection { asked, frames: Vec::new() });
    }

    pub fn heard(&mut self, frame: Value) {
        self.connections.last_mut().unwrap().frames.push(frame);
    }

    pub fn frames(&self) -> impl Iterator<Item = &Value> {
        self.connections.iter().flat_map(|it| &it.frames)
    }
}

/// Where `frame` leads a client that is at `held`, if it takes what it is told.
pub fn led(held: Option<Position>, frame: &Value) -> Option<Position> {
    let revision = || frame["revision"].as_i64().unwrap();
    match frame["type"].as_str().unwrap() {
        "SettingsReloaded" | "SettingChanged" | "SettingsBatchChanged" | "PresetApplied" => {
            let epoch = frame["epoch"].as_str().unwrap().to_owned();
            Some(Position { epoch, revision: revision() })
        }
        "Ping" => held.map(|it| Position { revision: revision(), ..it }),
        _ => held,
    }
}
