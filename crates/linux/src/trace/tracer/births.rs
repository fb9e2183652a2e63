//! Births: a parent's fork event and its child's first stop, in either order.
//!
//! Two tasks report them, so either can be seen first. A parent that is killed between making a child and reporting it
//! never reports it. A child continues only when its birth is known.

use std::time::{Duration, Instant};

use libc::c_int;
use penfold_core::Tid;

use super::policy::{Fork, Notice, Policy};
use super::supervisor::{AtEnd, Supervisor};
use super::table::{TaskEntry, TaskState};
use super::unreported::UnreportedChild;
use crate::proc::{SeccompMode, StatusFile, has_no_filter};
use crate::trace::os::{ptrace, task};

/// The time that the report of a parent gets that may still live.
const REPORT_TIME: Duration = Duration::from_millis(1);

impl<P: Policy> Supervisor<P> {
    /// Deals with a fork event: a task has made a child.
    pub(crate) fn on_fork(&mut self, parent: Tid, policy: &mut P) {
        let mut charged = self.end_fork(parent);
        let Ok(message) = ptrace::event_message(parent) else {
            // the parent was killed at this very stop: the child is resolved as one of a dead parent
            return self.cancel(parent, charged, policy);
        };
        let child = Tid(message as i32);
        self.forget_reused(child, policy);
        if self.tasks.contains(child) {
            // the child was taken for an orphan before this report came
            self.cancel(parent, charged, policy);
            return self.resume(parent, 0, policy);
        }
        let seen = self.unreported.remove(&child);
        let refused = !charged && self.is_unjudged(parent) && {
            let judged = policy.may_fork(&mut self.tasks, parent, true);
            charged = judged.is_ok();
            judged.is_err()
        };
        let Some(task) = self.tasks.get(parent) else { return };
        let (parent_tgid, cleared_flag) = (task.tgid, task.cleared_flag);
        let mut born = TaskEntry::new(parent_tgid, task.lineage);
        born.wants = task.wants;
        if task.filtered_meanwhile && has_no_filter(child) {
            // the child was made before the filter came, and reported after
            born.wants = born.lineage.filter.take();
            born.lineage.filters = 0;
        }
        born.killed = task.killed || refused;
        born.wanted_cpus.clone_from(&task.wanted_cpus);
        born.traces_exec = task.traces_exec;
        born.cleared_flag = cleared_flag;
        born.tgid = match seen {
            Some(UnreportedChild::Died { tgid, .. }) => tgid,
            // the event can't tell: clone with SIGCHLD can make a thread, and with another signal a process
            _ if task::is_thread_of(child, parent_tgid) => parent_tgid,
            _ => child,
        };
        born.detach = self.ending.is_some() || task.detach && born.tgid == parent_tgid;
        let tgid = born.tgid;
        let cpu = self.tasks.processes.get(&parent_tgid).map_or(0, |process| process.cpu);
        self.tasks.insert(child, born, cpu);
        policy.forked(
            &mut self.tasks,
            Fork { parent, child, tgid, charged, parent_died: false, has_run: false },
        );
        if refused {
            policy.notice(Notice::UnjudgedKilled { parent, child });
        }
        if tgid == parent_tgid {
            self.trace_exec(parent, true);
        }
        self.restore_flag(parent);
        match seen {
            Some(UnreportedChild::Stopped { signal, .. }) => self.first_stop(child, signal, policy),
            Some(UnreportedChild::Died { .. }) => self.finish_dead(child, policy),
            None => {}
        }
        self.resume(parent, 0, policy);
    }

    /// Whether a fork of this task had to be judged before it began.
    ///
    /// A task with the filter makes no fork without a charge, unless another filter outranks this one. Such a birth is
    /// charged late. If the limit refuses it, the child dies before its first instruction.
    fn is_unjudged(&self, parent: Tid) -> bool {
        // a fork that began before the task was seized, or before another thread installed the filter, is reported after
        let began_before = |task: &TaskEntry<P::Task>| task.filtered_meanwhile || task.adopting.is_some();
        self.tasks.get(parent).is_some_and(|task| task.lineage.vetoes() && !began_before(task))
    }

