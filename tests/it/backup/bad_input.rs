//! Archives that are not what they should be, and disks without room.

use std::fs;
use std::os::unix::fs::symlink;

use super::{archive, assert_sound, ready, settings};
use crate::world::World;

on_both![
    a_truncated_archive_is_found_wherever_it_ends,
    a_flipped_bit_is_found_wherever_it_is,
    what_is_no_archive_is_listed_as_such,
    a_manifest_that_was_edited_is_listed_as_such,
    a_link_is_no_archive,
    what_follows_the_end_is_found_unless_it_is_what_fills_a_tar,
    an_archive_that_was_replaced_by_another_is_found,
    a_damaged_archive_does_not_count_as_verified,
    a_bomb_is_not_unpacked,
    a_history_that_was_damaged_before_is_told_and_can_be_restored,
];

/// An archive that nothing is known of.
pub(super) fn strange(world: &World, bytes: &[u8]) {
    fs::write(archive(world, "strange"), bytes).unwrap();
}

#[track_caller]
pub(super) fn assert_refused(world: &World, case: &str) {
    for arguments in
        [&["backup", "verify", "strange"][..], &["backup", "restore", "strange", "--yes"]]
    {
        let refusal = world.refusal(arguments);
        assert!(refusal.starts_with("1 backup::damaged; "), "{case}: {refusal}");
    }
}

fn a_truncated_archive_is_found_wherever_it_ends(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let whole = fs::read(archive(world, "first")).unwrap();
    let before = (settings(world), world.revision());

    let length = whole.len();
    for end in [0, 1, 511, 512, 600, 16_896, 17_000, length / 2, length - 1536, length - 1025] {
        strange(world, &whole[..end]);
        assert_refused(world, &format!("cut at {end} of {length}"));
    }
    assert_eq!((settings(world), world.revision()), before);
}

fn a_flipped_bit_is_found_wherever_it_is(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let whole = fs::read(archive(world, "first")).unwrap();
    let packed: Vec<usize> = (0..whole.len() - 1024 - 512 + 64)
        .filter(|at| !is_filler(&whole, *at))
        .step_by(whole.len() / 12)
        .collect();

    for at in packed {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        strange(world, &bytes);
        assert_refused(world, &format!("bit of byte {at}"));
    }
    assert_sound(world);
}

/// Whether a byte may only fill a block: it is among zeros.
fn is_filler(whole: &[u8], at: usize) -> bool {
    let are_zeros = |range: std::ops::Range<usize>| whole[range].iter().all(|it| *it == 0);
    are_zeros(at..(at + 4).min(whole.len())) || are_zeros(at.saturating_sub(3)..at + 1)
}

fn what_is_no_archive_is_listed_as_such(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let zeros = [0; 4096];
    for bytes in [&b""[..], b"PK\x03\x04 a zip", &zeros] {
        strange(world, bytes);

        assert_refused(world, "no archive");
        let table = world.ok(&["backup", "list"]);
        let row = table.lines().nth(1).unwrap();
        assert!(row.starts_with("strange  -  ") && row.contains("  unreadable  "), "{table}");
    }
}

fn a_manifest_that_was_edited_is_listed_as_such(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let whole = fs::read(archive(world, "first")).unwrap();
    let at = whole.windows(15).position(|it| it == b"\"revision\": 5,\n").unwrap();
    let mut edited = whole.clone();
    edited[at + 12] = b'4';
    let cut = &whole[..whole.len() - 2048];

    for bytes in [&edited, cut] {
        fs::write(archive(world, "first"), bytes).unwrap();
        let listed = &world.json(&["backup", "list"])[0];

        let problem = listed["problem"].as_str().unwrap_or_default();
        assert!(problem.starts_with("its manifest is not the one"), "{listed}");
        assert!(listed["verified_at"].is_null() && listed.get("revision").is_none(), "{listed}");
    }
}

fn a_link_is_no_archive(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    symlink("first.setpoint.tar", archive(world, "strange")).unwrap();

    assert_refused(world, "a link");
    let refusal = world.refusal(&["backup", "create", "strange"]);
    assert!(refusal.starts_with("1 backup::exists; "), "{refusal}");
}

fn what_follows_the_end_is_found_unless_it_is_what_fills_a_tar(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let whole = fs::read(archive(world, "first")).unwrap();
    let filled = |bytes: usize| [&whole[..], &vec![0; bytes]].concat();

    for bytes in [[&whole[..], &whole].concat(), [&whole[..], b"more"].concat(), filled(1 << 15)] {
        strange(world, &bytes);
        assert_refused(world, "something follows");
    }
    // As other programs write it, in blocks of 10 KiB.
    strange(world, &filled(whole.len().next_multiple_of(10_240) - whole.len()));
    world.ok(&["backup", "verify", "strange"]);
    let listed = &world.json(&["backup", "list"])[1];
    assert!(listed["name"] == "strange" && listed["problem"].is_null(), "{listed}");
}

