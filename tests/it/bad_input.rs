//! What else people get wrong: files, flags, setpoint.toml. Nothing is ever changed.

use insta::assert_snapshot;

use crate::world::World;

fn in_a_world(prepare: impl FnOnce(&World), arguments: &[&str]) -> String {
    let world = World::sqlite();
    prepare(&world);
    let before = world.files();
    let ran = world.run(arguments);
    assert!(world.files() == before, "files were changed\n{ran}");
    ran.to_string()
}

#[test]
fn a_file_of_unknown_format_is_refused() {
    let ran = in_a_world(|it| it.write("a.ini", "a=1\n"), &["migrate", "a.ini"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    import::unknown_format

      × no importer reads `a.ini`
      help: name its format, one of yaml, toml, json, env; or put an executable
            `setpoint-import-NAME` on PATH
    ");
}

#[test]
fn an_unknown_format_is_refused() {
    let ran = in_a_world(|it| it.write("a.x", "a=1\n"), &["migrate", "a.x", "--format", "ini"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    import::external_not_found

      × there is no importer `ini`, and no `setpoint-import-ini` on PATH
      help: use one of yaml, toml, json, env, or install the executable and make
            it executable
    ");
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let ran = in_a_world(|_| {}, &["migrate", "none.yaml"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    file::unreadable

      × cannot read none.yaml
      ╰─▶ No such file or directory (os error 2)
      help: it is not there; check the path, and `path` in setpoint.toml
    ");
}

#[test]
fn a_folder_without_files_to_read_is_refused() {
    let ran = in_a_world(|it| it.write("folder/readme.txt", "hello"), &["migrate", "folder"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    file::unreadable

      × cannot read folder
      ╰─▶ there is nothing in it to read
      help: no file in it has an extension we read; name the files and their
            --format
    ");
}

#[test]
fn a_huge_file_is_refused() {
    let huge = "a: b\n".repeat(4 << 20);
    let ran = in_a_world(|it| it.write("huge.yaml", huge), &["migrate", "huge.yaml"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    import::too_large

      × `huge.yaml` has 20971520 bytes; the limit is 16777216
      help: is this a file of settings? split it if it is, or raise the limit
    ");
}

#[test]
fn the_size_limit_can_be_configured() {
    let configured = |it: &World| {
        it.write("setpoint.toml", "limits.file_size_bytes = 4\n");
        it.write("a.yaml", "a: 1\n");
    };
    let ran = in_a_world(configured, &["migrate", "a.yaml"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    import::too_large

      × `a.yaml` has 5 bytes; the limit is 4
      help: is this a file of settings? split it if it is, or raise the limit
    ");
}

#[test]
fn a_key_that_two_files_say_is_refused() {
    let two = |it: &World| {
        it.write("a.yaml", "x: {y: 1}\n");
        it.write("b.toml", "\n[x]\ny = 2\n");
    };
    let ran = in_a_world(two, &["migrate", "a.yaml", "b.toml"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    source::claimed_twice

      × two sources have the same key:
      │ `x.y` of default: a.yaml:1:8 and b.toml:3:5
      help: nothing was changed; give one source another `prefix`, `layer` or
            `namespace` in setpoint.toml; where keys moved from one file to
            another, migrate both together, or take the old file away
    ");
}

#[test]
fn nothing_to_migrate_is_refused() {
    assert_snapshot!(in_a_world(|_| {}, &["migrate"]), @r#"
    status 1
    -- stderr
    migrate::nothing

      × there is nothing to migrate
      help: name files, as in `setpoint migrate config/*.yaml`, or declare them in
            setpoint.toml:

            [[source]]
            path = "config/settings.yaml"
    "#);
}

#[test]
fn a_setpoint_toml_that_is_no_toml_is_refused_at_its_place() {
    let ran = in_a_world(|it| it.write("setpoint.toml", "a = \n"), &["list"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    config::syntax

      × setpoint.toml is not TOML: string values must be quoted, expected literal
      │ string
       ╭─[setpoint.toml:1:5]
     1 │ a =
       ·     ▲
       ·     ╰── here
       ╰────
      help: mend it there; nothing was done
    ");
}

#[test]
fn a_wrong_value_names_the_file_that_holds_it() {
    let text = "[limits]\ndepth = 0\n\n[[source]]\npath = \"a\"\nprefix = \"a..b\"\n";
    let ran = in_a_world(|it| it.write("setpoint.toml", text), &["list"]);

    assert_snapshot!(ran, @r#"
    status 1
    -- stderr
    config::invalid

      × the configuration has 2 wrong values
      help: mend them; nothing was done

    Error: config::invalid

      × `limits.depth` in setpoint.toml: is not within 1 and 200
      help: mend it there; nothing was done

    Error: config::invalid

      × `source.0` in setpoint.toml: `prefix` has a key that cannot be read:
      │ segment 2 of `a..b` is empty; write "" if that is its name
      help: `prefix` takes whole keys, such as `ui.theme`; patterns are for drop,
            rename, convert and split; nothing was done
    "#);
}

#[test]
fn an_unknown_name_in_setpoint_toml_is_refused() {
    let ran = in_a_world(|it| it.write("setpoint.toml", "databse = \"x\"\n"), &["list"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    config::invalid

      × `databse` in setpoint.toml: unknown field: found `databse`, expected `one
      │ of `namespace`, `database`, `actor`, `seeds`, `sqlite`, `postgres`,
      │ `limits`, `backups`, `revisions`, `server`, `log`, `namespaces`, `source`,
      │ `jobs`, `job``
      help: known here: namespace, database, actor, seeds, sqlite, postgres,
            limits, backups, revisions, server, log, namespaces, source, jobs, job
    ");
}

#[test]
fn a_wrong_value_names_the_variable_that_holds_it() {
    let world = World::sqlite();
    let mut command = world.command(&["list"]);
    let ran = world.end(command.env("SETPOINT_SQLITE__BUSY_TIMEOUT_MS", "soon").spawn().unwrap());

    assert_snapshot!(ran, @r#"
    status 1
    -- stderr
    config::invalid

      × `sqlite.busy_timeout_ms` in SETPOINT_SQLITE__BUSY_TIMEOUT_MS: invalid
      │ type: found string "soon", expected u64
      help: mend it there; nothing was done
    "#);
}

#[test]
fn config_show_names_where_each_value_comes_from() {
    let world = World::sqlite();
    world.write("setpoint.toml", "[limits]\ndepth = 9\n");
    let mut command = world.command(&["config", "show", "--json"]);
    let ran = world.end(command.env("SETPOINT_LIMITS__ALIAS_NODES", "7").spawn().unwrap());

    let values = ran.json();
    let values = values.as_array().unwrap().iter().filter(|it| it["from"] != "default");
    let values = values.map(|it| format!("{} {} {}", it["key"], it["value"], it["from"]));
    assert_snapshot!(values.collect::<Vec<_>>().join("\n"), @r#"
    "database" "setpoint.db" "--database"
    "actor" "ann" "--actor"
    "limits.depth" 9 "setpoint.toml"
    "limits.alias_nodes" 7 "SETPOINT_LIMITS__ALIAS_NODES"
    "#);
}

#[test]
fn a_retention_policy_may_be_said_in_the_file_and_the_environment() {
    let world = World::sqlite();
    world.write("setpoint.toml", "[backups.retention]\nkeep_daily = 7\nkeep_within = '1m'\n");
    let mut command = world.command(&["config", "show", "--json"]);
    command.env("SETPOINT_BACKUPS__RETENTION__KEEP_LAST", "-1");
    let ran = world.end(command.spawn().unwrap());

    let values = ran.json();
    let values = values.as_array().unwrap().iter();
    let policy = values.filter(|it| it["key"] == "backups.retention").map(|it| &it["value"]);
    assert_snapshot!(policy.map(ToString::to_string).collect::<String>(), @r#"{"keep_last":-1,"keep_daily":7,"keep_within":"1m","pre_migration_for":"30d","unverified_for":"7d","time_zone":"UTC"}"#);
}

#[test]
fn a_retention_policy_that_keeps_nothing_is_refused() {
    let ran = in_a_world(
        |it| it.write("setpoint.toml", "[backups.retention]\nkeep_daily = 0\n"),
        &["list"],
    );

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    config::invalid

      × `backups.retention` in setpoint.toml: keeps nothing: say what to keep, as
      │ in keep_daily = 7
      help: mend it there; nothing was done
    ");
}

#[test]
fn an_undeclared_layer_is_refused() {
    let ran = in_a_world(|it| it.migrate("a: 1\n"), &["set", "a", "2", "--layer", "site"]);

    assert_snapshot!(ran, @r#"
    status 1
    -- stderr
    layer::unknown

      × namespace `default` has no layer `site`
      help: declare it in setpoint.toml: [namespaces.default] layers = ["site"]
    "#);
}

#[test]
fn an_importer_on_the_path_reads_a_format_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::sqlite();
    let script = "#!/bin/sh\nwhile IFS='=' read -r name value; do\n\
                  printf '{\"key\": \"%s\", \"value\": \"%s\"}\\n' \"$name\" \"$value\"\ndone\n";
    world.write("bin/setpoint-import-ini", script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(world.path("bin/setpoint-import-ini"), mode).unwrap();
    world.write("a.ini", "name=desk\n");
    let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap());
    let ran = world.end(world.command(&["migrate", "a.ini"]).env("PATH", path).spawn().unwrap());

    assert_eq!((ran.status, world.get("name").as_str()), (0, "desk"), "{ran}");
}
