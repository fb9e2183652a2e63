//! The engine as the [`Services`] of a subsystem that is compiled in.

use alloc::vec::Vec;

use slab::Slab;

use crate::counter::{Counter, CpuUsage, Resource, Rule, UNLIMITED};
use crate::errno::Errno;
use crate::error::Result;
use crate::hierarchy::HierarchyFlags;
use crate::host::{Capability, ExistingPages, Host};
use crate::ids::{CgroupId, Css};
use crate::index_set::IndexSet;
use crate::services::{EngineView, Services};
use crate::slot::CssEntry;
use crate::task::{Caller, TaskFacts, Tid};
use crate::tree::Tree;

/// The part of a callback's context that does not depend on the type of its subsystem.
pub(crate) struct EngineServices<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) css: &'a Slab<CssEntry>,
    pub(crate) counters: &'a mut Vec<Counter>,
    pub(crate) cpu: &'a mut Vec<CpuUsage>,
    pub(crate) rules: &'a [Rule],
    pub(crate) limits: &'a mut usize,
    pub(crate) may_refuse_fork: &'a mut bool,
    pub(crate) slot: usize,
    pub(crate) host: &'a mut dyn Host,
    pub(crate) caller: Option<&'a Caller>,
}

impl EngineServices<'_> {
    fn cgroup_of(&self, css: Css) -> CgroupId {
        self.css[css.0 as usize].cgroup
    }

    fn counter_index(&self, css: Css, rule: usize) -> usize {
        css.0 as usize * self.rules.len() + rule
    }

    /// Has the host refuse forks of all members of a css and everything below it from now on, or of none.
    fn require_veto_below(&mut self, css: Css) -> Result<()> {
        let need = Capability::ForkVeto;
        self.require(need)?;
        let mut members: Vec<Tid> = Vec::new();
        for below in subtree_of(self, css) {
            members.extend(self.tasks_of(below));
        }
        let host = &mut *self.host;
        members
            .iter()
            .try_for_each(|&task| host.check_task(task, need).map_err(|cannot| cannot.error(need)))?;
        for task in members {
            host.enable_task(task, need);
        }
        Ok(())
    }
}

/// A css and everything below it, parents before children.
pub(crate) fn subtree_of(services: &dyn Services, css: Css) -> Vec<Css> {
    let mut all = alloc::vec![css];
    let mut next = 0;
    while let Some(&parent) = all.get(next) {
        all.extend(services.children_of(parent));
        next += 1;
    }
    all
}

impl Services for EngineServices<'_> {
    fn is_alive(&self, css: Css) -> bool {
        self.css.contains(css.0 as usize)
    }

    fn rule_count(&self) -> usize {
        self.rules.len()
    }

    fn parent_of(&self, css: Css) -> Option<Css> {
        self.css[css.0 as usize].parent
    }

    fn children_of(&self, css: Css) -> Vec<Css> {
        let children = self.tree.children(self.cgroup_of(css));
        children.filter_map(|child| self.tree[child].css(self.slot)).collect()
    }

    fn tasks_of(&self, css: Css) -> Vec<Tid> {
        self.tree.tasks(self.host, self.cgroup_of(css))
    }

    fn has_tasks(&self, css: Css) -> bool {
        self.tree[self.cgroup_of(css)].has_tasks()
    }

    fn path_of(&self, css: Css) -> Vec<u8> {
        self.tree.path(self.cgroup_of(css))
    }

    fn hierarchy_flags(&self, css: Css) -> HierarchyFlags {
        self.tree.hierarchy_of(self.cgroup_of(css)).flags
    }

    fn counter(&self, css: Css, rule: usize) -> Counter {
        self.counters[self.counter_index(css, rule)]
    }

    fn set_limit(&mut self, css: Css, rule: usize, limit: u64) -> Result<()> {
        let forks = matches!(self.rules[rule].resource, Resource::Tasks | Resource::Forks);
        if forks && limit != UNLIMITED {
            self.require_veto_below(css)?;
        }
        let index = self.counter_index(css, rule);
        let old = core::mem::replace(&mut self.counters[index].limit, limit);
        if forks {
            *self.limits += usize::from(limit != UNLIMITED);
            *self.limits -= usize::from(old != UNLIMITED);
        }
        Ok(())
    }

    fn set_may_refuse_fork(&mut self, css: Css, may_refuse: bool) -> Result<()> {
        if may_refuse && !*self.may_refuse_fork {
            let root = core::iter::successors(Some(css), |&css| self.parent_of(css)).last();
            self.require_veto_below(root.unwrap_or(css))?;
        }
        let old = core::mem::replace(self.may_refuse_fork, may_refuse);
        *self.limits += usize::from(may_refuse);
        *self.limits -= usize::from(old);
        Ok(())
    }

    fn reset_peak(&mut self, css: Css, rule: usize) {
        let index = self.counter_index(css, rule);
        let counter = &mut self.counters[index];
        counter.peak = counter.usage;
    }

    fn cpu_usage(&self, css: Css) -> CpuUsage {
        self.cpu[css.0 as usize].clone()
    }

    fn reset_cpu_usage(&mut self, css: Css) {
        self.cpu[css.0 as usize].reset();
    }

    fn caller(&self) -> Option<&Caller> {
        self.caller
    }

    fn require(&mut self, need: Capability) -> Result<()> {
        self.host.require(need).map_err(|cannot| cannot.error(need))
    }

    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.host.task(task)
    }

    fn threads_of(&self, group: Tid) -> Vec<Tid> {
        let mut threads = Vec::new();
        self.host.for_each_thread(group, &mut |thread| threads.push(thread));
        threads
    }

    fn now(&self) -> u64 {
        self.host.now()
    }

    fn cpus(&self) -> IndexSet {
        self.host.cpus()
    }

    fn memory_nodes(&self) -> IndexSet {
        self.host.memory_nodes()
    }

    fn cpu_limit(&self) -> usize {
        self.host.cpu_limit()
    }

    fn machine_cpu_usage(&self) -> Option<CpuUsage> {
        self.host.machine_cpu_usage()
    }

    fn node_limit(&self) -> usize {
        self.host.node_limit()
    }

    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno> {
        self.host.set_affinity(task, cpus)
    }

    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        existing: ExistingPages,
    ) -> Result<(), Errno> {
        self.host.set_memory_nodes(task, from, to, existing)
    }

    fn freeze(&mut self, task: Tid) {
        self.host.freeze(task);
    }

    fn thaw(&mut self, task: Tid) {
        self.host.thaw(task);
    }

    fn is_frozen(&self, task: Tid) -> bool {
        self.host.is_frozen(task)
    }

    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        self.host.set_socket_class(task, class)
    }

    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        self.host.signal(task, signal)
    }

    fn engine_view(&self, css: Css) -> Option<EngineView<'_>> {
        Some(EngineView { tree: self.tree, host: self.host, cgroup: self.cgroup_of(css) })
    }
}