fn an_archive_that_was_replaced_by_another_is_found(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["set", "new", "true"]);
    world.ok(&["backup", "create", "second"]);
    fs::copy(archive(world, "first"), archive(world, "second")).unwrap();

    let refusal = world.refusal(&["backup", "verify", "second"]);
    let listed = world.json(&["backup", "list"]);
    let replaced = |name: &str| {
        let all = listed.as_array().unwrap();
        all.iter().find(|it| it["name"] == name).unwrap()["replaced"] == true
    };
    assert_eq!(["first", "second"].map(replaced), [false, true], "{listed}");
    let some = world.refusal(&["backup", "restore", "second", "--only", "**", "--yes"]);
    assert!(some.starts_with("1 backup::damaged; "), "{some}");
    for command in [["backup", "remove", "second"], ["backup", "pin", "second"]] {
        let refused = world.refusal(&command);
        insta::allow_duplicates! { insta::assert_snapshot!(refused, @"1 backup::replaced; backup `second` is not the archive that this database knows by that name; nothing was changed; somebody has put it in the place of the one that was taken: put that one back, or have this one removed by --force (over HTTP force=true) if nobody needs it") }
    }
    insta::assert_snapshot!(refusal, @"1 backup::damaged; backup `second` is damaged: it is not the archive that was written; nothing was changed; `setpoint backup verify --all` tells which ones are whole");
}

fn a_damaged_archive_does_not_count_as_verified(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["backup", "create", "second"]);
    let mut bytes = fs::read(archive(world, "first")).unwrap();
    bytes[18_000] ^= 1;
    fs::write(archive(world, "first"), bytes).unwrap();

    let ran = world.run(&["backup", "verify", "--all"]);

    assert_eq!((ran.status, ran.stdout.lines().count()), (1, 1), "{ran}");
    let listed = world.json(&["backup", "list"]);
    assert!(listed[0]["verified_at"].is_null() && listed[1]["verified_at"].is_string());
}

/// The archive says that little is in it, and gigabytes of zeros are.
fn a_bomb_is_not_unpacked(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let whole = fs::read(archive(world, "first")).unwrap();
    let script = "head -c 300000000 /dev/zero | zstd -q1c";
    let made = std::process::Command::new("sh").args(["-c", script]).output().unwrap().stdout;
    strange(world, &with_content(&whole, &made));

    assert_refused(world, "a bomb");
    let refusal = world.refusal(&["backup", "verify", "strange"]);
    assert!(refusal.contains("content.jsonl.zst is larger than the manifest says"), "{refusal}");
}

/// Where the first member of an archive begins, with its header.
pub(super) const CONTENT_AT: usize = 512 + 16 * 1024;

/// How long the first member of an archive is, as it lies there.
pub(super) fn content_length(whole: &[u8]) -> usize {
    let digits = str::from_utf8(&whole[CONTENT_AT + 124..CONTENT_AT + 135]).unwrap();
    usize::from_str_radix(digits, 8).unwrap()
}

/// The archive with `made` in place of its first member.
pub(super) fn with_content(whole: &[u8], made: &[u8]) -> Vec<u8> {
    let at = CONTENT_AT;
    let (name, size) = (&whole[at..at + 100], format!("{:011o}\0", made.len()));
    let mut header = whole[at..at + 512].to_vec();
    assert!(name.starts_with(b"content.jsonl.zst"));
    header[124..136].copy_from_slice(size.as_bytes());
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|it| u32::from(*it)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let next = at + 512 + content_length(whole).next_multiple_of(512);
    let mut bytes = [&whole[..at], &header, made].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend(&whole[next..]);
    bytes
}

fn a_history_that_was_damaged_before_is_told_and_can_be_restored(world: &World) {
    ready(world).sql("UPDATE change SET after = '9' WHERE revision = 2");
    let created = world.run(&["backup", "create", "first"]);
    world.ok(&["set", "new", "true"]);

    let verified = world.run(&["backup", "verify", "first"]);
    assert!(verified.stdout.starts_with("first: whole, revision 5, "), "{verified}");
    let told = "first: its history was damaged already when it was taken:\n  \
                `http.port` of default: it is not as the history has it\n  \
                revision 2: it or its changes were edited\n";
    for ran in [created, verified] {
        assert!(ran.status == 1 && ran.stderr.starts_with(told), "{ran}");
        assert!(ran.stderr.contains("backup::damaged_history"), "{ran}");
    }
    let planned = world.run(&["backup", "restore", "first", "--dry-run"]);
    assert_eq!(planned.stderr, told);
    let planned = world.json(&["backup", "restore", "first", "--dry-run"]);
    assert_eq!(planned["problems"][1], "revision 2: it or its changes were edited");
    let restored = world.run(&["backup", "restore", "first", "--yes"]);
    assert!(
        restored.status == 1 && restored.stderr.contains("backup::damaged_history"),
        "{restored}"
    );
    assert_eq!(world.get("http.port"), "8080");
}
