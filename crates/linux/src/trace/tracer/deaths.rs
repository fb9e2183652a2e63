//! Deaths: each zombie is looked at, accounted and reaped.

use penfold_core::Tid;

use super::policy::Policy;
use super::supervisor::Supervisor;
use super::unreported::UnreportedChild;
use crate::proc::StatusFile;
use crate::trace::os::wait::{self, WaitReport};

/// The number of killed tasks that are remembered as possible parents, since each may have been inside a fork. As many
/// may die at once when a job ends. A child that can't be attributed to that job would outlive it.
const REMEMBERED: usize = 4096;

impl<P: Policy> Supervisor<P> {
    /// Deals with a death. The zombie still exists.
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
        self.drop_last_workers(tid, tgid, policy);
        self.charge_dead(tgid, tid, policy);
        policy.exited(&mut self.tasks, tid, tid == tgid);
        self.tasks.remove(tid);
        wait::reap(tid);
        self.note_end(lineage.job, tid, report.raw_status());
    }

    /// Deals with the death of a child before its first stop. The facts that its parent's report will need are read
    /// now.
    fn on_unreported_death(&mut self, tid: Tid) {
        if self.ending.is_some() {
            // a child of this process that was detached
            return wait::reap(tid);
        }
        let status = StatusFile::read(tid);
        let status = status.as_ref();
        let died = UnreportedChild::Died {
            tgid: status.and_then(StatusFile::group).unwrap_or(tid),
            parent: status.and_then(StatusFile::parent).unwrap_or(Tid(0)),
        };
        self.unreported.insert(tid, died);
        wait::reap(tid);
    }
}
