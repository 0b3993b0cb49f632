mod properties;

use super::*;
use crate::Error;

type Found = Vec<(String, Field, Vec<String>)>;

/// A setting for the tests; an empty text is none.
#[derive(Clone, Debug)]
struct Sample {
    key: String,
    value: String,
    label: String,
    description: String,
}

impl Sample {
    fn fields(&self) -> Fields<'_> {
        let some = |text| Some(text).filter(|it: &&str| !it.is_empty());
        Fields {
            key: &self.key,
            value: &self.value,
            label: some(&self.label),
            description: some(&self.description),
        }
    }
}

/// From lines such as `key = value | label | description`.
fn samples(text: &str) -> Vec<Sample> {
    let sample = |line: &str| {
        let mut parts = line.split('|').map(|it| it.trim().to_owned());
        let mut next = || parts.next().unwrap_or_default();
        let (first, label, description) = (next(), next(), next());
        let (key, value) = first.split_once(" = ").unwrap_or((&first, ""));
        Sample { key: key.to_owned(), value: value.to_owned(), label, description }
    };
    text.lines().map(str::trim).filter(|it| !it.is_empty()).map(sample).collect()
}

fn ranked<'s>(query: &str, samples: &'s [Sample], limit: usize) -> Vec<Hit<&'s str>> {
    let query = Query::parse(query).unwrap();
    let mut samples: Vec<_> = samples.iter().collect();
    samples.sort_by_key(|it| &it.key);
    let candidates = samples.into_iter().map(|it| (it, Letters::of(&it.fields())));
    let hits = rank(&query, [candidates], |it| it.fields(), limit);
    let key = |hit: Hit<&'s Sample>| Hit {
        item: hit.item.key.as_str(),
        score: hit.score,
        matched: hit.matched,
        ranges: hit.ranges,
    };
    hits.into_iter().map(key).collect()
}

/// The keys that are found, the best first.
fn search(query: &str, text: &str) -> Vec<String> {
    let samples = samples(text);
    ranked(query, &samples, 50).into_iter().map(|it| it.item.to_owned()).collect()
}

/// The same with the field and the parts of the key that were found.
fn detailed(query: &str, text: &str) -> Found {
    let samples = samples(text);
    let hits = ranked(query, &samples, 50);
    let parts = |hit: &Hit<&str>| {
        hit.ranges.iter().map(|it| hit.item[it.clone()].to_owned()).collect::<Vec<_>>()
    };
    hits.iter().map(|it| (it.item.to_owned(), it.matched, parts(it))).collect()
}

/// The settings are found in exactly this order, whichever comes first.
#[track_caller]
fn assert_order(query: &str, text: &str) {
    let wanted: Vec<String> = samples(text).into_iter().map(|it| it.key).collect();
    let reversed: Vec<&str> = text.lines().rev().collect();

    assert_eq!(search(query, text), wanted);
    assert_eq!(search(query, &reversed.join("\n")), wanted);
}

#[test]
fn an_exact_key_comes_first_however_good_the_others_are() {
    assert_order(
        "force",
        "force
         FORCE
         arm.force
         force.max
         arm.force.max
         forced
         arm.forces
         arm.maxForce
         arm.max_force
         arm.min_forced
         arm.reinforce
         arm.front.outer.rc_enabled",
    );
}

#[test]
fn an_exact_path_comes_before_longer_ones_that_hold_it() {
    assert_order(
        "http.port",
        "http.port
         HTTP.Port
         site.http.port
         httpPort
         site.http_port
         http.port.name
         http.ports
         site.http.ports
         a.b_http.port_x",
    );
}

#[test]
fn words_are_the_humps_of_camel_case_and_the_parts_of_snake_case() {
    assert_order(
        "max force",
        "MaxForce
         maxForce
         max-force
         max.force
         max_force
         arm.maxForce
         arm.max_force
         force.max.arm
         max.arm.force
         maximum.forces
         arm.min_max_force_2",
    );
}

