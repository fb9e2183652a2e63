//! Why a module can't be loaded.

use std::ffi::c_int;
use std::path::{Path, PathBuf};

use penfold_core::Errno;

use super::fault::Fault;
use super::ownership_check::Untrusted;

/// A module that is not loaded, or a file that is none. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing of that name on the search path: `ENOENT`.
    #[error("module {name:?}: not found; looked for {} in {}", names.join(" and "), list(looked))]
    NotFound {
        /// The name as given.
        name: String,
        /// How the file could be called.
        names: [String; 2],
        /// The directories where it could be.
        looked: Vec<PathBuf>,
    },
    /// A file or directory can't be read: what the system call answered.
    #[error("{}: can't {operation}: {source}", path.display())]
    System {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The file, or a directory that it is reached through, could be changed by somebody else: `EPERM`.
    #[error("{}: not loaded: {problem}", path.display())]
    Untrusted {
        /// The module.
        path: PathBuf,
        /// Which permission of which file is wrong.
        problem: Untrusted,
    },
    /// The file is no module for this machine: `ENOEXEC`.
    #[error("{}: not a module: {reason}", path.display())]
    NotAModule {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// The description of the module is not one that this program can use: [`Fault::errno`].
    #[error("{}: {fault}", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        fault: Fault,
    },
    /// This program has this file loaded already, perhaps under another path: `EEXIST`.
    #[error("{}: this file is loaded already; unload it first, or load a copy of it under another name", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// The module's own load has failed: with the errno it gave.
    #[error("{}: the module's load failed: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it answered; `EIO` for what is no errno.
        errno: Errno,
        /// The same in words.
        reason: String,
    },
}

impl LoadError {
    /// The number that a system call would have answered.
    pub fn errno(&self) -> Errno {
        match self {
            LoadError::NotFound { .. } => Errno::ENOENT,
            LoadError::System { source, .. } => {
                source.raw_os_error().and_then(Errno::from_number).unwrap_or(Errno::EIO)
            }
            LoadError::Untrusted { .. } => Errno::EPERM,
            LoadError::NotAModule { .. } => Errno::ENOEXEC,
            LoadError::Open { .. } => Errno::EEXIST,
            LoadError::Description { fault, .. } => fault.errno(),
            LoadError::Refused { errno, .. } => *errno,
        }
    }

    pub(crate) fn system(operation: &'static str, path: &Path, source: std::io::Error) -> LoadError {
        LoadError::System { operation, path: path.to_owned(), source }
    }

    /// What a load answered that is not 0.
    pub(crate) fn refused(path: PathBuf, code: c_int) -> LoadError {
        let known = code.checked_neg().and_then(Errno::from_number);
        let reason = known.map_or_else(
            || format!("it answered {code}, which is neither 0 nor a negative errno that penfold knows"),
            |errno| errno.to_string(),
        );
        LoadError::Refused { path, errno: known.unwrap_or(Errno::EIO), reason }
    }

    pub(crate) fn not_a_module(path: &Path, reason: impl Into<String>) -> LoadError {
        LoadError::NotAModule { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn description(path: &Path, fault: Fault) -> LoadError {
        LoadError::Description { path: path.to_owned(), fault }
    }
}

fn list(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories.iter().map(|directory| directory.display().to_string()).collect();
    names.join(", ")
}
