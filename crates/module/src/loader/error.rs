//! Why a module can't be loaded.

use std::borrow::Cow;
use std::error::Error;
use std::ffi::c_int;
use std::fmt;
use std::path::{Path, PathBuf};

use penfold_core::{Errno, ErrorKind};

use super::fault::Fault;
use super::ownership_check::Untrusted;

/// A module can't be loaded, or a file is no module. Nothing has changed then.
#[derive(Debug)]
pub enum LoadError {
    /// The search path has no module of that name: `ENOENT`.
    NotFound {
        /// The name as given.
        name: String,
        /// The file names that were looked for.
        names: [String; 2],
        /// The directories that were searched.
        looked: Vec<PathBuf>,
    },
    /// A system call on a file or directory failed: the errno of the system call.
    System {
        /// The operation that failed.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system call.
        source: std::io::Error,
    },
    /// Another user could change the file, or a directory on the way to it: `EPERM`.
    Untrusted {
        /// The file of the module.
        path: PathBuf,
        /// The permission that is wrong, and of which file.
        problem: Untrusted,
    },
    /// The file is no module for this machine: `ENOEXEC`.
    NotAModule {
        /// The file.
        path: PathBuf,
        /// The thing that is missing or wrong, in words.
        reason: String,
    },
    /// This program can't use the description of the module: [`Fault::errno`].
    Description {
        /// The file.
        path: PathBuf,
        /// The fault in the description.
        fault: Fault,
    },
    /// This program has this file loaded already, perhaps under another path: `EEXIST`.
    Open {
        /// The file.
        path: PathBuf,
    },
    /// The module's `load` has failed: the errno that it returned.
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

    /// The kind, for a program to decide by.
    pub fn kind(&self) -> ErrorKind {
        match self {
            LoadError::NotFound { .. } => ErrorKind::NotFound,
            LoadError::System { source, .. } => {
                ErrorKind::of_system_call(source.raw_os_error().unwrap_or_default())
            }
            LoadError::Untrusted { .. } => ErrorKind::NotPermitted,
            LoadError::NotAModule { .. } | LoadError::Description { .. } | LoadError::Refused { .. } => {
                ErrorKind::Load
            }
            LoadError::Open { .. } => ErrorKind::AlreadyExists,
        }
    }

    /// The module: the name that was looked for, or the path of the file.
    pub fn subject(&self) -> Cow<'_, str> {
        match self {
            LoadError::NotFound { name, .. } => Cow::Borrowed(name),
            LoadError::System { path, .. }
            | LoadError::Untrusted { path, .. }
            | LoadError::NotAModule { path, .. }
            | LoadError::Open { path }
            | LoadError::Description { path, .. }
            | LoadError::Refused { path, .. } => path.to_string_lossy(),
        }
    }

    /// The fault in words and, after a semicolon, the remedy. Does not repeat the subject.
    pub fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(match self {
            LoadError::NotFound { names, looked, .. } => {
                format!("no such module; looked for {} in {}", names.join(" and "), list(looked))
            }
            LoadError::System { operation, source, .. } => {
                let number = source.raw_os_error();
                // core has the words of the errors that are usual
                let reason = match (number.and_then(Errno::from_number), number) {
                    (Some(errno), _) => errno.text().to_owned(),
                    (None, Some(number)) => nix::errno::Errno::from_raw(number).desc().to_owned(),
                    (None, None) => source.to_string(),
                };
                format!("can't {operation}: {reason}")
            }
            LoadError::Untrusted { path, problem } => format!("not loaded: {}", problem.of_module(path)),
            LoadError::NotAModule { reason, .. } => format!("not a module: {reason}"),
            LoadError::Description { fault, .. } => fault.to_string(),
            LoadError::Open { .. } => {
                "this file is loaded already; unload it first, or load a copy of it under another name"
                    .to_owned()
            }
            LoadError::Refused { reason, .. } => format!("the module's load failed: {reason}"),
        })
    }

    pub(crate) fn system(operation: &'static str, path: &Path, source: std::io::Error) -> LoadError {
        LoadError::System { operation, path: path.to_owned(), source }
    }

    /// The error of a `load` that returned `code`, which is not 0.
    pub(crate) fn refused(path: PathBuf, code: c_int) -> LoadError {
        let known = code.checked_neg().and_then(Errno::from_number);
        let reason = known.map_or_else(
            || format!("it answered {code}, which is neither 0 nor a negative errno that penfold knows"),
            |errno| errno.text().to_owned(),
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

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject(), self.detail())
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            LoadError::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn list(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories.iter().map(|directory| directory.display().to_string()).collect();
    names.join(", ")
}
