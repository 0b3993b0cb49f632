//! Reading: get, list, search, explain.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::world::World;

on_both![
    get_prints_the_bare_value,
    get_as_json_prints_the_whole_setting,
    get_at_a_revision_prints_the_value_of_then,
    get_at_a_revision_when_the_key_was_gone_calls_it_no_map,
    get_of_an_unknown_key_says_what_was_meant,
    a_higher_layer_wins,
    list_as_json_has_exactly_the_promised_keys,
    list_shows_a_category_or_what_is_below_a_prefix,
    list_prints_a_table_and_yaml,
    search_finds_words_in_keys_and_values,
    search_puts_the_exact_key_first_and_the_best_next,
    search_refuses_what_is_too_long,
    explain_tells_where_a_value_comes_from,
];

const FILE: &str = "\
http: {host: a.org, port: 80, rate: 1.0, tls: true, proxy: null, paths: [/, 2]}
httpd: {port: 81}
hosts: {\"a.b\": {up: no}}
big: 18446744073709551615
";

fn get_prints_the_bare_value(world: &World) {
    world.migrate(FILE);
    let keys = [
        "http.host",
        "http.port",
        "http.rate",
        "http.tls",
        "http.proxy",
        "http.paths",
        r#"hosts."a.b".up"#,
        "hosts.'a.b'.up",
        "big",
    ];

    let values = keys.map(|key| world.ok(&["get", key]));

    assert_snapshot!(values.concat(), @r#"
    a.org
    80
    1.0
    true
    null
    ["/",2]
    no
    no
    18446744073709551615
    "#);
}

fn get_as_json_prints_the_whole_setting(world: &World) {
    world.migrate("rate: 1.0\n");

    assert_snapshot!(world.run(&["get", "rate", "--json"]), @r#"
    status 0
    -- stdout
    {
      "namespace": "default",
      "layer": "base",
      "key": "rate",
      "type": "float",
      "value": 1.0,
      "revision": 1,
      "updated_at": "2026-05-01T12:00:00.000Z",
      "updated_by": "ann"
    }
    "#);
}

fn get_at_a_revision_prints_the_value_of_then(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["unset", "a"]);
    world.ok(&["set", "a", "4"]);

    let at = |revision: &str| world.run(&["get", "a", "--at", revision]);

    let values = ["1", "2", "4", "5"].map(|it| at(it).to_string());
    assert_snapshot!(values.join("\n"), @r"
    status 0
    -- stdout
    1
    status 0
    -- stdout
    2
    status 0
    -- stdout
    4
    status 1
    -- stderr
    revision::unknown

      × there is no revision 5; the newest is 4
      help: `setpoint history` lists them
    ");
}

fn get_at_a_revision_when_the_key_was_gone_calls_it_no_map(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["unset", "a"]);
    world.ok(&["set", "a", "3"]);

    let problem = world.run(&["get", "a", "--at", "2", "--json"]).problem();

    let help = problem["help"].as_str().unwrap();
    assert!(problem["code"] == "setting::unknown" && !help.contains("map"), "{problem}");
}

fn get_of_an_unknown_key_says_what_was_meant(world: &World) {
    world.migrate(FILE);

    let help = ["http", "prot", "web.port"].map(|key| world.run(&["get", key]).to_string());

    assert_snapshot!(help.join("\n"), @r"
    status 1
    -- stderr
    setting::unknown

      × there is no setting `http` in namespace `default`
      help: it is a map of 6 settings: `setpoint list --prefix http`
    status 1
    -- stderr
    setting::unknown

      × there is no setting `prot` in namespace `default`
      help: `setpoint list` shows every key, `setpoint search` finds one
    status 1
    -- stderr
    setting::unknown

      × there is no setting `web.port` in namespace `default`
      help: did you mean `http.port`? `setpoint search` finds more
    ");
}

fn a_higher_layer_wins(world: &World) {
    world.write("setpoint.toml", "namespaces.default.layers = [\"site\"]\n");
    world.migrate("a: 1\nb: 1\nc: 1\n");
    world.ok(&["set", "a", "2", "--layer", "site"]);
    world.ok(&["set", "b", "2", "--layer", "site"]);
    world.ok(&["set", "b", "3", "--layer", "user:ann"]);

    let list = |more: &[&str]| {
        let list = world.json(&[&["list"], more].concat());
        let settings = list.as_array().unwrap().iter();
        settings.map(|it| it["value"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let site = list(&[]);
    assert_eq!((site, list(&["--user", "ann"])), (vec![2, 2, 1], vec![2, 3, 1]));
}

fn list_as_json_has_exactly_the_promised_keys(world: &World) {
    world.migrate("a: 1.0\n");
    world.ok(&["set", "b", "x"]);

    let mut list = world.json(&["list"]);
    for setting in list.as_array_mut().unwrap() {
        let at = setting["updated_at"].take();
        assert!(at.as_str().is_some_and(|it| it.ends_with('Z')), "{at}");
    }
    let setting = |key: &str, value_type: &str, value: Value, revision: i64| {
        json!({
            "namespace": "default", "layer": "base", "key": key, "type": value_type,
            "value": value, "revision": revision, "updated_at": null, "updated_by": "ann",
        })
    };
    let expected =
        json!([setting("a", "float", json!(1.0), 1), setting("b", "string", json!("x"), 2)]);
    assert_eq!(list, expected);
}

fn list_shows_a_category_or_what_is_below_a_prefix(world: &World) {
    world.migrate(FILE);
    world.ok(&["set", "http.port", "8080"]);
    let keys = |more: &[&str]| {
        let list = world.json(&[&["list"], more].concat());
        let settings = list.as_array().unwrap().iter();
        settings.map(|it| it["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };

    let shown = [
        keys(&["--category", "httpd"]),
        keys(&["--prefix", "http"]),
        keys(&["--prefix", "http.port"]),
        keys(&["--prefix", "hosts.\"a.b\""]),
        keys(&["--at", "0"]),
        keys(&["--prefix", "none"]),
    ];

    assert_snapshot!(shown.join("\n"), @r#"
    httpd.port
    http.host http.paths http.port http.proxy http.rate http.tls
    http.port
    hosts."a.b".up
    "#);
}

fn list_prints_a_table_and_yaml(world: &World) {
    world.migrate("a: 1.0\nlonger.key: x\n\"dotted.name\": [1]\n");

    let table = world.run(&["list"]);
    let yaml = world.run(&["list", "--prefix", "a", "--format", "yaml"]);

    assert_snapshot!(format!("{table}\n{yaml}"), @r#"
    status 0
    -- stdout
    KEY            VALUE  TYPE    LAYER  REVISION
    "dotted.name"  [1]    json    base   1
    "longer.key"   "x"    string  base   1
    a              1.0    float   base   1
    status 0
    -- stdout
    - namespace: default
      layer: base
      key: a
      type: float
      value: 1.0
      revision: 1
      updated_at: 2026-05-01T12:00:00.000Z
      updated_by: ann
    "#);
}

fn search_finds_words_in_keys_and_values(world: &World) {
    world.migrate(FILE);
    let found = |words: &[&str]| {
        let found = world.json(&[&["search"], words].concat());
        let found = found.as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap());
        found.collect::<Vec<_>>().join(" ")
    };

    let all = [
        found(&["PORT"]),
        found(&["a.org"]),
        found(&["http", "true"]),
        found(&["http true"]),
        found(&["htpr"]),
        found(&["nothing"]),
    ];

    assert_snapshot!(all.join("\n"), @r"
    http.port httpd.port
    http.host
    http.tls
    http.tls
    http.proxy http.rate http.port httpd.port
    ");
}

fn search_puts_the_exact_key_first_and_the_best_next(world: &World) {
    world.migrate("a: {port: 1, viewport: 2, portal: 3}\nport: 4\nb: {maxPort: port}\n");

    assert_snapshot!(world.ok(&["search", "port"]), @r#"
    KEY         VALUE   TYPE     LAYER  REVISION
    port        4       integer  base   1
    a.port      1       integer  base   1
    a.portal    3       integer  base   1
    b.maxPort   "port"  string   base   1
    a.viewport  2       integer  base   1
    "#);
    assert_snapshot!(world.run(&["search", "port", "--limit", "2"]), @r"
    status 0
    -- stdout
    KEY     VALUE  TYPE     LAYER  REVISION
    port    4      integer  base   1
    a.port  1      integer  base   1
    -- stderr
    only the best 2; --limit shows more
    ");
}

fn search_refuses_what_is_too_long(world: &World) {
    world.migrate(FILE);

    assert_snapshot!(world.refusal(&["search", "a b c d", "e f g h i"]), @"1 search::too_long; nothing can be searched that is so long: 9 words are more than 8; search for a few words; `setpoint get` takes a whole key of any length");
}

fn explain_tells_where_a_value_comes_from(world: &World) {
    world.write("setpoint.toml", "namespaces.default.layers = [\"site\"]\n");
    world.migrate("http:\n  port: 80\n");
    world.ok(&["set", "http.port", "81", "-m", "tried it"]);
    world.ok(&["set", "http.port", "82", "--layer", "site"]);

    assert_snapshot!(world.run(&["explain", "http.port"]), @r"
    status 0
    -- stdout
    http.port = 82  (integer, layer site)

    layer site: in no file
      live  82

    layer base: edited here
      live  81
      file  80  (settings.yaml:2:9)

    history
      3 2026-05-01T12:00:00.000Z by ann (cli edit)
          (none) -> 82
      2 2026-05-01T12:00:00.000Z by ann (cli edit): tried it
          80 -> 81
      1 2026-05-01T12:00:00.000Z by ann (cli import)
          (none) -> 80
    ");
}
