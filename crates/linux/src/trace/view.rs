//! The [`Host`] of requests: the tasks of a job with the supervisor's hands.

use std::collections::HashSet;

use penfold_core::{
    CannotGive, CpuTime, CssSetId, Engine, Errno, Host, HostView, Mask, Need, TaskFacts, Tid,
};

use super::placement::{Inner, Placement};
use super::supervise::Supervisor;
use super::tasks::{Tasks, core_errno};

pub(super) struct View<'a> {
    tasks: &'a mut Tasks,
    supervisor: &'a mut Supervisor<Placement>,
    /// Thawed at the end: a thawed task may ask for a fork at once, and the engine is not in its place.
    thawed: Vec<Tid>,
    /// CPU time that tasks used in a css_set before a process moved.
    left: Vec<(Tid, CssSetId, usize, CpuTime)>,
    /// The processes whose CPU time was read for this request: once each, however many threads move.
    sampled: HashSet<Tid>,
    /// Those that moved, or of which threads did.
    moved: HashSet<Tid>,
    /// The processes that are to get a filter for a need.
    filtered: HashSet<(Tid, Need)>,
}

/// Lets a request work on the engine, between two stops. What counters show is exact: forks in flight are settled
/// first, and core asks for the CPU time of living tasks where it reads it.
pub(super) fn with_engine<R>(
    supervisor: &mut Supervisor<Placement>,
    request: impl FnOnce(&mut Engine, &mut dyn Host) -> R,
) -> R {
    supervisor.settle();
    let shared = supervisor.policy.inner.clone();
    let mut inner = shared.lock();
    let Inner { engine, tasks } = inner.as_mut().expect("a job that answers has not ended");
    supervisor.policy.lent = true;
    let (thawed, left) = (Vec::new(), Vec::new());
    let (sampled, moved, filtered) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut view = View { tasks, supervisor, thawed, left, sampled, moved, filtered };
    let result = request(engine, &mut view);
    view.account_apart();
    let View { tasks, thawed, left, .. } = view;
    for (task, set, cpu, time) in left {
        // Of two css_sets that differ in no hierarchy with CPU accounts either will do. Where they do, core has asked
        // for the time a moment ago. The old one may have gone with its last task.
        let old = Some(set).filter(|set| engine.tree().css_set(*set).is_some());
        if let Some(set) = old.or_else(|| tasks.css_set(task)) {
            engine.charge_cpu(set, cpu, time);
        }
    }
    supervisor.policy.lent = false;
    drop(inner);
    for task in thawed {
        supervisor.thaw(task.0);
    }
    result
}

impl HostView for View<'_> {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.tasks.task(task)
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.tasks.css_set(task)
    }

    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        self.tasks.for_each_task(set, visit);
    }

    fn for_every_task(&self, sets: &[CssSetId], visit: &mut dyn FnMut(Tid)) {
        self.tasks.for_every_task(sets, visit);
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        self.tasks.for_each_thread(group, visit);
    }

    fn now(&self) -> u64 {
        self.tasks.now()
    }

    fn cpus(&self) -> Mask {
        self.tasks.cpus()
    }

    fn memory_nodes(&self) -> Mask {
        self.tasks.memory_nodes()
    }

    fn cpu_limit(&self) -> usize {
        self.tasks.cpu_limit()
    }

    fn can_give(&self, task: Tid, need: Need) -> Result<(), CannotGive> {
        self.tasks.can_give(task, need)
    }

    fn group(&self, task: Tid) -> Option<Tid> {
        self.tasks.group(task)
    }

    fn is_frozen(&self, task: Tid) -> bool {
        self.supervisor.is_frozen(task.0)
    }
}

impl Host for View<'_> {
    fn place(&mut self, task: Tid, set: CssSetId) {
        if let (Some(old), Some(group)) = (self.tasks.css_set(task), self.tasks.group(task)) {
            if self.sampled.insert(group) {
                self.supervisor.charge_process(group.0);
            }
            let reported = self.supervisor.policy.reported.drain(..);
            self.left.extend(reported.map(|(reported, cpu, time)| {
                (Tid(reported), self.tasks.css_set(Tid(reported)).unwrap_or(old), cpu, time)
            }));
            self.moved.insert(group);
        }
        self.tasks.place(task, set);
    }

    fn require(&mut self, need: Need) -> Result<(), CannotGive> {
        self.tasks.require(need)
    }

    fn give(&mut self, task: Tid, need: Need) {
        self.want_filter(task, need);
    }

    /// What it asks for itself later is clamped too, if it can be.
    fn set_affinity(&mut self, task: Tid, cpus: &Mask) -> Result<(), Errno> {
        if *cpus != self.tasks.cpus() && self.tasks.can_filter(task) {
            self.want_filter(task, Need::Affinity);
        }
        self.tasks.note_allowed(task, cpus);
        self.supervisor.apply_affinity(task.0, cpus).map_err(core_errno)
    }

    fn set_memory_nodes(&mut self, task: Tid, from: &Mask, to: &Mask, migrate: bool) -> Result<(), Errno> {
        self.tasks.set_memory_nodes(task, from, to, migrate)
    }

    /// Those that it makes later are marked too, if they can be.
    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        if class != 0 && self.tasks.can_filter(task) {
            self.want_filter(task, Need::SocketClass);
        }
        self.tasks.set_socket_class(task, class)
    }

    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        self.tasks.signal(task, signal)
    }

    fn freeze(&mut self, task: Tid) {
        self.thawed.retain(|&other| other != task);
        self.supervisor.freeze(task.0);
    }

    fn thaw(&mut self, task: Tid) {
        self.tasks.thaw(task);
        self.thawed.push(task);
    }

    fn sample_cpu(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        self.supervisor.sample();
        self.charge_reported(charge);
    }

    fn sample_task(&mut self, task: Tid, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        let group = self.tasks.group(task);
        if let Some(group) = group.filter(|group| self.sampled.insert(*group)) {
            self.supervisor.charge_process(group.0);
            self.charge_reported(charge);
        }
    }
}

impl View<'_> {
    /// Once for each process: its threads are gone through each time, and a request may be about all of ten thousand.
    fn want_filter(&mut self, task: Tid, need: Need) {
        if self.tasks.group(task).is_none_or(|group| self.filtered.insert((group, need))) {
            self.supervisor.want_filter(task.0, need);
        }
    }

    /// Of the processes that moved, those whose threads are in different places now have accounts by thread.
    fn account_apart(&mut self) {
        for group in self.moved.drain() {
            let mut sets = HashSet::new();
            self.tasks.for_each_thread(group, &mut |thread| {
                sets.extend(self.tasks.css_set(thread));
            });
            if sets.len() > 1 {
                self.supervisor.account_apart(group.0);
            }
        }
    }

    fn charge_reported(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        for (task, cpu, time) in self.supervisor.policy.reported.drain(..) {
            if let Some(set) = self.tasks.css_set(Tid(task)) {
                charge(set, cpu, time);
            }
        }
    }
}
