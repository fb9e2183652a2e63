//! What outlives its supervisor, and how the next one takes it in again.

use penfold_core::Tid;

use super::machine::EngineTasks;
use crate::trace::os::TracedCalls;
use crate::trace::os::proc;

/// A supervised process that would go on if this process died: adopted, or launched without
/// [`ExecOptions::exit_kill`](super::ExecOptions::exit_kill).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// Its number.
    pub pid: Tid,
    /// When it was started, in ticks since boot: with the number, who it is.
    pub started: u64,
    /// What its filter stops, for [`TraceHost::readopt`](super::TraceHost::readopt); 0 for one without a filter.
    pub filter: u8,
    /// Its threads, the leader first if it lives.
    pub threads: Vec<Tid>,
}

impl EngineTasks {
    /// The processes that would outlive this one, ascending.
    pub(crate) fn survivors(&self) -> Vec<Survivor> {
        let mut survivors: Vec<Survivor> = Vec::new();
        let mut tasks: Vec<(Tid, Tid, u8)> = self
            .entries
            .iter()
            .filter(|(_, task)| !task.lineage.exit_kill && !task.killed)
            // one that is about to get its first filter may have it when this process dies; whether it has is seen then
            .map(|(tid, task)| {
                (task.tgid, *tid, task.lineage.filter.or(task.wants).map_or(0, TracedCalls::bits))
            })
            .collect();
        tasks.sort_unstable_by_key(|(tgid, tid, _)| (*tgid, tgid != tid, *tid));
        for (pid, tid, filter) in tasks {
            match survivors.last_mut().filter(|last| last.pid == pid) {
                Some(process) => {
                    process.threads.push(tid);
                    process.filter |= filter;
                }
                // one that is gone will be reported in a moment
                None => survivors.extend(proc::started(pid).map(|started| Survivor {
                    pid,
                    started,
                    filter,
                    threads: vec![tid],
                })),
            }
        }
        survivors
    }
}
