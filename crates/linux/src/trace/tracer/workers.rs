//! Threads that never run their program: io workers and polling threads of `io_uring`, workers of vhost.
//!
//! The kernel makes them inside a process, hidden from tracers. An interrupt would end the wait that such a thread makes
//! for a request of the program. So the tracer leaves them alone: it does not seize them, and no stop or death of them
//! is reported. They are members of their cgroups all the same, as in the kernel.
//!
//! They are found by looking at processes. Which looks are due depends on the cost of the last ones:
//!
//! - A process that has had a worker is looked at for every request and every fork that a limit may refuse.
//! - Other processes are looked at by turns, for at most a twentieth of the time. The number of threads that the kernel
//!   counts shows in one call that there is none.
//! - While a worker lives, its process is looked at from time to time without a request, so that its death is noticed.
//!
//! The same look finds a leader that has ended before other threads of its process. The kernel reports its death to a
//! tracer with that of the last thread only.

use std::time::{Duration, Instant};

use penfold_core::Tid;

use super::known_workers::PERIOD;
use super::policy::{Fork, Policy};
use super::supervisor::Supervisor;
use super::table::{Lineage, TaskEntry, TaskState};
use crate::proc;
use crate::trace::os::sched;

/// The most processes without a worker that one request looks at.
const SLICE: usize = 256;
/// The time between two slices, as a multiple of the time that the last one took.
const SLICE_REST: u32 = 20;
/// The same for looks at processes with workers, where these take longer than `SHORT`.
const WORKERS_REST: u32 = 4;
const SHORT: Duration = Duration::from_micros(500);

impl<P: Policy> Supervisor<P> {
    /// Looks for workers before a request, as far as looks are due.
    pub(crate) fn look_around(&mut self, policy: &mut P) {
        self.look_at_workers(false, policy);
        let began = Instant::now();
        if self.tasks.workers.slice_at.is_some_and(|at| began < at) {
            return;
        }
        let mut round = std::mem::take(&mut self.tasks.workers.round);
        if round.is_empty() {
            round.extend(self.tasks.processes.keys());
        }
        for tgid in round.split_off(round.len().saturating_sub(SLICE)) {
            if !self.tasks.workers.processes.contains(&tgid) {
                self.look_at(tgid, policy);
            }
        }
        self.tasks.workers.round = round;
        let ended = Instant::now();
        self.tasks.workers.slice_at = Some(ended + (ended - began) * SLICE_REST);
    }

    /// Looks at the processes that have had a worker, in any case or only if that is due.
    pub(crate) fn look_at_workers(&mut self, always: bool, policy: &mut P) {
        if self.tasks.workers.processes.is_empty() {
            return;
        }
        let began = Instant::now();
        if !always && self.tasks.workers.workers_at.is_some_and(|at| began < at) {
            return;
        }
        let processes: Vec<Tid> = self.tasks.workers.processes.iter().copied().collect();
        for tgid in processes {
            self.look_at(tgid, policy);
        }
        let ended = Instant::now();
        let took = ended - began;
        self.tasks.workers.looked = Some(ended);
        self.tasks.workers.workers_at = (took > SHORT).then(|| ended + took * WORKERS_REST);
    }

    /// Looks without a request, once in a while.
    pub(crate) fn look_again(&mut self, policy: &mut P) {
        if !self.tasks.workers.tids.is_empty()
            && self.tasks.workers.looked.is_none_or(|looked| looked.elapsed() >= PERIOD)
        {
            self.look_at_workers(true, policy);
        }
    }

    /// Looks at one process: for workers that were born or have ended, and for the end of its leader.
    fn look_at(&mut self, tgid: Tid, policy: &mut P) {
        let Some(process) = self.tasks.processes.get(&tgid) else { return };
        let (known, has_had) = (process.threads.len(), self.tasks.workers.processes.contains(&tgid));
        if known > 1 && self.tasks.get(tgid).is_some_and(|leader| !leader.ended) && proc::is_exiting(tgid) {
            self.end_leader(tgid, policy);
        }
        if !has_had && proc::thread_count(tgid) == Some(known as u64) {
            return;
        }
        let Some(listed) = proc::threads_of(tgid) else { return };
        for &tid in &listed {
            let known = self.tasks.get(tid).map(|task| (task.tgid, task.worker));
            if known.is_none_or(|(other, worker)| worker && other != tgid) && proc::is_worker(tgid, tid) {
                self.forget_reused(tid, policy);
                self.add_worker(tid, tgid, policy);
            }
        }
        for tid in self.workers_of(tgid) {
            // the list can leave a thread out while another one ends
            if !listed.contains(&tid) && !proc::is_worker(tgid, tid) {
                self.remove_worker(tid, policy);
            }
        }
    }

