//! A host without processes: for tests, models, fuzzing, and as the smallest example of the trait.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::counter::CpuTime;
use crate::engine::Engine;
use crate::errno::Errno;
use crate::error::Result;
use crate::host::{Capability, Host, HostView, Unsupported};
use crate::ids::CssSetId;
use crate::index_set::IndexSet;
use crate::task::{TaskFacts, Tid};

/// A task of the simulated host.
#[derive(Debug, Clone)]
pub struct SimulatedTask {
    /// What core may know of it.
    pub facts: TaskFacts,
    /// The affinity in force: the wish where it fits, else all that is allowed.
    pub affinity: IndexSet,
    /// The CPUs that the subsystems allow it.
    pub allowed: IndexSet,
    /// What it asked for itself with `sched_setaffinity(2)`; kept for as long as it lives.
    pub wish: Option<IndexSet>,
    /// The memory nodes in force.
    pub memory: IndexSet,
    /// The nodes that its memory was last migrated away from.
    pub migrated_from: Option<IndexSet>,
    /// Frozen?
    pub frozen: bool,
    /// The class of its sockets.
    pub socket_class: u32,
    /// The signals that it was sent, oldest first.
    pub signals: Vec<i32>,
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
    /// The memory nodes that are online; node 0 if empty.
    pub nodes: IndexSet,
    /// The clock, in nanoseconds; only moves when told to.
    pub clock: u64,
    /// Needs that this host pretends not to be able to meet.
    pub cannot: Vec<Capability>,
    /// Tasks whose affinity this host pretends not to be allowed to set (`EPERM`).
    pub unbindable: BTreeSet<Tid>,
    /// Tasks whose sockets this host pretends not to be able to mark, each with the errno that it gives.
    pub unmarkable: BTreeMap<Tid, Errno>,
}

impl SimulatedHost {
    /// A host with that many CPUs and no task.
    pub fn new(cpus: usize) -> SimulatedHost {
        SimulatedHost { cpus, ..SimulatedHost::default() }
    }

    fn next(&mut self) -> Tid {
        self.last += 1;
        Tid(self.last)
    }

    fn record(&self, group: Tid, uid: u32) -> SimulatedTask {
        let facts =
            TaskFacts { group, real_uid: uid, saved_uid: uid, movable: true, exiting: false, forking: false };
        SimulatedTask {
            facts,
            affinity: self.cpus(),
            allowed: self.cpus(),
            wish: None,
            memory: self.memory_nodes(),
            migrated_from: None,
            frozen: false,
            socket_class: 0,
            signals: Vec::new(),
            unreported: Vec::new(),
            set: None,
        }
    }

    /// A first process, in every root.
    pub fn spawn(&mut self, engine: &mut Engine, uid: u32) -> Tid {
        let tid = self.create(None, uid);
        engine.adopt(self, tid);
        tid
    }

    /// A task that runs already, by a number of the caller's choice, in every root.
    pub fn adopt(&mut self, engine: &mut Engine, task: Tid, facts: TaskFacts) {
        let record = SimulatedTask { facts, ..self.record(facts.group, facts.real_uid) };
        self.tasks.insert(task, record);
        engine.adopt(self, task);
    }

    /// A task that points to no css_set yet: the child between [`Engine::charge_fork`] and
    /// [`Engine::commit_fork`]. A thread of `group`, or a process of its own.
    pub fn create(&mut self, group: Option<Tid>, uid: u32) -> Tid {
        let tid = self.next();
        let task = self.record(group.unwrap_or(tid), uid);
        self.tasks.insert(tid, task);
        tid
    }

    /// A task forks: a thread of its group, or a process.
    ///
    /// # Errors
    /// As [`Engine::charge_fork`].
    pub fn fork(&mut self, engine: &mut Engine, parent: Tid, thread: bool) -> Result<Tid> {
        let set = self.tasks[&parent].set.expect("a living task has a css_set");
        let charge = engine.charge_fork(self, parent, set)?;
        let child = self.next();
        let mut record = self.tasks[&parent].clone();
        record.facts.group = if thread { record.facts.group } else { child };
        record.facts.forking = false;
        record.frozen = false;
        record.migrated_from = None;
        record.unreported = Vec::new();
        record.set = None;
        self.tasks.insert(child, record);
        engine.commit_fork(self, charge, child);
        Ok(child)
    }

