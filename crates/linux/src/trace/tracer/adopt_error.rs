//! The reasons why a process can't be adopted.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use nix::errno::Errno;
use penfold_core::{ErrorKind, Tid};

use super::requests::Gone;
use crate::error_text::error_text;
use crate::proc::{StatusFile, command_name, yama_ptrace_scope};

/// The reason why a running process can't be adopted: why this process's tracer can't take all its threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdoptError {
    /// The process does not exist or is dying: `ESRCH`.
    NoProcess(Tid),
    /// The process is this one, which can't trace itself: `EINVAL`.
    Itself,
    /// The task is a kernel thread, which no process can trace: `EINVAL`.
    KernelThread(Tid),
    /// The tracer has this process already, in a job or by an earlier adoption: `EEXIST`.
    Known(Tid),
    /// Another tracer, such as a debugger, traces the process: `EPERM`.
    Traced {
        /// The process.
        pid: Tid,
        /// The tracer's command name.
        tracer: String,
        /// The tracer's task id.
        tracer_pid: Tid,
    },
    /// The kernel does not permit this process to trace the process.
    Refused {
        /// The process.
        pid: Tid,
        /// The errno of ptrace(2), as a rule `EPERM`.
        errno: Errno,
        /// The likeliest reason.
        reason: String,
    },
    /// The root cgroup limits forks, and the process can't get the filter that refuses them: `EOPNOTSUPP`.
    NoFilter {
        /// The process.
        pid: Tid,
        /// The reason why it can't.
        reason: String,
    },
    /// The process makes threads faster than the tracer can seize them: `EAGAIN`.
    Busy(Tid),
    /// A thread of the process does not stop in time: `EBUSY`.
    Unresponsive {
        /// The process.
        pid: Tid,
        /// The thread.
        tid: Tid,
        /// The thread's state letter, as in proc(5).
        state: char,
    },
    /// The host was stopped: `ESHUTDOWN`.
    Gone,
}

impl AdoptError {
    /// The errno that each variant names, for the caller of an attach.
    pub fn errno(&self) -> Errno {
        match self {
            AdoptError::NoProcess(_) => Errno::ESRCH,
            AdoptError::Itself | AdoptError::KernelThread(_) => Errno::EINVAL,
            AdoptError::Known(_) => Errno::EEXIST,
            AdoptError::Traced { .. } => Errno::EPERM,
            AdoptError::Refused { errno, .. } => *errno,
            AdoptError::NoFilter { .. } => Errno::EOPNOTSUPP,
            AdoptError::Gone => Errno::ESHUTDOWN,
            AdoptError::Busy(_) => Errno::EAGAIN,
            AdoptError::Unresponsive { .. } => Errno::EBUSY,
        }
    }

    /// The kind, for a program to decide by.
    pub fn kind(&self) -> ErrorKind {
        match self {
            AdoptError::NoProcess(_) => ErrorKind::NoTask,
            AdoptError::Itself | AdoptError::KernelThread(_) => ErrorKind::UnsuitableTask,
            AdoptError::Known(_) => ErrorKind::AlreadyExists,
            AdoptError::Traced { .. } | AdoptError::Refused { .. } => ErrorKind::NotPermitted,
            AdoptError::NoFilter { .. } => ErrorKind::Unsupported,
            AdoptError::Busy(_) | AdoptError::Unresponsive { .. } => ErrorKind::TaskBusy,
            AdoptError::Gone => ErrorKind::Ending,
        }
    }

