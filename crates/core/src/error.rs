//! The errors of the engine, with types. Each maps to one errno at the edge.

use core::fmt;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use crate::errno::Errno;
use crate::error_kind::ErrorKind;
use crate::host::Capability;
use crate::task::Tid;

/// The result of every operation of the engine.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// An error of the engine. Shown, it is `SUBJECT: what is wrong; what to do`.
///
/// A front end adds the errno, and may put the name that its caller has used in place of [`Error::subject`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A mount or remount option that can't be taken (A3).
    MountOption {
        /// The option, or the whole list where the combination is at fault.
        option: String,
        /// `EINVAL` everywhere but for a `release_agent` of an unprivileged caller (`EPERM`).
        errno: Errno,
        /// The fault and the remedy.
        reason: Cow<'static, str>,
    },
    /// A hierarchy can't be created, shared or changed as asked (A4, A5): `EBUSY`.
    HierarchyBusy {
        /// The subsystem, name or hierarchy that was asked for.
        object: String,
        /// Which hierarchy holds it.
        reason: String,
    },
    /// Nothing of that name: `ENOENT`.
    NotFound {
        /// The name that was looked up.
        object: String,
        /// The kind of object, such as `control file`.
        what: &'static str,
    },
    /// The hierarchy has no mount that could be taken away: `EINVAL`.
    NotMounted {
        /// The number of the hierarchy.
        hierarchy: u32,
    },
    /// The cgroup was removed, or its hierarchy is gone: `ENODEV` (B1.12).
    Removed {
        /// The operation, such as `read`.
        operation: &'static str,
    },
    /// A directory operation that the rules refuse (B1).
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
    Permission {
        /// The operation, such as `mount`.
        operation: &'static str,
        /// The name of the object.
        object: String,
        /// `EACCES` or `EPERM`.
        errno: Errno,
        /// The right that is needed.
        reason: &'static str,
    },
    /// A value that a control file does not take: nothing was changed.
    Value {
        /// The control file.
        file: String,
        /// The errno that write(2) gives.
        errno: Errno,
        /// The values that the file takes.
        reason: Cow<'static, str>,
    },
    /// No such task, or it is exiting: `ESRCH`.
    NoTask(Tid),
    /// The task can't be moved now or ever (B4.8, or a fork of it is in flight).
    Task {
        /// Which task.
        task: Tid,
        /// `EINVAL` for tasks that may never move, `EAGAIN` while a fork is in flight.
        errno: Errno,
        /// Why.
        reason: &'static str,
    },
    /// A fork that a charge rule or a subsystem refused. Cheap to make: fork is a hot path.
    Fork {
        /// The subsystem's name.
        subsystem: Cow<'static, str>,
        /// The errno of fork(2), `EAGAIN` as a rule.
        errno: Errno,
    },
    /// A subsystem that can't be loaded or unloaded (E2, E3).
    Load {
        /// The subsystem's name.
        name: String,
        /// `EINVAL`, `EEXIST`, `EBUSY`, `ENOENT`, or the errno of its own `create`.
        errno: Errno,
        /// Why, and who holds it.
        reason: Cow<'static, str>,
    },
    /// A subsystem's own refusal.
    Subsystem {
        /// The subsystem's name.
        subsystem: Cow<'static, str>,
        /// The errno that the subsystem chose.
        errno: Errno,
        /// The reason that the subsystem gave.
        reason: Cow<'static, str>,
    },
    /// This host lacks a capability that the operation needs: `EOPNOTSUPP`. Nothing is ever silently weaker.
    HostCannot {
        /// The control file that asked for it; empty for another operation.
        file: String,
        /// The host's name.
        host: &'static str,
        /// The missing capability.
        capability: Capability,
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
            Error::NotMounted { .. } => Errno::EINVAL,
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

    /// The kind, for a program to decide by.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::MountOption { .. } => ErrorKind::InvalidOption,
            Error::HierarchyBusy { .. } => ErrorKind::Busy,
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::NotMounted { .. } => ErrorKind::InvalidArgument,
            Error::Removed { .. } => ErrorKind::Removed,
            Error::Directory { errno, .. } => match errno {
                Errno::ENOENT => ErrorKind::NotFound,
                Errno::EEXIST => ErrorKind::AlreadyExists,
                Errno::EBUSY | Errno::ENOTEMPTY => ErrorKind::Busy,
                Errno::ENOTDIR | Errno::EISDIR => ErrorKind::WrongType,
                Errno::EPERM | Errno::EDQUOT => ErrorKind::NotPermitted,
                _ => ErrorKind::InvalidArgument,
            },
            Error::Permission { .. } => ErrorKind::NotPermitted,
            Error::Value { .. } => ErrorKind::InvalidValue,
            Error::NoTask(_) => ErrorKind::NoTask,
            Error::Task { errno, .. } => match errno {
                Errno::ESRCH => ErrorKind::NoTask,
                Errno::EINVAL => ErrorKind::UnsuitableTask,
                _ => ErrorKind::TaskBusy,
            },
            Error::Fork { .. } => ErrorKind::ForkRefused,
            Error::Load { errno, .. } => match errno {
                Errno::ENOENT => ErrorKind::NotFound,
                Errno::EEXIST => ErrorKind::AlreadyExists,
                Errno::EBUSY => ErrorKind::Busy,
                _ => ErrorKind::Load,
            },
            Error::Subsystem { .. } => ErrorKind::Subsystem,
            Error::HostCannot { .. } => ErrorKind::Unsupported,
        }
    }

    /// The name of the object at fault: a control file, an entry of a directory, an option, a task, a subsystem. Empty
    /// where core does not know it yet, as for a value before [`Error::in_file`].
    pub fn subject(&self) -> Cow<'_, str> {
        let name: &str = match self {
            Error::MountOption { option, .. } => option,
            Error::Directory { object, .. } if object.is_empty() => return Cow::Borrowed("/"),
            Error::HierarchyBusy { object, .. }
            | Error::NotFound { object, .. }
            | Error::Directory { object, .. }
            | Error::Permission { object, .. } => object,
            Error::NotMounted { hierarchy } => return Cow::Owned(format!("hierarchy {hierarchy}")),
            Error::Removed { .. } => return Cow::Borrowed("the cgroup"),
            Error::NoTask(task) | Error::Task { task, .. } => return Cow::Owned(format!("task {task}")),
            Error::Load { name, .. } => name,
            Error::Fork { subsystem, .. } | Error::Subsystem { subsystem, .. } => subsystem,
            Error::HostCannot { file, capability, .. } if file.is_empty() => {
                return Cow::Owned(capability.to_string());
            }
            Error::Value { file, .. } | Error::HostCannot { file, .. } => file,
        };
        Cow::Borrowed(name)
    }

    /// The fault in words and, after a semicolon, the remedy. Does not repeat the subject.
    pub fn detail(&self) -> Cow<'_, str> {
        match self {
            Error::MountOption { reason, .. }
            | Error::Value { reason, .. }
            | Error::Load { reason, .. }
            | Error::Subsystem { reason, .. } => Cow::Borrowed(reason),
            Error::HierarchyBusy { reason, .. } => Cow::Borrowed(reason),
            Error::NotFound { what, .. } => Cow::Owned(format!("no such {what}")),
            Error::NotMounted { .. } => Cow::Borrowed("not mounted"),
            Error::Removed { .. } => Cow::Borrowed("has been removed"),
            Error::Directory { reason, .. } | Error::Task { reason, .. } => Cow::Borrowed(reason),
            Error::Permission { operation, reason, .. } => {
                Cow::Owned(format!("{operation} is not permitted: {reason}"))
            }
            Error::NoTask(_) => Cow::Borrowed("no such process, or it is exiting"),
            Error::Fork { .. } => Cow::Borrowed("refuses the fork"),
            Error::HostCannot { file, host, reason, .. } if file.is_empty() => {
                Cow::Owned(format!("the {host} host can't give this here: {reason}"))
            }
            Error::HostCannot { host, capability, reason, .. } => {
                Cow::Owned(format!("the {host} host can't give {capability} here: {reason}"))
            }
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
    pub fn in_file(mut self, name: &str) -> Error {
        match &mut self {
            Error::Value { file, .. } | Error::HostCannot { file, .. } if file.is_empty() => {
                *file = name.into();
            }
            _ => return self.in_subsystem(name),
        }
        self
    }

    pub(crate) fn in_subsystem(mut self, name: &str) -> Error {
        if let Error::Subsystem { subsystem, .. } = &mut self
            && subsystem.is_empty()
        {
            *subsystem = Cow::Owned(name.into());
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.subject(), self.detail()) {
            ("", detail) => f.write_str(&detail),
            (subject, detail) => write!(f, "{subject}: {detail}"),
        }
    }
}

impl core::error::Error for Error {}
