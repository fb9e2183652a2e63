//! What outlives its supervisor, and how the next one takes it in again.

use super::adopt::AdoptError;
use super::filter::Interest;
use super::host::TraceHost;
use super::kick::Gone;
use super::supervise::Supervisor;
use super::{Policy, Tid};
use crate::process::start_time;

/// A supervised process that would go on if this process died: adopted, or launched without
/// [`ExecOptions::exit_kill`](super::ExecOptions::exit_kill).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// Its number.
    pub pid: Tid,
    /// When it was started, in ticks since boot: with the number, who it is.
    pub started: u64,
    /// What its filter stops, for [`TraceHost::adopt_again`]; 0 for one without a filter.
    pub filter: u8,
    /// Its threads, the leader first if it lives.
    pub threads: Vec<Tid>,
}

impl TraceHost {
    /// The processes that would outlive this one, ascending.
    ///
    /// # Errors
    /// [`Gone`] when the host was stopped.
    pub fn survivors(&self) -> Result<Vec<Survivor>, Gone> {
        self.call(|supervisor| supervisor.survivors())
    }

    /// Takes in a process that an earlier supervisor has left, into the root of every hierarchy, with the filter that it
    /// has since then: while nobody answers for that, what it stops fails with `ENOSYS`.
    ///
    /// # Errors
    /// [`AdoptError`]; `NoProcess` if the number is another process's now.
    pub fn adopt_again(&self, pid: Tid, started: u64, filter: u8) -> Result<(), AdoptError> {
        let adopt = move |supervisor: &mut Supervisor<_>| {
            supervisor.adopt_known(pid, Some(started), Interest::of_bits(filter))
        };
        self.call(adopt).map_err(|Gone| AdoptError::Gone)?
    }
}

impl<P: Policy> Supervisor<P> {
    fn survivors(&self) -> Vec<Survivor> {
        let mut survivors: Vec<Survivor> = Vec::new();
        let mut tasks: Vec<(Tid, Tid, u8)> = self
            .table
            .tasks
            .iter()
            .filter(|(_, task)| !task.lineage.exit_kill && !task.doomed)
            // one that is about to get its first filter may have it when this process dies; whether it has is seen then
            .map(|(tid, task)| {
                (task.tgid, *tid, task.lineage.filter.or(task.wants).map_or(0, Interest::bits))
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
                None => survivors.extend(start_time(pid).map(|started| Survivor {
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
