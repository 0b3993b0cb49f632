//! Canaries: values that are nowhere else, planted as secrets in every place. After everything
//! was run they are looked for in all that was printed or written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Command;

use crate::world::{Ran, World, fed};

on_both![no_value_of_a_secret_is_printed_logged_or_stored];

const CONFIGURATION: &str = r#"
[namespaces.default]
secret = ["vault.**", "plain.code"]
public = ["page.token"]
schema = "schema.json"

[[source]]
path = "settings.yaml"
secret = ["mine.*"]

[[source]]
path = "more.toml"
prefix = "toml"

[[source]]
path = "more.json"
prefix = "json"
case = "snake"

[[source]]
path = "more.env"
prefix = "env"
"#;

const SCHEMA: &str = r#"{"properties": {
    "door": {"properties": {"entry": {"type": "string", "writeOnly": true}}},
    "wifi": {"type": "string", "format": "password"}
}}"#;

/// `§` and what follows it up to the next one is a canary.
const YAML: &str = "\
# the old password: §c0§
db:
  host: a.org  # password=§c1§
  password: §y0§ # was §c2§
  url: postgres://bob:§y1§@a.org/db
api_keys: # two
  - §y2§
  - \"§y3§\"
hosts:
  - https://a.org
  - https://u:§y4§@a.org/
private_key: |
  §y5§
  §y6§
note: >-
  connect to postgres://u:§y7§@h/d
  or not
anchor: &pw §y8§
client_secret: *pw
again: *pw
base: &base {token: §y9§, size: 1}
derived:
  <<: *base
pin_code: §91§
page: {token: visible}
mine: {x: §y10§}
vault: {a: {b: §y11§, n: §92§}}
plain: {code: '§y12§'}
door: {entry: §y13§}
wifi: §y14§
reference: {password: \"env:DB_PW\"}
repeated: \"say §y0§ twice\"
users:
  - {name: a, password: §y15§}
environment:
  - {name: DB_PASSWORD, value: §y16§}
header: Bearer §y17§.x1
pem: |
  -----BEGIN PRIVATE KEY-----
  §y18§
  -----END PRIVATE KEY-----
";

const TOML: &str = "\
[db]
password = \"§t0§\" # §c3§
keys = 5
[db.more]
token = \"\"\"
§t1§
\"\"\"
pin_code = §93§
users = [{ name = 'a', secret = '§t2§' }]
dotted.api_key = '§t3§'
host = \"h\"
";

const JSON: &str = r#"{
  // password: §c4§
  "password": "§j0§", /* §c5§ */
  "users": [{"name": "a", "apiKey": "§j1§"}],
  "url": "jdbc:postgresql://h/d?user=u&password=§j2§",
  "deep": [[{"token": "§j3§"}]],
  "pinCode": §94§,
  "port": 1
}
"#;

const ENV: &str = "\
# TOKEN=§c6§
API_KEY=§e0§ # §c7§
HOST=h
export SMTP_PASSWORD=\"§e1§\"
MULTI_SECRET=\"§e2§
§e3§\"
DATABASE_URL='mysql://u:§e4§@h/d'
";

/// Canaries with their names.
type Planted = BTreeMap<String, String>;

/// The text with its canaries, those of this `turn`, which are added to `planted`.
fn plant(text: &str, turn: u64, planted: &mut Planted) -> String {
    let parts = text.split('§').enumerate();
    let parts = parts.map(|(at, part)| match at % 2 {
        0 => part.to_owned(),
        _ => {
            let canary = canary(part, turn);
            planted.insert(canary.clone(), part.to_owned());
            canary
        }
    });
    parts.collect()
}

/// Letters and digits that look random, or digits alone if the name is a number.
fn canary(name: &str, turn: u64) -> String {
    let mut state = name.bytes().fold(turn + 7, |state, byte| {
        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(u64::from(byte) + 1)
    });
    let alphabet: &[u8] = match name.parse::<u64>() {
        Ok(_) => b"123456789",
        Err(_) => b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789",
    };
    let mut canary = String::new();
    while canary.len() < 14 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        canary.push(char::from(alphabet[(state >> 33) as usize % alphabet.len()]));
    }
    canary
}

/// The names of those of `planted` that are in `bytes`, whole or a good part of them.
fn found<'a>(bytes: &[u8], planted: &'a Planted) -> Vec<&'a str> {
    const GOOD_PART: usize = 7;
    let parts: BTreeSet<&[u8]> = bytes.windows(GOOD_PART).collect();
    let is_in = |canary: &str| canary.as_bytes().windows(GOOD_PART).any(|it| parts.contains(it));
    planted.iter().filter(|(it, _)| is_in(it)).map(|(_, name)| name.as_str()).collect()
}