    /// Notes that a leader has ended while another thread of its process lives.
    fn end_leader(&mut self, tgid: Tid, policy: &mut P) {
        // all of them end: the death of the leader is reported in a moment
        let lives =
            |tid: &Tid| self.tasks.get(*tid).is_some_and(|task| !task.worker) && !proc::is_exiting(*tid);
        if !self.tasks.threads_of(tgid).iter().any(lives) {
            return;
        }
        self.fork_is_over(tgid, policy);
        if let Some(leader) = self.tasks.get_mut(tgid) {
            leader.ended = true;
        }
        policy.leader_ended(&mut self.tasks, tgid);
    }

    /// Adds a worker of a supervised process, in the place of the thread that it works for.
    pub(crate) fn add_worker(&mut self, tid: Tid, tgid: Tid, policy: &mut P) {
        let parent = self.employer(tid, tgid);
        let family = parent.and_then(|parent| self.tasks.get(parent));
        if family.is_some_and(|task| task.detach) {
            return;
        }
        let lineage = family.map_or(Lineage::adopted(false), |task| task.lineage);
        let mut task = TaskEntry::new(tgid, lineage);
        (task.worker, task.state) = (true, TaskState::Running);
        task.killed = family.is_some_and(|task| task.killed);
        task.wanted_cpus = sched::affinity(tid).ok().map(std::sync::Arc::new);
        let cpu = self.tasks.processes.get(&tgid).map_or(0, |process| process.cpu);
        self.tasks.insert(tid, task, cpu);
        let Some(parent) = parent else { return policy.adopted(&mut self.tasks, tid, tgid) };
        policy.forked(
            &mut self.tasks,
            Fork { parent, child: tid, tgid, charged: false, parent_died: false, has_run: false },
        );
        if let Some(allowed) = policy.allowed_cpus(&self.tasks, tid) {
            // the kernel gives a worker the CPUs of the kernel's own cpuset, whatever its maker has; older kernels let
            // nobody set them
            let _ = self.tasks.apply_affinity(tid, &allowed);
        }
    }

    /// The thread that a worker works for. The name of a worker ends with its number, in the first pid namespace.
    fn employer(&self, worker: Tid, tgid: Tid) -> Option<Tid> {
        let name = proc::command_name(worker);
        let named = name.rsplit('-').next().and_then(|number| number.parse().ok()).map(Tid);
        let same = |tid: &Tid| self.tasks.get(*tid).is_some_and(|task| task.tgid == tgid && !task.ended);
        named.filter(same).or_else(|| self.tasks.speaker(tgid))
    }

    fn workers_of(&self, tgid: Tid) -> Vec<Tid> {
        let workers = |tid: &Tid| self.tasks.workers.tids.contains(tid);
        self.tasks.threads_of(tgid).iter().copied().filter(workers).collect()
    }

    fn remove_worker(&mut self, tid: Tid, policy: &mut P) {
        policy.exited(&mut self.tasks, tid, false);
        self.tasks.remove(tid);
    }

    /// Removes the workers of a process that has none any more.
    pub(crate) fn drop_workers(&mut self, tgid: Tid, policy: &mut P) {
        if self.tasks.workers.processes.contains(&tgid) {
            for tid in self.workers_of(tgid) {
                self.remove_worker(tid, policy);
            }
        }
    }

    /// Removes the workers of a process whose last other thread goes.
    pub(crate) fn drop_last_workers(&mut self, going: Tid, tgid: Tid, policy: &mut P) {
        if !self.tasks.workers.processes.contains(&tgid) {
            return;
        }
        let stays = |tid: &Tid| *tid != going && !self.tasks.workers.tids.contains(tid);
        if !self.tasks.threads_of(tgid).iter().any(stays) {
            self.drop_workers(tgid, policy);
        }
    }

    /// Removes a worker whose number has been given to another task: the worker has ended.
    pub(crate) fn forget_reused(&mut self, tid: Tid, policy: &mut P) {
        if self.tasks.workers.tids.contains(&tid) {
            self.remove_worker(tid, policy);
        }
    }
}