    /// Deals with the first stop of a child whose birth is known, before its first instruction.
    pub(crate) fn first_stop(&mut self, child: Tid, signal: c_int, policy: &mut P) {
        let Some(task) = self.tasks.get_mut(child) else { return };
        task.state = TaskState::Running;
        let is_process = task.tgid == child;
        if is_process && task.traces_exec {
            // the option is inherited from a process with several threads
            self.trace_exec(child, false);
        } else if !is_process {
            self.trace_exec(child, true);
        }
        self.restore_flag(child);
        if policy.starts_frozen(child)
            && let Some(task) = self.tasks.get_mut(child)
        {
            task.freeze = true;
        }
        if !self.put_filter(child, signal, policy) {
            self.stop_or_resume(child, signal, policy);
        }
    }

    /// Reports the death of a child that was reaped before its birth was known.
    fn finish_dead(&mut self, tid: Tid, policy: &mut P) {
        let last = self.tasks.tgid_of(tid) == Some(tid);
        policy.exited(&mut self.tasks, tid, last);
        self.tasks.remove(tid);
    }

    /// Adopts children whose parent was killed between making them and reporting them. Called when no event is left;
    /// true if a new look for events is worth it.
    ///
    /// A child whose parent lives waits for its report, which is on its way. A child whose parent is not in the job has
    /// two possible histories:
    ///
    /// - It was reparented to this process, or to a reaper inside the job.
    /// - A child of this process, about to report it, made it with `CLONE_PARENT`.
    pub(crate) fn resolve_unreported(&mut self, policy: &mut P) -> bool {
        let mut orphans = Vec::new();
        for (tid, seen) in &mut self.unreported {
            let (tgid, parent) = match seen {
                UnreportedChild::Died { tgid, parent } => (*tgid, *parent),
                UnreportedChild::Stopped { .. } => {
                    let status = StatusFile::read(*tid);
                    let status = status.as_ref();
                    let group = status.and_then(StatusFile::group).unwrap_or(*tid);
                    (group, status.and_then(StatusFile::parent).unwrap_or(Tid(0)))
                }
            };
            let creator = if tgid == *tid { parent } else { tgid };
            if self.tasks.processes.contains_key(&creator) {
                continue;
            }
            let waits = match seen {
                UnreportedChild::Stopped { waits_since, .. } => {
                    waits_since.get_or_insert_with(Instant::now).elapsed() < REPORT_TIME
                }
                UnreportedChild::Died { .. } => false,
            };
            if !waits {
                orphans.push((*tid, tgid));
            }
        }
        for (tid, tgid) in &orphans {
            self.adopt_orphan(*tid, *tgid, policy);
        }
        !orphans.is_empty()
    }

    /// After the last task: finishes children of which only the reaped zombie was ever seen.
    pub(crate) fn finish_unreported(&mut self, policy: &mut P) {
        let left: Vec<Tid> = self.unreported.keys().copied().collect();
        for tid in left {
            self.adopt_orphan(tid, tid, policy);
        }
    }

    fn adopt_orphan(&mut self, child: Tid, tgid: Tid, policy: &mut P) {
        let Some(seen) = self.unreported.remove(&child) else { return };
        self.forget_reused(child, policy);
        // each of them was in at most one fork
        let orphan = self.killed.is_empty();
        let (parent, mut lineage) = self.killed.pop_front().unwrap_or((self.main, self.default_lineage));
        if has_no_filter(child) {
            // without a filter it is not the child of a task with one
            (lineage.filter, lineage.filters) = (None, 0);
        }
        let mut born = TaskEntry::new(tgid, lineage);
        let killed_at_end = self.ending == Some(AtEnd::Kill) && !lineage.adopted;
        // the child of a launched task whose job is unknown has no rules, so it must not live
        let unattributed = self.main.0 == 0
            && orphan
            && StatusFile::read(child).and_then(|status| status.seccomp()) == Some(SeccompMode::Filter);
        born.killed = unattributed || killed_at_end || self.is_over(lineage.job);
        born.detach = self.ending.is_some();
        self.tasks.insert(child, born, 0);
        policy.forked(
            &mut self.tasks,
            Fork { parent, child, tgid, charged: false, parent_died: true, has_run: false },
        );
        match seen {
            UnreportedChild::Stopped { signal, .. } => self.first_stop(child, signal, policy),
            UnreportedChild::Died { .. } => self.finish_dead(child, policy),
        }
    }
}
