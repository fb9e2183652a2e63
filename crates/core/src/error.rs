//! What can go wrong, typed; every error maps to one errno at the edge.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::errno::Errno;
use crate::host::Capability;
use crate::task::Tid;

/// The result of every operation of the engine.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// An error of the engine: what was asked, of what, and why it was refused. [`Error::errno`] is the edge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A mount or remount option that can't be taken (A3).
    #[error("mount option {option:?}: {reason}")]
    MountOption {
        /// The option, or the whole list where the combination is at fault.
        option: String,
        /// `EINVAL` everywhere but for a `release_agent` of an unprivileged caller (`EPERM`).
        errno: Errno,
        /// What is wrong and what would be right.
        reason: Cow<'static, str>,
    },
    /// A hierarchy can't be created, shared or changed as asked (A4, A5): `EBUSY`.
    #[error("hierarchy: {reason}")]
    HierarchyBusy {
        /// Who holds what.
        reason: String,
    },
    /// No hierarchy or cgroup of that name: `ENOENT`.
    #[error("{object}: no such hierarchy, directory or file")]
    NotFound {
        /// The name that was looked up.
        object: String,
    },
    /// The cgroup was removed, or its hierarchy is gone: `ENODEV` (B1.12).
    #[error("{operation}: this cgroup has been removed")]
    Removed {
        /// What was tried on it.
        operation: &'static str,
    },
    /// A directory operation that the rules refuse (B1).
    #[error("{operation} {object:?}: {reason}")]
    Directory {
        /// `mkdir`, `rmdir` or `rename`.
        operation: &'static str,
        /// The name as given.
        object: String,
        /// The errno that the kernel gives.
        errno: Errno,
        /// Why.
        reason: &'static str,
    },
    /// The caller may not do this: `EACCES`, or `EPERM` where a capability is missing.
    #[error("{operation} {object}: {reason}")]
    Permission {
        /// What was tried.
        operation: &'static str,
        /// On what.
        object: String,
        /// `EACCES` or `EPERM`.
        errno: Errno,
        /// What would be needed.
        reason: &'static str,
    },
    /// A value that a control file does not take: nothing was changed.
    #[error("{file}: {reason}")]
    Value {
        /// The control file.
        file: String,
        /// The errno that write(2) gives.
        errno: Errno,
        /// What the file takes.
        reason: Cow<'static, str>,
    },
    /// No such task, or it is exiting: `ESRCH`.
    #[error("task {0}: no such process, or it is exiting")]
    NoTask(Tid),
    /// The task can't be moved now or ever (B4.8, or a fork of it is in flight).
    #[error("task {task}: {reason}")]
    Task {
        /// Which task.
        task: Tid,
        /// `EINVAL` for tasks that may never move, `EAGAIN` while a fork is in flight.
        errno: Errno,
        /// Why.
        reason: &'static str,
    },
    /// A fork that a charge rule or a subsystem refused. Cheap to make: fork is a hot path.
    #[error("fork refused by {subsystem}")]
    Fork {
        /// The subsystem's name.
        subsystem: Cow<'static, str>,
        /// What fork(2) answers, `EAGAIN` as a rule.
        errno: Errno,
    },
    /// A subsystem that can't be loaded or unloaded (E2, E3).
    #[error("subsystem {name:?}: {reason}")]
    Load {
        /// The subsystem's name.
        name: String,
        /// `EINVAL`, `EEXIST`, `EBUSY`, `ENOENT`, or what its own `create` answered.
        errno: Errno,
        /// Why, and who holds it.
        reason: Cow<'static, str>,
    },
    /// A subsystem's own refusal.
    #[error("{subsystem}: {reason}")]
    Subsystem {
        /// The subsystem's name.
        subsystem: Cow<'static, str>,
        /// Its errno.
        errno: Errno,
        /// Its reason.
        reason: Cow<'static, str>,
    },
    /// This host can't do what was asked; never silently weaker: `EOPNOTSUPP`.
    #[error("the {host} host can't give {need} here: {reason}")]
    HostCannot {
        /// The host's name.
        host: &'static str,
        /// What was needed.
        need: Capability,
        /// Why not, and which host could.
        reason: Cow<'static, str>,
    },
}

impl Error {
    /// The number that a system call would have answered.
    pub fn errno(&self) -> Errno {
        match self {
            Error::HierarchyBusy { .. } => Errno::EBUSY,
            Error::NotFound { .. } => Errno::ENOENT,
            Error::Removed { .. } => Errno::ENODEV,
            Error::NoTask(_) => Errno::ESRCH,
            Error::HostCannot { .. } => Errno::EOPNOTSUPP,
            Error::MountOption { errno, .. }
            | Error::Directory { errno, .. }
            | Error::Permission { errno, .. }
            | Error::Value { errno, .. }
            | Error::Task { errno, .. }
            | Error::Fork { errno, .. }
            | Error::Load { errno, .. }
            | Error::Subsystem { errno, .. } => *errno,
        }
    }

    /// A value that a control file does not take. Core fills in the file's name.
    pub fn value(errno: Errno, reason: impl Into<Cow<'static, str>>) -> Error {
        Error::Value { file: String::new(), errno, reason: reason.into() }
    }

    /// A refusal of the subsystem itself. Core fills in the subsystem's name.
    pub fn refused(errno: Errno, reason: impl Into<Cow<'static, str>>) -> Error {
        Error::Subsystem { subsystem: Cow::Borrowed(""), errno, reason: reason.into() }
    }

    /// A number that can be no task's.
    pub fn task_number() -> Error {
        Error::value(Errno::EINVAL, "takes one task number, or 0 for the writer itself")
    }

    /// The error with the name of the control file that was read or written, where it names none yet.
    #[must_use]
    pub fn in_file(self, name: &str) -> Error {
        match self {
            Error::Value { file, errno, reason } if file.is_empty() => {
                Error::Value { file: name.into(), errno, reason }
            }
            other => other.in_subsystem(name),
        }
    }

    pub(crate) fn in_subsystem(self, name: &str) -> Error {
        match self {
            Error::Subsystem { subsystem, errno, reason } if subsystem.is_empty() => {
                Error::Subsystem { subsystem: Cow::Owned(name.into()), errno, reason }
            }
            other => other,
        }
    }
}
