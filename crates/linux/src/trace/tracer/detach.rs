//! Detaching: a detached process goes on as if it had never been traced.
//!
//! `PTRACE_DETACH` needs a stopped task. So each task is interrupted and detached at its next stop of any kind. It
//! keeps the signal that was on its way to it, and its group stop. The kernel detaches tasks that have not stopped in
//! time when the tracer thread ends.

use std::time::{Duration, Instant};

use libc::c_int;
use nix::errno::Errno;
use penfold_core::Tid;

use super::policy::Policy;
use super::requests::Gone;
use super::supervisor::{AtEnd, Supervisor};
use super::table::{PendingResume, TaskEntry, TaskState};
use crate::trace::os::{ptrace, task};

/// The time that tasks get to stop. A task that waits for its vfork child or for a dead server stops when that is over.
const STOP_TIME: Duration = Duration::from_secs(2);

/// The reason why a process was not detached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DetachError {
    /// The process is not supervised.
    #[error("process {0}: not supervised")]
    Unknown(Tid),
    /// The process has a filter, which would make its forks fail. It was launched by this host, or a rule needed the
    /// filter.
    #[error(
        "process {0}: has a system call filter, which can't be taken away, so penfold can't detach from it"
    )]
    Filtered(Tid),
    /// Some tasks of the process are in an uninterruptible wait.
    #[error("process {0}: waits inside the kernel; penfold detaches as soon as it comes out")]
    Waits(Tid),
    /// The host was stopped.
    #[error("{}", Gone)]
    Gone,
}

impl DetachError {
    /// The errno for a caller outside.
    pub fn errno(&self) -> Errno {
        match self {
            DetachError::Unknown(_) => Errno::ESRCH,
            DetachError::Filtered(_) => Errno::EOPNOTSUPP,
            DetachError::Gone => Errno::ESHUTDOWN,
            DetachError::Waits(_) => Errno::EINPROGRESS,
        }
    }
}

/// The state of a detach that a request waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DetachRequest {
    pub(crate) tgid: Tid,
    pub(crate) until: Option<Instant>,
}

impl<P: Policy> Supervisor<P> {
    /// Detaches an adopted process, which goes on untraced; a frozen one is thawed. Its supervised children stay so.
    /// After [`DetachError::Waits`] it is detached later.
    ///
    /// To be called at every turn until it returns a value.
    pub(crate) fn detach_process(
        &mut self,
        detaching: &mut DetachRequest,
        policy: &mut P,
    ) -> Option<Result<(), DetachError>> {
        let tgid = detaching.tgid;
        let Some(until) = detaching.until else {
            let threads = self.tasks.threads_of(tgid);
            if self.tasks.speaker(tgid).is_none() {
                return Some(Err(DetachError::Unknown(tgid)));
            }
            let mut tasks = threads.iter().filter_map(|tid| self.tasks.get(*tid));
            if tasks.any(|task| task.lineage.filter.is_some() || task.wants.is_some()) {
                return Some(Err(DetachError::Filtered(tgid)));
            }
            self.begin_detach_process(tgid, policy);
            detaching.until = Some(Instant::now() + STOP_TIME);
            return self.tasks.speaker(tgid).is_none().then_some(Ok(()));
        };
        // a leader that has ended stays until its last thread has
        if self.tasks.speaker(tgid).is_none() {
            return Some(Ok(()));
        }
        (Instant::now() > until).then_some(Err(DetachError::Waits(tgid)))
    }

    pub(crate) fn begin_detach_process(&mut self, tgid: Tid, policy: &mut P) {
        for tid in self.tasks.threads_of(tgid).to_vec() {
            self.begin_detach(tid, policy);
        }
    }

    /// Begins the end of the supervision. Adopted tasks are detached, launched ones detached or killed. The tracer
    /// thread ends soon after [`Supervisor::has_ended`] has returned true.
    ///
    /// A launched task that is to be left and waits inside the kernel for more than two seconds dies if it was launched
    /// with [`TraceOptions::exit_kill`](super::TraceOptions::exit_kill).
    pub(crate) fn end(&mut self, launched: AtEnd, policy: &mut P) {
        self.ending = Some(launched);
        for tid in self.tasks.ids() {
            let Some(task) = self.tasks.get_mut(tid) else { continue };
            task.wants = None;
            if task.lineage.adopted || launched == AtEnd::Leave {
                self.begin_detach(tid, policy);
                continue;
            }
            task.killed = true;
            if tid == task.tgid {
                let _ = task::kill(tid, libc::SIGKILL);
            }
        }
    }

    /// Whether every task is gone, or the time for an end that began at `began` is over.
    pub(crate) fn has_ended(&mut self, began: Instant) -> bool {
        let left = |task: &TaskEntry<P::Task>| task.ended && task.lineage.adopted;
        let gone = self.tasks.entries.values().all(left) && self.unreported.is_empty();
        self.over = gone || began.elapsed() > STOP_TIME;
        self.over
    }

    fn begin_detach(&mut self, tid: Tid, policy: &mut P) {
        let Some(task) = self.tasks.get_mut(tid) else { return };
        task.detach = true;
        task.freeze = false;
        if task.worker {
            // not traced, so nothing ends but its membership
            policy.detached(&mut self.tasks, tid);
            return self.tasks.remove(tid);
        }
        match task.state {
            // the first stop is still to come
            TaskState::New | TaskState::Unreleased => {}
            TaskState::Running | TaskState::Listening => drop(ptrace::interrupt(tid)),
            TaskState::Held(PendingResume::Continue(signal)) => self.detach(tid, signal, policy),
            TaskState::Held(PendingResume::Seccomp) | TaskState::Deferred | TaskState::AwaitsFilter(_) => {
                self.detach(tid, 0, policy);
            }
        }
    }

    /// Detaches a stopped task.
    pub(crate) fn detach(&mut self, tid: Tid, signal: c_int, policy: &mut P) {
        self.fork_is_over(tid, policy);
        self.forget_waiting(tid);
        self.abandon_injection(tid, policy);
        let Some(task) = self.tasks.get_mut(tid) else { return };
        task.state = TaskState::Running;
        let tgid = task.tgid;
        self.drop_last_workers(tid, tgid, policy);
        self.charge_dead(tgid, tid, policy);
        // ESRCH: killed meanwhile, so its death is reported
        if ptrace::detach(tid, signal).is_ok() {
            policy.detached(&mut self.tasks, tid);
            self.tasks.remove(tid);
        }
    }
}
