//! The reasons why a job has no status: it could not be started, or its end was missed.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use nix::errno::Errno;
use penfold_core::{ErrorKind, Tid};

use crate::error_text::error_text;

/// The reason why a job could not be started, or why its status is not known.
#[derive(Debug)]
pub enum StartError {
    /// The command is empty, or contains a NUL byte.
    Command,
    /// A system call that prepares the job or its child has failed.
    System {
        /// The attempted step.
        step: &'static str,
        /// The error of the call.
        errno: Errno,
    },
    /// Another tracer traces the command already, and a task has one tracer.
    Traced {
        /// The command name of the other tracer.
        tracer: String,
        /// The process id of the other tracer.
        pid: Tid,
    },
    /// ptrace is not permitted here.
    Seize(Errno),
    /// The command could not be executed.
    Exec {
        /// The program as given.
        program: String,
        /// The error of execve(2): `ENOENT` for not found.
        errno: Errno,
    },
    /// The seccomp filter could not be installed.
    Filter(Errno),
    /// A resource limit or the nice value could not be set.
    Limits(Errno),
    /// The kernel cgroups of the caller could not be entered.
    KernelCgroups(Errno),
    /// The command can't run with the rights of that user.
    User(Errno),
    /// The session or its terminal could not be made.
    Session(Errno),
    /// A standard stream could not be put in its place.
    Streams(Errno),
    /// The working directory could not be entered.
    Directory(Errno),
    /// The command has ended, and another waiter has taken its status: `ECHILD`.
    StatusUnknown,
}

impl StartError {
    /// The errno of the step that failed.
    pub fn errno(&self) -> Errno {
        match self {
            StartError::Command => Errno::EINVAL,
            StartError::Traced { .. } => Errno::EPERM,
            StartError::StatusUnknown => Errno::ECHILD,
            StartError::System { errno, .. }
            | StartError::Exec { errno, .. }
            | StartError::Seize(errno)
            | StartError::Filter(errno)
            | StartError::Limits(errno)
            | StartError::KernelCgroups(errno)
            | StartError::User(errno)
            | StartError::Session(errno)
            | StartError::Streams(errno)
            | StartError::Directory(errno) => *errno,
        }
    }

    /// The kind. Only the kinds of [`StartError::Exec`] say that the command itself is at fault.
    pub fn kind(&self) -> ErrorKind {
        match self {
            StartError::Command => ErrorKind::InvalidArgument,
            StartError::Traced { .. } | StartError::Seize(_) => ErrorKind::NotPermitted,
            StartError::Exec { errno: Errno::ENOENT, .. } => ErrorKind::CommandNotFound,
            StartError::Exec { .. } => ErrorKind::CannotExecute,
            StartError::Filter(_) => ErrorKind::Unsupported,
            StartError::System { .. } | StartError::Streams(_) => ErrorKind::System,
            StartError::Limits(errno)
            | StartError::KernelCgroups(errno)
            | StartError::User(errno)
            | StartError::Session(errno)
            | StartError::Directory(errno) => ErrorKind::of_system_call(*errno as i32),
            StartError::StatusUnknown => ErrorKind::StatusUnknown,
        }
    }

    /// The program, or the part of its surroundings that could not be made.
    pub fn subject(&self) -> &str {
        match self {
            StartError::Command | StartError::Traced { .. } | StartError::StatusUnknown => "command",
            StartError::System { step, .. } => step,
            StartError::Exec { program, .. } => program,
            StartError::Seize(_) => "ptrace",
            StartError::Filter(_) => "seccomp filter",
            StartError::Limits(_) => "resource limits",
            StartError::KernelCgroups(_) => "kernel cgroups of the caller",
            StartError::User(_) => "user",
            StartError::Session(_) => "session",
            StartError::Streams(_) => "standard streams",
            StartError::Directory(_) => "working directory",
        }
    }

