//! A host without processes, for tests, models and fuzzing, and as an example of [`Host`].
//!
//! [`SimulatedHost`] has its tasks in a table. A test makes them with [`SimulatedHost::spawn`] and
//! [`SimulatedHost::fork`], ends them with [`SimulatedHost::exit`], and lets them use CPU time with
//! [`SimulatedHost::run`]. [`SimulatedHost::get`] shows what subsystems did to a task, such as its affinity. Begin with
//! [`SimulatedHost::new`], or with the source as a template for a host.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::counter::CpuTime;
use crate::engine::Engine;
use crate::errno::Errno;
use crate::error::Result;
use crate::host::{Capability, ExistingPages, Host, HostView, Unsupported};
use crate::ids::CssSetId;
use crate::index_set::IndexSet;
use crate::task::{TaskFacts, Tid};

/// A task of the simulated host, with all that core and subsystems have set for it.
#[derive(Debug, Clone)]
pub struct SimulatedTask {
    /// The facts that the host gives to core.
    pub facts: TaskFacts,
    /// The affinity in force: the CPUs of `wish` that are allowed, or all allowed CPUs if there is none.
    pub affinity: IndexSet,
    /// The CPUs that subsystems allow to the task, by [`Host::set_affinity`].
    pub allowed: IndexSet,
    /// The CPUs that the task itself set with [`SimulatedHost::sched_setaffinity`], kept for as long as it lives.
    pub wish: Option<IndexSet>,
    /// The memory nodes in force.
    pub memory: IndexSet,
    /// The nodes from which the task's pages were last moved; `None` if they never were.
    pub migrated_from: Option<IndexSet>,
    /// True while the task is frozen.
    pub frozen: bool,
    /// The class of the task's sockets; 0 for none.
    pub socket_class: u32,
    /// The signals that were sent to the task, oldest first.
    pub signals: Vec<i32>,
    /// The CPU time that was used and not yet reported, with the number of the CPU.
    pub unreported: Vec<(usize, CpuTime)>,
    set: Option<CssSetId>,
}

/// The kind of child that [`SimulatedHost::fork`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildKind {
    /// A process: a thread group of its own.
    Process,
    /// A thread of its parent's thread group.
    Thread,
}

/// A host whose tasks exist only in a table. Tasks get the numbers 1, 2 and so on.
#[derive(Debug, Default)]
pub struct SimulatedHost {
    tasks: BTreeMap<Tid, SimulatedTask>,
    members: BTreeMap<CssSetId, BTreeSet<Tid>>,
    cpus: usize,
    last: i32,
    /// The memory nodes that are online; node 0 alone if empty.
    pub nodes: IndexSet,
    /// The time of the clock in nanoseconds, which only the user of the host changes.
    pub clock: u64,
    /// The capabilities that this host pretends not to have.
    pub cannot: Vec<Capability>,
    /// The tasks whose affinity this host pretends not to be allowed to set: `EPERM`.
    pub unbindable: BTreeSet<Tid>,
    /// Tasks whose sockets this host pretends not to be able to mark, each with the errno that it gives.
    pub unmarkable: BTreeMap<Tid, Errno>,
}

impl SimulatedHost {
    /// A host with `cpus` CPUs and no task.
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

    /// Makes a process without a parent, as a member of every root, and returns its number.
    ///
    /// `uid` is the real and saved user id.
    pub fn spawn(&mut self, engine: &mut Engine, uid: u32) -> Tid {
        let tid = self.create(None, uid);
        engine.adopt(self, tid);
        tid
    }

    /// Adds a task that runs already, with a number and facts of the caller's choice, as a member of every root.
    pub fn adopt(&mut self, engine: &mut Engine, task: Tid, facts: TaskFacts) {
        let record = SimulatedTask { facts, ..self.record(facts.group, facts.real_uid) };
        self.tasks.insert(task, record);
        engine.adopt(self, task);
    }

    /// Makes a task that points to no css_set yet, and returns its number.
    ///
    /// That is the state of a child between [`Engine::charge_fork`] and [`Engine::commit_fork`]. The task is a thread
    /// of `group`, or with `None` a process of its own.
    pub fn create(&mut self, group: Option<Tid>, uid: u32) -> Tid {
        let tid = self.next();
        let task = self.record(group.unwrap_or(tid), uid);
        self.tasks.insert(tid, task);
        tid
    }

    /// Forks `parent`, which must be alive, and returns the number of the child.
    ///
    /// # Errors
    /// Those of [`Engine::charge_fork`]. No child is made then.
    pub fn fork(&mut self, engine: &mut Engine, parent: Tid, kind: ChildKind) -> Result<Tid> {
        let set = self.tasks[&parent].set.expect("a living task has a css_set");
        let charge = engine.charge_fork(self, parent, set)?;
        let child = self.next();
        let mut record = self.tasks[&parent].clone();
        if kind == ChildKind::Process {
            record.facts.group = child;
        }
        record.facts.forking = false;
        record.frozen = false;
        record.migrated_from = None;
        record.unreported = Vec::new();
        record.set = None;
        self.tasks.insert(child, record);
        engine.commit_fork(self, charge, child);
        Ok(child)
    }

    /// Ends a task and reaps it at once.
    pub fn exit(&mut self, engine: &mut Engine, task: Tid) {
        self.exit_to_zombie(engine, task);
        self.reap(task);
    }

    /// Ends a task, which becomes a zombie: it points to no css_set, and its number stays taken.
    ///
    /// [`SimulatedHost::reap`] frees the number. A task that is dead already is left as it is.
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

    /// Removes a zombie, as its parent's wait(2) does. A living task is left as it is.
    pub fn reap(&mut self, zombie: Tid) {
        if self.tasks.get(&zombie).is_some_and(|task| task.facts.exiting) {
            self.tasks.remove(&zombie);
        }
    }

    /// Sets a task's affinity as `sched_setaffinity(2)` of the task itself does.
    ///
    /// The wish is kept. In force are its CPUs that subsystems allow.
    ///
    /// # Errors
    /// * `ESRCH`: there is no such task.
    /// * `EINVAL`: no CPU of the wish is allowed.
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

    /// Lets a task use CPU time on a CPU. The time is reported when the task is next sampled, or dies.
    pub fn run(&mut self, task: Tid, cpu: usize, time: CpuTime) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.unreported.push((cpu, time));
        }
    }

    /// The task of a number, alive or a zombie.
    pub fn get(&self, task: Tid) -> Option<&SimulatedTask> {
        self.tasks.get(&task)
    }

    /// The task of a number, alive or a zombie, to change.
    pub fn get_mut(&mut self, task: Tid) -> Option<&mut SimulatedTask> {
        self.tasks.get_mut(&task)
    }

    /// The numbers of all tasks, zombies included, ascending.
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
            return Err(Unsupported { host: "simulated", reason: "switched off for a test".into() });
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
        existing: ExistingPages,
    ) -> Result<(), Errno> {
        let task = self.tasks.get_mut(&task).ok_or(Errno::ESRCH)?;
        task.memory = to.clone();
        if existing == ExistingPages::Move {
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
