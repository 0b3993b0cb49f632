//! From files and folders, as somebody names them, to sources.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Content, Declared, Interpretation};
use crate::{Error, Result};

/// A file or a folder of files, as somebody names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Relative to the current folder.
    pub path: PathBuf,
    pub namespace: String,
    pub layer: String,
    pub interpretation: Interpretation,
    /// Whether the file follows the database.
    pub write_back: bool,
}

/// The files that `named` stands for, and those in folders that no importer reads.
///
/// A folder means the files in it, not those in folders below it. A file that is named twice
/// counts once, as it was named first.
///
/// # Errors
///
/// [`Error::Unreadable`] if a path is not there or a folder has no file that can be read.
pub fn declare(named: &[Named], root: &Path) -> Result<(Vec<Declared>, Vec<PathBuf>)> {
    let mut declared: Vec<Declared> = Vec::new();
    let mut skipped = Vec::new();
    for one in named {
        let files = match one.path.is_dir() {
            true => files_in(&one.path, one.interpretation.format.is_some(), &mut skipped)?,
            false => vec![one.path.clone()],
        };
        for file in files {
            let path = relative(&file, root);
            if declared.iter().any(|it| it.path == path && it.namespace == one.namespace) {
                continue;
            }
            declared.push(Declared {
                namespace: one.namespace.clone(),
                layer: one.layer.clone(),
                path,
                content: Content::File(file),
                interpretation: one.interpretation.clone(),
                write_back: one.write_back,
            });
        }
    }
    Ok((declared, skipped))
}

fn files_in(folder: &Path, any: bool, skipped: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let unreadable = |help: &str, source| Error::Unreadable {
        path: folder.to_owned(),
        help: help.to_owned(),
        source,
    };
    let forbidden = |source| unreadable("check its owner and mode", source);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(forbidden)? {
        let path = entry.map_err(forbidden)?.path();
        let ours = path.file_name().is_some_and(|it| it == "setpoint.toml");
        if path.is_dir() || ours {
            continue;
        }
        match any || setpoint_importers::format_of(&path).is_some() {
            true => files.push(path),
            false => skipped.push(path),
        }
    }
    files.sort();
    skipped.sort();
    match files.is_empty() {
        true => Err(unreadable(
            "no file in it has an extension we read; name the files and their --format",
            io::Error::other("there is nothing in it to read"),
        )),
        false => Ok(files),
    }
}

/// `file` as seen from `root`, by its name alone: links are not followed, since the target of
/// one may have another name tomorrow.
pub(super) fn relative(file: &Path, root: &Path) -> String {
    let (file, root) = (absolute(file), absolute(root));
    let same = file.components().zip(root.components()).take_while(|(a, b)| a == b).count();
    let up = root.components().skip(same).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(file.components().skip(same)).collect();
    path.display().to_string()
}

fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}
