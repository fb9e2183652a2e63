//! The tasks of the job.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use penfold_core::Mask;

use super::Tid;
use super::cputime::Charged;
use super::filter::Interest;

/// Task ids are small and dense: one multiplication spreads them well enough, and stops are too frequent
/// for a hash that withstands chosen keys.
#[derive(Default)]
pub(super) struct TidHasher(u64);

impl Hasher for TidHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_i32(i32::from(*byte));
        }
    }

    fn write_i32(&mut self, tid: i32) {
        self.0 = (self.0 ^ u64::from(tid as u32)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

pub(super) type TidMap<V> = HashMap<Tid, V, BuildHasherDefault<TidHasher>>;

/// A job: a command launched by a supervisor, with what it starts. Counted from 1.
pub type JobId = i32;

/// Of tasks that belong to no job: adopted, or left running by theirs.
pub(super) const NO_JOB: JobId = 0;

/// What a child has from its parent, whether the supervisor wants it or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lineage {
    pub(super) job: JobId,
    /// Dies with the supervisor; the kernel copies ptrace's options to children.
    pub(super) exit_kill: bool,
    /// What its filter stops; `None` for one that has no filter of ours.
    pub(super) filter: Option<Interest>,
    /// It, or an ancestor that it descends from in here, was not launched here.
    pub(super) adopted: bool,
}

impl Lineage {
    /// Of a process that was not launched here.
    pub(super) fn adopted(exit_kill: bool) -> Self {
        Self { job: NO_JOB, exit_kill, filter: None, adopted: true }
    }

    /// Whether its forks are asked for.
    pub(super) fn vetoes(&self) -> bool {
        self.filter.is_some_and(|filter| filter.fork)
    }
}

/// What a stopped task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    /// To be continued, with this signal delivered unless 0.
    Continue(i32),
    /// To have its seccomp stop dealt with.
    Seccomp,
}

/// What the supervisor knows of a task's execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Reported by its parent, its own first stop not seen yet.
    New,
    /// On its own, until it reports a stop.
    Running,
    /// In a group stop: stopped, but listening for `SIGCONT`.
    Listening,
    /// Stopped because it is frozen.
    Held(Pending),
    /// Stopped in a fork that was refused, until the charges of other forks are settled.
    Deferred,
}

/// A task.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts, not one state
pub(super) struct Task {
    pub(super) tgid: Tid,
    pub(super) lineage: Lineage,
    pub(super) state: State,
    /// Its job is over: it is being killed, and can't fork any more.
    pub(super) doomed: bool,
    /// To be detached at its next stop.
    pub(super) release: bool,
    /// Frozen, or on its way there.
    pub(super) freeze: bool,
    /// A fork was charged and has not been seen to succeed or fail.
    pub(super) in_flight: bool,
    /// Interrupted, so that the outcome of that fork becomes known.
    pub(super) unsettled: bool,
    /// `CLONE_UNTRACED` was cleared in the argument register of this [`Abi`](super::arch::Abi).
    pub(super) cleared_flag: Option<usize>,
    /// In socket(2), to be stopped at its exit.
    pub(super) in_socket: bool,
    /// Stops at exec.
    pub(super) traces_exec: bool,
    /// Has to get a filter that stops this before it runs another instruction of its program.
    pub(super) wants: Option<Interest>,
    /// Another thread has put the filter in for it. A child that it reports now may have been made before.
    pub(super) filtered_meanwhile: bool,
    /// It may have been inside a fork when it was seized, whose child then is not attached: the adoption began at this
    /// time, in ticks since boot, and is complete for this thread when it has stopped.
    pub(super) adopting: Option<u64>,
    /// What it last asked for by `sched_setaffinity`, before clamping.
    pub(super) wanted_cpus: Option<Arc<Mask>>,
    /// Charged so far, where threads are accounted apart.
    pub(super) charged: Charged,
}

impl Task {
    pub(super) fn new(tgid: Tid, lineage: Lineage) -> Self {
        Self {
            tgid,
            lineage,
            doomed: false,
            release: false,
            state: State::New,
            freeze: false,
            in_flight: false,
            unsettled: false,
            cleared_flag: None,
            in_socket: false,
            traces_exec: false,
            wants: None,
            filtered_meanwhile: false,
            adopting: None,
            wanted_cpus: None,
            charged: Charged::default(),
        }
    }
}

/// A process.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts, not one state
pub(super) struct Process {
    /// Threads that have not been reaped.
    pub(super) threads: u32,
    /// Charged so far, for all threads together.
    pub(super) charged: Charged,
    /// The CPU on which it was last seen.
    pub(super) cpu: usize,
    /// Threads are in different groups, so their time is read thread by thread.
    pub(super) per_thread: bool,
    /// The user has been told that its ptrace calls are refused, and is not told again.
    pub(super) ptrace_noticed: bool,
    /// Nor of its wish for untraceable children a second time.
    pub(super) untraced_noticed: bool,
    /// Group-stopped.
    pub(super) stopped: bool,
    /// The signal that is stopping it came from another process of the job.
    pub(super) stopped_from_inside: bool,
}

/// All living tasks.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) tasks: TidMap<Task>,
    pub(super) processes: TidMap<Process>,
    /// How many tasks each job has.
    members: TidMap<usize>,
}

impl Table {
    /// Adds a task that was born in the process `tgid`, which is new when `tgid == tid`.
    pub(super) fn insert(&mut self, tid: Tid, task: Task, cpu: usize) {
        let process = self.processes.entry(task.tgid).or_default();
        if process.threads == 0 {
            process.cpu = cpu;
        }
        process.threads += 1;
        *self.members.entry(task.lineage.job).or_default() += 1;
        self.tasks.insert(tid, task);
    }

    /// Removes a task, and its process with the leader: the kernel reports a leader's death last.
    pub(super) fn remove(&mut self, tid: Tid) {
        let Some(task) = self.tasks.remove(&tid) else { return };
        self.uncount(task.lineage.job);
        if tid == task.tgid {
            self.processes.remove(&tid);
        } else if let Some(process) = self.processes.get_mut(&task.tgid) {
            process.threads -= 1;
        }
    }

    /// A thread takes over its process's id by exec: it is the only one left, and the old leader is no more.
    pub(super) fn rename(&mut self, former: Tid, tgid: Tid) {
        let Some(mut survivor) = self.tasks.remove(&former) else { return };
        survivor.tgid = tgid;
        survivor.state = State::Running;
        if let Some(leader) = self.tasks.insert(tgid, survivor) {
            self.uncount(leader.lineage.job);
        }
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.threads -= 1;
        }
    }

    /// How many tasks a job has.
    pub(super) fn members_of(&self, job: JobId) -> usize {
        self.members.get(&job).copied().unwrap_or(0)
    }

    /// Takes all tasks out of a job.
    pub(super) fn disband(&mut self, job: JobId) {
        for task in self.tasks.values_mut().filter(|task| task.lineage.job == job) {
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

    /// The living threads of a process.
    pub(super) fn threads_of(&self, tgid: Tid) -> Vec<Tid> {
        self.tasks.iter().filter(|(_, task)| task.tgid == tgid).map(|(tid, _)| *tid).collect()
    }
}
