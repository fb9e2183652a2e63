//! The processes that outlive their supervisor, described for the next supervisor, which adopts them again.

use penfold_core::Tid;

use super::machine::EngineTasks;
use crate::proc::start_time;
use crate::trace::os::TracedCalls;

/// A supervised process that would go on if this process died: adopted, or launched without
/// [`ExecOptions::exit_kill`](super::ExecOptions::exit_kill).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// The number of the process.
    pub pid: Tid,
    /// The start time in ticks of 1/100 s since boot. Together with the number it names the process for ever.
    pub started: u64,
    /// The calls that its filter stops, for [`TraceHost::readopt`](super::TraceHost::readopt); 0 without a filter.
    pub filter: u8,
    /// The threads, the leader first if it lives.
    pub threads: Vec<Tid>,
}

impl EngineTasks {
    /// The processes that would outlive this one, ascending, without their start times.
    pub(crate) fn survivors(&self) -> Vec<Survivor> {
        let mut survivors: Vec<Survivor> = Vec::new();
        let mut tasks: Vec<(Tid, Tid, u8)> = self
            .entries
            .iter()
            .filter(|(_, task)| !task.lineage.exit_kill && !task.killed)
            // a process that is about to get its first filter may have it when this one dies; the next supervisor looks
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
                None => survivors.push(Survivor { pid, started: 0, filter, threads: vec![tid] }),
            }
        }
        survivors
    }

    /// Adds the start time. False for a process that is gone; its death has been reported, or will be soon.
    ///
    /// A supervised process that dies stays a zombie until it is reaped here. If another one has its number since the list
    /// was made, and is supervised too, the list has a wrong filter once. The next list has the right one.
    pub(crate) fn add_start_time(&self, survivor: &mut Survivor) -> bool {
        let supervised = self.processes.contains_key(&survivor.pid);
        let started = start_time(survivor.pid).filter(|_| supervised);
        survivor.started = started.unwrap_or(0);
        started.is_some()
    }
}
