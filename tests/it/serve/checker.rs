//! Proves of a client's history that nothing was lost, repeated, reordered or made up: whatever
//! it holds after a frame is what the change log adds up to at the revision it is told to be at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use setpoint_client::types::Position;

use super::history::History;
use super::truth::{Epoch, Settings, Truth};

mod tests;

/// # Panics
///
/// At the first frame of any of them that is not true.
#[track_caller]
pub fn assert_true(truth: &Truth, histories: &[History]) {
    for history in histories {
        if let Err(fault) = check(truth, history) {
            panic!("{}: {fault}", history.client);
        }
    }
}

/// Checks one history. The error is the first frame that is not true, and why.
pub fn check(truth: &Truth, history: &History) -> Result<(), String> {
    let expected = truth.epochs.iter().map(|it| (it.name.as_str(), it.settings(&history.wants)));
    let mut client = Client { truth, expected: expected.collect(), held: None };
    for (number, connection) in history.connections.iter().enumerate() {
        let place = |at: usize, fault| format!("connection {number}, frame {at}: {fault}");
        client.connect(connection.asked.as_ref()).map_err(|it| place(0, it))?;
        let mut talk = Talk { asked: connection.asked.is_some(), ..Talk::default() };
        for (at, frame) in connection.frames.iter().enumerate() {
            let taken = client.take(&mut talk, frame);
            taken.map_err(|it| place(at, format!("{it}\n{frame:#}")))?;
        }
    }
    let newest = truth.newest();
    match &client.held {
        Some((at, _)) if *at.epoch == *newest.name && at.revision == newest.last() => Ok(()),
        held => {
            let held = held.as_ref().map(|it| &it.0);
            Err(format!("it ends at {held:?}, and not at revision {}", newest.last()))
        }
    }
}

/// What a client holds, and what it should.
struct Client<'t> {
    truth: &'t Truth,
    expected: BTreeMap<&'t str, Vec<Settings>>,
    held: Option<(Position, Settings)>,
}

/// What has been said over one connection.
#[derive(Default)]
struct Talk {
    /// Whether the client said where it is.
    asked: bool,
    is_welcomed: bool,
    /// Whether there was a frame about settings.
    has_told: bool,
    is_over: bool,
}

type Checked = Result<(), String>;

impl<'t> Client<'t> {
    fn connect(&mut self, asked: Option<&Position>) -> Checked {
        let held = self.held.as_ref().map(|it| &it.0);
        match asked {
            Some(asked) if held != Some(asked) => {
                Err(format!("it asks for what comes after {asked:?}, and holds {held:?}"))
            }
            Some(_) => Ok(()),
            None => {
                self.held = None;
                Ok(())
            }
        }
    }

    fn take(&mut self, talk: &mut Talk, frame: &Value) -> Checked {
        if talk.is_over {
            return Err("something comes after the error that is to be the last".to_owned());
        }
        let kind = frame["type"].as_str().unwrap_or_default();
        match kind {
            "Welcome" if !talk.is_welcomed => {
                talk.is_welcomed = true;
                return Ok(());
            }
            "Error" => {
                talk.is_over = true;
                return Ok(());
            }
            "Welcome" => return Err("it is welcomed twice".to_owned()),
            _ if !talk.is_welcomed => return Err("it is not welcomed first".to_owned()),
            _ => {}
        }
        match kind {
            "SettingChanged" | "SettingsBatchChanged" | "PresetApplied" => {
                self.change(kind, frame)?;
                talk.has_told = true;
            }
            "SettingsReloaded" => {
                self.reload(talk, frame)?;
                talk.has_told = true;
            }
            "Ping" => return self.ping(frame),
            "Pong" => {}
            _ => return Err("there is no such frame".to_owned()),
        }
        Ok(())
    }

