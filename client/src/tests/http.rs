use std::time::Duration;

use serde_json::{Value, json};

use super::listener::Listener;
use crate::types::Hello;
use crate::{ClientError, Service, Socket, encoded};

const TOKEN: &str = "sp_canary0123456789";

fn answer(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn problem() -> Vec<u8> {
    let problem = json!({
        "type": "urn:setpoint:problem:setting::unknown", "title": "Not Found", "status": 404,
        "detail": "`a` is no setting", "code": "setting::unknown", "help": "see `setpoint list`",
    });
    answer("404 Not Found", "application/problem+json", &problem.to_string())
}

/// What `GET /x` comes to where these bytes answer.
async fn get(bytes: &[u8]) -> Result<Value, ClientError> {
    let listener = Listener::new().await;
    let service = listener.service();
    tokio::join!(service.get("/x"), listener.answer(bytes)).0
}

#[tokio::test]
async fn an_answer_is_read_as_the_type_that_is_wanted() {
    let listener = Listener::new().await;
    let service = Service::new(&listener.url(), Some(TOKEN.to_owned())).unwrap();
    let answer = answer("200 OK", "application/json", "{\"revision\": 12}");

    let body = json!({"value": 1});
    let (read, asked) =
        tokio::join!(service.put::<Value>("/api/settings/a", &body), listener.answer(&answer));

    assert_eq!(read.unwrap(), json!({"revision": 12}));
    assert!(asked.starts_with("PUT /api/settings/a HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("authorization: Bearer {TOKEN}\r\n")), "{asked}");
    assert!(asked.ends_with("\r\n\r\n{\"value\":1}"), "{asked}");
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let listener = Listener::new().await;
    let service = listener.service();
    let nothing = answer("200 OK", "application/json", "[]");

    let ask = async {
        for _ in 0..3 {
            service.get::<Value>("/x").await.unwrap();
        }
    };

    tokio::join!(ask, listener.answer_on_one_connection(3, &nothing));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code_and_what_to_do() {
    let error = get(&problem()).await.unwrap_err();

    assert_eq!(error.to_string(), "`a` is no setting (setting::unknown)");
    let help = miette::Diagnostic::help(&error).map(|it| it.to_string());
    assert_eq!(help.as_deref(), Some("see `setpoint list`"));
    assert!(!error.is_passing());
}

#[tokio::test]
async fn a_refused_upgrade_is_told_like_any_other() {
    let listener = Listener::new().await;
    let service = listener.service();

    let (connected, _) = tokio::join!(Socket::connect(&service, Hello::default()), async {
        listener.answer(&problem()).await
    });

    let error = connected.err().unwrap();
    assert_eq!(error.to_string(), "`a` is no setting (setting::unknown)");
}

#[tokio::test]
async fn a_connection_for_news_brings_the_token() {
    let listener = Listener::new().await;
    let service = Service::new(&listener.url(), Some(TOKEN.to_owned())).unwrap();
    let client = async { listener.client().await.welcomed("e", 1).await };

    let (connected, client) = tokio::join!(Socket::connect(&service, Hello::default()), client);

    assert!(connected.is_ok());
    assert_eq!(client.authorization, Some(format!("Bearer {TOKEN}")));
}

#[tokio::test]
async fn what_is_not_setpoint_is_called_so() {
    let page = get(&answer("502 Bad Gateway", "text/html", "<h1>nginx</h1>")).await.unwrap_err();
    let other = get(&answer("200 OK", "text/html", "<h1>hello</h1>")).await.unwrap_err();
    let garbage = get(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap_err();

    for error in [page, other, garbage] {
        assert!(matches!(error, ClientError::NotSetpoint { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_unreachable() {
    let url = Listener::new().await.url();
    let service = Service::new(&url, None).unwrap();

    let asked = service.get::<Value>("/x").await.unwrap_err();
    let connected = Socket::connect(&service, Hello::default()).await.err().unwrap();

    assert!(matches!(asked, ClientError::Unreachable { .. }), "{asked:?}");
    assert!(matches!(connected, ClientError::Unreachable { .. }), "{connected:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_no_secure_one() {
    let listener = Listener::new().await;
    let service = Service::new(&listener.url().replace("http:", "https:"), None).unwrap();
    let answer_plainly = async {
        let mut tcp = listener.silent().await;
        tokio::io::AsyncWriteExt::write_all(&mut tcp, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        tcp
    };

    let (asked, _tcp) = tokio::join!(service.get::<Value>("/x"), answer_plainly);

    let error = asked.unwrap_err();
    assert!(matches!(error, ClientError::NoTls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_not_waited_for_for_ever() {
    let listener = Listener::new().await;
    let service = listener.service().with_timeout(Duration::from_secs(3));
    let let_wait = async {
        let tcp = listener.silent().await;
        tokio::time::pause();
        tcp
    };

    let (asked, _tcp) = tokio::join!(service.get::<Value>("/x"), let_wait);

    let error = asked.unwrap_err();
    assert!(error.to_string().ends_with("within 3s"), "{error}");
}

#[tokio::test]
async fn a_token_is_in_no_debug_output_and_in_no_error() {
    let listener = Listener::new().await;
    let service = Service::new(&listener.url(), Some(TOKEN.to_owned())).unwrap();
    let with_newline = Service::new(&listener.url(), Some(format!("{TOKEN}\n"))).unwrap_err();
    let in_url = Service::new(&format!("http://{TOKEN}@localhost"), None).unwrap_err();

    let (asked, _) = tokio::join!(service.get::<Value>("/x"), listener.answer(b"nonsense"));

    let error = asked.unwrap_err();
    let shown =
        format!("{service:?} {with_newline:?} {with_newline} {in_url:?} {in_url} {error:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn what_is_no_address_is_refused_before_anything_is_sent() {
    for url in ["localhost:8080", "ftp://localhost", "", "http://", "http://host/?token=x"] {
        let error = Service::new(url, None).unwrap_err();
        assert!(matches!(error, ClientError::Address { .. }), "{url}: {error:?}");
    }
}

#[test]
fn a_slash_at_the_end_of_the_address_makes_no_difference() {
    let service = Service::new("https://example.org/setpoint/", None).unwrap();

    assert_eq!(service.uri("/x").unwrap(), "https://example.org/setpoint/x");
}

#[test]
fn a_key_with_quotes_is_encoded() {
    assert_eq!(encoded("hosts.\"a/b\".port"), "hosts.%22a%2Fb%22.port");
}
