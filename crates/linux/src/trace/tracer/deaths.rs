//! Deaths: a zombie is peeked at, accounted and reaped.

use penfold_core::Tid;

use super::policy::Policy;
use super::supervisor::Supervisor;
use super::unreported::UnreportedChild;
use crate::trace::os::proc;
use crate::trace::os::wait::{self, WaitReport};

/// How many tasks that were killed, perhaps inside a fork, are remembered as possible parents: as many as may die at
/// once when a job ends. A child that can't be told to be of that job would outlive it.
const REMEMBERED: usize = 4096;

impl<P: Policy> Supervisor<P> {
    /// A task is dead; its zombie is still there.
    pub(crate) fn on_death(&mut self, report: WaitReport, policy: &mut P) {
        let tid = report.tid;
        let Some(task) = self.tasks.get(tid) else { return self.on_unreported_death(tid) };
        let (tgid, lineage) = (task.tgid, task.lineage);
        let killed = report.code == libc::CLD_KILLED && report.status == libc::SIGKILL;
        if task.in_flight || killed && !lineage.vetoes() {
            self.killed.truncate(REMEMBERED - 1);
            self.killed.push_front((tid, lineage));
        }
        self.fork_is_over(tid, policy);
        self.forget_waiting(tid);
        self.abandon_injection(tid, policy);
        self.charge_dead(tgid, tid, policy);
        policy.exited(&mut self.tasks, tid, tid == tgid);
        self.tasks.remove(tid);
        wait::reap(tid);
        self.note_end(lineage.job, tid, report.raw_status());
    }

    /// Killed before its first stop. What its parent's report will need is read while it is there.
    fn on_unreported_death(&mut self, tid: Tid) {
        if self.ending.is_some() {
            // a child of ours that was let go
            return wait::reap(tid);
        }
        let field = |name| proc::status_task(tid, name);
        let died = UnreportedChild::Died {
            tgid: field("Tgid").unwrap_or(tid),
            parent: field("PPid").unwrap_or(Tid(0)),
        };
        self.unreported.insert(tid, died);
        wait::reap(tid);
    }
}
