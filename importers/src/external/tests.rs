use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use insta::assert_snapshot;

use super::*;
use crate::testing::drawn;

/// A script that is being written cannot be run, and a fork of another test keeps it open.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What an importer that is this shell script prints for `file`.
fn printed(script: &str, file: &[u8], allowance: Allowance) -> Result<Vec<u8>, ImportError> {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("setpoint-import-ini");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let found = find_in(folder.path().as_os_str(), "ini").unwrap();

    run(&found, "ini", file, allowance)
}

#[test]
fn a_script_on_path_is_an_importer() {
    let script = r#"while IFS== read -r key value; do
        echo "{\"key\": \"$key\", \"value\": $value, \"line\": 1, \"column\": 3}"
    done"#;
    let printed = printed(script, b"a=1\n", ALLOWANCE).unwrap();
    let reading = output::reading(&printed, "a=1\n", &Limits::default());

    assert_eq!(reading.faults, []);
    assert_eq!(reading.entries[0].key.as_str(), "a");
    assert_eq!(reading.entries[0].value.text(), "1");
}

#[test]
fn a_large_file_and_a_large_answer_do_not_block_each_other() {
    let file = vec![b'x'; 4 << 20];

    assert_eq!(printed("cat", &file, ALLOWANCE).unwrap().len(), file.len());
    assert_eq!(printed("exec true", &file, ALLOWANCE).unwrap(), b"");
}

#[test]
fn a_failure_says_what_the_importer_said() {
    let error = printed("echo 'no section' >&2; exit 3", b"", ALLOWANCE).unwrap_err();

    assert_snapshot!(drawn(&error), @r"
    import::external_failed

      × `setpoint-import-ini` failed with exit status: 3: no section
      help: run it by hand with the file on its standard input
    ");
}

#[test]
fn what_an_importer_says_shows_no_secret_of_the_file() {
    let script = r#"echo "cannot read 'hunter2', token=abcd" >&2; exit 3"#;
    let concealed = Concealed::new("password = hunter2\n", &conceal::none);
    let error = printed(script, b"", ALLOWANCE).unwrap_err();

    assert_snapshot!(drawn(&conceal_said(error, &concealed)), @r"
    import::external_failed

      × `setpoint-import-ini` failed with exit status: 3: cannot read '****',
      │ token=****
      help: run it by hand with the file on its standard input
    ");
}

#[test]
fn an_importer_that_does_not_end_is_stopped() {
    let allowance = Allowance { time: Duration::from_millis(100), ..ALLOWANCE };

    assert_snapshot!(drawn(&printed("exec sleep 60", b"", allowance).unwrap_err()), @r"
    import::external_timeout

      × `setpoint-import-ini` did not end within 0 s
      help: it must read all of its standard input, print, and exit
    ");
}

#[test]
fn an_importer_that_prints_without_end_is_stopped() {
    let allowance = Allowance { output_bytes: 1000, ..ALLOWANCE };

    assert_snapshot!(drawn(&printed("exec yes", b"", allowance).unwrap_err()), @r"
    import::external_too_much

      × `setpoint-import-ini` printed more than 1000 bytes
      help: it should print one line of JSON a setting, and nothing else
    ");
}

#[test]
fn an_importer_that_is_not_there_is_named() {
    let missing = read("ini", b"", "", &Limits::default()).unwrap_err();
    let bad_name = read("../sh", b"", "", &Limits::default()).unwrap_err();

    assert_snapshot!(drawn(&missing) + &drawn(&bad_name), @r"
    import::external_not_found

      × there is no importer `ini`, and no `setpoint-import-ini` on PATH
      help: use one of yaml, toml, json, env, or install the executable and make
            it executable
    import::external_name

      × `../sh` cannot be the name of an importer
      help: use letters, digits, `_` and `-`, as in `setpoint-import-ini`
    ");
}
