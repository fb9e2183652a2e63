//! The task table, which is the host: core gets facts of tasks from it, and places tasks with it.

use alloc::collections::{BTreeMap, VecDeque};

use penfold_core::{
    CssSetId, Errno, Tid,
    host::{Capability, Host, HostView, IndexSet, TaskFacts, Unsupported},
};

/// The program that a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskProgram {
    /// Does nothing; never scheduled.
    Idle,
    /// Computes for so many ticks, then exits.
    Spin {
        /// Ticks left.
        ticks: u32,
    },
    /// Forks itself on every tick.
    ForkBomb,
}

#[derive(Debug)]
struct ToyTask {
    program: TaskProgram,
    /// The only field that core needs in a task.
    set: Option<CssSetId>,
    frozen: bool,
}

/// All tasks, and the queue of runnable tasks.
#[derive(Debug, Default)]
pub struct ToyTaskTable {
    tasks: BTreeMap<Tid, ToyTask>,
    queue: VecDeque<Tid>,
    last: i32,
    ticks: u64,
}

impl ToyTaskTable {
    /// Makes a task that is not visible yet: it is in no css_set and not in the queue.
    pub(crate) fn prepare(&mut self, _parent: Option<Tid>, program: TaskProgram) -> Tid {
        self.last += 1;
        self.tasks.insert(Tid(self.last), ToyTask { program, set: None, frozen: false });
        Tid(self.last)
    }

    pub(crate) fn make_runnable(&mut self, task: Tid) {
        self.queue.push_back(task);
    }

    /// Takes the next task that may run from the queue. Frozen tasks stay there.
    pub(crate) fn next(&mut self) -> Option<(Tid, CssSetId)> {
        self.ticks += 1;
        let ready = self.queue.iter().position(|task| !self.tasks[task].frozen)?;
        let task = self.queue.remove(ready)?;
        Some((task, self.tasks[&task].set?))
    }

    /// Runs one tick of a task's program. Returns the program as it is then.
    pub(crate) fn step(&mut self, task: Tid) -> TaskProgram {
        let Some(task) = self.tasks.get_mut(&task) else { return TaskProgram::Idle };
        if let TaskProgram::Spin { ticks } = &mut task.program {
            *ticks = ticks.saturating_sub(1);
        }
        task.program
    }

    /// Removes a task. The caller has to report the death to core, with the css_set that is returned.
    pub(crate) fn remove(&mut self, task: Tid) -> Option<CssSetId> {
        self.queue.retain(|&queued| queued != task);
        self.tasks.remove(&task)?.set
    }
}

impl HostView for ToyTaskTable {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        // One user, no threads, and a fork is over before anything else happens.
        self.tasks.get(&task).map(|_| TaskFacts::new(task, 0))
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.tasks.get(&task)?.set
    }

    // A kernel with many tasks would keep a list for each css_set.
    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        let members = self.tasks.iter().filter(|(_, task)| task.set == Some(set));
        members.for_each(|(&tid, _)| visit(tid));
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        if self.tasks.contains_key(&group) {
            visit(group);
        }
    }

    fn now(&self) -> u64 {
        self.ticks * crate::TICK
    }

    fn cpus(&self) -> IndexSet {
        IndexSet::single(0)
    }

    fn is_frozen(&self, task: Tid) -> bool {
        self.tasks.get(&task).is_none_or(|task| task.frozen)
    }
}

impl Host for ToyTaskTable {
    fn place(&mut self, task: Tid, set: CssSetId) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.set = Some(set);
        }
    }

    // Never silently weaker: a capability that this kernel lacks is an error with the reason.
    fn require(&mut self, need: Capability) -> Result<(), Unsupported> {
        match need {
            Capability::ForkVeto | Capability::Freeze => Ok(()),
            _ => Err(Unsupported::new("toy", "it has one CPU, one node and no network")),
        }
    }

    fn set_affinity(&mut self, _: Tid, cpus: &IndexSet) -> Result<(), Errno> {
        if cpus.contains(0) { Ok(()) } else { Err(Errno::EINVAL) }
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
}
