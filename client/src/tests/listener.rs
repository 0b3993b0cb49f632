//! The other side: a listener whose every frame the test decides.

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::Service;
use crate::types::{
    Changed, ClientFrame, Hello, Position, ReloadReason, Reloaded, SUBPROTOCOL, ServerFrame,
    Welcome,
};

pub const HEARTBEAT_MS: u64 = 5_000;
pub const TIMEOUT_MS: u64 = 30_000;

pub struct Listener {
    tcp: TcpListener,
}

/// A client that has said hello.
pub struct Client {
    pub stream: WebSocketStream<TcpStream>,
    pub hello: Hello,
    pub authorization: Option<String>,
}

impl Listener {
    pub async fn new() -> Self {
        Self { tcp: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.tcp.local_addr().unwrap())
    }

    pub fn service(&self) -> Service {
        Service::new(&self.url(), None).unwrap()
    }

    /// The next client, once it has said hello.
    pub async fn client(&self) -> Client {
        let (tcp, _) = self.tcp.accept().await.unwrap();
        let mut authorization = None;
        #[expect(clippy::result_large_err, reason = "it is the type of the callback")]
        let look = |request: &Request, mut response: Response| {
            let said = request.headers().get(AUTHORIZATION);
            authorization = said.map(|it| it.to_str().unwrap().to_owned());
            assert_eq!(request.headers()[SEC_WEBSOCKET_PROTOCOL], SUBPROTOCOL);
            assert_eq!(request.uri().path(), "/api/settings/ws");
            let protocol = HeaderValue::from_static(SUBPROTOCOL);
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
            Ok(response)
        };
        let stream = accept_hdr_async(tcp, look).await.unwrap();
        let mut client = Client { stream, hello: Hello::default(), authorization };
        match client.heard().await {
            ClientFrame::Hello(hello) => client.hello = hello,
            other => panic!("the first frame is {other:?}"),
        }
        client
    }

    /// Answers one request with these bytes, and gives its head.
    pub async fn answer(&self, bytes: &[u8]) -> String {
        let (mut tcp, _) = self.tcp.accept().await.unwrap();
        let head = head(&mut tcp).await;
        tcp.write_all(bytes).await.unwrap();
        tcp.shutdown().await.unwrap();
        head
    }

    /// A connection that nobody answers.
    pub async fn silent(&self) -> TcpStream {
        self.tcp.accept().await.unwrap().0
    }

    /// How many connections one client opens for `requests`, answered one after another.
    pub async fn answer_on_one_connection(&self, requests: usize, bytes: &[u8]) {
        let (mut tcp, _) = self.tcp.accept().await.unwrap();
        for _ in 0..requests {
            head(&mut tcp).await;
            tcp.write_all(bytes).await.unwrap();
        }
    }
}

impl Client {
    pub async fn welcomed(mut self, epoch: &str, revision: i64) -> Self {
        self.send(&welcome(epoch, revision)).await;
        self
    }

    pub async fn send(&mut self, frame: &ServerFrame) {
        let text = serde_json::to_string(frame).unwrap();
        self.stream.send(Message::text(text)).await.unwrap();
    }

    pub async fn heard(&mut self) -> ClientFrame {
        let message = self.stream.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// Sends bytes that need be no whole frame, and drops the connection.
    pub async fn drop_after(self, bytes: &[u8]) {
        let mut tcp = self.stream.into_inner();
        tcp.write_all(bytes).await.unwrap();
        tcp.shutdown().await.unwrap();
    }
}

pub fn position(epoch: &str, revision: i64) -> Position {
    Position { epoch: epoch.to_owned(), revision }
}

pub fn welcome(epoch: &str, revision: i64) -> ServerFrame {
    ServerFrame::Welcome(Welcome {
        instance: "test".to_owned(),
        client_id: "1".to_owned(),
        position: position(epoch, revision),
        namespace: "default".to_owned(),
        heartbeat_ms: HEARTBEAT_MS,
        timeout_ms: TIMEOUT_MS,
    })
}

pub fn changed(epoch: &str, after: i64, revision: i64) -> ServerFrame {
    ServerFrame::SettingChanged(Changed {
        after,
        position: position(epoch, revision),
        namespace: "default".to_owned(),
        changes: Vec::new(),
        at: "2026-05-01T12:00:00.000Z".to_owned(),
        actor: "ann".to_owned(),
        channel: "api".to_owned(),
        kind: "edit".to_owned(),
        reason: None,
    })
}

pub fn reloaded(epoch: &str, revision: i64, reason: ReloadReason) -> ServerFrame {
    ServerFrame::SettingsReloaded(Reloaded {
        position: position(epoch, revision),
        namespace: "default".to_owned(),
        reason,
        settings: Vec::new(),
    })
}

async fn head(tcp: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |it| it.parse().unwrap())];
    tcp.read_exact(&mut body).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}
