//! What is refused about tokens. Nothing is ever changed.

use insta::assert_snapshot;

use super::{asked, create, keyring, ready, three};
use crate::world::World;

on_both![
    names_that_are_none_are_refused,
    a_name_is_never_used_again,
    of_two_with_one_name_only_one_is_made,
    namespaces_that_are_none_are_refused,
    a_token_is_not_restricted_by_a_flag_that_means_something_else,
    an_expiry_that_is_none_or_has_come_is_refused,
    what_is_not_there_cannot_be_revoked,
    what_is_revoked_cannot_be_revoked_again,
    nobody_there_revokes_nothing_without_yes,
    a_token_in_place_of_its_name_is_not_repeated,
    sql_cannot_make_up_a_role_or_a_list,
];

/// How a command is refused, after which the tokens are as they were.
#[track_caller]
fn refused(world: &World, arguments: &[&str]) -> String {
    let before = world.sql("SELECT * FROM token ORDER BY name");
    let refusal = world.refusal(&[&["token"], arguments].concat());
    assert_eq!(world.sql("SELECT * FROM token ORDER BY name"), before, "{refusal}");
    refusal
}

fn names_that_are_none_are_refused(world: &World) {
    ready(world);
    let long = "x".repeat(101);
    let names = ["", " ", ".hidden", "_x", "a b", "a/b", "ä", "a\nb", &long];

    for name in names {
        let refusal = refused(world, &["create", name, "--role", "viewer"]);
        assert!(refusal.starts_with("1 token::bad_name"), "{refusal}");
    }
    assert_snapshot!(refused(world, &["create", "a:b", "--role", "viewer"]), @"1 token::bad_name; `a:b` cannot be the name of a token; there is no new token; give 1 to 100 of A-Z a-z 0-9 . _ -, a letter or digit first");
    create(world, &[&long[1..], "--role", "viewer"]);
    create(world, &["7-Rack_4.b", "--role", "viewer"]);
}

fn a_name_is_never_used_again(world: &World) {
    ready(world);
    let first = create(world, &["ci", "--role", "viewer"]);

    assert_snapshot!(refused(world, &["create", "ci", "--role", "admin"]), @"1 token::exists; there is a token `ci`, or was; there is no new token; choose another name: one is never used again");
    assert_eq!(asked(world, &first), "ci: viewer");
    world.ok(&["token", "revoke", "ci", "--yes"]);
    let refusal = refused(world, &["create", "ci", "--role", "viewer"]);
    assert!(refusal.starts_with("1 token::exists"), "{refusal}");
}

fn of_two_with_one_name_only_one_is_made(world: &World) {
    ready(world);
    let started = [0; 6].map(|_| world.start(&["token", "create", "ci", "--role", "viewer"]));
    let mut ended = started.map(|it| world.end(it));
    ended.sort_by_key(|it| it.status);

    let statuses: Vec<_> = ended.iter().map(|it| it.status).collect();
    assert_eq!(statuses, [0, 1, 1, 1, 1, 1], "{}", ended[1]);
    assert!(ended[1..].iter().all(|it| it.stdout.is_empty()));
    assert_eq!(asked(world, ended[0].stdout.trim_end()), "ci: viewer");
}

fn namespaces_that_are_none_are_refused(world: &World) {
    ready(world);

    assert_snapshot!(refused(world, &["create", "ci", "--role", "viewer", "--only", "a", "--only", "b c"]), @"1 token::bad_namespaces; a token cannot be for these namespaces: a, b c; there is no new token; give one or more names of A-Z a-z 0-9 _ - ., or none for all namespaces");
    let refusal = refused(world, &["create", "ci", "--role", "viewer", "--only", ""]);
    assert!(refusal.starts_with("1 token::bad_namespaces"), "{refusal}");
}

fn a_token_is_not_restricted_by_a_flag_that_means_something_else(world: &World) {
    ready(world);

    assert_snapshot!(refused(world, &["create", "ci", "--role", "viewer", "--namespace", "kiosk"]), @"1 token::namespace; a token is for all namespaces, whatever --namespace says; there is no new token; --only NAMESPACE makes one for that namespace alone");
}

