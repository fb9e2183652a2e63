//! The reasons why a process can't be adopted.

use nix::errno::Errno;
use penfold_core::Tid;

use super::requests::Gone;
use crate::proc::{StatusFile, command_name, yama_ptrace_scope};

/// The reason why a process can't be adopted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// No process has this number, or it is dying.
    #[error("there is no process {0}")]
    NoProcess(Tid),
    /// A process can't trace itself.
    #[error("penfold can't supervise itself")]
    Itself,
    /// The task is part of the kernel.
    #[error("task {0} is a kernel thread; the trace host can't supervise it")]
    KernelThread(Tid),
    /// The process is supervised already.
    #[error("process {0} is supervised already")]
    Known(Tid),
    /// Another tracer traces the process.
    #[error("process {pid} is traced already by {tracer} (pid {tracer_pid}); end that first")]
    Traced {
        /// The process.
        pid: Tid,
        /// The tracer's command name.
        tracer: String,
        /// The tracer's task id.
        tracer_pid: Tid,
    },
    /// ptrace is not permitted.
    #[error("process {pid} can't be traced: {errno}; {reason}")]
    Refused {
        /// The process.
        pid: Tid,
        /// `EPERM` as a rule.
        errno: Errno,
        /// The likeliest reason.
        reason: String,
    },
    /// The root limits forks, and the process can't get the filter for that.
    #[error("process {pid} can't get the filter that could refuse its forks, which are limited: {reason}")]
    NoFilter {
        /// The process.
        pid: Tid,
        /// The reason why it can't.
        reason: String,
    },
    /// The process makes threads faster than they can be seized.
    #[error("process {0} makes threads faster than they can be seized; try again")]
    Busy(Tid),
    /// A thread of the process does not stop.
    #[error(
        "process {pid} can't be supervised now: its thread {tid} (state {state}) does not answer; try again later"
    )]
    Unresponsive {
        /// The process.
        pid: Tid,
        /// The thread.
        tid: Tid,
        /// The thread's state letter, as in proc(5).
        state: char,
    },
    /// The host was stopped.
    #[error("{}", Gone)]
    Gone,
}

impl AdoptError {
    /// The errno for a caller outside.
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
}

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
