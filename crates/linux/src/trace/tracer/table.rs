//! The one table of tasks: an entry holds all facts of its task, the policy's part too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use libc::c_int;
use penfold_core::{Tid, host::IndexSet};

use super::known_workers::KnownWorkers;
use crate::trace::os::filter::TracedCalls;
use crate::trace::os::injection::Injection;

pub(crate) use super::number_map::{CssSetMap, TidMap, TidSet};

/// The number of a job: a command launched by a supervisor, with its descendants. Counted from 1.
pub type JobId = i32;

/// The number in tasks that belong to no job: adopted, or left running by their job.
pub(crate) const NO_JOB: JobId = 0;

/// The facts that a child inherits from its parent, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lineage {
    pub(crate) job: JobId,
    /// Whether the task dies with the supervisor. The kernel copies ptrace options to children.
    pub(crate) exit_kill: bool,
    /// The calls that its filter of this crate stops; `None` without such a filter.
    pub(crate) filter: Option<TracedCalls>,
    /// The number of filters of this crate that the task has.
    pub(crate) filters: u32,
    /// Whether the task, or an ancestor of it in this table, was not launched by this supervisor.
    pub(crate) adopted: bool,
}

impl Lineage {
    /// The lineage of a process that was not launched by this supervisor.
    pub(crate) fn adopted(exit_kill: bool) -> Self {
        Self { job: NO_JOB, exit_kill, filter: None, filters: 0, adopted: true }
    }

    /// Whether its filter stops forks, so that they can be refused.
    pub(crate) fn vetoes(&self) -> bool {
        self.filter.is_some_and(|filter| filter.fork)
    }
}

/// The action that a stopped task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PendingResume {
    /// To be continued, and to get this signal unless it is 0.
    Continue(c_int),
    /// The handling of its seccomp stop.
    Seccomp,
}

/// The state of a task's execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// Launched, and waiting at its pipe for a place and a filter.
    Unreleased,
    /// Reported by its parent; its own first stop is not seen yet.
    New,
    /// Running, until it reports a stop.
    Running,
    /// In a group stop: stopped, but listening for `SIGCONT`.
    Listening,
    /// Stopped because it is frozen.
    Held(PendingResume),
    /// Stopped in a fork that was refused, until the charges of other forks are settled.
    Deferred,
    /// Stopped with this signal while another thread of its process installs the filter that it wants too.
    AwaitsFilter(c_int),
}

/// Charged CPU time in user mode and in the kernel, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ChargedTime {
    pub(crate) user: u64,
    pub(crate) system: u64,
}

/// The entry of a task. `T` is the policy's part.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts, not one state
pub(crate) struct TaskEntry<T> {
    pub(crate) tgid: Tid,
    pub(crate) lineage: Lineage,
    pub(crate) state: TaskState,
    /// Whether its job is over: it is being killed, and can't fork any more.
    pub(crate) killed: bool,
    /// Whether it is to be detached at its next stop.
    pub(crate) detach: bool,
    /// Whether it is frozen, or on its way there.
    pub(crate) freeze: bool,
    /// Whether it never runs its program. It is not traced: see [`workers`](super::workers).
    pub(crate) worker: bool,
    /// Whether it is a leader that has ended before other threads of its process. Its death is reported with the last.
    pub(crate) ended: bool,
    /// Whether a fork was charged and has not been seen to succeed or fail.
    pub(crate) in_flight: bool,
    /// `CLONE_UNTRACED` was cleared in the argument register of this [`Abi`](crate::trace::os::arch::Abi).
    pub(crate) cleared_flag: Option<usize>,
    /// Whether it is in socket(2), to be stopped at the exit.
    pub(crate) in_socket: bool,
    /// The target of a `sched_setaffinity` that it is in, to be stopped at the exit, and the target's CPUs before.
    pub(crate) in_affinity_call: Option<Box<(Tid, IndexSet)>>,
    /// Whether it stops at exec.
    pub(crate) traces_exec: bool,
    /// The calls of a filter that it has to get before it runs another instruction of its program.
    pub(crate) wants: Option<TracedCalls>,
    /// The installation of that filter, if this task makes it.
    pub(crate) injection: Option<Box<Injection>>,
    /// Whether another thread has installed the filter for it. A child that it reports now may be older than the
    /// filter.
    pub(crate) filtered_meanwhile: bool,
    /// Set if the task may have been inside a fork when it was seized. The child of that fork is not attached.
    ///
    /// The value is the adoption's begin, in ticks since boot. The adoption of this thread is complete when it has
    /// stopped.
    pub(crate) adopting: Option<u64>,
    /// The CPUs of its last `sched_setaffinity`, before clamping.
    pub(crate) wanted_cpus: Option<Arc<IndexSet>>,
    /// The time charged so far, where threads are accounted by themselves.
    pub(crate) charged: ChargedTime,
    /// The policy's part.
    pub(crate) data: T,
}

impl<T: Default> TaskEntry<T> {
    pub(crate) fn new(tgid: Tid, lineage: Lineage) -> Self {
        Self {
            tgid,
            lineage,
            state: TaskState::New,
            killed: false,
            detach: false,
            freeze: false,
            worker: false,
            ended: false,
            in_flight: false,
            cleared_flag: None,
            in_socket: false,
            in_affinity_call: None,
            traces_exec: false,
            wants: None,
            injection: None,
            filtered_meanwhile: false,
            adopting: None,
            wanted_cpus: None,
            charged: ChargedTime::default(),
            data: T::default(),
        }
    }
}