fn an_expiry_that_is_none_or_has_come_is_refused(world: &World) {
    ready(world);
    let refuse = |when| refused(world, &["create", "ci", "--role", "viewer", "--expires", when]);

    assert_snapshot!(refuse("2020-01-31"), @"1 token::expiry; a token that expires at 2026-05-01T12:00:00.000Z would be of no use: that is in the past; there is no new token; give a time to come, such as 90d or 2030-01-31");
    for when in ["0d", "0h"] {
        assert!(refuse(when).starts_with("1 token::expiry"), "{when}");
    }
    for when in ["soon", "90", "", "99999999999d"] {
        assert!(refuse(when).starts_with("1 time::invalid"), "{when}");
    }
}

#[test]
fn a_role_that_is_none_is_refused() {
    let world = World::sqlite();
    let ran = ready(&world).run(&["token", "create", "ci", "--role", "root"]);

    assert_snapshot!(ran, @r"
    status 2
    -- stderr
    error: invalid value 'root' for '--role <ROLE>'
      [possible values: viewer, editor, admin]

    For more information, try '--help'.
    ");
    assert_eq!(world.run(&["token", "create", "ci"]).status, 2);
    assert_eq!(world.sql("SELECT count(*) FROM token"), "0");
}

fn what_is_not_there_cannot_be_revoked(world: &World) {
    three(world);

    assert_snapshot!(refused(world, &["revoke", "cj", "--yes"]), @"1 token::no_such_name; there is no token `cj`; nothing was changed; `setpoint token list` has the names");
    // Nobody is asked about what is not there.
    let refusal = refused(world, &["revoke", "CI"]);
    assert!(refusal.starts_with("1 token::no_such_name"), "{refusal}");
}

fn what_is_revoked_cannot_be_revoked_again(world: &World) {
    three(world);

    assert_snapshot!(refused(world, &["revoke", "old", "--yes", "--actor", "eve"]), @"1 token::revoked_before; token `old` was revoked at 2026-05-01T12:00:00.000Z by ann; nothing was changed; it is refused since then");
    // One that has expired can be, in case its time was wrong.
    world.ok(&["token", "revoke", "coach", "--yes"]);
}

fn nobody_there_revokes_nothing_without_yes(world: &World) {
    three(world);

    assert_snapshot!(refused(world, &["revoke", "coach"]), @"1 confirm::nobody; Revoke token `coach`, editor of kiosk? It cannot be undone. Nobody is here to ask; nothing was changed; add --yes if it is meant");
}

fn a_token_in_place_of_its_name_is_not_repeated(world: &World) {
    let [ci, ..] = three(world);
    let refusals = [
        refused(world, &["revoke", &ci, "--yes"]),
        refused(world, &["create", &ci, "--role", "viewer"]),
    ];

    assert_snapshot!(refusals.join("\n"), @r"
    1 token::not_a_name; this is a token, not the name of one; nothing was changed; `setpoint token list` has the names. What is typed in a command can be seen by others: revoke that token
    1 token::not_a_name; this is a token, not the name of one; nothing was changed; `setpoint token list` has the names. What is typed in a command can be seen by others: revoke that token
    ");
}

fn sql_cannot_make_up_a_role_or_a_list(world: &World) {
    three(world);
    let edits = [
        "UPDATE token SET role = 'root'",
        "UPDATE token SET namespaces = '\"a\"'",
        "UPDATE token SET namespaces = 'a, b'",
        "UPDATE token SET hash = 'sha256:0'",
    ];

    for edit in edits {
        assert!(world.try_sql(edit).is_err(), "{edit}");
    }
    world.sql("UPDATE token SET namespaces = '[\"a\"]' WHERE name = 'ci'");
    assert!(keyring(world).named("ci", chrono::Utc::now()).unwrap().is_for("a"));
}
