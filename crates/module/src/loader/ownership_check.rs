//! Checks that no other user can change a module's file: the module's code runs with all rights of the loading program.

use std::fmt;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::LoadError;

/// The permission of a file or directory that lets another user change the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untrusted {
    /// The path leads to something else than a regular file.
    NotAFile,
    /// The file or directory belongs to another user. An owner can take every permission.
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// The uid of its owner.
        uid: u32,
        /// The uid of the user that loads the module.
        owner: u32,
    },
    /// Another user can write to the file or directory.
    Mode {
        /// The file or directory.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
        /// `its group`, `everybody` or both.
        who: &'static str,
        /// The mode argument for chmod(1) that takes the permission away.
        remedy: &'static str,
    },
}

impl Untrusted {
    /// The problem in words, for a message that names the module already.
    pub(crate) fn of_module(&self, module: &Path) -> String {
        match self {
            Untrusted::Owner { path, .. } | Untrusted::Mode { path, .. } if path == module => {
                self.words("it")
            }
            _ => self.to_string(),
        }
    }

    fn words(&self, name: &str) -> String {
        match self {
            Untrusted::NotAFile => "it is not a regular file".to_owned(),
            Untrusted::Owner { uid, owner, .. } => {
                format!(
                    "{name} belongs to uid {uid}; it must belong to root or to uid {owner}, who runs the engine"
                )
            }
            Untrusted::Mode { mode, who, remedy, .. } => {
                format!(
                    "{name} can be written by {who} (mode {mode:04o}); take that away with chmod {remedy}"
                )
            }
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Untrusted::NotAFile => f.write_str(&self.words("")),
            Untrusted::Owner { path, .. } | Untrusted::Mode { path, .. } => {
                f.write_str(&self.words(&path.to_string_lossy()))
            }
        }
    }
}

impl std::error::Error for Untrusted {}

/// Checks that only root and `owner` (a uid) can change or replace a module. Returns the canonical path of its file.
///
/// The check covers the file and every directory above it. A sticky directory that others can write is refused too:
/// others could make a file there that does not exist yet. An access control list shows its mask in the group's bits,
/// so the check covers it with them.
///
/// Not subject to a race (TOCTOU): only root or `owner` could change the path afterwards. To load the file, read it
/// with [`ModuleFile::read_trusted`](super::ModuleFile::read_trusted), which checks the open file too.
///
/// # Errors
/// [`LoadError::Untrusted`] if another user could change the module. [`LoadError::System`] if the owner and mode of the
/// file or of a directory can't be read.
pub fn check(path: &Path, owner: u32) -> Result<PathBuf, LoadError> {
    // a link in another user's directory counts by its target, because from now on the target is opened
    let path = path.canonicalize().map_err(|error| LoadError::system("find it", path, error))?;
    for (depth, part) in path.ancestors().enumerate() {
        let facts = part.metadata().map_err(|error| LoadError::system("look at it", part, error))?;
        let problem = if depth == 0 { judge_file(part, &facts, owner) } else { judge(part, &facts, owner) };
        if let Some(problem) = problem {
            return Err(LoadError::Untrusted { path, problem });
        }
    }
    Ok(path)
}

/// Checks a file that is open, whatever its path leads to by now.
///
/// # Errors
/// As [`check`].
pub(super) fn check_open_file(path: &Path, file: &File, owner: u32) -> Result<(), LoadError> {
    let facts = file.metadata().map_err(|error| LoadError::system("look at it", path, error))?;
    match judge_file(path, &facts, owner) {
        None => Ok(()),
        Some(problem) => Err(LoadError::Untrusted { path: path.to_owned(), problem }),
    }
}

fn judge_file(path: &Path, facts: &Metadata, owner: u32) -> Option<Untrusted> {
    if facts.is_file() { judge(path, facts, owner) } else { Some(Untrusted::NotAFile) }
}

fn judge(path: &Path, facts: &Metadata, owner: u32) -> Option<Untrusted> {
    let (uid, mode) = (facts.uid(), facts.mode() & 0o7777);
    let path = path.to_owned();
    if uid != 0 && uid != owner {
        return Some(Untrusted::Owner { path, uid, owner });
    }
    let (who, remedy) = match mode & 0o022 {
        0 => return None,
        0o020 => ("its group", "g-w"),
        0o002 => ("everybody", "o-w"),
        _ => ("its group and everybody", "go-w"),
    };
    Some(Untrusted::Mode { path, mode, who, remedy })
}