    fn epoch(&self, position: &Position) -> Result<&'t Epoch, String> {
        let epoch = self.truth.epoch(&position.epoch).ok_or("there was no such epoch")?;
        match position.revision <= epoch.last() && position.revision >= 0 {
            true => Ok(epoch),
            false => Err(format!("the history ends at revision {}", epoch.last())),
        }
    }

    fn expected(&self, position: &Position) -> &Settings {
        &self.expected[position.epoch.as_str()][usize::try_from(position.revision).unwrap_or(0)]
    }

    fn reload(&mut self, talk: &Talk, frame: &Value) -> Checked {
        let position = position(frame)?;
        let number = |it: &str| self.truth.epochs.iter().position(|known| known.name == it);
        self.epoch(&position)?;
        let held = self.held.as_ref().map(|it| &it.0);
        let is_later = held.is_none_or(|held| match held.epoch == position.epoch {
            true => held.revision <= position.revision,
            false => number(&held.epoch) < number(&position.epoch),
        });
        if !is_later {
            return Err(format!("it is taken back from {held:?}"));
        }
        let is_other = held.is_some_and(|it| it.epoch != position.epoch);
        let moves = held.is_some_and(|it| it.revision < position.revision);
        let is_right = match frame["reason"].as_str() {
            Some("hello") => !talk.asked && !talk.has_told,
            Some("resync") => is_other || (talk.asked && !talk.has_told && moves),
            Some("overflow") => talk.has_told && moves,
            Some("reconfigured") => held.is_some(),
            _ => false,
        };
        if !is_right {
            return Err("there is no such reason for telling everything".to_owned());
        }
        if frame["namespace"] != "default" {
            return Err("it is about another namespace".to_owned());
        }
        let mut settings = Settings::new();
        for setting in frame["settings"].as_array().ok_or("it has no settings")? {
            let key = setting["key"].as_str().ok_or("a setting has no key")?;
            if settings.insert(key.to_owned(), Arc::new(setting.clone())).is_some() {
                return Err(format!("{key} is told twice"));
            }
        }
        same(&settings, self.expected(&position))?;
        self.held = Some((position, settings));
        Ok(())
    }

    fn change(&mut self, kind: &str, frame: &Value) -> Checked {
        let position = position(frame)?;
        let epoch = self.epoch(&position)?;
        let (held, mut settings) =
            self.held.clone().ok_or("there are changes before everything was told")?;
        if held.epoch != position.epoch {
            return Err(format!("it is of another epoch than {held:?}"));
        }
        let after = frame["after"].as_i64().ok_or("it does not say after what it comes")?;
        if after != held.revision {
            return Err(format!("it comes after {after}, and the client holds {held:?}"));
        }
        if position.revision <= after {
            return Err(format!("it leads back from {after}"));
        }
        let newest = epoch.revision(position.revision);
        let is_of_it = frame["at"] == newest.at.as_str()
            && frame["actor"] == newest.actor.as_str()
            && frame["channel"] == newest.channel.as_str()
            && frame["kind"] == newest.kind.as_str()
            && frame["reason"].as_str() == newest.reason.as_deref()
            && frame["namespace"] == "default";
        if !is_of_it {
            return Err(format!("revision {} is told otherwise than it was", newest.id));
        }

        let passed = (after + 1..=position.revision).flat_map(|it| &epoch.revision(it).changes);
        let touched: BTreeSet<&str> = passed.map(|it| it.key.as_str()).collect();
        let is_touched = |key: &str| {
            let related = |it: &&str| {
                let longer = |a: &str, b: &str| {
                    a.strip_prefix(b).is_some_and(|it| it.is_empty() || it.starts_with('.'))
                };
                longer(it, key) || longer(key, it)
            };
            touched.iter().any(related)
        };
        let mut told = BTreeSet::new();
        for change in frame["changes"].as_array().ok_or("it has no changes")? {
            let key = change["key"].as_str().ok_or("a change has no key")?;
            if !told.insert(key) {
                return Err(format!("{key} is told twice"));
            }
            if !is_touched(key) {
                return Err(format!("nobody has changed {key} since {after}"));
            }
            match &change["setting"] {
                Value::Null => settings.remove(key),
                setting => settings.insert(key.to_owned(), Arc::new(setting.clone())),
            };
        }
        if told.is_empty() || (kind == "SettingChanged" && told.len() > 1) {
            return Err(format!("it tells of {} changes", told.len()));
        }
        same(&settings, self.expected(&position))?;
        self.held = Some((position, settings));
        Ok(())
    }

    /// Nothing for this client has happened up to the revision of a ping.
    fn ping(&mut self, frame: &Value) -> Checked {
        let revision = frame["revision"].as_i64().ok_or("it has no revision")?;
        let Some((held, settings)) = &self.held else { return Ok(()) };
        let position = Position { revision, ..held.clone() };
        if revision < held.revision {
            return Err(format!("it leads back from {held:?}"));
        }
        self.epoch(&position)?;
        same(settings, self.expected(&position))?;
        self.held = Some((position, settings.clone()));
        Ok(())
    }
}

fn position(frame: &Value) -> Result<Position, String> {
    let epoch = frame["epoch"].as_str().ok_or("it has no epoch")?.to_owned();
    let revision = frame["revision"].as_i64().ok_or("it has no revision")?;
    Ok(Position { epoch, revision })
}

/// Whether a client holds what it should.
fn same(held: &Settings, expected: &Settings) -> Checked {
    let keys: BTreeSet<&String> = held.keys().chain(expected.keys()).collect();
    for key in keys {
        let (held, expected) = (held.get(key), expected.get(key));
        if held != expected {
            let shown =
                |it: Option<&Arc<Value>>| it.map_or("nothing".to_owned(), |it| it.to_string());
            return Err(format!("{key} is {} and should be {}", shown(held), shown(expected)));
        }
    }
    Ok(())
}
