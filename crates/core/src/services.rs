//! The services that a subsystem has from the engine and the host around it.

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

/// The engine and the host as one subsystem reaches them: the tree, the counters, the caller, tasks and the machine.
///
/// A subsystem reaches these methods by [`Context::host`](crate::subsystem::Context::host); most have a shorter way in
/// the [`Context`](crate::subsystem::Context) itself. Core implements the trait for subsystems that are compiled in.
/// The kit for modules implements it with calls over the binary interface. A subsystem can't tell the two apart, so the
/// same code can be either.
///
/// A [`Css`] that is passed has to be a living css of the calling subsystem. Any other is a bug of the subsystem, for
/// which core's own implementation panics. Only [`Services::is_alive`] takes every css.
pub trait Services {
    /// True if the calling subsystem has a css of that number now. No other method takes a css for which this is false.
    fn is_alive(&self, css: Css) -> bool;

    /// The number of charge rules that the calling subsystem has declared.
    fn rule_count(&self) -> usize;

    /// The parent of a css; `None` for the root of a hierarchy.
    fn parent_of(&self, css: Css) -> Option<Css>;

    /// The children of a css, in the order of their creation.
    fn children_of(&self, css: Css) -> Vec<Css>;

    /// The tasks that are members of the css's own cgroup, by ascending number. Tasks below are not listed.
    fn tasks_of(&self, css: Css) -> Vec<Tid>;

    /// True if the css's own cgroup has a member. Tasks below do not count.
    fn has_tasks(&self, css: Css) -> bool;

    /// The path of the css's cgroup from the root of its hierarchy: `/` for the root, `/a/b` below it.
    fn path_of(&self, css: Css) -> Vec<u8>;

    /// The flags that the css's hierarchy was mounted with.
    fn hierarchy_flags(&self, css: Css) -> HierarchyFlags;

    /// A copy of the counter of a css for the subsystem's rule number `rule`, from 0.
    fn counter(&self, css: Css, rule: usize) -> Counter;

    /// Sets the limit of a counter, [`UNLIMITED`](crate::subsystem::UNLIMITED) for none. The usage may already be above
    /// the limit (F3.16).
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) (`EOPNOTSUPP`) if the limit has to refuse forks and the host
    /// can't, or can't for one of the members. The limit is unchanged then.
    fn set_limit(&mut self, css: Css, rule: usize, limit: u64) -> Result<()>;

    /// Announces whether the subsystem's `can_fork` may refuse from now on, in the hierarchy of `css`.
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) (`EOPNOTSUPP`) if the host can't refuse forks, or can't for one
    /// of the members. Nothing has changed then.
    fn set_may_refuse_fork(&mut self, css: Css, may_refuse: bool) -> Result<()>;

    /// Sets the peak of a counter to its present usage.
    fn reset_peak(&mut self, css: Css, rule: usize);

    /// The CPU time of a css and everything below it, by CPU. The subsystem needs a rule on CPU time.
    fn cpu_usage(&self, css: Css) -> CpuUsage;

    /// Sets the CPU time of a css to zero. The time of its parent and of its children stays.
    fn reset_cpu_usage(&mut self, css: Css);

    /// The caller who reads or writes a control file, makes or removes a directory, or attaches.
    ///
    /// `None` in callbacks of load, unload, fork and exit, and in `bind` and `destroy`.
    fn caller(&self) -> Option<&Caller>;

    /// Makes sure that the host has `capability` from now on ([`Host::require`](crate::host::Host::require)).
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) (`EOPNOTSUPP`) with the host's reason.
    fn require(&mut self, capability: Capability) -> Result<()>;

    /// The facts of a task; `None` if the host has no task of that number ([`HostView::task`]).
    fn task(&self, task: Tid) -> Option<TaskFacts>;

    /// The threads of the thread group `group` that are not exiting, the leader first ([`HostView::for_each_thread`]).
    fn threads_of(&self, group: Tid) -> Vec<Tid>;

    /// The time in nanoseconds on the host's clock, which never goes back ([`HostView::now`]).
    fn now(&self) -> u64;

    /// The numbers of the CPUs that are online ([`HostView::cpus`]).
    fn cpus(&self) -> IndexSet;

    /// The numbers of the memory nodes that are online ([`HostView::memory_nodes`]).
    fn memory_nodes(&self) -> IndexSet;

    /// One more than the highest CPU number that a list may name ([`HostView::cpu_limit`]).
    fn cpu_limit(&self) -> usize;

    /// The CPU time of all tasks that the roots list; `None` where core's count has it
    /// ([`HostView::machine_cpu_usage`]). `None` in a module.
    fn machine_cpu_usage(&self) -> Option<CpuUsage> {
        None
    }

    /// One more than the highest memory node that a list may name ([`HostView::node_limit`]).
    fn node_limit(&self) -> usize;

    /// Restricts a task to `cpus` ([`Host::set_affinity`](crate::host::Host::set_affinity)).
    ///
    /// # Errors
    /// The errno of `sched_setaffinity(2)`.
    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno>;

    /// Binds a task's future memory to `to`, and leaves or moves its pages on `from`
    /// ([`Host::set_memory_nodes`](crate::host::Host::set_memory_nodes)).
    ///
    /// # Errors
    /// The errno of `migrate_pages(2)`.
    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        existing: ExistingPages,
    ) -> Result<(), Errno>;

    /// Begins to stop a task ([`Host::freeze`](crate::host::Host::freeze)).
    fn freeze(&mut self, task: Tid);

    /// Lets a frozen task continue ([`Host::thaw`](crate::host::Host::thaw)).
    fn thaw(&mut self, task: Tid);

    /// True once a task has stopped after [`Services::freeze`] ([`HostView::is_frozen`]).
    fn is_frozen(&self, task: Tid) -> bool;

    /// Gives the sockets of a task the class `class`, 0 for none
    /// ([`Host::set_socket_class`](crate::host::Host::set_socket_class)).
    ///
    /// # Errors
    /// The errno of setsockopt(2).
    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno>;

    /// Sends a signal to one task ([`Host::signal`](crate::host::Host::signal)).
    ///
    /// # Errors
    /// The errno of kill(2); `EOPNOTSUPP` from a host without signals.
    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno>;

    /// The engine around a css, read-only, for a subsystem that shows the framework itself.
    ///
    /// `None` in a module, which reaches only the services above.
    fn engine_view(&self, css: Css) -> Option<EngineView<'_>>;
}

/// The engine around one css, read-only: the answer of [`Services::engine_view`].
#[non_exhaustive]
pub struct EngineView<'a> {
    /// All hierarchies, cgroups and css_sets.
    pub tree: &'a Tree,
    /// The host, which knows the css_set of each task.
    pub host: &'a dyn HostView,
    /// The cgroup of the css.
    pub cgroup: CgroupId,
}
