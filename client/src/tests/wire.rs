use crate::types::{ClientFrame, Hello, Position, ServerFrame};

fn hello(text: &str) -> Result<ClientFrame, String> {
    serde_json::from_str(text).map_err(|it| it.to_string())
}

#[test]
fn a_hello_is_read_as_it_is_written() {
    let position = Some(Position { epoch: "e1".to_owned(), revision: 7 });
    let said = ClientFrame::Hello(Hello {
        client: Some("coach/2.1".to_owned()),
        patterns: vec!["physics.**".to_owned()],
        position,
        ..Hello::default()
    });

    let text = serde_json::to_string(&said).unwrap();

    assert_eq!(
        text,
        r#"{"type":"Hello","client":"coach/2.1","patterns":["physics.**"],"epoch":"e1","revision":7}"#
    );
    assert_eq!(hello(&text), Ok(said));
}

#[test]
fn a_hello_that_asks_for_nothing_is_short() {
    assert_eq!(hello(r#"{"type":"Hello"}"#), Ok(ClientFrame::Hello(Hello::default())));
}

#[test]
fn a_ping_tells_the_revision() {
    let frame: ServerFrame = serde_json::from_str(r#"{"type":"Ping","revision":3}"#).unwrap();

    assert_eq!(frame, ServerFrame::Ping { revision: 3 });
}
