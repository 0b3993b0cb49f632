//! The command line. Each subcommand is one file in `cmd`.

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime;

mod cmd;
mod config;
mod console;
mod load_test;
mod log;
mod memory;
mod seeds;

/// A large import allocates millions of small texts: a sixth faster so than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cmd::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return console::misused(&error),
    };
    let json = cli.json();
    if cli.keeps_little() {
        memory::use_small_pages();
    }
    let mut runtime = match cli.is_service() {
        true => runtime::Builder::new_multi_thread(),
        false => runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build();
    let runtime = runtime.expect("a process may open what an event loop needs");
    match runtime.block_on(cli.run()) {
        Ok(exit) => exit.into(),
        Err(failure) => console::fail(&failure, json),
    }
}
