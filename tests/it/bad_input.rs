//! What else people get wrong: files, flags, setpoint.toml. Nothing is ever changed.

use std::fs;
use std::path::Path;

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

      × `source a` in setpoint.toml: `prefix` has a key that cannot be read:
      │ segment 2 of `a..b` is empty; write "" if that is its name
      help: `prefix` takes whole keys, such as `ui.theme`; patterns are for drop,
            rename, convert and split; nothing was done
    "#);
}

#[test]
fn a_mistake_in_setpoint_toml_is_told_in_words() {
    let mistakes = [
        "job = 3",
        "[job]\nname = 'a'",
        "[[job]]\nname = 5\ncron = '@daily'\nverb = 'backup'",
        "[[job]]\nname = 'a'\nverb = 'backup'",
        "[[job]]\nname = 'a'\ncron = ['@daily']\nverb = 'backup'",
        "[[job]]\nname = 'a'\ncron = '@daily'\nverb = 'backup'\nretries = '3'",
        "[[job]]\nname = 'a'\ncron = '@daily'\nverb = 'backup'\nretries = -1",
        "[[job]]\nname = 'a'\ncron = '@daily'\nverb = 'backup'\nenabled = 'no'",
        "[[job]]\nname = 'a'\ncron = '@daily'\nverb = 'backup'\nevery = '1d'",
        "[jobs]\nlease_ms = 1.5",
        "[jobs]\nwebhook_hosts = 'a.example'",
        "backups = 'folder'",
        "[backups]\nfolder = 5",
        "[backups]\nfolders = 'b'",
        "[backups]\nretention = 7",
        "[backups]\nretention = '7d'",
        "[backups.retention]\nkeep_last = 'seven'",
        "[backups.retention]\nkeep_last = -2",
        "[backups.retention]\nkeep_within = 7",
        "[backups.retention]\nkeep_within = '7 days'",
        "[backups.retention]\ntime_zone = 'Berlin'",
        "[backups.retention]\ntime_zone = 1",
        "[backups]\ns3 = 's3://b'",
        "[backups.s3]\nprefix = 'p'",
        "[backups.s3]\nbucket = 5",
        "[backups.s3]\nbucket = 'b'\nallow_http = 1",
        "[backups.s3]\nbucket = 'b'\nsecret_access_key = 's3cret'",
        "revisions = true",
        "[revisions]\nkeep_within = '2 years'",
        "[revisions]\nkeep_last = 1.5",
        "[server]\nlisten = 8080",
        "[server]\npoll_ms = '1s'",
        "[server]\nrate_per_second = 5000000000",
        "[server]\nhosts = 'a.example'",
        "[server]\ntls_cert = true",
        "[server]\nwatch = 'yes'",
        "[log]\nformat = 'xml'",
        "[log]\nformat = 5",
        "[[source]]\nnamespace = 'a'",
        "[[source]]\npath = 'f.yaml'\nprefix = 5",
        "revisions = [1]",
        "[backups]\nretention = [1]",
        "[backups]\ns3 = ['x']",
        "[backups]\nencryption = [['age1']]",
        "sqlite = [5]\nserver = []",
        "source = [['f.yaml']]",
        "job = [['a', '@daily']]",
        "namespaces = ['a']",
        "[namespaces]\na = [['site']]",
        "[[source]]\npath = 'f.yaml'\nconvert = { a = ['integer'] }",
    ];
    let world = World::sqlite();
    let told = mistakes.map(|it| {
        world.write("setpoint.toml", it);
        let refusal = world.refusal(&["config", "show"]);
        let refusal = refusal.trim_start_matches("1 config::invalid; ");
        refusal.replace(" in setpoint.toml:", "").replace("; nothing was done", "")
    });

    assert_snapshot!(told.join("\n"), @r#"
    `job` is a number, and not a list; write [[job]], with two brackets, above each
    `job` is a section, and not a list; write [[job]], with two brackets, above each
    `job number 1: name` is a number, and not a text; give a text in quotes, as in name = "…"
    `job a` has no `cron`; say cron = … there
    `job a: cron` is a list, and not a text; give a text in quotes, as in cron = "…"
    `job a: retries` is a text, and not a whole number that is possible here; give a whole number without quotes, from 0 to 4294967295
    `job a: retries` is a number below 0, and not a whole number that is possible here; give a whole number without quotes, from 0 to 4294967295
    `job a: enabled` is a text, and not true or false; say enabled = true, or false, without quotes
    `job a: every` there is no such key; known here: name, cron, time_zone, verb, missed, overlap, deadline, jitter, retries, enabled, webhook
    `jobs.lease_ms` is a number with a fraction, and not a whole number that is possible here; give a whole number without quotes, from 0 to 9223372036854775807
    `jobs.webhook_hosts` is a text, and not a list; give a list, as in webhook_hosts = ["…"]
    `backups` is a text, and not a section; write [backups], and what belongs to it below
    `backups.folder` is a number, and not a text; give a text in quotes, as in folder = "…"
    `backups.folders` there is no such key; known here: folder, retention, s3, encryption
    `backups.retention` is a number, and not a section; write [backups.retention], and what belongs to it below
    `backups.retention` is a text, and not a section; write [backups.retention], and what belongs to it below
    `backups.retention.keep_last` is a text, and not a whole number that is possible here; give a whole number without quotes, from -1 to 4294967295
    `backups.retention.keep_last` -2 is no number of what is kept: give 0, 1, 2 and so on, or -1 for all; mend it there
    `backups.retention.keep_within` is a number, and not a text; give years, months, days and hours in quotes, as in keep_within = "7d"
    `backups.retention.keep_within` `7 days` is no length of time: give years, months, days and hours, as in 7d or 2y5m7d3h; mend it there
    `backups.retention.time_zone` there is no time zone `Berlin`: give one such as Europe/Berlin; mend it there
    `backups.retention.time_zone` is a number, and not a text; give a text in quotes, as in time_zone = "…"
    `backups.s3` is a text, and not a section; write [backups.s3], and what belongs to it below
    `backups.s3` has no `bucket`; say bucket = … there
    `backups.s3.bucket` is a number, and not a text; give a text in quotes, as in bucket = "…"
    `backups.s3.allow_http` is a number, and not true or false; say allow_http = true, or false, without quotes
    `backups.s3.secret_access_key` there is no such key; known here: bucket, prefix, region, endpoint, allow_http, path_style
    `revisions` is true, and not a section; write [revisions], and what belongs to it below
    `revisions.keep_within` `2 years` is no length of time: give years, months, days and hours, as in 7d or 2y5m7d3h; mend it there
    `revisions.keep_last` is a number with a fraction, and not a whole number that is possible here; give a whole number without quotes, from -1 to 4294967295
    `server.listen` is a number, and not a text; give a text in quotes, as in listen = "…"
    `server.poll_ms` is a text, and not a whole number that is possible here; give a whole number without quotes, from 0 to 9223372036854775807
    `server.rate_per_second` is a number, and not a whole number that is possible here; give a whole number without quotes, from 0 to 4294967295
    `server.hosts` is a text, and not a list; give a list, as in hosts = ["…"]
    `server.tls_cert` is true, and not a text; give a text in quotes, as in tls_cert = "…"
    `server.watch` is a text, and not true or false; say watch = true, or false, without quotes
    `log.format` is none of text, json; give one of text, json
    `log.format` is a number, and not a text; give a text in quotes, as in format = "…"
    `source number 1` has no `path`; say path = … there
    `source f.yaml: prefix` is a number, and not a text; give a text in quotes, as in prefix = "…"
    `revisions` is a list, and not a section; write [revisions], and what belongs to it below
    `backups.retention` is a list, and not a section; write [backups.retention], and what belongs to it below
    `backups.s3` is a list, and not a section; write [backups.s3], and what belongs to it below
    `backups.encryption` is a list, and not a section; write [backups.encryption], and what belongs to it below
    the configuration has 2 wrong values; mend them
    `source number 1` is a list, and not a section; write [[source]], with two brackets, above each
    `job number 1` is a list, and not a section; write [[job]], with two brackets, above each
    `namespaces` is a list, and not a section; write [namespaces], and what belongs to it below
    `namespaces.a` is a list, and not a section; write [namespaces.a], and what belongs to it below
    `source f.yaml: convert.a` is a list, and not a section; give a section in braces, as in a = { … }
    "#);
}

#[test]
fn an_unknown_name_in_setpoint_toml_is_refused() {
    let ran = in_a_world(|it| it.write("setpoint.toml", "databse = \"x\"\n"), &["list"]);

    assert_snapshot!(ran, @r#"
    status 1
    -- stderr
    config::invalid

      × `databse` in setpoint.toml: there is no such key
      help: known here: namespace, database, actor, seeds, sqlite, postgres,
            limits, backups, revisions, server, log, namespaces, source, jobs, job
    "#);
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

      × `sqlite.busy_timeout_ms` in SETPOINT_SQLITE__BUSY_TIMEOUT_MS: is a text,
      │ and not a whole number that is possible here
      help: give a whole number without quotes, from 0 to 9223372036854775807;
            nothing was done
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

/// The sections of examples/setpoint.toml, commented out or not, with what is in each.
fn example_sections() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/setpoint.toml");
    let mut sections = vec![(String::new(), String::new())];
    for line in fs::read_to_string(path).unwrap().lines() {
        match line.trim_start_matches("# ").strip_prefix('[').and_then(|it| it.split_once(']')) {
            Some((name, _)) => sections.push((name.replace('[', ""), String::new())),
            None => sections.last_mut().unwrap().1.push_str(&format!("{line}\n")),
        }
    }
    sections
}

#[test]
fn every_key_of_setpoint_toml_is_in_the_example() {
    let (world, sections) = (World::sqlite(), example_sections());
    let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_';
    for (name, text) in &sections {
        let header = match name.as_str() {
            "" => String::new(),
            "job" | "source" => format!("[[{name}]]"),
            name => format!("[{name}]"),
        };
        world.write("setpoint.toml", format!("{header}\nno_such_key = 1\n"));
        let refusal = world.refusal(&["config", "show"]);

        let known = refusal.split("known here: ").nth(1).unwrap_or_else(|| panic!("{refusal}"));
        for key in known.trim_end_matches("; nothing was done").split(", ") {
            let whole = if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
            let below = format!("{whole}.");
            let is_section = |it: &String| *it == whole || it.starts_with(&below);
            let is_there = text.split(|it| !is_word(it)).any(|it| it == key)
                || sections.iter().any(|it| is_section(&it.0));
            assert!(is_there, "`{whole}` is not in examples/setpoint.toml");
        }
    }
}

#[test]
fn a_list_is_refused_wherever_a_section_is_meant() {
    let world = World::sqlite();
    for (name, _) in example_sections().into_iter().skip(1) {
        let list = if matches!(name.as_str(), "job" | "source") { "[['a']]" } else { "['a']" };
        world.write("setpoint.toml", format!("{name} = {list}\n"));

        let refusal = world.refusal(&["config", "show"]);

        assert!(refusal.contains(" is a list, and not a section; "), "{name}: {refusal}");
    }
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
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(world.path("bin/setpoint-import-ini"), mode).unwrap();
    world.write("a.ini", "name=desk\n");
    let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap());
    let ran = world.end(world.command(&["migrate", "a.ini"]).env("PATH", path).spawn().unwrap());

    assert_eq!((ran.status, world.get("name").as_str()), (0, "desk"), "{ran}");
}
