//! Deaths: a zombie is peeked at, accounted and reaped.

use super::births::Early;
use super::supervise::Supervisor;
use super::sys::{self, Report};
use super::{Policy, Tid};

/// How many tasks that were killed, perhaps inside a fork, are remembered as possible parents.
const REMEMBERED: usize = 8;

impl<P: Policy> Supervisor<P> {
    /// A task is dead; its zombie is still there.
    pub(super) fn on_death(&mut self, report: Report) {
        let tid = report.tid;
        let Some(task) = self.table.tasks.get(&tid) else { return self.on_early_death(tid) };
        let tgid = task.tgid;
        let killed = report.code == libc::CLD_KILLED && report.status == libc::SIGKILL;
        if task.in_flight || killed && !self.options.fork_veto {
            self.killed.truncate(REMEMBERED - 1);
            self.killed.push_front(tid);
        }
        self.fork_is_over(tid);
        self.deferred.retain(|(waiting, _)| *waiting != tid);
        self.paused.retain(|waiting| *waiting != tid);
        self.charge_dead(tgid, tid);
        self.policy.exited(tid, tid == tgid);
        self.table.remove(tid);
        sys::reap(tid);
        if tid == self.main && self.status.is_none() {
            self.main_died(report.raw_status());
        }
    }

    /// Killed before its first stop. What its parent's report will need is read while it is there.
    fn on_early_death(&mut self, tid: Tid) {
        let field = |name| sys::status_field(tid, name).and_then(|value| value.parse().ok());
        let died = Early::Died { tgid: field("Tgid").unwrap_or(tid), parent: field("PPid").unwrap_or(0) };
        self.early.insert(tid, died);
        sys::reap(tid);
    }
}