#[test]
fn initials_find_humps_and_parts() {
    assert_order("mf", "max.force\n max_force\n maxForce\n arm.max_force\n maximum.of.force");
    assert_eq!(search("mf", "climbHalf\n comfort_off\n mode"), ["comfort_off"]);
    assert_eq!(search("HTTPp", "HTTPServerPort"), ["HTTPServerPort"]);
}

#[test]
fn letters_may_be_left_out_of_a_word_but_not_its_first() {
    let keys = "physics.gravity\n engravity\n gallery.view\n gradient";

    assert_eq!(search("grvty", keys), ["physics.gravity"]);
    assert_eq!(search("phygrav", keys), ["physics.gravity"]);
    assert_eq!(search("physics.gvty", keys), ["physics.gravity"]);
    assert_eq!(search("gravitz", keys), [""; 0]);
}

#[test]
fn signs_and_case_make_no_difference_between_words() {
    for query in ["max_force", "max-force", "MAX_FORCE", "maxForce", "max force", "maxforce"] {
        for key in ["arm.max_force.hard", "arm.max-force.hard", "arm.maxForce.hard"] {
            assert_eq!(search(query, key), [key], "{query} in {key}");
        }
    }
}

#[test]
fn accents_and_composition_make_no_difference() {
    let keys = "cafe.größe\n \"cafe\u{301}\".size\n caf\u{e9}.ort";

    assert_eq!(search("café", keys).len(), 3);
    assert_eq!(search("CAFE\u{301}", keys).len(), 3);
    assert_eq!(search("GROSSE", keys), [""; 0]);
    assert_eq!(search("GRÖßE", keys), ["cafe.größe"]);
    assert_eq!(search("größe", "a.\"Größe\"\n a.grube"), ["a.\"Größe\""]);
}

#[test]
fn other_scripts_are_found_in_any_case() {
    let text = "\"Скорость\".max = 1\n a.b = \"максимальная скорость\"\n c = 重力加速度\n d = →x";

    assert_eq!(search("СКОРОСТЬ", text), ["\"Скорость\".max", "a.b"]);
    assert_eq!(search("重力", text), ["c"]);
    assert_eq!(search("加速", text), ["c"]);
    assert_eq!(search("→x", text), ["d"]);
    assert_eq!(search("←", text), [""; 0]);
}

#[test]
fn a_quoted_segment_is_found_by_its_name() {
    let keys = "hosts.\"a.b\".port\n hosts.\"a.b\"\n hosts.ab";

    assert_eq!(search("hosts.\"a.b\"", keys)[0], "hosts.\"a.b\"");
    assert_eq!(search("hosts.a.b.port", keys)[0], "hosts.\"a.b\".port");
    assert_eq!(search("a.b", keys)[0], "hosts.\"a.b\"");
    assert_eq!(search("\"→\"", "\"→\"\n \"→x\"")[0], "\"→\"");
}

#[test]
fn keys_come_before_labels_descriptions_and_values() {
    let found = detailed(
        "torque",
        "a.max_torque
         bb | Torque of the arm
         c = 1 | | The torque in Nm
         d = torque
         e.extorques
         f | Extorques
         g | | extorquers
         h = extorqued",
    );

    let fields = found.iter().map(|(key, field, _)| (key.as_str(), *field));
    assert_eq!(
        fields.collect::<Vec<_>>(),
        [
            ("a.max_torque", Field::Key),
            ("bb", Field::Label),
            ("c", Field::Description),
            ("d", Field::Value),
            ("e.extorques", Field::Key),
            ("f", Field::Label),
            ("g", Field::Description),
            ("h", Field::Value),
        ]
    );
}

#[test]
fn letters_left_out_of_other_texts_come_last() {
    let text = "a = x | | the timeout of all\n b = timeout\n c.timeout_tmt\n d | Tame the mutt";

    assert_eq!(search("tmt", text), ["c.timeout_tmt"]);
    assert_eq!(search("timt", text), ["c.timeout_tmt", "a", "b"]);
}

