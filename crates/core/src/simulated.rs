//! A host without processes: for tests, models, fuzzing, and as the smallest example of the trait.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::counter::CpuTime;
use crate::css_set::CssSetId;
use crate::engine::Engine;
use crate::errno::Errno;
use crate::error::Result;
use crate::host::{CannotGive, Host, Need};
use crate::mask::Mask;
use crate::task::{TaskFacts, Tid};

/// A task of the simulated host.
#[derive(Debug, Clone)]
pub struct SimulatedTask {
    /// What core may know of it.
    pub facts: TaskFacts,
    /// The affinity in force.
    pub affinity: Mask,
    /// The memory nodes in force.
    pub memory: Mask,
    /// Frozen?
    pub frozen: bool,
    /// The class of its sockets.
    pub socket_class: u32,
    /// CPU time used and not yet reported, by CPU.
    pub unreported: Vec<(usize, CpuTime)>,
    set: Option<CssSetId>,
}

/// A host whose tasks exist only in a table.
#[derive(Debug, Default)]
pub struct SimulatedHost {
    tasks: BTreeMap<Tid, SimulatedTask>,
    members: BTreeMap<CssSetId, BTreeSet<Tid>>,
    cpus: usize,
    last: i32,
    /// The clock, in nanoseconds; only moves when told to.
    pub clock: u64,
    /// Needs that this host pretends not to be able to meet.
    pub cannot: Vec<Need>,
}

impl SimulatedHost {
    /// A host with that many CPUs and no task.
    pub fn new(cpus: usize) -> SimulatedHost {
        SimulatedHost { cpus, ..SimulatedHost::default() }
    }

    fn insert(&mut self, group: Option<Tid>, uid: u32, affinity: Mask) -> Tid {
        self.last += 1;
        let tid = Tid(self.last);
        let facts = TaskFacts {
            group: group.unwrap_or(tid),
            real_uid: uid,
            saved_uid: uid,
            movable: true,
            exiting: false,
            forking: false,
        };
        let memory = Mask::single(0);
        let task = SimulatedTask {
            facts,
            affinity,
            memory,
            frozen: false,
            socket_class: 0,
            unreported: Vec::new(),
            set: None,
        };
        self.tasks.insert(tid, task);
        tid
    }

    /// A first process, in every root.
    pub fn spawn(&mut self, engine: &mut Engine, uid: u32) -> Tid {
        let task = self.insert(None, uid, Mask::first(self.cpus));
        engine.adopt(self, task);
        task
    }

    /// A task forks: a thread of its group, or a process.
    ///
    /// # Errors
    /// As [`Engine::charge_fork`].
    pub fn fork(&mut self, engine: &mut Engine, parent: Tid, thread: bool) -> Result<Tid> {
        let set = self.tasks[&parent].set.expect("a living task has a css_set");
        let charge = engine.charge_fork(self, parent, set)?;
        let SimulatedTask { facts, affinity, socket_class, .. } = self.tasks[&parent].clone();
        let child = self.insert(thread.then_some(facts.group), facts.real_uid, affinity);
        if let Some(child) = self.tasks.get_mut(&child) {
            child.socket_class = socket_class;
        }
        engine.commit_fork(self, charge, child);
        Ok(child)
    }

    /// A task dies.
    pub fn exit(&mut self, engine: &mut Engine, task: Tid) {
        let Some(gone) = self.tasks.remove(&task) else { return };
        let Some(set) = gone.set else { return };
        for (cpu, time) in gone.unreported {
            engine.charge_cpu(set, cpu, time);
        }
        self.forget(task, set);
        engine.exit(self, task, set);
    }

    fn forget(&mut self, task: Tid, set: CssSetId) {
        if let Some(members) = self.members.get_mut(&set) {
            members.remove(&task);
            if members.is_empty() {
                self.members.remove(&set);
            }
        }
    }

    /// A task uses CPU time, reported when it is next sampled or dies.
    pub fn run(&mut self, task: Tid, cpu: usize, time: CpuTime) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.unreported.push((cpu, time));
        }
    }

    /// A task's record.
    pub fn get(&self, task: Tid) -> Option<&SimulatedTask> {
        self.tasks.get(&task)
    }

    /// The same, to change.
    pub fn get_mut(&mut self, task: Tid) -> Option<&mut SimulatedTask> {
        self.tasks.get_mut(&task)
    }

    /// All living tasks, ascending.
    pub fn tids(&self) -> Vec<Tid> {
        self.tasks.keys().copied().collect()
    }
}

impl Host for SimulatedHost {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.tasks.get(&task).map(|task| task.facts)
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.tasks.get(&task)?.set
    }

    fn place(&mut self, task: Tid, set: CssSetId) {
        let Some(entry) = self.tasks.get_mut(&task) else { return };
        let old = entry.set.replace(set);
        if let Some(old) = old {
            self.forget(task, old);
        }
        self.members.entry(set).or_default().insert(task);
    }

    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        self.members.get(&set).into_iter().flatten().copied().for_each(visit);
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        let threads = self.tasks.iter().filter(|(_, task)| task.facts.group == group && !task.facts.exiting);
        threads.for_each(|(&tid, _)| visit(tid));
    }

    fn now(&self) -> u64 {
        self.clock
    }

    fn cpus(&self) -> Mask {
        Mask::first(self.cpus)
    }

    fn require(&mut self, need: Need) -> Result<(), CannotGive> {
        if self.cannot.contains(&need) {
            return Err(CannotGive { host: "simulated", reason: "it was told to pretend so".into() });
        }
        Ok(())
    }

    fn set_affinity(&mut self, task: Tid, cpus: &Mask) -> Result<(), Errno> {
        self.tasks.get_mut(&task).ok_or(Errno::ESRCH)?.affinity = cpus.clone();
        Ok(())
    }

    fn set_memory_nodes(&mut self, task: Tid, _: &Mask, to: &Mask, _: bool) -> Result<(), Errno> {
        self.tasks.get_mut(&task).ok_or(Errno::ESRCH)?.memory = to.clone();
        Ok(())
    }

    fn freeze(&mut self, task: Tid) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.frozen = true;
        }
    }

    fn thaw(&mut self, task: Tid) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.frozen = false;
        }
    }

    fn is_frozen(&self, task: Tid) -> bool {
        self.tasks.get(&task).is_none_or(|task| task.frozen)
    }

    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        self.tasks.get_mut(&task).ok_or(Errno::ESRCH)?.socket_class = class;
        Ok(())
    }

    fn sample_cpu(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        for task in self.tasks.values_mut() {
            let Some(set) = task.set else { continue };
            task.unreported.drain(..).for_each(|(cpu, time)| charge(set, cpu, time));
        }
    }
}
