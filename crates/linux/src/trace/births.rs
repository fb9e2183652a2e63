//! Births: a parent's fork event and its child's first stop, in either order.
//!
//! The two are reported by two tasks, so any of them may be seen first; and a parent that is killed between
//! making a child and reporting it never reports it. A child is let go only when it has been announced.

use std::thread;
use std::time::Duration;

use libc::c_int;

use super::leave::AtEnd;
use super::supervise::Supervisor;
use super::sys;
use super::table::{State, Task};
use super::{Fork, Policy, Tid};

/// How long the report of a living parent may take.
const REPORT_TIME: Duration = Duration::from_millis(1);

/// A child that was seen before its parent reported it.
#[derive(Debug)]
pub(super) enum Early {
    /// In its first stop.
    Stopped {
        /// As reported by the stop.
        signal: c_int,
        /// Its parent's report has been waited for.
        waited: bool,
    },
    /// Killed before its first stop, and reaped.
    Died {
        /// What it was a thread of; itself for a process.
        tgid: Tid,
        /// Its parent's process.
        parent: Tid,
    },
}

impl<P: Policy> Supervisor<P> {
    /// A task has made a child.
    pub(super) fn on_fork(&mut self, parent: Tid) {
        let charged = self.end_fork(parent);
        let Ok(message) = sys::event_message(parent) else {
            // killed at this very stop: the child is resolved as one whose parent died
            return self.cancel(parent, charged);
        };
        let child = message as Tid;
        if self.table.tasks.contains_key(&child) {
            // taken for an orphan before this report came
            self.cancel(parent, charged);
            return self.resume(parent, 0);
        }
        let early = self.early.remove(&child);
        let Some(task) = self.table.tasks.get(&parent) else { return };
        let (parent_tgid, cleared_flag) = (task.tgid, task.cleared_flag);
        let mut born = Task::new(parent_tgid, task.lineage);
        born.wants = task.wants;
        if task.filtered_meanwhile && sys::status_field(child, "Seccomp").is_some_and(|mode| mode == "0") {
            // made before the filter came, and reported after
            born.wants = born.lineage.filter.take();
        }
        born.doomed = task.doomed;
        born.wanted_cpus.clone_from(&task.wanted_cpus);
        born.traces_exec = task.traces_exec;
        born.cleared_flag = cleared_flag;
        born.tgid = match early {
            Some(Early::Died { tgid, .. }) => tgid,
            // the event does not tell: clone with SIGCHLD can make a thread, and with another signal a
            // process
            _ if sys::is_thread_of(child, parent_tgid) => parent_tgid,
            _ => child,
        };
        born.release = self.ending.is_some() || task.release && born.tgid == parent_tgid;
        let (tgid, filtered) = (born.tgid, born.lineage.vetoes());
        let cpu = self.table.processes.get(&parent_tgid).map_or(0, |process| process.cpu);
        self.table.insert(child, born, cpu);
        self.policy.forked(Fork { parent, child, tgid, charged, parent_died: false, filtered });
        if tgid == parent_tgid {
            self.trace_exec(parent, true);
        }
        self.restore_flag(parent);
        match early {
            Some(Early::Stopped { signal, .. }) => self.first_stop(child, signal),
            Some(Early::Died { .. }) => self.bury(child),
            None => {}
        }
        self.resume(parent, 0);
    }

    /// The child has been announced and stands before its first instruction.
    pub(super) fn first_stop(&mut self, child: Tid, signal: c_int) {
        let Some(task) = self.table.tasks.get_mut(&child) else { return };
        task.state = State::Running;
        let is_process = task.tgid == child;
        if is_process && task.traces_exec {
            // ours by inheritance from a process of several threads
            self.trace_exec(child, false);
        } else if !is_process {
            self.trace_exec(child, true);
        }
        self.restore_flag(child);
        if self.policy.starts_frozen(child)
            && let Some(task) = self.table.tasks.get_mut(&child)
        {
            task.freeze = true;
        }
        if !self.put_filter(child, signal) {
            self.stop_or_resume(child, signal);
        }
    }

    /// Tells of the death of a child that was reaped before it was announced.
    fn bury(&mut self, tid: Tid) {
        let last = self.tgid_of(tid) == Some(tid);
        self.policy.exited(tid, last);
        self.table.remove(tid);
    }

    /// Takes in children whose parent was killed between making them and reporting them.
    ///
    /// Called when nothing else is there to be dealt with; true when it is worth looking again. A child whose
    /// parent lives waits for its report, which is on its way. One whose parent is not in the job has been
    /// handed to us or to a reaper inside, or was made with `CLONE_PARENT` by a child of ours that is about
    /// to report it.
    pub(super) fn resolve_early(&mut self) -> bool {
        let mut orphans = Vec::new();
        let mut wait = false;
        for (tid, early) in &mut self.early {
            let (tgid, parent) = match early {
                Early::Died { tgid, parent } => (*tgid, *parent),
                Early::Stopped { .. } => {
                    let field = |name| sys::status_field(*tid, name).and_then(|value| value.parse().ok());
                    (field("Tgid").unwrap_or(*tid), field("PPid").unwrap_or(0))
                }
            };
            let creator = if tgid == *tid { parent } else { tgid };
            if self.table.processes.contains_key(&creator) {
                continue;
            }
            match early {
                Early::Stopped { waited, .. } if !*waited => {
                    *waited = true;
                    wait = true;
                }
                _ => orphans.push((*tid, tgid)),
            }
        }
        for (tid, tgid) in &orphans {
            self.take_in(*tid, *tgid);
        }
        if wait {
            thread::sleep(REPORT_TIME);
        }
        wait || !orphans.is_empty()
    }

    /// After the last task: children of which only the reaped zombie was ever seen.
    pub(super) fn bury_early(&mut self) {
        let left: Vec<Tid> = self.early.keys().copied().collect();
        for tid in left {
            self.take_in(tid, tid);
        }
    }

    fn take_in(&mut self, child: Tid, tgid: Tid) {
        let Some(early) = self.early.remove(&child) else { return };
        // each of them was in one fork at most
        let orphan = self.killed.is_empty();
        let (parent, mut lineage) = self.killed.pop_front().unwrap_or((self.main, self.stranger));
        if sys::status_field(child, "Seccomp").is_some_and(|mode| mode == "0") {
            // then it was somebody else's child
            lineage.filter = None;
        }
        let filtered = lineage.vetoes();
        let mut born = Task::new(tgid, lineage);
        let killed_at_end = self.ending == Some(AtEnd::Kill) && !lineage.adopted;
        // a child of a launched task that can't be told to be of any job has no rules to live by
        let nobodys = self.main == 0 && orphan && sys::status_field(child, "Seccomp").as_deref() == Some("2");
        born.doomed = nobodys || killed_at_end || self.is_over(lineage.job);
        born.release = self.ending.is_some();
        self.table.insert(child, born, 0);
        self.policy.forked(Fork { parent, child, tgid, charged: false, parent_died: true, filtered });
        match early {
            Early::Stopped { signal, .. } => self.first_stop(child, signal),
            Early::Died { .. } => self.bury(child),
        }
    }
}
