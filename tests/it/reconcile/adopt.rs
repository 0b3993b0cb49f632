//! Live values into their files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;

use super::{drift, everything, refused, settings};
use crate::world::World;

on_both![
    one_value_changes_one_line,
    a_dry_run_shows_the_difference_and_makes_none,
    a_map_is_adopted_with_all_that_is_in_it,
    everything_edited_is_adopted_at_once,
    a_key_of_ones_own_goes_into_the_file,
    a_deleted_key_leaves_the_file,
    an_update_of_another_key_stays_pending,
    a_key_in_conflict_is_adopted_by_name_only,
    a_key_that_was_removed_goes_back_into_the_file,
    a_key_that_was_removed_goes_back_into_the_file_that_had_it,
    a_key_of_ones_own_without_a_file_of_its_own_is_refused,
    each_format_is_written_in_its_own_way,
    a_mapping_is_gone_through_backwards,
    a_key_that_the_case_leaves_alone_is_changed_in_place,
    a_key_renamed_in_file_and_declaration_is_changed_in_place,
    an_item_of_a_list_that_was_split_is_refused_with_the_reason,
    a_value_that_cannot_be_converted_back_is_refused,
    a_value_of_a_type_that_the_file_has_not_is_refused,
    an_edit_in_what_an_alias_uses_is_refused,
    an_edit_in_an_alias_is_refused_and_takes_the_others_with_it,
    all_leaves_out_what_cannot_be_adopted_and_says_so,
    a_key_that_is_in_line_is_refused,
    the_files_are_copied_first,
    adopting_is_in_the_history_and_changes_no_setting,
    a_layer_is_adopted_into_its_own_file,
    line_endings_stay_as_they_are,
    a_key_that_a_merge_key_brings_too_is_refused_to_be_removed,
    a_read_only_file_is_refused,
    a_map_that_became_a_scalar_in_the_file_is_written_back_whole,
];

/// Nothing is left to tell, and the database is sound.
#[track_caller]
fn assert_in_line(world: &World) {
    assert_eq!(drift(world), "");
    world.ok(&["verify"]);
}

const COMMENTED: &str = "\
# head
http:   # web
  port: 80   # the port
  host: \"a.org\"

list: [1, 2]
";

fn one_value_changes_one_line(world: &World) {
    world.migrate(COMMENTED);
    world.ok(&["set", "http.port", "81"]);
    world.ok(&["adopt", "http.port"]);

    assert_eq!(world.read("settings.yaml"), COMMENTED.replace("80", "81"));
    assert_in_line(world);
}