/// Runs commands, and keeps those that gave a canary away.
struct Watch<'a> {
    world: &'a World,
    planted: Planted,
    leaks: Vec<String>,
}

impl Watch<'_> {
    fn write_sources(&mut self, turn: u64) {
        for (name, text) in
            [("settings.yaml", YAML), ("more.toml", TOML), ("more.json", JSON), ("more.env", ENV)]
        {
            let text = plant(text, turn, &mut self.planted).replace("h\"", &format!("h{turn}\""));
            self.world.write(name, text);
        }
    }

    /// Runs a command with --json, and as it is with all that can be logged.
    fn run(&mut self, arguments: &[&str]) {
        let ran = self.world.run(&[arguments, &["--json"]].concat());
        self.look_at(arguments, &ran);
        self.run_logged(arguments, "");
    }

    fn run_logged(&mut self, arguments: &[&str], input: &str) {
        let mut command = self.world.command(arguments);
        command.env("RUST_LOG", "trace").args(["--log-format", "json"]);
        let mut child = command.spawn().unwrap();
        // A program that ends without reading its input is no error here.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let ran = self.world.end(child);
        self.look_at(arguments, &ran);
    }

    fn look_at(&mut self, arguments: &[&str], ran: &Ran) {
        let what = format!("{:?}", arguments.iter().take(2).collect::<Vec<_>>());
        for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            self.look_in(&format!("{what} {name}"), text.as_bytes());
        }
    }

    fn look_in(&mut self, place: &str, bytes: &[u8]) {
        for name in found(bytes, &self.planted) {
            self.leaks.push(format!("{place}: {name}"));
        }
    }

    /// Everything that was written, but the sources and their copies.
    fn look_at_files(&mut self) {
        let own = ["settings.yaml", "more.", "broken.", "document.", "backups/pre_", "keep.env"];
        for (name, bytes) in self.world.files() {
            if !own.iter().any(|it| name.starts_with(it)) {
                self.look_in(&name, &bytes);
            }
        }
        if self.world.is_postgres() {
            let mut dump = Command::new("pg_dump");
            let dump = fed(dump.arg("--inserts").arg(self.world.database()), "").unwrap();
            assert!(dump.contains("a.org"), "{dump}");
            self.look_in("pg_dump", dump.as_bytes());
        }
    }
}

/// Commands that only look.
const LOOKING: &[&[&str]] = &[
    &["migrate", "--dry-run"],
    &["migrate", "--suggest-renames"],
    &["drift"],
    &["reseed", "--check"],
    &["validate"],
    &["list"],
    &["search", "password"],
    &["explain", "db.host"],
    &["explain", "db.password"],
    &["get", "db.password"],
    &["history"],
    &["history", "db"],
    &["audit", "log"],
    &["audit", "verify"],
    &["verify"],
    &["diff", "1"],
    &["doctor"],
    &["config", "show"],
    &["adopt", "--all", "--dry-run"],
    &["reset", "--all", "--dry-run"],
    &["export", "--format", "yaml"],
    &["export", "--format", "toml"],
    &["export", "--format", "json"],
    &["export", "--format", "env"],
];

fn no_value_of_a_secret_is_printed_logged_or_stored(world: &World) {
    world.write("setpoint.toml", CONFIGURATION);
    world.write("schema.json", SCHEMA);
    let mut watch = Watch { world, planted: Planted::new(), leaks: Vec::new() };
    watch.write_sources(1);
    let planted = watch.planted.len();

    watch.run(&["migrate", "--dry-run"]);
    watch.run(&["migrate", "--out", "plan.json"]);
    watch.run(&["plan", "plan.json"]);
    watch.run_logged(&["migrate"], "");

    watch.write_sources(2);
    watch.run(&["drift"]);
    watch.run_logged(&["migrate", "--out", "update.json"], "");
    watch.run_logged(&["apply", "update.json"], "");
    world.ok(&["set", "db.host", "b.org"]);
    world.ok(&["set", "db.password", "env:DB_PASSWORD"]);
    LOOKING.iter().for_each(|it| watch.run(it));
    watch.run_logged(&["adopt", "db.host"], "");
    watch.run_logged(&["reseed", "--strategy", "theirs"], "");
    watch.look_at_files();
    watch.run(&["migrate", "--secrets-to", "keep.env", "--dry-run"]);
    watch.run_logged(&["migrate", "--secrets-to", "keep.env"], "");
    for arguments in [&["list"][..], &["drift"], &["audit", "log"], &["reseed"], &["verify"]] {
        watch.run(arguments);
    }
    watch.look_at_files();

    assert_eq!(planted, watch.planted.len() / 2);
    assert_eq!(watch.world.run(&["verify"]).status, 0);
    assert!(watch.leaks.is_empty(), "{:#?}", watch.leaks);
}

