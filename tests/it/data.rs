//! The real inputs of three applications, where they lie beside the project.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use setpoint_importers::{Key, Limits, TypedValue, read};

use crate::world::World;

on_both![
    the_real_inputs_migrate_with_one_setpoint_toml,
    a_second_run_over_the_real_inputs_changes_nothing,
    exports_of_the_real_inputs_have_their_types_and_values,
];

/// File, namespace, prefix.
const SOURCES: [(&str, &str, &str); 13] = [
    ("visionflow/settings.yaml", "visionflow", ""),
    ("visionflow/dev_config.toml", "visionflow", "dev"),
    ("visionflow/quality_presets.json", "presets", ""),
    ("coachiq/2021_Entegra_Aspire_44R.yml", "coach", "mapping"),
    ("coachiq/history/feature_flags-04.yaml", "coach", "features"),
    ("coachiq/rvc.json", "rvc", ""),
    ("coachiq/rvc-with-comments.json", "rvc-with-comments", ""),
    ("deeptempo/legacy/approval_config.json", "deeptempo", "approval"),
    ("deeptempo/legacy/general_config.json", "deeptempo", "general"),
    ("deeptempo/legacy/integrations_config.json", "deeptempo", "integrations"),
    ("deeptempo/legacy/s3_config.json", "deeptempo", "s3"),
    ("deeptempo/legacy/theme_config.json", "deeptempo", "theme"),
    ("deeptempo/env.example", "deeptempo-env", ""),
];

/// The folder of the real inputs, if it is here.
pub fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !folder.is_dir() {
        eprintln!("{} is not here: nothing is checked against it", folder.display());
        return None;
    }
    Some(folder)
}

/// What a document says.
pub fn meaning(name: &str, bytes: &[u8]) -> BTreeMap<Key, TypedValue> {
    let document = read(Path::new(name), bytes, None, &Limits::default()).unwrap();
    document.entries.into_iter().map(|it| (it.key, it.value)).collect()
}

/// Copies the inputs and migrates them. Says whether they are there.
fn migrated(world: &World) -> bool {
    let Some(data) = data() else { return false };
    let mut configuration = String::new();
    for (file, namespace, prefix) in SOURCES {
        world.write(file, fs::read(data.join(file)).unwrap());
        configuration += &format!("[[source]]\npath = \"{file}\"\nnamespace = \"{namespace}\"\n");
        if !prefix.is_empty() {
            configuration += &format!("prefix = \"{prefix}\"\n");
        }
    }
    // Placeholders of secrets too: every value is to be compared.
    for namespace in ["deeptempo", "deeptempo-env"] {
        configuration += &format!("[namespaces.{namespace}]\npublic = [\"**\"]\n");
    }
    world.write("setpoint.toml", configuration);
    world.ok(&["migrate"]);
    true
}

fn the_real_inputs_migrate_with_one_setpoint_toml(world: &World) {
    if !migrated(world) {
        return;
    }

    let counts = world.sql(
        "SELECT s.namespace, s.source, count(*) FROM seed s JOIN setting v ON s.namespace = \
         v.namespace AND s.layer = v.layer AND s.key = v.key AND s.value = v.value \
         GROUP BY s.namespace, s.source ORDER BY s.source",
    );

    assert_snapshot!(counts, @r"
    coach|coachiq/2021_Entegra_Aspire_44R.yml|300
    coach|coachiq/history/feature_flags-04.yaml|632
    rvc-with-comments|coachiq/rvc-with-comments.json|4
    rvc|coachiq/rvc.json|614
    deeptempo-env|deeptempo/env.example|11
    deeptempo|deeptempo/legacy/approval_config.json|1
    deeptempo|deeptempo/legacy/general_config.json|4
    deeptempo|deeptempo/legacy/integrations_config.json|6
    deeptempo|deeptempo/legacy/s3_config.json|4
    deeptempo|deeptempo/legacy/theme_config.json|1
    visionflow|visionflow/dev_config.toml|106
    presets|visionflow/quality_presets.json|198
    visionflow|visionflow/settings.yaml|435
    ");
}

fn a_second_run_over_the_real_inputs_changes_nothing(world: &World) {
    if !migrated(world) {
        return;
    }
    let before = world.file_names();
    world.ok(&["migrate"]);

    assert_eq!((world.file_names(), world.revision()), (before, 1));
}

fn exports_of_the_real_inputs_have_their_types_and_values(world: &World) {
    if !migrated(world) {
        return;
    }
    let mut expected = BTreeMap::<&str, BTreeMap<Key, TypedValue>>::new();
    for (file, namespace, prefix) in SOURCES {
        let prefix = (!prefix.is_empty()).then(|| Key::parse(prefix).unwrap());
        let below = |key: Key| prefix.as_ref().map_or(key.clone(), |it| key.below(it).unwrap());
        let settings = meaning(file, &fs::read(world.path(file)).unwrap()).into_iter();
        let settings = settings.map(|(key, value)| (below(key), value));
        expected.entry(namespace).or_default().extend(settings);
    }

    let exported = expected.keys().flat_map(|namespace| {
        ["yaml", "json"].map(|format| {
            let document = world.ok(&["export", "-n", namespace, "--format", format]);
            (*namespace, meaning(&format!("x.{format}"), document.as_bytes()))
        })
    });

    for (namespace, settings) in exported {
        assert_eq!(settings, expected[namespace], "{namespace}");
    }
}

#[test]
fn files_that_were_really_broken_are_refused_at_their_places() {
    let Some(data) = data() else { return };
    let world = World::sqlite();
    let mut files: Vec<_> = fs::read_dir(data.join("visionflow/invalid")).unwrap().collect();
    files.sort_by_key(|it| it.as_ref().unwrap().file_name());

    let refused = files.into_iter().map(|file| {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        world.write(&name, fs::read(file.path()).unwrap());
        let ran = world.run(&["migrate", &name, "--json"]);
        let faults = ran.problem()["faults"].as_array().unwrap().clone();
        let faults = faults.iter().map(|it| {
            format!("\n  {}:{} {}", it["line"], it["column"], it["message"].as_str().unwrap())
        });
        format!("{} {name}{}", ran.status, faults.collect::<String>())
    });

    let refused = refused.collect::<Vec<_>>().join("\n");
    assert_snapshot!(format!("{refused}\nat {}", world.revision()), @r"
    1 bad-indent.yaml
      112:31 no `key: value` can stand here; is it indented too far?
      113:31 no `key: value` can stand here; is it indented too far?
      114:34 no `key: value` can stand here; is it indented too far?
      115:34 no `key: value` can stand here; is it indented too far?
      116:29 no `key: value` can stand here; is it indented too far?
      117:29 no `key: value` can stand here; is it indented too far?
      119:11 this line belongs to no map above; is it indented wrongly?
      120:11 this line belongs to no map above; is it indented wrongly?
      121:11 this line belongs to no map above; is it indented wrongly?
      224:31 no `key: value` can stand here; is it indented too far?
      225:31 no `key: value` can stand here; is it indented too far?
      226:34 no `key: value` can stand here; is it indented too far?
      227:34 no `key: value` can stand here; is it indented too far?
      228:29 no `key: value` can stand here; is it indented too far?
      229:29 no `key: value` can stand here; is it indented too far?
      231:11 this line belongs to no map above; is it indented wrongly?
      232:11 this line belongs to no map above; is it indented wrongly?
      233:11 this line belongs to no map above; is it indented wrongly?
    1 settings@32c9208c0.toml
      163:23 invalid boolean, expected `false`
    at 0
    ");
}
