//! A host that implements only what the traits require, in a table that is made once.

use penfold_core::{
    CssSetId, Engine, Errno, Tid,
    host::{Capability, Host, HostView, IndexSet, TaskFacts, Unsupported},
    subsystem::CpuTime,
};

/// A table from task number to css_set, with two CPUs. Every task is a process of user 0.
///
/// The optional methods of [`HostView`] and [`Host`] keep their defaults, but for fork vetoes, for CPU time and for
/// [`HostView::for_every_task`]. No method allocates memory, except for CPU time and fork vetoes, so a test can count what core
/// allocates, and a benchmark measures core alone.
#[derive(Debug, Default)]
pub struct PlainHost {
    sets: Vec<Option<CssSetId>>,
    last: i32,
    unreported: Vec<(Tid, usize, CpuTime)>,
    /// Tasks whose forks this host claims to be unable to refuse.
    pub without_fork_veto: Vec<Tid>,
    /// Tasks for which core has called [`Host::enable_task`], in that order.
    pub with_fork_veto: Vec<Tid>,
}

impl PlainHost {
    /// Makes a host for the tasks `0..capacity`. All memory of the table is resident afterwards.
    pub fn with_capacity(capacity: usize) -> PlainHost {
        // Written and cleared again, because fresh zero pages would not be resident yet.
        let mut sets = vec![Some(CssSetId::default()); capacity];
        sets.fill(None);
        PlainHost { sets, ..PlainHost::default() }
    }

    /// A number that no task has had, for a task that the engine does not know yet. The first is 1.
    pub fn new_task(&mut self) -> Tid {
        self.last += 1;
        Tid(self.last)
    }

    /// A new task in every root.
    pub fn spawn(&mut self, engine: &mut Engine) -> Tid {
        let task = self.new_task();
        engine.adopt(self, task);
        task
    }

    /// A task dies: it is removed from the table, and its former css_set is returned.
    pub fn remove(&mut self, task: Tid) -> Option<CssSetId> {
        self.sets[task.0 as usize].take()
    }

    /// A task uses CPU time, which is reported when core samples it next.
    pub fn run(&mut self, task: Tid, cpu: usize, time: CpuTime) {
        self.unreported.push((task, cpu, time));
    }
}

impl HostView for PlainHost {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.css_set(task)?;
        Some(TaskFacts::new(task, 0))
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        *self.sets.get(usize::try_from(task.0).ok()?)?
    }

    // A scan: an index of members would have to be paid for in every `place`.
    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        let members = self.sets.iter().enumerate().filter(|&(_, other)| *other == Some(set));
        members.for_each(|(task, _)| visit(Tid(task as i32)));
    }

    // One scan, where the default would make one for each css_set.
    fn for_every_task(&self, _: &[CssSetId], visit: &mut dyn FnMut(Tid)) {
        let tasks = self.sets.iter().enumerate().filter(|&(_, set)| set.is_some());
        tasks.for_each(|(task, _)| visit(Tid(task as i32)));
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        visit(group);
    }

    fn check_task(&self, task: Tid, need: Capability) -> Result<(), Unsupported> {
        assert_eq!(need, Capability::ForkVeto);
        if self.without_fork_veto.contains(&task) {
            return Err(Unsupported::new("plain", format!("task {task} is beyond it")));
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        0
    }

    fn cpus(&self) -> IndexSet {
        IndexSet::first(2)
    }

    fn is_frozen(&self, _: Tid) -> bool {
        false
    }
}

impl Host for PlainHost {
    fn place(&mut self, task: Tid, set: CssSetId) {
        self.sets[task.0 as usize] = Some(set);
    }

    fn require(&mut self, _: Capability) -> Result<(), Unsupported> {
        Ok(())
    }

    fn enable_task(&mut self, task: Tid, need: Capability) {
        assert_eq!(need, Capability::ForkVeto);
        self.with_fork_veto.push(task);
    }

    fn set_affinity(&mut self, _: Tid, _: &IndexSet) -> Result<(), Errno> {
        Ok(())
    }

    fn freeze(&mut self, _: Tid) {}

    fn thaw(&mut self, _: Tid) {}

    fn sample_cpu(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        let sets = &self.sets;
        for (task, cpu, time) in self.unreported.drain(..) {
            if let Some(set) = sets[task.0 as usize] {
                charge(set, cpu, time);
            }
        }
    }
}
