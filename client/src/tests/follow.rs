use std::time::Duration;

use super::listener::{Client, Listener, changed, position, reloaded, welcome};
use crate::types::{ClientFrame, Hello, ReloadReason, ServerFrame};
use crate::{Backoff, Event, Follower};

/// A listener, and a follower whose waits are too short to matter.
async fn pair() -> (Listener, Follower) {
    let listener = Listener::new().await;
    let moment = Duration::from_micros(1);
    let backoff = Backoff { first: moment, longest: moment };
    let follower = Follower::new(listener.service(), Hello::default()).with_backoff(backoff);
    (listener, follower)
}

/// A follower that has everything up to revision 5 of the history `e`.
async fn at_five() -> (Listener, Follower, Client) {
    let (listener, mut follower) = pair().await;
    let client = async {
        let mut client = listener.client().await.welcomed("e", 5).await;
        client.send(&reloaded("e", 5, ReloadReason::Hello)).await;
        client
    };
    let (_, client) = tokio::join!(follower.next(), client);
    assert_eq!(shown(&mut follower).await, "reloaded e 5");
    (listener, follower, client)
}

/// The next event in a line.
async fn shown(follower: &mut Follower) -> String {
    match follower.next().await {
        Err(error) => format!("error: {error}"),
        Ok(Event::Connected(it)) => {
            format!("connected {} {}", it.position.epoch, it.position.revision)
        }
        Ok(Event::Reloaded(it)) => {
            format!("reloaded {} {}", it.position.epoch, it.position.revision)
        }
        Ok(Event::Changed(it)) => format!("changed {} to {}", it.after, it.position.revision),
        Ok(Event::Unchanged(it)) => format!("unchanged {}", it.revision),
        Ok(Event::Lost { .. }) => "lost".to_owned(),
        Ok(Event::Gap { error, .. }) => format!("gap: {}", said(&error)),
    }
}

/// What an error says after the address.
fn said(error: &crate::ClientError) -> String {
    error.to_string().rsplit(": ").next().unwrap().to_owned()
}

/// What the follower makes of `frames` after revision 5, and what it then asks for.
async fn after_five(frames: &[ServerFrame]) -> (Vec<String>, Hello) {
    let (listener, mut follower, mut client) = at_five().await;
    for frame in frames {
        client.send(frame).await;
    }
    let mut events = Vec::new();
    for _ in frames {
        let event = shown(&mut follower).await;
        let is_gap = event.starts_with("gap");
        events.push(event);
        if is_gap {
            break;
        }
    }
    drop(client);
    let again = async { while !shown(&mut follower).await.starts_with("connected") {} };
    let hello = async { listener.client().await.welcomed("e", 9).await.hello };
    let ((), hello) = tokio::join!(again, hello);
    (events, hello)
}

#[tokio::test]
async fn news_come_in_order() {
    let (events, _) = after_five(&[changed("e", 5, 6), changed("e", 6, 9)]).await;

    assert_eq!(events, ["changed 5 to 6", "changed 6 to 9"]);
}

#[tokio::test]
async fn a_follower_resumes_where_it_was() {
    let (_, hello) = after_five(&[changed("e", 5, 6)]).await;

    assert_eq!(hello.position, Some(position("e", 6)));
}

#[tokio::test]
async fn what_a_ping_says_counts() {
    let ping = ServerFrame::Ping { revision: 8 };
    let (events, hello) = after_five(&[ping, changed("e", 8, 9)]).await;

    assert_eq!(events, ["unchanged 8", "changed 8 to 9"]);
    assert_eq!(hello.position, Some(position("e", 9)));
}

#[tokio::test]
async fn a_hole_is_a_gap_and_everything_is_asked_for() {
    let (events, hello) = after_five(&[changed("e", 6, 7)]).await;

    assert_eq!(events, ["gap: changes after 6 do not join on to 5"]);
    assert_eq!(hello.position, None);
}

#[tokio::test]
async fn a_repetition_is_a_gap() {
    let (events, _) = after_five(&[changed("e", 5, 6), changed("e", 5, 6)]).await;

    assert_eq!(events, ["changed 5 to 6", "gap: changes after 5 do not join on to 6"]);
}

#[tokio::test]
async fn a_step_back_is_a_gap() {
    for (frame, reason) in [
        (changed("e", 5, 5), "changes lead from 5 to 5"),
        (ServerFrame::Ping { revision: 4 }, "it is at 4 after 5"),
        (
            reloaded("e", 4, ReloadReason::Overflow),
            "everything is told as of 4, and 5 was told before",
        ),
        (changed("f", 5, 6), "the history has become another without being told anew"),
        (welcome("e", 5), "it welcomes twice"),
    ] {
        let (events, hello) = after_five(&[frame]).await;

        assert_eq!(events, [format!("gap: {reason}")]);
        assert_eq!(hello.position, None);
    }
}

#[tokio::test]
async fn changes_before_everything_are_a_gap() {
    let (listener, mut follower) = pair().await;
    let client = async {
        let mut client = listener.client().await.welcomed("e", 5).await;
        client.send(&changed("e", 0, 5)).await;
        client
    };
    let (_, _client) = tokio::join!(follower.next(), client);

    assert_eq!(shown(&mut follower).await, "gap: there were changes before everything was told");
}