/// The entry of a process.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts, not one state
pub(crate) struct ProcessEntry {
    /// Threads that have not been reaped, ascending: in the order of their birth, until the pid counter wraps around.
    pub(crate) threads: Vec<Tid>,
    /// The time charged so far, for all threads together.
    pub(crate) charged: ChargedTime,
    /// The CPU on which it was last seen.
    pub(crate) cpu: usize,
    /// Whether threads are in different groups, so that their time is read thread by thread.
    pub(crate) per_thread: bool,
    /// Whether there was a notice about its refused ptrace calls.
    pub(crate) ptrace_noticed: bool,
    /// Whether there was a notice about its wish for untraceable children.
    pub(crate) untraced_noticed: bool,
    /// Whether it is in a group stop.
    pub(crate) stopped: bool,
    /// Whether the signal that stops it came from another process of the job.
    pub(crate) stopped_from_inside: bool,
    /// The thread that installs a filter for all of them, and since when.
    pub(crate) injector: Option<(Tid, Instant)>,
}

/// A ptrace request that the tracer thread has still to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deferred {
    /// Interrupt a task, so that it stops.
    Interrupt(Tid),
    /// Continue a frozen task.
    Thaw(Tid),
}

/// All supervised tasks. `T` is the policy's part of each, `C` the policy's part beside them.
#[derive(Debug)]
pub struct TaskTable<T, C> {
    /// The policy's part beside the tasks.
    pub common: C,
    pub(crate) entries: TidMap<TaskEntry<T>>,
    pub(crate) processes: TidMap<ProcessEntry>,
    pub(crate) deferred: Vec<Deferred>,
    /// Threads that never run their program, and the processes that have had one.
    pub(crate) workers: KnownWorkers,
    /// The number of tasks of each job.
    members: HashMap<JobId, usize>,
}

impl<T, C> TaskTable<T, C> {
    /// A table without a task.
    pub(crate) fn new(common: C) -> Self {
        Self {
            common,
            entries: TidMap::default(),
            processes: TidMap::default(),
            deferred: Vec::new(),
            workers: KnownWorkers::default(),
            members: HashMap::new(),
        }
    }

    /// Adds a task that was born in the process `tgid`, which is new when `tgid == tid`.
    pub(crate) fn insert(&mut self, tid: Tid, task: TaskEntry<T>, cpu: usize) {
        let process = self.processes.entry(task.tgid).or_default();
        if process.threads.is_empty() {
            process.cpu = cpu;
        }
        process.add(tid);
        *self.members.entry(task.lineage.job).or_default() += 1;
        if task.worker {
            self.workers.tids.insert(tid);
            self.workers.processes.insert(task.tgid);
        }
        self.entries.insert(tid, task);
    }

    /// Removes a task, and its process with the last one. In a process that dies the last one is the leader, in a
    /// detached one it can be any.
    pub(crate) fn remove(&mut self, tid: Tid) {
        let Some(task) = self.entries.remove(&tid) else { return };
        self.uncount(task.lineage.job);
        if task.worker {
            self.workers.tids.remove(&tid);
        }
        if let Some(process) = self.processes.get_mut(&task.tgid) {
            process.take(tid);
            if process.threads.is_empty() {
                self.processes.remove(&task.tgid);
                self.workers.processes.remove(&task.tgid);
            }
        }
    }

    /// Gives a thread its process's id after an exec. The thread is the only one left, and the old leader is gone.
    pub(crate) fn rename(&mut self, former: Tid, tgid: Tid) {
        let Some(mut survivor) = self.entries.remove(&former) else { return };
        survivor.tgid = tgid;
        survivor.state = TaskState::Running;
        if let Some(leader) = self.entries.insert(tgid, survivor) {
            self.uncount(leader.lineage.job);
        }
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.take(former);
            // a leader that had ended before the adoption was in no list
            process.add(tgid);
        }
    }

    /// The number of tasks of a job.
    pub(crate) fn members_of(&self, job: JobId) -> usize {
        self.members.get(&job).copied().unwrap_or(0)
    }

    /// Removes all tasks from a job.
    pub(crate) fn detach_job(&mut self, job: JobId) {
        for task in self.entries.values_mut().filter(|task| task.lineage.job == job) {
            task.lineage.job = NO_JOB;
        }
        let left = self.members.remove(&job).unwrap_or(0);
        *self.members.entry(NO_JOB).or_default() += left;
    }

    fn uncount(&mut self, job: JobId) {
        let Some(members) = self.members.get_mut(&job) else { return };
        *members -= 1;
        if *members == 0 {
            self.members.remove(&job);
        }
    }
}

impl ProcessEntry {
    fn add(&mut self, tid: Tid) {
        if let Err(at) = self.threads.binary_search(&tid) {
            self.threads.insert(at, tid);
        }
    }

    fn take(&mut self, tid: Tid) {
        if let Ok(at) = self.threads.binary_search(&tid) {
            self.threads.remove(at);
        }
    }
}