    /// The fault in words and, after a semicolon, the remedy. Does not repeat the subject.
    pub fn detail(&self) -> Cow<'static, str> {
        let why = error_text(self.errno());
        Cow::Owned(match self {
            StartError::Command => return Cow::Borrowed("is empty or contains a NUL byte"),
            StartError::System { .. } => return Cow::Borrowed(why),
            StartError::StatusUnknown => return Cow::Borrowed("has ended, and its status is not known"),
            StartError::Exec { errno: Errno::ENOENT, .. } => return Cow::Borrowed("command not found"),
            StartError::Traced { tracer, pid } => {
                format!("traced by {tracer} (pid {pid}) already; run penfold outside of it")
            }
            StartError::Seize(_) => format!(
                "{why}: it is refused here (a container's seccomp profile, Yama, or another penfold around this one)"
            ),
            StartError::Exec { .. } => format!("can't be executed: {why}"),
            StartError::Filter(_) => {
                format!("can't be installed: {why}; the kernel lacks CONFIG_SECCOMP_FILTER or forbids it")
            }
            StartError::Limits(_) => {
                format!("can't be set, or the nice value can't: {why}; to raise them takes root's rights")
            }
            StartError::KernelCgroups(_) => {
                format!("can't be entered: {why}; attach the caller (task 0) and let it run the command")
            }
            StartError::User(_) => format!("can't be changed: {why}; that takes root's rights"),
            StartError::Session(Errno::EPERM) => "its terminal belongs to another one".to_owned(),
            StartError::Session(Errno::ENOTTY) => "standard input is no terminal".to_owned(),
            StartError::Session(_) => format!("can't be made: {why}"),
            StartError::Streams(_) => format!("can't be passed on: {why}"),
            StartError::Directory(_) => format!("can't be entered: {why}"),
        })
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject(), self.detail())
    }
}

impl Error for StartError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_error_has_errno_kind_and_one_subject() {
        let exec = |errno| StartError::Exec { program: "a.out".into(), errno };
        let (all, perm) = (Errno::EAGAIN, Errno::EPERM);
        for (error, kind, message) in [
            (StartError::Command, ErrorKind::InvalidArgument, "command: is empty or contains a NUL byte"),
            (
                StartError::System { step: "fork", errno: all },
                ErrorKind::System,
                "fork: Resource temporarily unavailable",
            ),
            (
                StartError::Traced { tracer: "strace".into(), pid: Tid(7) },
                ErrorKind::NotPermitted,
                "command: traced by strace (pid 7) already; run penfold outside of it",
            ),
            (exec(Errno::ENOENT), ErrorKind::CommandNotFound, "a.out: command not found"),
            (exec(Errno::EACCES), ErrorKind::CannotExecute, "a.out: can't be executed: Permission denied"),
            (exec(Errno::ENOEXEC), ErrorKind::CannotExecute, "a.out: can't be executed: Exec format error"),
            (
                StartError::Session(perm),
                ErrorKind::NotPermitted,
                "session: its terminal belongs to another one",
            ),
            (StartError::Session(Errno::ENOTTY), ErrorKind::System, "session: standard input is no terminal"),
            (
                StartError::Session(all),
                ErrorKind::System,
                "session: can't be made: Resource temporarily unavailable",
            ),
            (
                StartError::User(perm),
                ErrorKind::NotPermitted,
                "user: can't be changed: Operation not permitted; that takes root's rights",
            ),
            (
                StartError::Directory(Errno::ENOENT),
                ErrorKind::NotFound,
                "working directory: can't be entered: No such file or directory",
            ),
            (
                StartError::Streams(Errno::EBADF),
                ErrorKind::System,
                "standard streams: can't be passed on: Bad file descriptor",
            ),
            (
                StartError::StatusUnknown,
                ErrorKind::StatusUnknown,
                "command: has ended, and its status is not known",
            ),
        ] {
            assert_eq!((error.kind(), &*error.to_string()), (kind, message));
        }
        let errnos =
            [StartError::StatusUnknown, StartError::Seize(perm), StartError::Limits(perm), exec(all)];
        assert_eq!(errnos.map(|error| error.errno()), [Errno::ECHILD, perm, perm, all]);
    }
}
