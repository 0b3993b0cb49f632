//! Importers outside of this program: an executable `setpoint-import-NAME` on PATH.
//!
//! The file comes on its standard input. It prints JSON lines, as [`output`] says, and exits
//! with 0, whether or not it found faults.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::conceal::{self, Concealed};
use crate::{ImportError, Limits, Reading};

mod output;

/// How long an importer may take, and how much it may print.
#[derive(Clone, Copy)]
struct Allowance {
    time: Duration,
    output_bytes: u64,
}

const ALLOWANCE: Allowance = Allowance { time: Duration::from_secs(60), output_bytes: 64 << 20 };

/// As much of what an importer says on standard error is told.
const MAX_STDERR_BYTES: u64 = 4096;

/// The executable of that name on PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    find_in(&std::env::var_os("PATH")?, name)
}

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    if !is_name(name) {
        return None;
    }
    let program = format!("setpoint-import-{name}");
    let mut candidates = std::env::split_paths(path).map(|folder| folder.join(&program));
    candidates.find(|file| file.metadata().is_ok_and(|it| is_executable(&it)))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(unix)]
fn is_executable(file: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.is_file() && file.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(file: &Metadata) -> bool {
    file.is_file()
}

/// Reads `bytes`, which `text` shows to people, by the importer `name`.
pub(crate) fn read(
    name: &str,
    bytes: &[u8],
    text: &str,
    limits: &Limits,
) -> Result<Reading, ImportError> {
    if !is_name(name) {
        return Err(ImportError::ExternalName { name: name.to_owned() });
    }
    let program =
        find(name).ok_or_else(|| ImportError::ExternalNotFound { name: name.to_owned() })?;
    let concealed = Concealed::new(text, &conceal::none);
    let printed =
        run(&program, name, bytes, ALLOWANCE).map_err(|error| conceal_said(error, &concealed))?;
    let mut reading = output::reading(&printed, text, limits);
    let faults = reading.faults.iter_mut().map(|fault| &mut fault.message);
    let notes = reading.notes.iter_mut().map(|note| &mut note.message);
    faults.chain(notes).for_each(|message| *message = concealed.foreign(message));
    Ok(reading)
}

/// The error without the file's secrets, which the program may have repeated.
fn conceal_said(error: ImportError, concealed: &Concealed) -> ImportError {
    match error {
        ImportError::ExternalFailed { name, status, stderr } => {
            ImportError::ExternalFailed { name, status, stderr: concealed.foreign(&stderr) }
        }
        other => other,
    }
}

/// What the program prints when it is given `bytes`.
fn run(
    program: &Path,
    name: &str,
    bytes: &[u8],
    allowance: Allowance,
) -> Result<Vec<u8>, ImportError> {
    let broken = |source| ImportError::ExternalBroken { name: name.to_owned(), source };
    let deadline = Instant::now() + allowance.time;
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(broken)?;
    // Each pipe has its own thread, so that neither side waits for the other.
    if let Some(mut stdin) = child.stdin.take() {
        let bytes = bytes.to_vec();
        // A program that does not read to the end closes the pipe: that is its own affair.
        thread::spawn(move || stdin.write_all(&bytes));
    }
    let stdout = drain(child.stdout.take(), allowance.output_bytes + 1);
    let stderr = drain(child.stderr.take(), MAX_STDERR_BYTES);

    let printed = stdout.recv_timeout(allowance.time);
    let too_much = printed.as_ref().is_ok_and(|bytes| bytes.len() as u64 > allowance.output_bytes);
    let status = match &printed {
        Ok(_) if !too_much => wait_until(&mut child, deadline),
        _ => Ok(None),
    };
    if !matches!(status, Ok(Some(_))) {
        // It may have ended meanwhile, which is as good.
        _ = child.kill();
        _ = child.wait();
    }
    let name = || name.to_owned();
    if too_much {
        return Err(ImportError::ExternalTooMuch { name: name(), limit: allowance.output_bytes });
    }
    match (status.map_err(broken)?, printed) {
        (Some(status), Ok(printed)) if status.success() => Ok(printed),
        (Some(status), _) => {
            let stderr = stderr.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
            let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
            Err(ImportError::ExternalFailed { name: name(), status: status.to_string(), stderr })
        }
        (None, _) => {
            Err(ImportError::ExternalTimeout { name: name(), seconds: allowance.time.as_secs() })
        }
    }
}

/// Reads a pipe in a thread of its own, and hands over its first `limit` bytes.
fn drain(pipe: Option<impl Read + Send + 'static>, limit: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut bytes = Vec::new();
        // An error ends what was printed, as the end of the file does.
        _ = pipe.by_ref().take(limit).read_to_end(&mut bytes);
        _ = sender.send(bytes);
        _ = io::copy(&mut pipe, &mut io::sink());
    });
    receiver
}

fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
