//! A service of one file that keeps whole numbers, and can be made to misbehave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// What it does wrong.
#[derive(Clone, Copy, Default)]
pub struct Misbehaviour {
    /// From revision so many on, it refuses to write.
    pub full_at: Option<i64>,
    /// It tells nobody of changes.
    pub mute: bool,
    /// How long it takes to read.
    pub slow: Duration,
}

#[derive(Default)]
pub struct Store {
    pub revision: i64,
    pub values: BTreeMap<String, Value>,
}

#[derive(Clone)]
pub struct Fake {
    pub url: String,
    store: Arc<Mutex<Store>>,
    news: broadcast::Sender<String>,
    wrong: Misbehaviour,
}

impl Fake {
    pub async fn start(wrong: Misbehaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (news, _) = broadcast::channel(10_000);
        let values = [("physics.gravity".to_owned(), json!(9))].into();
        let store = Arc::new(Mutex::new(Store { revision: 1, values }));
        let fake = Self { url, store, news, wrong };
        let serving = fake.clone();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(tcp));
            }
        });
        fake
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    async fn serve(self, mut tcp: TcpStream) {
        let mut begin = [0; 20];
        while tcp.peek(&mut begin).await.unwrap_or(begin.len()) < begin.len() {}
        if begin.starts_with(b"GET /api/settings/ws") {
            return self.listen(tcp).await;
        }
        while let Some((head, body)) = request(&mut tcp).await {
            let mut words = head.split(' ');
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            let (status, answer) = self.answer(method, path, &body).await;
            let (answer, reason) = (answer.to_string(), "-");
            let length = answer.len();
            let head = format!("HTTP/1.1 {status} {reason}\r\ncontent-length: {length}\r\n\r\n");
            if tcp.write_all((head + &answer).as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let key = path.strip_prefix("/api/settings/").unwrap_or_default();
        match (method, key) {
            ("GET", "") => {
                let prefix = query.split('&').find_map(|it| it.strip_prefix("prefix="));
                let store = self.store();
                let is_in = |key: &str| prefix.is_none_or(|prefix| key.starts_with(prefix));
                let found = store.values.iter().filter(|(key, _)| is_in(key));
                let found: Vec<Value> = found.map(|(key, value)| setting(key, value)).collect();
                (200, json!({ "settings": found, "epoch": "e", "revision": store.revision }))
            }
            ("GET", "search") => (200, json!({ "hits": [] })),
            ("GET", key) => {
                tokio::time::sleep(self.wrong.slow).await;
                match self.store().values.get(key) {
                    Some(value) => (200, setting(key, value)),
                    None => (404, problem(404, "setting::unknown")),
                }
            }
            ("PUT", key) => {
                if self.wrong.full_at.is_some_and(|at| self.store().revision >= at) {
                    return (503, problem(503, "database::full"));
                }
                let body: Value = serde_json::from_slice(body).unwrap();
                let mut store = self.store();
                store.values.insert(key.to_owned(), body["value"].clone());
                self.tell(&mut store, key);
                (200, json!({ "revision": store.revision }))
            }
            _ => {
                let mut store = self.store();
                store.values.remove(key);
                self.tell(&mut store, key);
                (200, json!({ "revision": store.revision }))
            }
        }
    }

    fn tell(&self, store: &mut Store, key: &str) {
        store.revision += 1;
        let change = match store.values.get(key) {
            Some(value) => json!({ "key": key, "setting": setting(key, value) }),
            None => json!({ "key": key }),
        };
        let frame = json!({
            "type": "SettingChanged", "after": store.revision - 1, "epoch": "e",
            "revision": store.revision, "namespace": "default", "changes": [change],
            "at": "2026-05-01T12:00:00.000Z", "actor": "ann", "channel": "api", "kind": "edit",
        });
        if !self.wrong.mute {
            // Nobody may be listening.
            drop(self.news.send(frame.to_string()));
        }
    }

    async fn listen(self, tcp: TcpStream) {
        #[expect(clippy::result_large_err, reason = "it is the type of the callback")]
        let accept = |_: &Request, mut response: Response| {
            let protocol = HeaderValue::from_static("setpoint.v1");
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let mut socket = accept_hdr_async(tcp, accept).await.unwrap();
        socket.next().await.unwrap().unwrap();
        let (mut news, frames) = {
            let store = self.store();
            let welcome = json!({
                "type": "Welcome", "instance": "fake", "client_id": "1", "epoch": "e",
                "revision": store.revision, "namespace": "default", "heartbeat_ms": 5_000,
                "timeout_ms": 3_600_000,
            });
            let reloaded = json!({
                "type": "SettingsReloaded", "epoch": "e", "revision": store.revision,
                "namespace": "default", "reason": "hello", "settings": [],
            });
            (self.news.subscribe(), [welcome, reloaded])
        };
        for frame in frames {
            socket.send(Message::text(frame.to_string())).await.unwrap();
        }
        while let Ok(frame) = news.recv().await {
            if socket.send(Message::text(frame)).await.is_err() {
                return;
            }
        }
    }
}

fn setting(key: &str, value: &Value) -> Value {
    json!({
        "namespace": "default", "layer": "base", "key": key, "type": "integer", "value": value,
        "revision": 1, "updated_at": "2026-05-01T12:00:00.000Z", "updated_by": "ann",
    })
}

fn problem(status: u16, code: &str) -> Value {
    let kind = format!("urn:setpoint:problem:{code}");
    json!({ "type": kind, "title": "-", "status": status, "detail": "no", "code": code })
}

/// The next request, if there is one.
async fn request(tcp: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |it| it.parse().unwrap())];
    tcp.read_exact(&mut body).await.ok()?;
    Some((head, body))
}