#[tokio::test]
async fn a_client_that_did_not_keep_up_goes_on_from_a_reload() {
    let reload = reloaded("e", 8, ReloadReason::Overflow);
    let (events, _) = after_five(&[reload, changed("e", 8, 9)]).await;

    assert_eq!(events, ["reloaded e 8", "changed 8 to 9"]);
}

#[tokio::test]
async fn another_history_is_told_anew() {
    let (listener, mut follower, client) = at_five().await;
    drop(client);
    assert_eq!(shown(&mut follower).await, "lost");
    let client = async {
        let mut client = listener.client().await.welcomed("f", 2).await;
        client.send(&ServerFrame::Ping { revision: 2 }).await;
        client.send(&reloaded("f", 2, ReloadReason::Resync)).await;
        client
    };

    let (connected, client) = tokio::join!(shown(&mut follower), client);
    let event = shown(&mut follower).await;

    assert_eq!(client.hello.position, Some(position("e", 5)));
    assert_eq!([connected.as_str(), &event], ["connected f 2", "reloaded f 2"]);
}

#[tokio::test]
async fn changes_of_another_history_before_it_is_told_are_a_gap() {
    let (listener, mut follower, client) = at_five().await;
    drop(client);
    assert_eq!(shown(&mut follower).await, "lost");
    let client = async {
        let mut client = listener.client().await.welcomed("f", 5).await;
        client.send(&changed("e", 5, 6)).await;
        client
    };

    let (_, _client) = tokio::join!(shown(&mut follower), client);

    assert_eq!(shown(&mut follower).await, "gap: there were changes before everything was told");
}

#[tokio::test]
async fn a_frame_that_breaks_off_was_never_told() {
    let (listener, mut follower, client) = at_five().await;
    let text = serde_json::to_string(&changed("e", 5, 6)).unwrap();
    // A text frame of 100 bytes, of which half come.
    client.drop_after(&[&[0x81, 100], &text.as_bytes()[..50]].concat()).await;

    assert_eq!(shown(&mut follower).await, "lost");
    let client = async {
        let mut client = listener.client().await.welcomed("e", 6).await;
        client.send(&changed("e", 5, 6)).await;
        client
    };
    let (_, client) = tokio::join!(shown(&mut follower), client);
    assert_eq!(client.hello.position, Some(position("e", 5)));
    assert_eq!(shown(&mut follower).await, "changed 5 to 6");
}

#[tokio::test]
async fn the_position_is_that_of_the_event_before_the_last() {
    let (_listener, mut follower, mut client) = at_five().await;
    client.send(&changed("e", 5, 6)).await;
    client.send(&changed("e", 6, 7)).await;

    shown(&mut follower).await;
    assert_eq!(follower.position(), Some(&position("e", 5)));
    shown(&mut follower).await;
    assert_eq!(follower.position(), Some(&position("e", 6)));
}

#[tokio::test]
async fn a_silent_service_is_lost_after_its_own_timeout() {
    let (_listener, mut follower, _client) = at_five().await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();

    let event = follower.next().await.unwrap();

    let Event::Lost { error, .. } = event else { panic!("{event:?}") };
    assert_eq!(said(&error), "nothing was heard for 30s");
    assert!(began.elapsed() >= Duration::from_secs(29), "{:?}", began.elapsed());
}

#[tokio::test]
async fn another_silence_can_be_chosen() {
    let (listener, follower) = pair().await;
    let mut follower = follower.with_silence(Duration::from_secs(2));
    let client = async { listener.client().await.welcomed("e", 0).await };
    let (_, _client) = tokio::join!(follower.next(), client);
    tokio::time::pause();

    let event = follower.next().await.unwrap();

    let Event::Lost { error, .. } = event else { panic!("{event:?}") };
    assert_eq!(said(&error), "nothing was heard for 2s");
}

#[tokio::test]
async fn a_ping_is_answered_and_revisions_are_reported() {
    let (_listener, mut follower, mut client) = at_five().await;
    client.send(&ServerFrame::Ping { revision: 6 }).await;

    shown(&mut follower).await;
    follower.applied(6).await;
    follower.rejected(7, "out of range").await;

    assert_eq!(client.heard().await, ClientFrame::Pong {});
    assert_eq!(client.heard().await, ClientFrame::Applied { revision: 6 });
    let reason = "out of range".to_owned();
    assert_eq!(client.heard().await, ClientFrame::Rejected { revision: 7, reason });
}

#[tokio::test]
async fn waits_grow_and_have_an_end() {
    let url = Listener::new().await.url();
    let service = crate::Service::new(&url, None).unwrap();
    let mut follower = Follower::new(service, Hello::default());
    tokio::time::pause();

    let mut waits = Vec::new();
    for _ in 0..12 {
        let Ok(Event::Lost { retry_in, .. }) = follower.next().await else { panic!("it is lost") };
        waits.push(retry_in);
    }

    let ms = Duration::from_millis;
    assert!((ms(50)..=ms(100)).contains(&waits[0]), "{waits:?}");
    assert!((ms(400)..=ms(800)).contains(&waits[3]), "{waits:?}");
    assert!(waits[8..].iter().all(|it| (ms(5_000)..=ms(10_000)).contains(it)), "{waits:?}");
}

#[tokio::test]
async fn what_does_not_heal_is_an_error() {
    let (listener, mut follower) = pair().await;
    let refuse = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";

    let (event, _) = tokio::join!(follower.next(), listener.answer(refuse));

    assert!(event.is_err(), "{event:?}");
}
