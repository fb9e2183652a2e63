//! Operations on the task table for any thread: facts, freezing, affinity, filters, CPU time.
//!
//! Only the tracer thread may make ptrace requests. An action that needs one is noted as [`Deferred`] and done at the
//! end of the turn. The turn is that of a stop, or that of a request of another thread, which waits for it.

use libc::c_int;
use nix::errno::Errno;
use penfold_core::{
    Tid,
    host::{Capability, IndexSet},
};

use super::table::{Deferred, PendingResume, TaskEntry, TaskState, TaskTable};
use crate::proc::stops_before_program;
use crate::trace::os::filter::TracedCalls;
use crate::trace::os::{sched, task};

impl<T, C> TaskTable<T, C> {
    pub(crate) fn get(&self, task: Tid) -> Option<&TaskEntry<T>> {
        self.entries.get(&task)
    }

    pub(crate) fn get_mut(&mut self, task: Tid) -> Option<&mut TaskEntry<T>> {
        self.entries.get_mut(&task)
    }

    /// The policy's part of a task; `None` if the task is not supervised.
    pub fn data(&self, task: Tid) -> Option<&T> {
        self.get(task).map(|task| &task.data)
    }

    /// The policy's part of a task, to change.
    pub fn data_mut(&mut self, task: Tid) -> Option<&mut T> {
        self.get_mut(task).map(|task| &mut task.data)
    }

    /// Whether a task is supervised.
    pub fn contains(&self, task: Tid) -> bool {
        self.entries.contains_key(&task)
    }

    /// All living tasks, in any order.
    pub fn ids(&self) -> Vec<Tid> {
        self.entries.keys().copied().collect()
    }

    /// The process that a task belongs to.
    pub fn tgid_of(&self, task: Tid) -> Option<Tid> {
        self.get(task).map(|entry| entry.tgid)
    }

    /// The living threads of a process, ascending.
    pub fn threads_of(&self, tgid: Tid) -> &[Tid] {
        self.processes.get(&tgid).map_or(&[], |process| &process.threads)
    }

    /// A thread that speaks for its process: the leader, or another one when that has ended.
    pub(crate) fn speaker(&self, tgid: Tid) -> Option<Tid> {
        let speaks = |tid: &Tid| self.get(*tid).is_some_and(|task| !task.worker && !task.ended);
        Some(tgid).filter(speaks).or_else(|| self.threads_of(tgid).iter().copied().find(speaks))
    }

    /// Whether a process is stopped by a signal, as its parent sees with `WUNTRACED`.
    pub fn is_group_stopped(&self, tgid: Tid) -> bool {
        self.processes.get(&tgid).is_some_and(|process| process.stopped)
    }

    /// Sends a signal to a supervised process. `ESRCH` for another one.
    pub fn kill(&self, tgid: Tid, signal: c_int) -> Result<(), Errno> {
        // not reaped before its death is seen here, so the id cannot have been reused
        if self.processes.contains_key(&tgid) { task::kill(tgid, signal) } else { Err(Errno::ESRCH) }
    }

    /// Begins to freeze a task. A task that runs stops within microseconds, a task inside the kernel on its way out.
    /// See [`TaskTable::is_frozen`].
    pub fn freeze(&mut self, tid: Tid) {
        let Some(task) = self.get_mut(tid) else { return };
        if std::mem::replace(&mut task.freeze, true) {
            return;
        }
        match task.state {
            // an interrupt would end the wait that it makes for a request of the program
            _ if task.worker => {}
            // a deferred fork stops again when it is decided
            TaskState::Running | TaskState::Deferred => self.deferred.push(Deferred::Interrupt(tid)),
            // held when the command is started, at the first stop, at the end of the group stop, or with the filter
            TaskState::Unreleased
            | TaskState::New
            | TaskState::Listening
            | TaskState::Held(_)
            | TaskState::AwaitsFilter(_) => {}
        }
    }

    /// Thaws a task, which goes on where it was: with the signal that was on its way to it, or in its group stop.
    pub fn thaw(&mut self, tid: Tid) {
        let Some(task) = self.get_mut(tid) else { return };
        task.freeze = false;
        if matches!(task.state, TaskState::Held(_)) {
            self.deferred.push(Deferred::Thaw(tid));
        }
    }

    /// Whether a task is frozen: it was frozen and can't run any code of its program until it is thawed.
    ///
    /// A task in an uninterruptible wait, such as for its vfork child, counts: it stops on its way out. So does a
    /// thread that never runs its program, and one that dumps core. A task that was killed does not count until its
    /// death is seen: a child of it may still be on its way.
    pub fn is_frozen(&self, tid: Tid) -> bool {
        let Some(task) = self.get(tid) else { return false };
        task.freeze
            && match task.state {
                TaskState::New
                | TaskState::Held(_)
                | TaskState::Listening
                | TaskState::Deferred
                | TaskState::AwaitsFilter(_) => true,
                TaskState::Unreleased | TaskState::Running => task.worker || stops_before_program(tid),
            }
    }

    /// Applies a group's CPUs to a task: those of its own last choice among them, or all of them when it chose none of
    /// them.
    ///
    /// # Errors
    /// Those of `sched_setaffinity`; `ESRCH` when the task is not supervised.
    pub fn apply_affinity(&mut self, tid: Tid, allowed: &IndexSet) -> Result<(), Errno> {
        let task = self.get(tid).ok_or(Errno::ESRCH)?;
        let wanted = task.wanted_cpus.as_ref().map(|wanted| wanted.intersection(allowed));
        sched::set_affinity(tid, wanted.as_ref().filter(|mask| !mask.is_empty()).unwrap_or(allowed))
    }

    /// Wants a filter for this capability in the process of a task, unless it has one. All threads have it before they
    /// run another instruction of their program.
    pub(crate) fn want_filter(&mut self, tid: Tid, need: Capability) {
        let (Some(interest), Some(tgid)) = (TracedCalls::of(need), self.tgid_of(tid)) else { return };
        let Some(process) = self.processes.get(&tgid) else { return };
        for &thread in &process.threads {
            let Some(task) = self.entries.get_mut(&thread) else { continue };
            if task.worker {
                continue;
            }
            let wanted = match task.wants.or(task.lineage.filter) {
                Some(known) if known.with(interest) == known => continue,
                // a task that waits for its first filter gets both together
                known if task.state == TaskState::Unreleased => {
                    known.map_or(interest, |known| known.with(interest))
                }
                // the second filter is made for every rule that may come
                Some(_) => TracedCalls::ALL,
                None => interest,
            };
            task.wants = Some(wanted);
            // other tasks are interrupted when they go on; a task in a group stop stops again when that ends
            if task.state == TaskState::Running {
                self.deferred.push(Deferred::Interrupt(thread));
            }
        }
    }

    /// The action for a task that is thawed; `None` if it was frozen again or is not held.
    pub(crate) fn take_held(&mut self, tid: Tid) -> Option<PendingResume> {
        let task = self.get_mut(tid)?;
        let TaskState::Held(pending) = task.state else { return None };
        if task.freeze {
            return None;
        }
        task.state = TaskState::Running;
        Some(pending)
    }
}
