//! The files in `fixtures/`.

use std::collections::HashSet;
use std::fmt::Write;

use insta::assert_snapshot;

use crate::testing::{files, folder};
use crate::{Limits, read};

#[test]
fn every_invalid_file_is_refused_at_its_places() {
    let mut refused = String::new();
    for path in files(&folder("fixtures/invalid")) {
        let name = path.file_name().unwrap().to_string_lossy();
        let bytes = std::fs::read(&path).unwrap();
        let error = read(&path, &bytes, None, &Limits::default()).unwrap_err();
        writeln!(refused, "{name}").unwrap();
        for (place, message) in error.faults() {
            writeln!(refused, "  {}:{} {message}", place.line, place.column).unwrap();
        }
    }

    assert_snapshot!(refused, @r#"
    alias-bomb.yaml
      6:12 aliases and merge keys make more than 250000 values
    alias-cycle.yaml
      1:11 this alias stands inside what it stands for
    bad-indent.yaml
      3:6 no `key: value` can stand here; is it indented too far?
      4:5 no `key: value` can stand here; is it indented too far?
      6:4 no `key: value` can stand here; is it indented too far?
    duplicate-text.yaml
      2:1 this key is already set on line 1; keep one of the two
    duplicate.env
      3:1 this key is already set on line 1; keep one of the two
    duplicate.json
      2:2 this key is already set on line 1; keep one of the two
    duplicate.toml
      3:1 this key is already set above; keep one of the two
    duplicate.yaml
      3:1 this key is already set on line 1; keep one of the two
    latin1.yaml
      2:7 byte 0xe9 is not UTF-8 here
    lone-surrogate.json
      1:8 half of a surrogate pair; write both halves, or the character itself
    long-key.yaml
      3:5 a key of 1203 bytes is too long; the limit is 1024
      4:1 a key of 1025 bytes is too long; the limit is 1024
    map-as-key.yaml
      1:1 a map or list cannot be a key; name the setting by text
      2:1 a map or list cannot be a key; name the setting by text
    merge-of-a-number.yaml
      3:7 a merge key takes a map, or a list of maps
    mixed-dates.toml
      1:9 a date among other values, or inside a map or list in an array; quote it to store it as text
      1:21 a date among other values, or inside a map or list in an array; quote it to store it as text
      2:19 a date among other values, or inside a map or list in an array; quote it to store it as text
    not-a-variable.env
      1:1 no `=`; a line is NAME=value
      2:1 no name; it starts with a letter or `_`, then letters, digits and `_.-`
      3:7 text after the closing quote
    not-finite.json
      1:7 this is not a finite number; write a finite one, or null
    not-finite.toml
      1:5 this is not a finite number; write a finite one, or null
      2:9 this is not a finite number; write a finite one, or null
      3:5 this is not a finite number; write a finite one, or null
      4:5 this is not a finite number; write a finite one, or null
    not-finite.yaml
      1:4 this is not a finite number; write a finite one, or null
      2:8 this is not a finite number; write a finite one, or null
      3:4 this is not a finite number; write a finite one, or null
      4:4 this is not a finite number; write a finite one, or null
    not-json.json
      2:8 this string does not close on its line
      4:8 no JSON value; text needs double quotes
      5:8 JSON has no hexadecimal numbers; write it in decimal
      6:3 a key needs double quotes
      7:9 a comma is missing here
    second-document.yaml
      2:1 a second document; put it into a file of its own
    tab.yaml
      2:2 tabs disallowed within this context (block indentation)
    too-big.json
      1:7 this integer does not fit in 64 bits; quote it to store it as text
    too-big.toml
      1:5 this integer does not fit in 64 bits; quote it to store it as text
    too-big.yaml
      1:4 this integer does not fit in 64 bits; quote it to store it as text
      2:4 this integer does not fit in 64 bits; quote it to store it as text
    too-deep.json
      1:70 nested deeper than 64 levels
    too-deep.toml
      1:68 nested deeper than 64 levels
    too-deep.yaml
      1:67 nested deeper than 64 levels
    top-level-list.json
      1:1 the top level is a list; settings need a map of keys to values
    top-level-list.yaml
      1:1 the top level is a list; settings need a map of keys to values
    top-level-text.yaml
      1:1 the top level is one value; settings need a map of keys to values
    unclosed-quote.env
      1:3 this quote does not close
    unclosed-quote.toml
      1:7 invalid basic string, expected `"`
      3:4 string values must be quoted, expected literal string
    unclosed-quote.yaml
      1:4 this quote does not close, or text inside it is not indented
    unknown-alias.yaml
      1:4 no `&nowhere` before this alias
    unknown-tag.yaml
      1:4 unknown tag `!!binary`; remove it to store the value as it is written
      2:4 unknown tag `!point`; remove it to store the value as it is written
      3:4 this value is no `!!int`
    "#);
}

#[test]
fn the_files_of_an_application_can_be_migrated_together() {
    for application in ["visualiser", "desk", "coach"] {
        let mut keys = HashSet::new();
        let history = folder("fixtures").join(application).join("history");
        for path in files(&folder("fixtures").join(application)) {
            if path.starts_with(&history) {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let document = read(&path, &bytes, None, &Limits::default()).unwrap();
            assert!(!document.entries.is_empty(), "{}", path.display());
            for entry in document.entries {
                assert!(keys.insert(entry.key.clone()), "{} is set twice", entry.key);
            }
        }
        let texts: HashSet<&str> = keys.iter().map(|key| key.as_str()).collect();
        for key in &keys {
            assert!(!key.ancestors().any(|above| texts.contains(above)), "{key} lies in a value");
        }
    }
}

#[test]
fn every_version_of_a_file_can_be_read() {
    for path in files(&folder("fixtures/visualiser/history")) {
        let bytes = std::fs::read(&path).unwrap();

        assert!(read(&path, &bytes, None, &Limits::default()).is_ok(), "{}", path.display());
    }
}
