//! Forks in flight: charged, and not yet seen to succeed or fail.
//!
//! A fork that succeeds reports an event, which commits the charge. A fork that fails in the kernel reports nothing. A
//! stop at every system call's exit only for that would cost all the others. Instead the next stop of the task that is
//! no fork event gives the charge back: a fork event always comes before any other.
//!
//! Until then the charge may keep another fork from its place, or show in a counter. Where that matters, the tasks
//! concerned are interrupted, so that each of them stops.
//!
//! The dead have places too, until the tracer has looked at them. It may see a fork first: the kernel shows the stops
//! of this thread's own children before the death of any other tracee. So a fork is refused only after every event has
//! been looked at.

use nix::errno::Errno;
use penfold_core::Tid;

use super::policy::{ForkRefusal, Policy};
use super::supervisor::Supervisor;
use super::table::{PendingResume, TaskState};
use crate::trace::os::{ptrace, wait};

impl<P: Policy> Supervisor<P> {
    /// Deals with a call of fork, vfork or clone; `untraced` is the interface of one with `CLONE_UNTRACED`.
    pub(crate) fn on_fork_call(&mut self, tid: Tid, untraced: Option<usize>, policy: &mut P) {
        let Some(task) = self.tasks.get(tid) else { return };
        let killed = self.closing || task.killed;
        // only a filter for a fork limit stops plain forks
        if untraced.is_none() || task.lineage.vetoes() {
            if self.settling > 0 && !killed {
                return self.pause(tid);
            }
            match self.may_fork(tid, false, policy) {
                Ok(()) => self.begin_fork(tid),
                Err(ForkRefusal::NotYet) => return self.defer(tid, untraced),
                Err(ForkRefusal::Final(errno)) => return self.answer(tid, Err(errno), policy),
            }
        }
        if let Some(abi) = untraced {
            self.clear_untraced(tid, abi, policy);
        }
        self.resume(tid, 0, policy);
    }

    fn may_fork(&mut self, tid: Tid, certain: bool, policy: &mut P) -> Result<(), ForkRefusal> {
        let killed = self.closing || self.tasks.get(tid).is_some_and(|task| task.killed);
        if killed {
            return Err(ForkRefusal::Final(Errno::EAGAIN));
        }
        // a worker that has ended must not refuse a fork
        self.look_at_workers(certain, policy);
        policy.may_fork(&mut self.tasks, tid, certain)
    }

    fn begin_fork(&mut self, tid: Tid) {
        if let Some(task) = self.tasks.get_mut(tid) {
            task.in_flight = true;
            self.in_flight.insert(tid);
        }
    }

    /// Ends a fork in flight. Returns whether there was one.
    pub(crate) fn end_fork(&mut self, tid: Tid) -> bool {
        let Some(task) = self.tasks.get_mut(tid) else { return false };
        if !std::mem::take(&mut task.in_flight) {
            return false;
        }
        self.in_flight.remove(&tid);
        self.unsettled.remove(&tid);
        true
    }

    /// Deals with a stop that is no fork event: a fork in flight has failed.
    pub(crate) fn fork_is_over(&mut self, tid: Tid, policy: &mut P) {
        let charged = self.end_fork(tid);
        self.cancel(tid, charged, policy);
        self.restore_flag(tid);
    }

    pub(crate) fn cancel(&mut self, tid: Tid, charged: bool, policy: &mut P) {
        if charged {
            policy.cancel_fork(&mut self.tasks, tid);
        }
    }

    /// Removes a task that goes from the waiting forks.
    pub(crate) fn forget_waiting(&mut self, tid: Tid) {
        self.refused_forks.retain(|(waiting, _)| *waiting != tid);
        self.paused.retain(|waiting| *waiting != tid);
    }

    /// Keeps a refused fork stopped until the others are settled and the deaths are seen.
    fn defer(&mut self, tid: Tid, untraced: Option<usize>) {
        wait::consume(tid);
        self.refused = true;
        if let Some(task) = self.tasks.get_mut(tid) {
            task.state = TaskState::Deferred;
        }
        self.refused_forks.push((tid, untraced.map_or(0, |abi| abi + 1)));
        self.unsettle();
    }

    /// Makes every task with a fork in flight stop.
    pub(crate) fn unsettle(&mut self) {
        for &tid in &self.in_flight {
            // a killed task will report its death instead
            if self.unsettled.insert(tid) {
                let _ = ptrace::interrupt(tid);
            }
        }
    }

    /// Judges refused forks again, once all forks that were in flight then are settled and all deaths until then are
    /// seen. Forks that have begun since do not count: the limit was reached without them.
    pub(crate) fn retry_refused(&mut self, policy: &mut P) {
        if !self.unsettled.is_empty() || self.refused || self.settling > 0 || self.refused_forks.is_empty() {
            return;
        }
        for (tid, untraced) in std::mem::take(&mut self.refused_forks) {
            let Some(task) = self.tasks.get_mut(tid) else { continue };
            if task.freeze && !self.closing && !task.killed {
                // with a charge in flight, a frozen task would never settle
                task.state = TaskState::Held(PendingResume::Seccomp);
                continue;
            }
            match self.may_fork(tid, true, policy) {
                Ok(()) => self.begin_fork(tid),
                Err(refusal) => {
                    let errno = if let ForkRefusal::Final(errno) = refusal { errno } else { Errno::EAGAIN };
                    self.answer(tid, Err(errno), policy);
                    continue;
                }
            }
            if let Some(abi) = untraced.checked_sub(1) {
                self.clear_untraced(tid, abi, policy);
            }
            self.resume(tid, 0, policy);
        }
    }

    /// Keeps a new fork stopped while a request settles the others: once begun, it would be in flight too.
    fn pause(&mut self, tid: Tid) {
        wait::consume(tid);
        if let Some(task) = self.tasks.get_mut(tid) {
            task.state = TaskState::Deferred;
        }
        self.paused.push(tid);
    }

    /// Resumes the forks that had to wait for requests.
    pub(crate) fn resume_paused(&mut self, policy: &mut P) {
        if self.settling > 0 {
            return;
        }
        self.retry_refused(policy);
        for tid in std::mem::take(&mut self.paused) {
            self.on_seccomp(tid, policy);
        }
    }
}
