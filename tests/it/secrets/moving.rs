//! `--secrets-to`: the values of secrets go to a file of environment variables, and references
//! to them stay.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;

use crate::world::World;
use crate::write_back::faults::run_by;

on_both![
    values_are_moved_and_references_take_their_place,
    a_second_run_changes_nothing,
    what_repeats_a_secret_is_moved_or_stays_left_out,
];

const SETTINGS: &str = "\
# head
port: 80
db:
  password: 'swordfish' # keep
  url: postgres://bob:trustno1@a.org/db
api_keys: # two
  - abc123 # first
  - def456
";
const MIGRATE: [&str; 4] = ["migrate", "settings.yaml", "--secrets-to", ".env"];

fn mode(world: &World, name: &str) -> u32 {
    fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o777
}

fn values_are_moved_and_references_take_their_place(world: &World) {
    let ran = world.migrate_with(SETTINGS, &["--secrets-to", ".env"]);

    let files = ["settings.yaml", ".env"].map(|it| format!("-- {it}\n{}", world.read(it))).concat();
    assert_snapshot!([ran.stdout, files, world.ok(&["list"])].join("\n"), @r#"
      * db.password: a secret, now env:DB_PASSWORD  (settings.yaml:4:13)
      * db.url: a secret, now env:DB_URL  (settings.yaml:5:8)
      * api_keys: a secret, now ["env:API_KEYS_0","env:API_KEYS_1"]  (settings.yaml:7:3)
    4 added

    -- settings.yaml
    # head
    port: 80
    db:
      password: 'env:DB_PASSWORD' # keep
      url: env:DB_URL
    api_keys: # two
      - env:API_KEYS_0 # first
      - env:API_KEYS_1
    -- .env
    DB_PASSWORD=swordfish
    DB_URL=postgres://bob:trustno1@a.org/db
    API_KEYS_0=abc123
    API_KEYS_1=def456

    KEY          VALUE                                TYPE     LAYER  REVISION
    api_keys     ["env:API_KEYS_0","env:API_KEYS_1"]  json     base   1
    db.password  "env:DB_PASSWORD"                    string   base   1
    db.url       "env:DB_URL"                         string   base   1
    port         80                                   integer  base   1
    "#);
    assert_eq!(mode(world, ".env"), 0o600);
}

fn a_second_run_changes_nothing(world: &World) {
    world.migrate_with(SETTINGS, &["--secrets-to", ".env"]);
    let (files, revision) = (world.file_names(), world.revision());
    let texts = (world.read("settings.yaml"), world.read(".env"));

    let again = [world.ok(&MIGRATE), world.ok(&["migrate", "settings.yaml"]), world.ok(&["drift"])];

    assert_eq!(again.concat(), "nothing to change\nnothing to change\nno drift in 1 file\n");
    assert_eq!((world.read("settings.yaml"), world.read(".env")), texts);
    assert_eq!((world.file_names(), world.revision()), (files, revision));
}

/// The value is neither printed nor stored, whatever else says it.
fn what_repeats_a_secret_is_moved_or_stays_left_out(world: &World) {
    let text = "\
password: Kq7ZpaLm
sentence: say Kq7ZpaLm twice
same: Kq7ZpaLm
anchor: &a Wx3TrbNv
token: *a
again: *a
";

    let ran = world.migrate_with(text, &["--secrets-to", ".env"]);
    world.write("settings.yaml", world.read("settings.yaml") + "new: 1\n");
    let later = world.run(&["migrate", "settings.yaml"]);

    let printed = format!("{ran}{later}{}", world.ok(&["list"]));
    let stored = world.sql("SELECT value FROM setting")
        + &world.sql("SELECT value FROM seed")
        + &world.sql("SELECT after FROM change")
        + &world.sql("SELECT original FROM source");
    for secret in ["Kq7ZpaLm", "Wx3TrbNv"] {
        assert!(!printed.contains(secret), "{printed}");
        assert!(!stored.contains(secret), "{stored}");
        let files = world.read("settings.yaml") + &world.read(".env");
        assert!(files.contains(secret), "{secret} is lost: {files}");
    }
}

#[test]
fn toml_json_and_environment_files_get_references() {
    let world = World::sqlite();
    world.write(
        "a.toml",
        "# t\n[db]\npassword = 'swordfish' # keep\ntoken = \"\"\"\ntwo\nlines\"\"\"\n",
    );
    world.write("b.json", "{\n  // b\n  \"apiKey\": \"abc123\", \"list\": [{\"name\": \"x\", \"password\": \"y1\"}]\n}\n");
    world.write("c.env", "# c\nexport SMTP_PASSWORD=\"trustno1\" # mail\nHOST=h\n");

    world.ok(&["migrate", "a.toml", "b.json", "c.env", "--secrets-to", ".env"]);

    let files = ["a.toml", "b.json", "c.env", ".env"];
    let files = files.map(|it| format!("-- {it}\n{}", world.read(it)));
    assert_snapshot!(files.concat(), @r##"
    -- a.toml
    # t
    [db]
    password = 'env:DB_PASSWORD' # keep
    token = """
    env:DB_TOKEN"""
    -- b.json
    {
      // b
      "apiKey": "env:APIKEY", "list": [{"name": "x", "password": "env:LIST_0_PASSWORD"}]
    }
    -- c.env
    # c
    export SMTP_PASSWORD="env:SMTP_PASSWORD" # mail
    HOST=h
    -- .env
    DB_PASSWORD=swordfish
    DB_TOKEN="two\nlines"
    APIKEY=abc123
    LIST_0_PASSWORD=y1
    SMTP_PASSWORD=trustno1
    "##);
    assert_eq!(world.ok(&["drift"]), "no drift in 3 files\n");
}

#[test]
fn lines_that_are_there_stay_and_names_that_are_taken_get_a_number() {
    let world = World::sqlite();
    let before =
        "# mine\nDB_PASSWORD=another # keep\n\nexport DB_URL='postgres://bob:trustno1@a.org/db'\n";
    world.write(".env", before);
    fs::set_permissions(world.path(".env"), fs::Permissions::from_mode(0o644)).unwrap();

    world.migrate_with(SETTINGS, &["--secrets-to", ".env"]);

    let added = world.read(".env");
    let added = added.strip_prefix(before).unwrap_or_else(|| panic!("{added}"));
    assert_snapshot!(added, @r"
    export DB_PASSWORD_2=swordfish
    export API_KEYS_0=abc123
    export API_KEYS_1=def456
    ");
    assert_eq!(
        (world.get("db.password"), world.get("db.url")),
        ("env:DB_PASSWORD_2".into(), "env:DB_URL".into())
    );
    assert_eq!(mode(&world, ".env"), 0o600);
}

#[test]
fn both_files_are_in_the_backup_as_they_were() {
    let world = World::sqlite();
    world.write(".env", "A=1\n");

    world.migrate_with(SETTINGS, &["--secrets-to", ".env"]);

    let copy = |name: &str| fs::read_to_string(world.originals().join(name)).unwrap();
    assert_eq!((copy("settings.yaml"), copy(".env")), (SETTINGS.to_owned(), "A=1\n".to_owned()));
}

#[test]
fn a_dry_run_changes_nothing() {
    let world = World::sqlite();
    world.write("settings.yaml", SETTINGS);
    let before = world.files();

    let ran = world.run(&[&MIGRATE[..], &["--dry-run"]].concat());

    assert_eq!(ran.status, 0, "{ran}");
    assert!(ran.stdout.contains("+ db.password = \"env:DB_PASSWORD\""), "{ran}");
    assert_eq!(world.files(), before);
}

#[test]
fn what_was_left_out_before_can_be_moved_later() {
    let world = World::sqlite();
    world.migrate(SETTINGS);

    world.ok(&MIGRATE);

    assert_eq!(world.get("db.password"), "env:DB_PASSWORD");
    assert!(world.read("settings.yaml").contains("'env:DB_PASSWORD' # keep"));
    assert_eq!(world.ok(&["drift"]), "no drift in 1 file\n");
}

#[test]
fn a_source_that_is_the_target_itself_keeps_its_values() {
    let world = World::sqlite();
    let before = "# mine\nDB_PASSWORD=swordfish # keep\nHOST=h\n";
    world.write(".env", before);
    let migrate = ["migrate", ".env", "--secrets-to", ".env"];

    world.ok(&migrate);
    let first = (world.get("DB_PASSWORD"), world.get("HOST"), world.revision());
    world.ok(&migrate);
    world.write(".env", before.to_owned() + "PORT=80\n");
    world.ok(&["migrate", ".env"]);

    assert_eq!(first, ("env:DB_PASSWORD".to_owned(), "h".to_owned(), 1));
    assert_eq!(world.read(".env"), before.to_owned() + "PORT=80\n");
    assert_eq!(
        (world.get("DB_PASSWORD"), world.get("PORT"), world.revision()),
        ("env:DB_PASSWORD".into(), "80".into(), 2)
    );
    let stored = world.sql("SELECT original FROM source");
    assert!(!stored.contains("swordfish"), "{stored}");
}

#[test]
fn two_sources_with_the_same_name_get_a_variable_each_and_the_same_value_one() {
    let world = World::sqlite();
    world.write("a.yaml", "password: swordfish\n");
    world.write("b.yaml", "password: trustno1\n");
    world.write("c.yaml", "password: swordfish\n");
    world.write(
        "setpoint.toml",
        "[[source]]\npath = \"a.yaml\"\n[[source]]\npath = \"b.yaml\"\nnamespace = \"b\"\n\
         [[source]]\npath = \"c.yaml\"\nnamespace = \"c\"\n",
    );

    world.ok(&["migrate", "--secrets-to", ".env"]);

    assert_eq!(world.read(".env"), "PASSWORD=swordfish\nPASSWORD_2=trustno1\n");
    let said = ["a.yaml", "b.yaml", "c.yaml"].map(|it| world.read(it));
    assert_eq!(
        said,
        ["password: env:PASSWORD\n", "password: env:PASSWORD_2\n", "password: env:PASSWORD\n"]
    );
}

#[test]
fn a_reference_is_not_converted() {
    let world = World::sqlite();
    world.write("a.env", "PIN_CODE=91827364\nPORT=80\n");
    let convert = "[source.convert]\nPIN_CODE = \"integer\"\nPORT = \"integer\"\n";
    world.write("setpoint.toml", format!("[[source]]\npath = \"a.env\"\n{convert}"));

    world.ok(&["migrate", "--secrets-to", ".env"]);

    let values = [world.get("PIN_CODE"), world.ok(&["get", "PORT", "--json"])];
    assert_eq!(values[0], "env:PIN_CODE");
    assert!(values[1].contains("\"integer\""), "{}", values[1]);
    assert_eq!(world.read("a.env"), "PIN_CODE=env:PIN_CODE\nPORT=80\n");
}

#[test]
fn secrets_in_a_list_that_is_split_are_told() {
    let world = World::sqlite();
    world.write("settings.yaml", "users:\n  - name: bob\n    password: swordfish # x\n");
    let split = "[source.split]\nusers = \"name\"\n";
    world.write("setpoint.toml", format!("[[source]]\npath = \"settings.yaml\"\n{split}"));

    let ran = world.run(&["migrate", "--secrets-to", ".env"]);

    assert_eq!(world.get("users.bob.password"), "env:USERS_0_PASSWORD");
    assert!(ran.stdout.contains("* users"), "{ran}");
}

#[test]
fn a_file_that_follows_keeps_its_references() {
    let world = World::sqlite();
    world.write("setpoint.toml", "[[source]]\npath = \"settings.yaml\"\nwrite_back = true\n");
    world.write("settings.yaml", "port: 80\npassword: swordfish # keep\n");
    world.ok(&["migrate", "--secrets-to", ".env"]);

    world.ok(&["set", "port", "81"]);
    world.ok(&["set", "password", "env:OTHER"]);

    assert_eq!(world.read("settings.yaml"), "port: 81\npassword: env:OTHER # keep\n");
    assert_eq!(world.read(".env"), "PASSWORD=swordfish\n");
}

#[test]
fn without_a_secret_no_file_is_made() {
    let world = World::sqlite();

    let ran = world.migrate_with("port: 80\n", &["--secrets-to", ".env"]);

    assert_eq!(
        (ran.status, world.path(".env").exists(), world.get("port").as_str()),
        (0, false, "80")
    );
}

#[test]
fn a_file_that_cannot_take_secrets_is_named_and_nothing_changes() {
    type Spoil = fn(&World);
    let mut said = Vec::new();
    let spoils: [(&str, Spoil); 4] = [
        ("folder", |world| fs::create_dir(world.path("folder")).unwrap()),
        ("broken.env", |world| world.write("broken.env", "A=\"\n")),
        ("none/.env", |_| {}),
        ("setpoint.toml", |world| world.write("setpoint.toml", "[sqlite]\n")),
    ];
    for (name, spoil) in spoils {
        let world = World::sqlite();
        world.write("settings.yaml", SETTINGS);
        spoil(&world);
        said.push(world.refusal(&["migrate", "settings.yaml", "--secrets-to", name]));
        assert_eq!(
            (world.read("settings.yaml").as_str(), world.revision()),
            (SETTINGS, 0),
            "{name}"
        );
    }

    assert_snapshot!(said.join("\n"), @r"
    1 file::unreadable; cannot read folder; secrets are to be written there: check its owner and mode
    1 import::faulty; `broken.env` has a fault; nothing of this file was taken; mend it and import it again
    1 file::unwritable; cannot write none/.env; nothing was changed; check that the folder exists, is yours and that the disk has room
    1 import::faulty; `setpoint.toml` has a fault; nothing of this file was taken; mend it and import it again
    ");
}

#[test]
fn a_source_that_may_only_be_read_keeps_its_values_and_nothing_changes() {
    let world = World::sqlite();
    world.write("settings.yaml", SETTINGS);
    fs::set_permissions(world.path("settings.yaml"), fs::Permissions::from_mode(0o444)).unwrap();

    let said = world.refusal(&MIGRATE);

    assert_eq!((world.read("settings.yaml").as_str(), world.revision()), (SETTINGS, 0), "{said}");
    assert!(said.starts_with("1 file::read_only"), "{said}");
}

#[test]
fn the_mode_and_the_comments_of_the_source_are_kept() {
    let world = World::sqlite();
    world.write("settings.yaml", SETTINGS);
    fs::set_permissions(world.path("settings.yaml"), fs::Permissions::from_mode(0o664)).unwrap();

    world.ok(&MIGRATE);

    assert_eq!(mode(&world, "settings.yaml"), 0o664);
}

/// Kills a migration at each of `calls` until one survives.
#[track_caller]
fn kill_at_each(calls: &str) {
    for number in 1..200 {
        let case = format!("killed at call {number} of {calls}");
        let world = World::sqlite();
        world.write("settings.yaml", SETTINGS);
        world.write(".env", "OTHER=1\n");
        let log = tempfile::NamedTempFile::new().unwrap();
        let (trace, inject) =
            (format!("trace={calls}"), format!("inject={calls}:signal=KILL:when={number}"));
        let tool = [
            "strace",
            "-f",
            "-qq",
            "-o",
            log.path().to_str().unwrap(),
            "-e",
            &trace,
            "-e",
            &inject,
        ];

        let ran = run_by(&world, &tool, &MIGRATE);

        let (source, variables) = (world.read("settings.yaml"), world.read(".env"));
        for secret in ["swordfish", "trustno1", "abc123", "def456"] {
            assert!(
                source.contains(secret) || variables.contains(secret),
                "{case}: {secret} is lost"
            );
        }
        let again = world.run(&MIGRATE);
        assert_eq!(again.status, 0, "{case}: {again}");
        let expected = "OTHER=1\nDB_PASSWORD=swordfish\nDB_URL=postgres://bob:trustno1@a.org/db\n\
                        API_KEYS_0=abc123\nAPI_KEYS_1=def456\n";
        assert_eq!(world.read(".env"), expected, "{case}");
        assert_eq!(
            (world.get("db.password"), world.get("db.url")),
            ("env:DB_PASSWORD".into(), "env:DB_URL".into()),
            "{case}"
        );
        assert!(!world.read("settings.yaml").contains("swordfish"), "{case}");
        assert_eq!((world.run(&["verify"]).status, world.run(&["drift"]).status), (0, 0), "{case}");
        if ran.status == 0 {
            assert!(number > 1, "nothing was {case}");
            return;
        }
        assert_eq!(ran.status, -1, "{case}: {ran}");
    }
    panic!("there is no end to {calls}");
}

#[test]
fn a_move_that_is_killed_at_a_rename_loses_nothing_and_is_finished_by_the_next_run() {
    kill_at_each("?rename,?renameat,renameat2");
}

#[test]
fn a_move_that_is_killed_at_a_sync_loses_nothing_and_is_finished_by_the_next_run() {
    kill_at_each("fsync,fdatasync");
}
