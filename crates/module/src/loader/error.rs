//! Why a module can't be loaded.

use std::borrow::Cow;
use std::error::Error;
use std::ffi::c_int;
use std::fmt;
use std::path::{Path, PathBuf};

use penfold_core::{Errno, ErrorKind};

use super::fault::Fault;
use super::ownership_check::Untrusted;

/// A module that is not loaded, or a file that is none. Nothing has changed.
#[derive(Debug)]
pub enum LoadError {
    /// Nothing of that name on the search path: `ENOENT`.
    NotFound {
        /// The name as given.
        name: String,
        /// How the file could be called.
        names: [String; 2],
        /// The directories where it could be.
        looked: Vec<PathBuf>,
    },
    /// A file or directory can't be read: what the system call answered.
    System {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The file, or a directory that it is reached through, could be changed by somebody else: `EPERM`.
    Untrusted {
        /// The module.
        path: PathBuf,
        /// Which permission of which file is wrong.
        problem: Untrusted,
    },
    /// The file is no module for this machine: `ENOEXEC`.
    NotAModule {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// The description of the module is not one that this program can use: [`Fault::errno`].
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        fault: Fault,
    },
    /// This program has this file loaded already, perhaps under another path: `EEXIST`.
    Open {
        /// The file.
        path: PathBuf,
    },
    /// The module's own load has failed: with the errno it gave.
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

    /// What is wrong with it and, after a semicolon, what to do. It does not repeat the subject.
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

    /// What a load answered that is not 0.
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
