//! Tokens, as whoever runs the service makes, lists and revokes them.

use std::fs::OpenOptions;
use std::process::Command;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;
use setpoint_ops::database::{Access, Location, Settings, open};
use setpoint_ops::token::{Keyring, all};

use crate::reconcile::picker::at_terminal;
use crate::world::{Ran, World, block_on, fed, text};

mod refused;

on_both![
    a_token_is_printed_alone_on_standard_output,
    with_json_everything_is_on_standard_output,
    tokens_are_listed_with_who_made_and_revoked_them,
    the_list_as_json_says_what_is_still_good,
    what_is_listed_opens_and_what_was_revoked_does_not,
    whoever_is_asked_may_say_no,
    the_text_of_a_token_is_nowhere,
    a_token_makes_no_revision,
    a_token_is_no_value_of_a_setting,
];

/// A world with a database in it.
fn ready(world: &World) -> &World {
    world.ok(&["database", "up"]);
    world
}

/// Makes a token and gives its text.
#[track_caller]
fn create(world: &World, arguments: &[&str]) -> String {
    let printed = world.ok(&[&["token", "create"], arguments].concat());
    let secret = printed.strip_suffix('\n').unwrap().to_owned();
    let is_token = secret.len() == 39 && secret.starts_with("sp_");
    assert!(is_token && secret[3..].bytes().all(|it| it.is_ascii_alphanumeric()), "{printed:?}");
    secret
}

/// The tokens as the service would have them.
fn keyring(world: &World) -> Keyring {
    let location = match world.is_postgres() {
        true => Location::parse(&world.database()),
        false => Location::Sqlite(world.path("setpoint.db")),
    };
    let wait = Duration::from_secs(5);
    let settings = Settings { lock_timeout: wait, connect_timeout: wait };
    let rows = block_on(async {
        let database = open(&location, Access::Read, settings).await.unwrap();
        all(&database.connection).await.unwrap()
    });
    Keyring::new(rows)
}

/// What the service would say to somebody with this text.
fn asked(world: &World, secret: &str) -> String {
    let keyring = keyring(world);
    match keyring.authenticate(secret, chrono::Utc::now()) {
        Ok(token) => format!("{}: {}", token.name, token.role.as_str()),
        Err(refused) => refused.to_string(),
    }
}

fn a_token_is_printed_alone_on_standard_output(world: &World) {
    let made = ready(world).run(&["token", "create", "ci", "--role", "viewer"]);
    let arguments = ["token", "create", "coach", "--role", "editor", "--only", "b", "--only", "a"];
    let limited = world.run(&[&arguments[..], &["--expires", "2999-01-31"]].concat());

    let shown = [&made, &limited].map(|it| it.stderr.as_str()).concat();
    assert_snapshot!(shown, @r"
    token `ci`: viewer of all namespaces, until it is revoked
    it is shown this once: keep it where secrets are kept
    warning: there is no namespace `a` yet
    warning: there is no namespace `b` yet
    token `coach`: editor of a, b, until 2999-01-31T00:00:00.000Z
    it is shown this once: keep it where secrets are kept
    ");
    assert_eq!(asked(world, made.stdout.trim_end_matches('\n')), "ci: viewer");
    assert_eq!(asked(world, limited.stdout.trim_end_matches('\n')), "coach: editor");
}

fn with_json_everything_is_on_standard_output(world: &World) {
    let ran = ready(world).run(&["token", "create", "ci", "--role", "admin", "--json"]);
    let mut made = ran.json();
    let secret = made["token"].take();

    assert_eq!((asked(world, text(&secret)).as_str(), ran.stderr.as_str()), ("ci: admin", ""));
    assert_eq!(
        made.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "name",
            "role",
            "namespaces",
            "created_at",
            "created_by",
            "expires_at",
            "revoked_at",
            "revoked_by",
            "token"
        ]
    );
}

/// `ci` is good, `coach` has expired, `old` was revoked.
fn three(world: &World) -> [String; 3] {
    ready(world);
    let ci = create(world, &["ci", "--role", "admin"]);
    let coach =
        create(world, &["coach", "--role", "editor", "--only", "kiosk", "--expires", "90d"]);
    let old = create(world, &["old", "--role", "viewer", "--actor", "bob"]);
    world.sql("UPDATE token SET expires_at = '2020-01-31T00:00:00.000Z' WHERE name = 'coach'");
    world.ok(&["token", "revoke", "old", "--yes"]);
    [ci, coach, old]
}

