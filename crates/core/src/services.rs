//! What a subsystem may ask of the engine and the host around it.

use alloc::vec::Vec;

use crate::counter::{Counter, CpuUsage};
use crate::errno::Errno;
use crate::error::Result;
use crate::hierarchy::HierarchyFlags;
use crate::host::{Capability, ExistingPages, HostView};
use crate::ids::{CgroupId, Css};
use crate::index_set::IndexSet;
use crate::task::{Caller, TaskFacts, Tid};
use crate::tree::Tree;

/// What stands behind a [`Context`](crate::Context): the tree, the counters, the caller, and the host's services.
///
/// There are two kinds: the engine itself, for subsystems that are compiled in, and one that passes every call over a
/// module's binary interface. A subsystem can't tell which it has, so the same code is either.
///
/// A [`Css`] that is given must be one of the calling subsystem's own, alive.
pub trait Services {
    /// Is it a css of the calling subsystem, alive? What is asked of any other is a bug of the caller.
    fn is_alive(&self, css: Css) -> bool;

    /// How many charge rules the calling subsystem has declared.
    fn rule_count(&self) -> usize;

    /// The parent, `None` for the root of a hierarchy.
    fn parent_of(&self, css: Css) -> Option<Css>;

    /// The children, in the order of their creation.
    fn children_of(&self, css: Css) -> Vec<Css>;

    /// The tasks that are members of the css's cgroup itself, ascending.
    fn tasks_of(&self, css: Css) -> Vec<Tid>;

    /// Has the css's cgroup itself any member?
    fn has_tasks(&self, css: Css) -> bool;

    /// The path of the css's cgroup from the root of its hierarchy.
    fn path_of(&self, css: Css) -> Vec<u8>;

    /// The flags that the css's hierarchy was mounted with.
    fn hierarchy_flags(&self, css: Css) -> HierarchyFlags;

    /// The counter of a css for the subsystem's rule number `rule`.
    fn counter(&self, css: Css, rule: usize) -> Counter;

    /// Sets a counter's limit; the usage may already exceed it (F3.16).
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) when forks have to be refused and the host can't, or not those
    /// of a member.
    fn set_limit(&mut self, css: Css, rule: usize, limit: u64) -> Result<()>;

    /// Says whether the subsystem's `can_fork` may refuse from now on.
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) when the host can't; then nothing has changed.
    fn set_may_refuse_fork(&mut self, css: Css, refusing: bool) -> Result<()>;

    /// Sets a counter's peak back to its usage.
    fn reset_peak(&mut self, css: Css, rule: usize);

    /// CPU time charged to a css, descendants included.
    fn cpu_usage(&self, css: Css) -> CpuUsage;

    /// Forgets the CPU time charged to a css; not that of its parent or children.
    fn reset_cpu_usage(&mut self, css: Css);

    /// Who reads or writes a control file, makes a directory or attaches; `None` in fork, exit and bind.
    fn caller(&self) -> Option<&Caller>;

    /// Asks the host whether it can meet a need.
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) (`EOPNOTSUPP`) with the host's reason.
    fn require(&mut self, need: Capability) -> Result<()>;

    /// [`HostView::task`]
    fn task(&self, task: Tid) -> Option<TaskFacts>;

    /// [`HostView::for_each_thread`]
    fn threads_of(&self, group: Tid) -> Vec<Tid>;

    /// [`HostView::now`]
    fn now(&self) -> u64;

    /// [`HostView::cpus`]
    fn cpus(&self) -> IndexSet;

    /// [`HostView::memory_nodes`]
    fn memory_nodes(&self) -> IndexSet;

    /// [`HostView::cpu_limit`]
    fn cpu_limit(&self) -> usize;

    /// [`HostView::node_limit`]
    fn node_limit(&self) -> usize;

    /// [`Host::set_affinity`](crate::Host::set_affinity)
    ///
    /// # Errors
    /// What `sched_setaffinity(2)` gives.
    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno>;

    /// [`Host::set_memory_nodes`](crate::Host::set_memory_nodes)
    ///
    /// # Errors
    /// What `migrate_pages(2)` gives.
    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        existing: ExistingPages,
    ) -> Result<(), Errno>;

    /// [`Host::freeze`](crate::Host::freeze)
    fn freeze(&mut self, task: Tid);

    /// [`Host::thaw`](crate::Host::thaw)
    fn thaw(&mut self, task: Tid);

    /// [`HostView::is_frozen`]
    fn is_frozen(&self, task: Tid) -> bool;

    /// [`Host::set_socket_class`](crate::Host::set_socket_class)
    ///
    /// # Errors
    /// What setsockopt(2) gives.
    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno>;

    /// [`Host::signal`](crate::Host::signal)
    ///
    /// # Errors
    /// What kill(2) gives.
    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno>;

    /// The engine's inside around a css, to look at: for a subsystem that shows the framework itself. `None` where
    /// only the services above reach, as in a module.
    fn engine_view(&self, css: Css) -> Option<EngineView<'_>>;
}

/// The engine's inside, for [`Services::engine_view`].
#[non_exhaustive]
pub struct EngineView<'a> {
    /// All cgroups and css_sets.
    pub tree: &'a Tree,
    /// Who knows which task points to which css_set.
    pub host: &'a dyn HostView,
    /// The cgroup of the css that was asked for.
    pub cgroup: CgroupId,
}
