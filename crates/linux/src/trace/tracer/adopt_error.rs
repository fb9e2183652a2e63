//! The reasons why a process can't be adopted.

use nix::errno::Errno;
use penfold_core::Tid;

use super::requests::Gone;
use crate::proc::{StatusFile, command_name, yama_ptrace_scope};

/// The reason why a running process can't be adopted: why this process's tracer can't take all its threads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// The process does not exist or is dying: `ESRCH`.
    #[error("there is no process {0}")]
    NoProcess(Tid),
    /// The process is this one, which can't trace itself: `EINVAL`.
    #[error("penfold can't supervise itself")]
    Itself,
    /// The task is a kernel thread, which no process can trace: `EINVAL`.
    #[error("task {0} is a kernel thread; the trace host can't supervise it")]
    KernelThread(Tid),
    /// The tracer has this process already, in a job or by an earlier adoption: `EEXIST`.
    #[error("process {0} is supervised already")]
    Known(Tid),
    /// Another tracer, such as a debugger, traces the process: `EPERM`.
    #[error("process {pid} is traced already by {tracer} (pid {tracer_pid}); end that first")]
    Traced {
        /// The process.
        pid: Tid,
        /// The tracer's command name.
        tracer: String,
        /// The tracer's task id.
        tracer_pid: Tid,
    },
    /// The kernel does not permit this process to trace the process.
    #[error("process {pid} can't be traced: {errno}; {reason}")]
    Refused {
        /// The process.
        pid: Tid,
        /// The errno of ptrace(2), as a rule `EPERM`.
        errno: Errno,
        /// The likeliest reason.
        reason: String,
    },
    /// The root cgroup limits forks, and the process can't get the filter that refuses them: `EOPNOTSUPP`.
    #[error("process {pid} can't get the filter that could refuse its forks, which are limited: {reason}")]
    NoFilter {
        /// The process.
        pid: Tid,
        /// The reason why it can't.
        reason: String,
    },
    /// The process makes threads faster than the tracer can seize them: `EAGAIN`.
    #[error("process {0} makes threads faster than they can be seized; try again")]
    Busy(Tid),
    /// A thread of the process does not stop in time: `EBUSY`.
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
    /// The host was stopped: `ESHUTDOWN`.
    #[error("{}", Gone)]
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