/// What cannot be read is told with an excerpt.
#[test]
fn no_value_of_a_secret_is_in_the_excerpt_of_a_broken_file() {
    let world = World::sqlite();
    world.write("setpoint.toml", "[namespaces.default]\nsecret = [\"vault.**\", \"plain\"]\n");
    let mut watch = Watch { world: &world, planted: Planted::new(), leaks: Vec::new() };
    let broken = [
        ("broken.yaml", "db:\n  password: §b0§ [\n  - x: §b1§: : y\n  token: \"§b2§\n"),
        ("broken.yaml", "password: &a §b3§\npassword: §b4§\nx: !tag y\ntoken: 9§95§9§96§\n"),
        ("broken.yaml", "plain: §b5§\nplain: §b6§\nvault: {a: §b7§, a: §b8§}\n"),
        ("broken.yaml", "port: 1\nport: 2 # was password: §b9§\nsecret:\n- §b10§\n -§b11§\n"),
        ("broken.yaml", "url: \"https://u:§b12§@h\n\u{1}"),
        ("broken.toml", "password = \"§b13§\nx = 1\ntoken = §b14§\n"),
        ("broken.toml", "[db]\npassword = '§b15§'\npassword = '§b16§'\nx = \n"),
        ("broken.json", "{\"password\": \"§b17§, \"x\": §b18§}\n"),
        (
            "broken.json",
            "{\"a\": 1,, \"apiKey\": \"§b19§\", \"vault\": {\"x\": \"§b20§\" \"y\"}}\n",
        ),
        ("broken.env", "PASSWORD=\"§b21§\nX=1 2\n=§b22§\n"),
        ("broken.env", "A=1\nA=2\nAPI_KEY='§b23§\n"),
    ];
    for (turn, (name, text)) in (0..).zip(broken) {
        let text = plant(text, turn, &mut watch.planted);
        world.write(name, &text);
        assert_eq!(world.run(&["migrate", name]).status, 1, "{text}");
        watch.run(&["migrate", name]);
        watch.run(&["validate", name]);
        let format = name.rsplit('.').next().unwrap();
        watch.run_logged(&["import", "-", "--format", format], &text);
    }

    assert!(watch.leaks.is_empty(), "{:#?}", watch.leaks);
}

#[test]
fn no_value_of_a_secret_that_was_typed_is_printed_back() {
    let world = World::sqlite();
    world.write("setpoint.toml", CONFIGURATION);
    world.write("schema.json", SCHEMA);
    for name in ["more.toml", "more.json", "more.env"] {
        world.write(name, if name.ends_with("json") { "{}" } else { "" });
    }
    world.write("settings.yaml", "url: a\nport: 1\nwifi: env:W\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "url", "b"]);
    world.write("settings.yaml", "url: c\nport: 1\nwifi: env:W\n");
    let mut watch = Watch { world: &world, planted: Planted::new(), leaks: Vec::new() };
    let mut secret = |text: &str| plant(text, 3, &mut watch.planted);
    let typed = [
        ["set", "db.password"]
            .map(str::to_owned)
            .into_iter()
            .chain([secret("§s0§")])
            .collect::<Vec<_>>(),
        vec!["set".into(), "wifi".into(), secret("§s1§")],
        vec!["set".into(), "vault.a".into(), secret("§97§")],
        vec!["set".into(), "port".into(), secret("http://u:§s2§@h")],
        vec!["set".into(), "token".into(), secret("§s3§"), "--type".into(), "integer".into()],
        vec!["migrate".into(), "--resolve".into(), secret("url=http://u:§s4§@h")],
        vec!["migrate".into(), "--resolve".into(), secret("db.password=§s5§")],
        vec!["migrate".into(), "--resolve".into(), secret("wifi=§s6§")],
    ];
    let documents = ["db: {password: §s7§}\n", "door: {entry: §s8§}\nport: [\n"];
    let documents = documents.map(secret);

    for arguments in &typed {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_eq!(world.run(&arguments).status, 1, "{arguments:?}");
        watch.run(&arguments);
    }
    for document in &documents {
        watch.run_logged(&["import", "-"], document);
        world.write("document.yaml", document);
        watch.run(&["import", "document.yaml"]);
    }
    watch.look_at_files();

    assert!(watch.leaks.is_empty(), "{:#?}", watch.leaks);
}

#[test]
fn copies_of_the_originals_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::sqlite();
    world.migrate("password: swordfish\n");

    let mode = std::fs::metadata(world.originals()).unwrap().permissions().mode() & 0o777;

    assert_eq!(mode, 0o700);
}