    /// A task dies and nothing is left of it.
    pub fn exit(&mut self, engine: &mut Engine, task: Tid) {
        self.exit_to_zombie(engine, task);
        self.reap(task);
    }

    /// A task dies but its number stays taken until [`SimulatedHost::reap`]: it points to no css_set any more.
    pub fn exit_to_zombie(&mut self, engine: &mut Engine, task: Tid) {
        let Some(record) = self.tasks.get_mut(&task) else { return };
        record.facts.exiting = true;
        record.frozen = false;
        let unreported = core::mem::take(&mut record.unreported);
        let Some(set) = record.set.take() else { return };
        for (cpu, time) in unreported {
            engine.charge_cpu(set, cpu, time);
        }
        self.forget(task, set);
        engine.exit(self, task, set);
    }

    /// The parent of a zombie takes notice of its death.
    pub fn reap(&mut self, zombie: Tid) {
        if self.tasks.get(&zombie).is_some_and(|task| task.facts.exiting) {
            self.tasks.remove(&zombie);
        }
    }

    /// `sched_setaffinity(2)` by the task itself: a wish that is kept, in force where it fits what is allowed.
    ///
    /// # Errors
    /// `ESRCH`; `EINVAL` when nothing of it is allowed.
    pub fn sched_setaffinity(&mut self, task: Tid, wish: IndexSet) -> Result<(), Errno> {
        let record = self.tasks.get_mut(&task).ok_or(Errno::ESRCH)?;
        if !wish.intersects(&record.allowed) {
            return Err(Errno::EINVAL);
        }
        record.affinity = wish.intersection(&record.allowed);
        record.wish = Some(wish);
        Ok(())
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

    /// All tasks, zombies too, ascending.
    pub fn tids(&self) -> Vec<Tid> {
        self.tasks.keys().copied().collect()
    }
}

impl HostView for SimulatedHost {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.tasks.get(&task).map(|task| task.facts)
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.tasks.get(&task)?.set
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

    fn cpus(&self) -> IndexSet {
        IndexSet::first(self.cpus)
    }

    fn memory_nodes(&self) -> IndexSet {
        if self.nodes.is_empty() { IndexSet::single(0) } else { self.nodes.clone() }
    }

    fn is_frozen(&self, task: Tid) -> bool {
        self.tasks.get(&task).is_none_or(|task| task.frozen)
    }
}

impl Host for SimulatedHost {
    fn place(&mut self, task: Tid, set: CssSetId) {
        let Some(entry) = self.tasks.get_mut(&task) else { return };
        let old = entry.set.replace(set);
        if let Some(old) = old {
            self.forget(task, old);
        }
        self.members.entry(set).or_default().insert(task);
    }

    fn require(&mut self, need: Capability) -> Result<(), Unsupported> {
        if self.cannot.contains(&need) {
            return Err(Unsupported { host: "simulated", reason: "it was told to pretend so".into() });
        }
        Ok(())
    }

    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno> {
        let record = self.tasks.get_mut(&task).ok_or(Errno::ESRCH)?;
        if self.unbindable.contains(&task) {
            return Err(Errno::EPERM);
        }
        let fits = record.wish.as_ref().map(|wish| wish.intersection(cpus)).filter(|fits| !fits.is_empty());
        record.affinity = fits.unwrap_or_else(|| cpus.clone());
        record.allowed = cpus.clone();
        Ok(())
    }

    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        migrate: bool,
    ) -> Result<(), Errno> {
        let task = self.tasks.get_mut(&task).ok_or(Errno::ESRCH)?;
        task.memory = to.clone();
        if migrate {
            task.migrated_from = Some(from.clone());
        }
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

    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        let record = self.tasks.get_mut(&task).ok_or(Errno::ESRCH)?;
        if let Some(&errno) = self.unmarkable.get(&task) {
            return Err(errno);
        }
        record.socket_class = class;
        Ok(())
    }

    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        self.tasks.get_mut(&task).ok_or(Errno::ESRCH)?.signals.push(signal);
        Ok(())
    }

    fn sample_cpu(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        for task in self.tasks.values_mut() {
            let Some(set) = task.set else { continue };
            task.unreported.drain(..).for_each(|(cpu, time)| charge(set, cpu, time));
        }
    }
}
