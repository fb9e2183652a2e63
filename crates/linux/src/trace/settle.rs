//! Forks in flight: charged, and not yet seen to succeed or fail.
//!
//! A fork that succeeds reports an event, which commits the charge. One that fails in the kernel reports
//! nothing, and a stop at every system call's exit only for that would be paid by all the others. Instead
//! the next stop of the task that is no fork event gives the charge back: a fork event always comes before
//! anything else. Until then the charge may keep another fork from its place, or show in a counter; where
//! that matters, the tasks concerned are interrupted, which makes each of them stop.
//!
//! The dead have places too, until the tracer has looked at them: it may have been told of a fork first, and the
//! kernel shows the stops of our own children before the death of anybody else. So a fork is refused only after
//! everybody has been looked at.

use nix::errno::Errno;

use super::supervise::Supervisor;
use super::table::{Pending, State};
use super::{Policy, Tid, sys};

impl<P: Policy> Supervisor<P> {
    /// fork, vfork or clone has been called; with `CLONE_UNTRACED` through the interface `untraced`.
    pub(super) fn on_fork_call(&mut self, tid: Tid, untraced: Option<usize>) {
        let Some(task) = self.table.tasks.get(&tid) else { return };
        let doomed = self.closing || task.doomed;
        // only a filter that vetoes stops plain forks
        if untraced.is_none() || task.lineage.vetoes() {
            if self.settling && !doomed {
                return self.pause(tid);
            }
            if !doomed && !self.policy.could_fork(tid) {
                return self.defer(tid, untraced);
            }
            match self.may_fork(tid) {
                Ok(()) => self.begin_fork(tid),
                Err(errno) => return self.answer(tid, Err(errno)),
            }
        }
        if let Some(abi) = untraced {
            self.clear_untraced(tid, abi);
        }
        self.resume(tid, 0);
    }

    fn may_fork(&mut self, tid: Tid) -> Result<(), Errno> {
        let doomed = self.closing || self.table.tasks.get(&tid).is_some_and(|task| task.doomed);
        if doomed { Err(Errno::EAGAIN) } else { self.policy.may_fork(tid) }
    }

    fn begin_fork(&mut self, tid: Tid) {
        if let Some(task) = self.table.tasks.get_mut(&tid) {
            task.in_flight = true;
            self.in_flight += 1;
        }
    }

    /// Ends a fork in flight, and tells whether there was one.
    pub(super) fn end_fork(&mut self, tid: Tid) -> bool {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return false };
        if !task.in_flight {
            return false;
        }
        task.in_flight = false;
        self.in_flight -= 1;
        if std::mem::take(&mut task.unsettled) {
            self.unsettled -= 1;
        }
        true
    }

    /// A stop that is no fork event: a fork in flight has failed.
    pub(super) fn fork_is_over(&mut self, tid: Tid) {
        let charged = self.end_fork(tid);
        self.cancel(tid, charged);
        self.restore_flag(tid);
    }

    pub(super) fn cancel(&mut self, tid: Tid, charged: bool) {
        if charged {
            self.policy.cancel_fork(tid);
        }
    }

    /// Leaves a refused fork where it is until the others are settled and the dead are buried.
    fn defer(&mut self, tid: Tid, untraced: Option<usize>) {
        sys::consume(tid);
        self.refused = true;
        if let Some(task) = self.table.tasks.get_mut(&tid) {
            task.state = State::Deferred;
        }
        self.deferred.push((tid, untraced.map_or(0, |abi| abi + 1)));
        self.unsettle();
    }

    /// Makes every task with a fork in flight stop.
    fn unsettle(&mut self) {
        for (tid, task) in &mut self.table.tasks {
            // one that was killed will report its death instead
            if task.in_flight && !task.unsettled {
                task.unsettled = true;
                self.unsettled += 1;
                let _ = sys::interrupt(*tid);
            }
        }
    }

    /// Asks again for forks that were refused, once all that were in flight then are settled, and all who were dead
    /// then are buried. Forks that were begun since do not count: the limit was reached without them.
    pub(super) fn retry_deferred(&mut self) {
        if self.unsettled > 0 || self.refused || self.settling || self.deferred.is_empty() {
            return;
        }
        for (tid, untraced) in std::mem::take(&mut self.deferred) {
            let Some(task) = self.table.tasks.get_mut(&tid) else { continue };
            if task.freeze && !self.closing && !task.doomed {
                // frozen with a charge in flight it would never settle
                task.state = State::Held(Pending::Seccomp);
                continue;
            }
            if let Err(errno) = self.may_fork(tid) {
                self.answer(tid, Err(errno));
                continue;
            }
            self.begin_fork(tid);
            if let Some(abi) = untraced.checked_sub(1) {
                self.clear_untraced(tid, abi);
            }
            self.resume(tid, 0);
        }
    }

    /// Waits until the outcome of every fork in flight is known, so that counters are exact.
    ///
    /// For requests of other threads; not to be called by a policy.
    pub fn settle(&mut self) {
        if self.in_flight == 0 {
            return;
        }
        self.settling = true;
        self.unsettle();
        while self.unsettled > 0 && self.step() {}
        self.settling = false;
    }

    /// Leaves a fork that is asked for meanwhile where it is: begun, it would be in flight in its turn.
    fn pause(&mut self, tid: Tid) {
        sys::consume(tid);
        if let Some(task) = self.table.tasks.get_mut(&tid) {
            task.state = State::Deferred;
        }
        self.paused.push(tid);
    }

    /// Takes up the forks that had to wait for requests.
    pub(super) fn resume_paused(&mut self) {
        self.retry_deferred();
        for tid in std::mem::take(&mut self.paused) {
            self.on_seccomp(tid);
        }
    }
}