fn a_dry_run_shows_the_difference_and_makes_none(world: &World) {
    world.migrate(COMMENTED);
    world.ok(&["set", "http.port", "81"]);
    let before = everything(world);
    let ran = world.run(&["adopt", "http.port", "--dry-run", "--exit-code"]);

    assert!(everything(world) == before);
    assert_snapshot!(ran, @r#"
    status 2
    -- stdout
    --- settings.yaml
    +++ settings.yaml
    @@ -2,3 +2,3 @@
     http:   # web
    -  port: 80   # the port
    +  port: 81   # the port
       host: "a.org"
    1 to adopt
    "#);
}

fn a_map_is_adopted_with_all_that_is_in_it(world: &World) {
    world.migrate(COMMENTED);
    world.ok(&["set", "http.port", "81"]);
    world.ok(&["set", "http.host", "b.org"]);
    world.ok(&["set", "list", "[3]"]);
    world.ok(&["adopt", "http"]);

    assert_eq!(
        world.read("settings.yaml"),
        COMMENTED.replace("80", "81").replace("a.org", "b.org")
    );
    assert_eq!(drift(world), "list: edited-here");
}

fn everything_edited_is_adopted_at_once(world: &World) {
    world.write("a.yaml", "a: 1 # one\nb: 1\n");
    world.write("c.toml", "# top\nc = 1\n");
    world.ok(&["migrate", "a.yaml", "c.toml"]);
    world.ok(&["set", "a", "2"]);
    world.ok(&["unset", "b"]);
    world.ok(&["set", "c", "2"]);
    world.ok(&["adopt", "--all"]);

    assert_eq!(
        (world.read("a.yaml"), world.read("c.toml")),
        ("a: 2 # one\n".into(), "# top\nc = 2\n".into())
    );
    assert_in_line(world);
}

fn a_key_of_ones_own_goes_into_the_file(world: &World) {
    world.migrate(COMMENTED);
    world.ok(&["set", "http.tls", "true"]);
    world.ok(&["adopt", "http.tls"]);

    assert_eq!(
        world.read("settings.yaml"),
        COMMENTED.replace("\"a.org\"\n", "\"a.org\"\n  tls: true\n")
    );
    assert_in_line(world);
}

fn a_deleted_key_leaves_the_file(world: &World) {
    world.migrate(COMMENTED);
    world.ok(&["unset", "http.host"]);
    world.ok(&["adopt", "http.host"]);

    assert_eq!(world.read("settings.yaml"), COMMENTED.replace("  host: \"a.org\"\n", ""));
    assert_in_line(world);
}

fn an_update_of_another_key_stays_pending(world: &World) {
    world.migrate("a: 1 # c\nb: 1\nc: 1\n");
    world.ok(&["set", "a", "2"]);
    world.write("settings.yaml", "a: 1 # c\nb: 5\nd: 1\n");
    world.ok(&["adopt", "a"]);
    let pending = (drift(world), world.run(&["reseed", "--check"]).status);
    world.ok(&["migrate", "settings.yaml"]);

    let told = "b: update-available, c: key-removed, d: update-available";
    assert_eq!(pending, (told.to_owned(), 2));
    assert_eq!(world.read("settings.yaml"), "a: 2 # c\nb: 5\nd: 1\n");
    assert_eq!(settings(world), "a = 2, b = 5, d = 1");
    assert_in_line(world);
}

fn a_key_in_conflict_is_adopted_by_name_only(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    world.write("settings.yaml", "a: 3\n");
    world.ok(&["adopt", "--all"]);
    let all = world.read("settings.yaml");
    world.ok(&["adopt", "a"]);

    assert_eq!((all.as_str(), world.read("settings.yaml").as_str()), ("a: 3\n", "a: 2\n"));
    assert_in_line(world);
}

fn a_key_that_was_removed_goes_back_into_the_file(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.write("settings.yaml", "b: 1\n");
    world.ok(&["adopt", "a"]);

    assert_eq!(world.read("settings.yaml"), "b: 1\na: 1\n");
    assert_in_line(world);
}

fn a_key_that_was_removed_goes_back_into_the_file_that_had_it(world: &World) {
    world.write("one.yaml", "a: 1\nb: 1\n");
    world.write("two.yaml", "c: 1\n");
    world.ok(&["migrate", "one.yaml", "two.yaml"]);
    world.ok(&["set", "a", "2"]);
    world.write("one.yaml", "b: 1\n");
    world.ok(&["adopt", "a"]);

    assert_eq!(world.read("one.yaml"), "b: 1\na: 2\n");
    assert_in_line(world);
}

fn a_key_of_ones_own_without_a_file_of_its_own_is_refused(world: &World) {
    world.write("one.yaml", "a: 1\n");
    world.write("two.yaml", "c: 1\n");
    world.ok(&["migrate", "one.yaml", "two.yaml"]);
    world.ok(&["set", "own", "1"]);

    assert_snapshot!(refused(world, &["adopt", "own"]), @"1 adopt::no_file; no file can take `own`; nothing was changed; more than one file of its layer could, or none");
}

/// One source of each format, each below a prefix.
fn of_each_format(world: &World) {
    let declared = ["y.yaml", "t.toml", "j.json", "e.env"]
        .map(|it| format!("[[source]]\npath = \"{it}\"\nprefix = \"{}\"\n", &it[..1]));
    world.write("setpoint.toml", declared.concat());
    world.write("y.yaml", "# y\nk: 1 # one\ngone: 1\n");
    world.write("t.toml", "# t\n[http]\nport = 80 # p\nhost = 'x'\n");
    world.write("j.json", "{\n  \"k\": [1, 2],\n  \"gone\": 1\n}\n");
    world.write("e.env", "# e\nexport NAME=\"ann\"  # who\nPORT=80\n");
    world.ok(&["migrate"]);
}

fn each_format_is_written_in_its_own_way(world: &World) {
    of_each_format(world);
    for (key, value) in [
        ("y.k", "2"),
        ("y.new", "a b"),
        ("t.http.port", "81"),
        ("t.http.host", "it's"),
        ("t.http.new", "true"),
        ("j.k", "[1, 3]"),
        ("j.new", "1.5"),
        ("e.NAME", "bob"),
        ("e.PORT", "81"),
        ("e.NEW", "a b"),
    ] {
        world.ok(&["set", key, value]);
    }
    world.ok(&["unset", "y.gone"]);
    world.ok(&["unset", "j.gone"]);
    world.ok(&["adopt", "--all"]);

    let files = ["y.yaml", "t.toml", "j.json", "e.env"].map(|it| world.read(it));
    assert_snapshot!(files.join("---\n"), @r##"
    # y
    k: 2 # one
    new: a b
    ---
    # t
    [http]
    port = 81 # p
    host = "it's"
    new = true
    ---
    {
      "k": [1, 3],
      "new": 1.5
    }
    ---
    # e
    export NAME="bob"  # who
    PORT=81
    NEW='a b'
    "##);
    assert_in_line(world);
}

/// A legacy file whose keys are moved, renamed, dropped and converted.
fn mapped(world: &World) {
    world.write(
        "setpoint.toml",
        r#"
        [[source]]
        path = "s.json"
        prefix = "desk"
        case = "snake"
        drop = ["debug.**"]
        rename = { forceManual = "approval.force" }
        move = { old = "new.place" }
        convert = { port = "integer", timeoutMs = { to = "float", unit = "ms -> s" } }
        split = { presets = "name" }
        "#,
    );
    let file = r#"{
  "forceManual": true,
  "springK": 2,
  "already_snake": 1,
  "port": "8080",
  "timeoutMs": 1500,
  "old": {"k": 1},
  "debug": {"level": 3},
  "presets": [{"name": "lo", "rate": 1}]
}
"#;
    world.write("s.json", file);
    world.ok(&["migrate"]);
}

fn a_mapping_is_gone_through_backwards(world: &World) {
    mapped(world);
    for (key, value) in [
        ("desk.approval.force", "false"),
        ("desk.spring_k", "3"),
        ("desk.port", "9090"),
        ("desk.timeout_ms", "2.25"),
        ("desk.new.place.k", "5"),
        ("desk.new.place.z", "6"),
        ("desk.new_key", "7"),
    ] {
        world.ok(&["set", key, value]);
    }
    world.ok(&["adopt", "--all"]);

    assert_snapshot!(world.read("s.json"), @r#"
    {
      "forceManual": false,
      "springK": 3,
      "already_snake": 1,
      "port": "9090",
      "timeoutMs": 2250,
      "old": {"k": 5, "z": 6},
      "debug": {"level": 3},
      "presets": [{"name": "lo", "rate": 1}],
      "newKey": 7
    }
    "#);
    assert_in_line(world);
}

fn a_key_that_the_case_leaves_alone_is_changed_in_place(world: &World) {
    mapped(world);
    let before = world.read("s.json");
    world.ok(&["set", "desk.already_snake", "2"]);
    world.ok(&["adopt", "desk.already_snake"]);

    assert_eq!(world.read("s.json"), before.replace("snake\": 1", "snake\": 2"));
    assert_in_line(world);
}

fn a_key_renamed_in_file_and_declaration_is_changed_in_place(world: &World) {
    world.write("setpoint.toml", "[[source]]\npath = \"s.json\"\n");
    world.write("s.json", "{\"springK\": 2, \"other\": 1}\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "springK", "3"]);
    world.write("s.json", "{\"spring_k\": 2, \"other\": 1}\n");
    world.write(
        "setpoint.toml",
        "[[source]]\npath = \"s.json\"\nrename = { springK = \"spring_k\" }\n",
    );
    world.ok(&["migrate"]);
    world.ok(&["adopt", "spring_k"]);

    assert_eq!(world.read("s.json"), "{\"spring_k\": 3, \"other\": 1}\n");
    assert_in_line(world);
}

fn an_item_of_a_list_that_was_split_is_refused_with_the_reason(world: &World) {
    mapped(world);
    world.ok(&["set", "desk.presets.lo.rate", "5"]);
    let refusal = refused(world, &["adopt", "desk.presets.lo.rate"]);

    assert!(refusal.contains("split") && !refusal.contains("makes no such key"), "{refusal}");
}

fn a_value_that_cannot_be_converted_back_is_refused(world: &World) {
    mapped(world);
    world.ok(&["set", "desk.timeout_ms", "0.0001"]);

    assert_snapshot!(refused(world, &["adopt", "desk.timeout_ms"]), @"1 mapping::one_way; a float cannot be written back to `timeoutMs`, which is an integer there: the number is not whole; change it in the file, or set a value that `convert` of this key can reach");
}

fn a_value_of_a_type_that_the_file_has_not_is_refused(world: &World) {
    of_each_format(world);
    world.ok(&["set", "e.PORT", "81", "--type", "integer"]);
    let refusal = refused(world, &["adopt", "e.PORT"]);

    assert!(
        refusal.starts_with("1 adopt::not_the_same; e.env would not say what `e.PORT` is"),
        "{refusal}"
    );
}

const SHARED: &str = "base: &b {x: 1, y: 2}\ncopy: *b\nfree: 1\n";

fn an_edit_in_what_an_alias_uses_is_refused(world: &World) {
    world.migrate(SHARED);
    world.ok(&["set", "base.x", "5"]);

    assert_snapshot!(refused(world, &["adopt", "base.x"]), @r"
    1 edit::refused; `settings.yaml` cannot be changed as asked
    settings.yaml:1:10: `base.x`: the alias on line 2 uses what would change here; nothing was changed; edit the file by hand there, or leave those keys as they are
    ");
}

fn an_edit_in_an_alias_is_refused_and_takes_the_others_with_it(world: &World) {
    world.migrate(SHARED);
    world.ok(&["set", "copy.x", "5"]);
    world.ok(&["set", "free", "5"]);

    assert_snapshot!(refused(world, &["adopt", "copy", "free"]), @r"
    1 edit::refused; `settings.yaml` cannot be changed as asked
    settings.yaml:2:7: `copy.x`: `copy` is an alias of &b, line 1: changing it here would change it there too; nothing was changed; edit the file by hand there, or leave those keys as they are
    ");
}

fn all_leaves_out_what_cannot_be_adopted_and_says_so(world: &World) {
    world.migrate(SHARED);
    world.ok(&["set", "copy.x", "5"]);
    world.ok(&["set", "free", "5"]);

    let ran = world.run(&["adopt", "--all"]);

    assert_eq!(ran.status, 0, "{ran}");
    assert!(ran.stderr.contains("copy.x is left out: `copy` is an alias"), "{ran}");
    assert!(world.read("settings.yaml").contains("free: 5"), "{ran}");
}

fn a_key_that_is_in_line_is_refused(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.ok(&["set", "a", "2"]);

    assert_snapshot!(refused(world, &["adopt", "a", "b"]), @"1 drift::none; `b` is not out of line in namespace `default`; nothing was changed; `setpoint drift` lists what is");
}

fn the_files_are_copied_first(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["adopt", "a"]);

    let copy = fs::read_to_string(world.originals().join("settings.yaml")).unwrap();
    assert_eq!((copy.as_str(), world.read("settings.yaml").as_str()), ("a: 1\n", "a: 2\n"));
}

fn adopting_is_in_the_history_and_changes_no_setting(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["adopt", "a", "-m", "it is right"]);

    let last = &world.json(&["history", "--limit", "1"])[0];
    let said = [&last["kind"], &last["reason"], &last["actor"]].map(|it| it.as_str().unwrap());
    assert_eq!((said, settings(world).as_str()), (["adopt", "it is right", "ann"], "a = 2"));
}

fn a_layer_is_adopted_into_its_own_file(world: &World) {
    world.write("setpoint.toml", "namespaces.default.layers = [\"site\"]\n");
    world.write("base.yaml", "a: 1\n");
    world.write("site.yaml", "a: 2\n");
    world.ok(&["migrate", "base.yaml"]);
    world.ok(&["migrate", "site.yaml", "--layer", "site"]);
    world.ok(&["set", "a", "5", "--layer", "site"]);
    world.ok(&["adopt", "a"]);

    assert_eq!(
        (world.read("base.yaml"), world.read("site.yaml")),
        ("a: 1\n".into(), "a: 5\n".into())
    );
    assert_in_line(world);
}

fn line_endings_stay_as_they_are(world: &World) {
    world.migrate("a: 1 # c\r\nb:\r\n  c: 2\r\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["set", "b.d", "5"]);
    world.ok(&["adopt", "--all"]);

    assert_eq!(world.read("settings.yaml"), "a: 2 # c\r\nb:\r\n  c: 2\r\n  d: 5\r\n");
    assert_in_line(world);
}

fn a_key_that_a_merge_key_brings_too_is_refused_to_be_removed(world: &World) {
    world.migrate("base: &b\n  y: 2\nsite:\n  <<: *b\n  y: 3\n  z: 1\n");
    world.ok(&["unset", "site.y"]);
    let refusal = refused(world, &["adopt", "site.y"]);

    let reason = "a merge key brings it as well, so it would not be gone";
    assert!(refusal.starts_with("1 edit::refused") && refusal.contains(reason), "{refusal}");
}

fn a_read_only_file_is_refused(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    let file = world.path("settings.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let refusal = world.refusal(&["adopt", "a"]);

    assert!(refusal.starts_with("1 file::read_only"), "{refusal}");
    assert_eq!((world.read("settings.yaml").as_str(), world.revision()), ("a: 1\n", 2));
}

fn a_map_that_became_a_scalar_in_the_file_is_written_back_whole(world: &World) {
    world.migrate("# top\na: {b: 1, c: 1}\nd: 1 # one\n");
    world.ok(&["set", "a.b", "2"]);
    world.write("settings.yaml", "# top\na: 5\nd: 1 # one\n");
    world.ok(&["adopt", "a"]);

    assert_eq!(world.read("settings.yaml"), "# top\na:\n  b: 2\n  c: 1\nd: 1 # one\n");
    assert_in_line(world);
}
