//! Tells cargo what compiled-in seeds are made of. Without the feature there is nothing to tell.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_BUNDLED_SEEDS").is_none() {
        return;
    }
    println!("cargo::rerun-if-env-changed=SETPOINT_SEEDS_DIR");
    match env::var("SETPOINT_SEEDS_DIR") {
        Ok(folder) if Path::new(&folder).is_dir() => println!("cargo::rerun-if-changed={folder}"),
        Ok(folder) => println!("cargo::error=SETPOINT_SEEDS_DIR is {folder}, which is no folder"),
        Err(_) => {
            println!("cargo::error=bundled-seeds needs SETPOINT_SEEDS_DIR: a folder of seeds");
        }
    }
}