#[test]
fn every_word_has_to_be_found_each_in_any_field() {
    let text = "http.tls = true\n http.port = 80\n ftp.tls = true | FTP\n a = \"http true\"";

    assert_eq!(search("http true", text), ["http.tls", "a"]);
    assert_eq!(search("true http", text), ["http.tls", "a"]);
    assert_eq!(search("http true nowhere", text), [""; 0]);
    assert_eq!(search("port 80", text), ["http.port"]);
}

#[test]
fn whole_words_come_before_their_beginnings() {
    assert_order("max", "a_max\n a_max_b\n a_maximum\n a_climax");
    assert_order("80", "a = 80\n b = 8080/tcp");
}

#[test]
fn short_words_are_not_looked_for_inside_the_words_of_values() {
    assert_eq!(search("7", "a = 17\n b = 70\n c17"), ["b", "c17"]);
    assert_eq!(search("718", "a = 17180"), ["a"]);
}

#[test]
fn what_is_equally_good_comes_by_length_and_then_by_key() {
    assert_order("x", "x.a\n x.b\n x.aa\n x.ab");
}

#[test]
fn tells_which_parts_of_the_key_were_found() {
    let parts = |query, key| detailed(query, key).remove(0).2;

    assert_eq!(parts("arm.max_force", "arm.max_force"), ["arm.max_force"]);
    assert_eq!(parts("max force", "arm.maxForce"), ["maxForce"]);
    assert_eq!(parts("force max", "arm.max_force.hard"), ["max", "force"]);
    assert_eq!(parts("mf", "arm.max_force.hard"), ["m", "f"]);
    assert_eq!(parts("mxfrc", "arm.max_force.hard"), ["m", "x", "f", "rc"]);
    assert_eq!(parts("café", "\"le cafe\u{301} noir\""), ["cafe\u{301}"]);
    assert_eq!(parts("ort gr", "\"Größe\".ort"), ["Gr", "ort"]);
    assert_eq!(parts("80", "arm = 80"), [""; 0]);
}

#[test]
fn only_the_beginning_of_a_long_value_is_searched() {
    let value = |before: usize| format!("a = {}needle", "x ".repeat(before / 2));

    assert_eq!(search("needle", &value(SEARCHED_VALUE_BYTES - 6)), ["a"]);
    assert_eq!(search("needle", &value(SEARCHED_VALUE_BYTES - 4)), [""; 0]);
    assert_eq!(search("needle", &format!("a = {}", "ж".repeat(1000))), [""; 0]);
}

#[test]
fn nothing_finds_nothing() {
    let keys = "a.b\n c = 1";

    assert_eq!(search("", keys), [""; 0]);
    assert_eq!(search("  \t ", keys), [""; 0]);
    assert_eq!(search("\u{301}", keys), [""; 0]);
    assert_eq!(ranked("a", &samples(keys), 0), []);
}

#[test]
fn a_query_that_is_too_long_is_refused() {
    let words = "one two three four five six seven eight";

    assert!(Query::parse(&"x".repeat(MAX_QUERY_BYTES)).is_ok());
    assert!(Query::parse(words).is_ok());
    assert!(Query::parse(&words.replace("eight", "one one")).is_ok());
    for query in ["x".repeat(MAX_QUERY_BYTES + 1), format!("{words} nine")] {
        assert!(matches!(Query::parse(&query), Err(Error::BadQuery { .. })));
    }
}

#[test]
fn more_of_those_that_letters_were_left_out_of_than_are_wanted_are_compared() {
    let many: Vec<String> = (0..150).map(|it| format!("m{it}.flat")).collect();
    let text = format!("{}\nmx.frc", many.join("\n"));

    assert_eq!(ranked("mxf", &samples(&text), 1)[0].item, "mx.frc");
}
