//! Letting go: a detached process goes on as if it had never been traced.
//!
//! `PTRACE_DETACH` wants the task stopped, so each is interrupted and detached at its next stop, whichever that is:
//! with the signal that was on its way to it, or in its group stop. What has not stopped in time is detached by the
//! kernel when the tracer thread ends.

use std::time::{Duration, Instant};

use libc::c_int;
use nix::errno::Errno;

use super::kick::Gone;
use super::supervise::Supervisor;
use super::table::{Pending, State};
use super::{Policy, Tid, sys};

/// How long tasks may take to stop: one that waits for its vfork child or for a dead server stops when that is over.
const STOP_TIME: Duration = Duration::from_secs(2);

/// What becomes of launched tasks when their supervisor ends in order. Adopted ones go on in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// They go on. Their filter stays with them and hands system calls to a tracer that is gone: where it stopped
    /// fork, vfork and clone, these fail with `ENOSYS` from now on, and so does ptrace.
    Leave,
    /// They are killed.
    Kill,
}

/// Why a process was not let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// It is not supervised.
    #[error("process {0} is not supervised")]
    Unknown(Tid),
    /// It has a filter, which would make its forks fail: it was launched here, or a rule needed one.
    #[error("process {0} has a system call filter, which can't be taken away, so it can't be let go")]
    Filtered(Tid),
    /// Some of its tasks are in an uninterruptible wait.
    #[error("process {0} waits inside the kernel; it is let go as soon as it comes out")]
    Waits(Tid),
    /// The host was stopped.
    #[error("{}", Gone)]
    Gone,
}

impl ReleaseError {
    /// The error number for a caller outside.
    pub fn errno(&self) -> Errno {
        match self {
            ReleaseError::Unknown(_) => Errno::ESRCH,
            ReleaseError::Filtered(_) => Errno::EOPNOTSUPP,
            ReleaseError::Gone => Errno::ESHUTDOWN,
            ReleaseError::Waits(_) => Errno::EINPROGRESS,
        }
    }
}

impl<P: Policy> Supervisor<P> {
    /// Lets an adopted process go on untraced; a frozen one is thawed. Its children that are supervised stay so.
    ///
    /// For requests of other threads, whose kicks bound the wait; not to be called by a policy.
    ///
    /// # Errors
    /// [`ReleaseError`]; after `Waits` it happens later.
    pub fn release(&mut self, tgid: Tid) -> Result<(), ReleaseError> {
        let threads = self.table.threads_of(tgid);
        let tasks = || threads.iter().filter_map(|tid| self.table.tasks.get(tid));
        if threads.is_empty() {
            return Err(ReleaseError::Unknown(tgid));
        }
        if tasks().any(|task| task.lineage.filter.is_some() || task.wants.is_some()) {
            return Err(ReleaseError::Filtered(tgid));
        }
        if self.let_process_go(tgid) { Ok(()) } else { Err(ReleaseError::Waits(tgid)) }
    }

    /// Whether it has gone; otherwise it happens later.
    pub(super) fn let_process_go(&mut self, tgid: Tid) -> bool {
        for tid in self.table.threads_of(tgid) {
            self.ask_to_leave(tid);
        }
        self.step_until(STOP_TIME, |supervisor| supervisor.table.tasks.values().all(|task| task.tgid != tgid))
    }

    /// Ends the supervision: adopted tasks are let go, launched ones too or killed. The tracer thread ends when this
    /// request has been served.
    ///
    /// A launched task that is to be left and waits inside the kernel for more than two seconds dies if it was
    /// launched with [`Options::exit_kill`](super::Options::exit_kill).
    pub fn end(&mut self, launched: AtEnd) {
        self.ending = Some(launched);
        for tid in self.tasks() {
            let Some(task) = self.table.tasks.get_mut(&tid) else { continue };
            task.wants = None;
            if task.lineage.adopted || launched == AtEnd::Leave {
                self.ask_to_leave(tid);
                continue;
            }
            task.doomed = true;
            if tid == task.tgid {
                let _ = sys::kill(tid, libc::SIGKILL);
            }
        }
        self.step_until(STOP_TIME, |supervisor| {
            supervisor.table.tasks.is_empty() && supervisor.early.is_empty()
        });
        self.over = true;
    }

    fn ask_to_leave(&mut self, tid: Tid) {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        task.release = true;
        task.freeze = false;
        match task.state {
            // its first stop is still to come
            State::New => {}
            State::Running | State::Listening => drop(sys::interrupt(tid)),
            State::Held(Pending::Continue(signal)) => self.let_go(tid, signal),
            State::Held(Pending::Seccomp) | State::Deferred => self.let_go(tid, 0),
        }
    }

    /// Detaches a stopped task.
    pub(super) fn let_go(&mut self, tid: Tid, signal: c_int) {
        self.fork_is_over(tid);
        self.deferred.retain(|(waiting, _)| *waiting != tid);
        self.paused.retain(|waiting| *waiting != tid);
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        task.state = State::Running;
        let tgid = task.tgid;
        self.charge_dead(tgid, tid);
        // ESRCH: killed meanwhile, so that its death is reported
        if sys::detach(tid, signal).is_ok() {
            self.policy.released(tid);
            self.table.remove(tid);
        }
    }

    /// Deals with events until something is reached, for a limited time. The kicks of whoever waits for the request
    /// end the wait for an event.
    pub(super) fn step_until(&mut self, limit: Duration, reached: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        while !reached(self) {
            if Instant::now() > deadline || !self.step() {
                return reached(self);
            }
        }
        true
    }
}
