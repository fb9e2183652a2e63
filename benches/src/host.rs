//! A host that does nothing but store each task's css_set, so that a benchmark measures core alone.

use penfold_core::{
    CssSetId, Errno, Tid,
    host::{Capability, Host, HostView, IndexSet, TaskFacts, Unsupported},
};

/// A table from thread id to css_set. Every task is its own process of user 0.
#[derive(Debug, Default)]
pub struct BareHost {
    sets: Vec<Option<CssSetId>>,
}

impl BareHost {
    /// A host with memory for the tasks `0..capacity`. All of the memory is touched here, so that no measurement pays
    /// for it.
    pub fn with_capacity(capacity: usize) -> BareHost {
        // Written and cleared again, because fresh zero pages would not be resident yet.
        let mut sets = vec![Some(CssSetId::default()); capacity];
        sets.fill(None);
        BareHost { sets }
    }
}

impl HostView for BareHost {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        Some(TaskFacts::new(task, 0))
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.sets[task.0 as usize]
    }

    // A scan: no benchmark lists members, and an index would cost time in every `place`.
    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        let members = self.sets.iter().enumerate().filter(|&(_, other)| *other == Some(set));
        members.for_each(|(task, _)| visit(Tid(task as i32)));
    }

    fn for_every_task(&self, _: &[CssSetId], visit: &mut dyn FnMut(Tid)) {
        let tasks = self.sets.iter().enumerate().filter(|&(_, set)| set.is_some());
        tasks.for_each(|(task, _)| visit(Tid(task as i32)));
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        visit(group);
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

impl Host for BareHost {
    fn place(&mut self, task: Tid, set: CssSetId) {
        self.sets[task.0 as usize] = Some(set);
    }

    fn require(&mut self, _: Capability) -> Result<(), Unsupported> {
        Ok(())
    }

    fn set_affinity(&mut self, _: Tid, _: &IndexSet) -> Result<(), Errno> {
        Ok(())
    }

    fn freeze(&mut self, _: Tid) {}

    fn thaw(&mut self, _: Tid) {}
}
