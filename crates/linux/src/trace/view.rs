//! The [`Host`] of requests: the tasks of a job with the supervisor's hands.

use penfold_core::{CannotGive, CpuTime, CssSetId, Engine, Errno, Host, Mask, Need, TaskFacts, Tid};

use super::placement::{Inner, Placement};
use super::supervise::Supervisor;
use super::tasks::{Tasks, core_errno};

pub(super) struct View<'a> {
    tasks: &'a mut Tasks,
    supervisor: &'a mut Supervisor<Placement>,
    /// Thawed at the end: a thawed task may ask for a fork at once, and the engine is not in its place.
    thawed: Vec<Tid>,
    /// CPU time of tasks that moved, for the css_set that they left, or the one they went to if that has gone with them.
    left: Vec<([CssSetId; 2], usize, CpuTime)>,
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
    let mut view = View { tasks, supervisor, thawed: Vec::new(), left: Vec::new() };
    let result = request(engine, &mut view);
    let View { thawed, left, .. } = view;
    for (set, cpu, time) in left {
        // Of two css_sets that differ in no hierarchy with CPU accounts either will do. Where they do, core has asked
        // for the time a moment ago.
        if let Some(set) = set.into_iter().find(|set| engine.tree().css_set(*set).is_some()) {
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

impl Host for View<'_> {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.tasks.task(task)
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.tasks.css_set(task)
    }

    fn place(&mut self, task: Tid, set: CssSetId) {
        if let Some(old) = self.tasks.css_set(task) {
            self.supervisor.before_move(task.0, false);
            let reported = self.supervisor.policy.reported.drain(..);
            self.left.extend(reported.map(|(reported, cpu, time)| {
                let was = self.tasks.css_set(Tid(reported)).unwrap_or(old);
                ([was, if reported == task.0 { set } else { was }], cpu, time)
            }));
        }
        self.tasks.place(task, set);
    }

    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        self.tasks.for_each_task(set, visit);
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

    fn require(&mut self, need: Need) -> Result<(), CannotGive> {
        self.tasks.require(need)
    }

    fn can_give(&self, task: Tid, need: Need) -> Result<(), CannotGive> {
        self.tasks.can_give(task, need)
    }

    fn give(&mut self, task: Tid, need: Need) {
        self.supervisor.want_filter(task.0, need);
    }

    fn group(&self, task: Tid) -> Option<Tid> {
        self.tasks.group(task)
    }

    /// What it asks for itself later is clamped too, if it can be.
    fn set_affinity(&mut self, task: Tid, cpus: &Mask) -> Result<(), Errno> {
        if *cpus != self.tasks.cpus() && self.tasks.can_filter(task) {
            self.supervisor.want_filter(task.0, Need::Affinity);
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
            self.supervisor.want_filter(task.0, Need::SocketClass);
        }
        self.tasks.set_socket_class(task, class)
    }

    fn freeze(&mut self, task: Tid) {
        self.thawed.retain(|&other| other != task);
        self.supervisor.freeze(task.0);
    }

    fn thaw(&mut self, task: Tid) {
        self.tasks.thaw(task);
        self.thawed.push(task);
    }

    fn is_frozen(&self, task: Tid) -> bool {
        self.supervisor.is_frozen(task.0)
    }

    fn sample_cpu(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        self.supervisor.sample();
        self.charge_reported(charge);
    }

    fn sample_task(&mut self, task: Tid, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        if let Some(group) = self.tasks.group(task) {
            self.supervisor.charge_process(group.0);
            self.charge_reported(charge);
        }
    }
}

impl View<'_> {
    fn charge_reported(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        for (task, cpu, time) in self.supervisor.policy.reported.drain(..) {
            if let Some(set) = self.tasks.css_set(Tid(task)) {
                charge(set, cpu, time);
            }
        }
    }
}