fn tokens_are_listed_with_who_made_and_revoked_them(world: &World) {
    three(world);

    assert_snapshot!(world.run(&["token", "list"]), @r"
    status 0
    -- stdout
    NAME   ROLE    NAMESPACES      CREATED                   BY   EXPIRES                   STATE
    ci     admin   all namespaces  2026-05-01T12:00:00.000Z  ann  never                     active
    coach  editor  kiosk           2026-05-01T12:00:00.000Z  ann  2026-05-01T12:00:00.000Z  expired
    old    viewer  all namespaces  2026-05-01T12:00:00.000Z  bob  never                     revoked 2026-05-01T12:00:00.000Z by ann
    ");
}

fn the_list_as_json_says_what_is_still_good(world: &World) {
    three(world);
    let listed = world.json(&["token", "list"]);

    let fields = ["name", "role", "namespaces", "created_by", "revoked_by", "state"];
    let lines = listed.as_array().unwrap().iter();
    let line = |it: &Value| fields.map(|field| it[field].to_string()).join(" ");
    assert_snapshot!(lines.map(line).collect::<Vec<_>>().join("\n"), @r#"
    "ci" "admin" null "ann" null "active"
    "coach" "editor" ["kiosk"] "ann" null "expired"
    "old" "viewer" null "bob" "ann" "revoked"
    "#);
    let whole = listed.to_string();
    assert!(!whole.contains("sp_") && !whole.contains("sha256"), "{whole}");
}

fn what_is_listed_opens_and_what_was_revoked_does_not(world: &World) {
    let [ci, coach, old] = three(world);
    let revoked = text(&world.json(&["token", "list"])[2]["revoked_at"]).to_owned();

    assert_eq!(asked(world, &ci), "ci: admin");
    assert_eq!(asked(world, &coach), "token `coach` has expired at 2020-01-31T00:00:00.000Z");
    assert_eq!(asked(world, &old), format!("token `old` was revoked at {revoked}"));
    let keyring = keyring(world);
    let coach = keyring.named("coach", chrono::DateTime::UNIX_EPOCH).unwrap();
    assert!(coach.is_for("kiosk") && !coach.is_for("default"));
}

fn whoever_is_asked_may_say_no(world: &World) {
    let [ci, ..] = three(world);
    let no = at_terminal(world, &["token", "revoke", "ci"], "\n");
    let before = asked(world, &ci);
    let yes = at_terminal(world, &["token", "revoke", "ci"], "y\n");

    assert_eq!((no.status, before.as_str(), yes.status), (1, "ci: admin", 0), "{no}\n{yes}");
    assert!(asked(world, &ci).starts_with("token `ci` was revoked"));
}

/// Runs a command with all that can be logged.
fn logged(world: &World, arguments: &[&str]) -> Ran {
    let mut command = world.command(arguments);
    let child = command.env("RUST_LOG", "trace").args(["--log-format", "json"]).spawn().unwrap();
    world.end(child)
}

fn the_text_of_a_token_is_nowhere(world: &World) {
    ready(world);
    let made = logged(world, &["token", "create", "ci", "--role", "admin"]);
    let secret = made.stdout.trim_end().to_owned();
    let commands: [&[&str]; 6] = [
        &["token", "list"],
        &["token", "list", "--json"],
        &["token", "revoke", "ci", "--yes"],
        &["audit", "log"],
        &["verify"],
        &["doctor"],
    ];

    let mut places = vec![made.stderr];
    for arguments in commands {
        let ran = logged(world, arguments);
        assert_eq!(ran.status, 0, "{ran}");
        places.extend([ran.stdout, ran.stderr]);
    }
    if world.is_postgres() {
        let mut dump = Command::new("pg_dump");
        let dump = fed(dump.arg("--inserts").arg(world.database()), "").unwrap();
        assert!(dump.contains("INSERT INTO public.token"), "{dump}");
        places.push(dump);
    }
    let mut bytes: Vec<Vec<u8>> = world.files().into_values().collect();
    bytes.extend(places.into_iter().map(String::into_bytes));
    // A good part of it is as bad as all of it.
    let parts: Vec<&[u8]> = secret.as_bytes()[3..].windows(8).collect();
    let leaks = bytes.iter().filter(|place| {
        let is_in = |part: &&[u8]| place.windows(part.len()).any(|it| it == *part);
        parts.iter().any(is_in)
    });
    let leaks: Vec<_> = leaks.map(|it| String::from_utf8_lossy(it)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn a_token_that_cannot_be_printed_is_told_with_what_to_do() {
    let world = World::sqlite();
    let mut command = ready(&world).command(&["token", "create", "ci", "--role", "viewer"]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = world.end(command.stdout(full).spawn().unwrap());

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    token::not_shown

      × token `ci` was made, but could not be printed: No space left on device (os
      │ error 28)
      help: revoke it with `setpoint token revoke`, and make another by another
            name
    ");
}

fn a_token_makes_no_revision(world: &World) {
    world.migrate("a: 1\n");
    create(world, &["ci", "--role", "viewer"]);
    world.ok(&["token", "revoke", "ci", "--yes"]);

    assert_eq!((world.revision(), world.run(&["verify"]).status), (1, 0));
}

fn a_token_is_no_value_of_a_setting(world: &World) {
    ready(world);
    let secret = create(world, &["ci", "--role", "viewer"]);
    world.migrate(&format!("a: 1\nservice: {secret}\n"));

    assert_eq!((world.get("a").as_str(), world.get("service").as_str()), ("1", "(none)"));
    let ran = world.run(&["set", "a", &secret, "--type", "string"]);
    assert!(ran.status == 1 && !ran.to_string().contains(&secret), "{ran}");
}
