//! Why a module can't be loaded.

use std::ffi::c_int;
use std::path::{Path, PathBuf};

use penfold_core::Errno;

use super::fault::Fault;
use super::ownership_check::Untrusted;

/// A module can't be loaded, or a file is no module. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The search path has no module of that name: `ENOENT`.
    #[error("module {name:?}: not found; looked for {} in {}", names.join(" and "), list(looked))]
    NotFound {
        /// The name as given.
        name: String,
        /// The file names that were looked for.
        names: [String; 2],
        /// The directories that were searched.
        looked: Vec<PathBuf>,
    },
    /// A system call on a file or directory failed: the errno of the system call.
    #[error("{}: can't {operation}: {source}", path.display())]
    System {
        /// The operation that failed.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system call.
        source: std::io::Error,
    },
    /// Another user could change the file, or a directory on the way to it: `EPERM`.
    #[error("{}: not loaded: {problem}", path.display())]
    Untrusted {
        /// The file of the module.
        path: PathBuf,
        /// The permission that is wrong, and of which file.
        problem: Untrusted,
    },
    /// The file is no module for this machine: `ENOEXEC`.
    #[error("{}: not a module: {reason}", path.display())]
    NotAModule {
        /// The file.
        path: PathBuf,
        /// The thing that is missing or wrong, in words.
        reason: String,
    },
    /// This program can't use the description of the module: [`Fault::errno`].
    #[error("{}: {fault}", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// The fault in the description.
        fault: Fault,
    },
    /// This program has this file loaded already, perhaps under another path: `EEXIST`.
    #[error("{}: this file is loaded already; unload it first, or load a copy of it under another name", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// The module's `load` has failed: the errno that it returned.
    #[error("{}: the module's load failed: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The errno that `load` returned; `EIO` for a number that is no errno.
        errno: Errno,
        /// The errno in words, or the number that is none.
        reason: String,
    },
}

impl LoadError {
    /// The errno of the failed load.
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

    /// The error of a `load` that returned `code`, which is not 0.
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