    /// The process, in the numbers of this process's pid namespace.
    pub fn subject(&self) -> Cow<'static, str> {
        match self {
            AdoptError::Itself => Cow::Borrowed("penfold"),
            AdoptError::Gone => Cow::Borrowed(Gone::SUBJECT),
            AdoptError::NoProcess(pid)
            | AdoptError::KernelThread(pid)
            | AdoptError::Known(pid)
            | AdoptError::Busy(pid)
            | AdoptError::Traced { pid, .. }
            | AdoptError::Refused { pid, .. }
            | AdoptError::NoFilter { pid, .. }
            | AdoptError::Unresponsive { pid, .. } => Cow::Owned(format!("process {pid}")),
        }
    }

    /// The fault in words and, after a semicolon, the remedy. Does not repeat the subject.
    pub fn detail(&self) -> Cow<'static, str> {
        Cow::Owned(match self {
            AdoptError::NoProcess(_) => return Cow::Borrowed("no such process"),
            AdoptError::Itself => return Cow::Borrowed("can't supervise itself"),
            AdoptError::KernelThread(_) => {
                return Cow::Borrowed("a kernel thread, which the trace host can't supervise");
            }
            AdoptError::Known(_) => return Cow::Borrowed("supervised already"),
            AdoptError::Busy(_) => {
                return Cow::Borrowed("makes threads faster than they can be seized; try again");
            }
            AdoptError::Gone => return Cow::Borrowed(Gone::DETAIL),
            AdoptError::Traced { tracer, tracer_pid, .. } => {
                format!("traced already by {tracer} (pid {tracer_pid}); end that first")
            }
            AdoptError::Refused { errno, reason, .. } => {
                format!("can't be traced: {}; {reason}", error_text(*errno))
            }
            AdoptError::NoFilter { reason, .. } => {
                format!("can't get the filter that could refuse its forks, which are limited: {reason}")
            }
            AdoptError::Unresponsive { tid, state, .. } => format!(
                "can't be supervised now: its thread {tid} (state {state}) does not answer; try again later"
            ),
        })
    }
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject(), self.detail())
    }
}

impl Error for AdoptError {}

/// The meaning of a failed seize of a thread of `pid`.
pub(crate) fn refusal(pid: Tid, tid: Tid, errno: Errno) -> AdoptError {
    if let Some(tracer_pid) = StatusFile::read(tid).and_then(|status| status.tracer()) {
        return AdoptError::Traced { pid, tracer: command_name(tracer_pid), tracer_pid };
    }
    let user = |pid: Tid| StatusFile::read(pid)?.uids().map(|[real, ..]| real);
    let reason = if user(pid) != user(Tid(std::process::id() as i32)) {
        "it belongs to another user".to_owned()
    } else if let Some(scope @ 1..) = yama_ptrace_scope() {
        format!("Yama permits only ancestors or nobody (kernel.yama.ptrace_scope is {scope})")
    } else {
        "it has rights that this one has not, or a security module forbids it".to_owned()
    };
    AdoptError::Refused { pid, errno, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_adopt_error_has_errno_kind_and_one_subject() {
        let pid = Tid(7);
        let traced = AdoptError::Traced { pid, tracer: "gdb".into(), tracer_pid: Tid(8) };
        let refused =
            AdoptError::Refused { pid, errno: Errno::EPERM, reason: "it belongs to another user".into() };
        let no_filter = AdoptError::NoFilter { pid, reason: "it has one".into() };
        let stuck = AdoptError::Unresponsive { pid, tid: Tid(9), state: 'D' };
        for (error, errno, kind, message) in [
            (AdoptError::NoProcess(pid), Errno::ESRCH, ErrorKind::NoTask, "process 7: no such process"),
            (AdoptError::Itself, Errno::EINVAL, ErrorKind::UnsuitableTask, "penfold: can't supervise itself"),
            (
                AdoptError::KernelThread(pid),
                Errno::EINVAL,
                ErrorKind::UnsuitableTask,
                "process 7: a kernel thread, which the trace host can't supervise",
            ),
            (
                AdoptError::Known(pid),
                Errno::EEXIST,
                ErrorKind::AlreadyExists,
                "process 7: supervised already",
            ),
            (
                traced,
                Errno::EPERM,
                ErrorKind::NotPermitted,
                "process 7: traced already by gdb (pid 8); end that first",
            ),
            (
                refused,
                Errno::EPERM,
                ErrorKind::NotPermitted,
                "process 7: can't be traced: Operation not permitted; it belongs to another user",
            ),
            (
                no_filter,
                Errno::EOPNOTSUPP,
                ErrorKind::Unsupported,
                "process 7: can't get the filter that could refuse its forks, which are limited: it has one",
            ),
            (
                AdoptError::Busy(pid),
                Errno::EAGAIN,
                ErrorKind::TaskBusy,
                "process 7: makes threads faster than they can be seized; try again",
            ),
            (
                stuck,
                Errno::EBUSY,
                ErrorKind::TaskBusy,
                "process 7: can't be supervised now: its thread 9 (state D) does not answer; try again later",
            ),
            (AdoptError::Gone, Errno::ESHUTDOWN, ErrorKind::Ending, "host: has ended"),
        ] {
            assert_eq!((error.errno(), error.kind(), &*error.to_string()), (errno, kind, message));
        }
    }
}
