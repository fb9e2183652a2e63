//! The contract between core and its host: the part of a kernel or runtime that has the tasks.
//!
//! An embedder implements [`HostView`], which answers questions, and [`Host`], which changes tasks, on its own table of
//! tasks. Core and, through [`Services`](crate::subsystem::Services), subsystems call these methods. Begin with
//! [`HostView::css_set`] and [`Host::place`]: the one field that core needs in every task.
//! [`SimulatedHost`](crate::simulated::SimulatedHost) is a small implementation.
//!
//! # Contract
//!
//! * **Ownership.** The host owns the tasks, core owns the css_sets. A living task points to exactly one css_set. Core
//!   counts the tasks of each css_set; the host knows which they are.
//! * **Calls.** A host is called only during a call of the [`Engine`](crate::Engine) or the
//!   [`Tree`](crate::tree::Tree) that got the host as an argument. One engine always gets the same host.
//! * **Re-entrance.** The engine is borrowed during such a call, so no method here may call the engine. A host that
//!   learns of a death, a birth or CPU time meanwhile keeps it until the engine has returned.
//! * **Commit point.** [`Host::place`] is the commit point of an attach, a fork and an adoption. Everything that may
//!   refuse has agreed before, and `place` can't fail.
//! * **Refusal.** A host without a [`Capability`] says so in [`Host::require`] or [`HostView::check_task`], before a
//!   setting that needs it is accepted. A later failure can't undo a move.
//! * **Births.** The host calls [`Engine::charge_fork`](crate::Engine::charge_fork) before a child exists and
//!   [`Engine::commit_fork`](crate::Engine::commit_fork) before it runs, or [`Engine::join`](crate::Engine::join) for a
//!   child that was not charged. The child has its parent's affinity and class by the host's doing. A task that no
//!   member has forked becomes a member by [`Engine::adopt`](crate::Engine::adopt) or
//!   [`Engine::adopt_into`](crate::Engine::adopt_into), which give it what its css says.
//! * **Deaths.** The host calls [`Engine::exit`](crate::Engine::exit) once for each task, when the task is dead. Before
//!   that it charges the task's CPU time and drops the task from [`HostView::for_each_task`].

use core::fmt;

use alloc::borrow::Cow;
use alloc::string::String;

use crate::counter::{CpuTime, CpuUsage};
use crate::errno::Errno;
use crate::error::Error;
use crate::ids::CssSetId;
use crate::task::Tid;

pub use crate::event_mask::EventMask;
pub use crate::index_set::IndexSet;
pub use crate::task::{MoveFacts, TaskFacts};

/// An ability that a subsystem needs and that not every host has.
///
/// A subsystem requires the ability with [`Context::require`](crate::subsystem::Context::require) before it accepts a
/// setting that depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Refuses a fork before the child exists.
    ForkVeto,
    /// Sets the CPU affinity of tasks, and keeps affinities that tasks set themselves within it.
    Affinity,
    /// Binds the memory of tasks to nodes.
    MemoryNodes,
    /// Stops tasks so that neither they nor their parents notice.
    Freeze,
    /// Marks the sockets of tasks with a class.
    SocketClass,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::ForkVeto => "refusal of forks",
            Capability::Affinity => "CPU affinity",
            Capability::MemoryNodes => "memory placement",
            Capability::Freeze => "freezing",
            Capability::SocketClass => "classes on sockets",
        })
    }
}

/// The fate of a task's existing pages when [`Host::set_memory_nodes`] binds its memory to other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExistingPages {
    /// Existing pages stay where they are; only new pages come from the new nodes.
    Leave,
    /// Existing pages move to the new nodes, as with `cpuset.memory_migrate`.
    Move,
}

/// The answer of a host that does not have a [`Capability`]. The operation fails with `EOPNOTSUPP`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsupported {
    /// The host's name, such as `trace`.
    pub host: &'static str,
    /// The reason in words, with the host that has the capability if there is one.
    pub reason: Cow<'static, str>,
}

impl Unsupported {
    /// The answer of the host named `host`. `reason` says why, and which other host has the capability.
    pub fn new(host: &'static str, reason: impl Into<Cow<'static, str>>) -> Unsupported {
        Unsupported { host, reason: reason.into() }
    }

    /// The error of an operation that takes the capability `capability`.
    pub(crate) fn error(self, capability: Capability) -> Error {
        Error::HostCannot { file: String::new(), host: self.host, capability, reason: self.reason }
    }
}

/// The questions about tasks and the machine that a host answers. No method changes anything.
///
/// A function that only looks at tasks takes this trait instead of [`Host`], so its signature shows that no task
/// changes. The [module](self) states the contract.
pub trait HostView {
    /// The facts of a task; `None` if the host has no task of that number.
    fn task(&self, task: Tid) -> Option<TaskFacts>;

    /// The facts of a task that every move needs; `None` if the host has no task of that number.
    ///
    /// A host overrides this where user ids, which only a check of permission needs, cost more to read. The default
    /// calls [`HostView::task`].
    fn move_facts(&self, task: Tid) -> Option<MoveFacts> {
        self.task(task).map(MoveFacts::from)
    }

    /// The css_set that a task points to: the argument of the last [`Host::place`].
    ///
    /// `None` for a task that was not placed yet, is dead, or does not exist.
    fn css_set(&self, task: Tid) -> Option<CssSetId>;

    /// Calls `visit` for every task that points to `set`, in any order.
    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid));

    /// Calls `visit` for every task that points to a css_set, in any order. `sets` holds all css_sets that exist.
    ///
    /// A host that does not index its tasks by css_set overrides this with one pass over its tasks. The default calls
    /// [`HostView::for_each_task`] for each css_set.
    fn for_every_task(&self, sets: &[CssSetId], visit: &mut dyn FnMut(Tid)) {
        for &set in sets {
            self.for_each_task(set, visit);
        }
    }

    /// Calls `visit` for every thread of the thread group `group` that is not exiting.
    ///
    /// The leader comes first, then the other threads by age, as far as the host knows their age.
    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid));

    /// The thread group of a task, as the number of its leader; `None` if the host has no task of that number.
    ///
    /// Listings call this for every task. The default calls [`HostView::task`].
    fn group(&self, task: Tid) -> Option<Tid> {
        self.task(task).map(|facts| facts.group)
    }

    /// True once a task has stopped after [`Host::freeze`] and can't run any more. False while it still may run.
    fn is_frozen(&self, task: Tid) -> bool;

    /// Checks that the host has `capability` for this task too, where it has tasks of several kinds.
    ///
    /// Core calls this before the forks of a task become limited. That is when a task enters a limited cgroup, and when
    /// a cgroup with members gets a limit. [`Host::enable_task`] follows once every check has passed. The default
    /// agrees.
    ///
    /// # Errors
    /// [`Unsupported`], with a reason that names the task. The operation fails with `EOPNOTSUPP` and changes nothing.
    fn check_task(&self, task: Tid, capability: Capability) -> Result<(), Unsupported> {
        let _ = (task, capability);
        Ok(())
    }

    /// The time in nanoseconds on a clock that never goes back, from any origin. Only subsystems read it.
    fn now(&self) -> u64;

    /// The numbers of the CPUs that are online.
    fn cpus(&self) -> IndexSet;

    /// The numbers of the memory nodes that are online. The default is node 0 alone.
    fn memory_nodes(&self) -> IndexSet {
        IndexSet::single(0)
    }

    /// One more than the highest CPU number that a list of CPUs may name (`nr_cpu_ids` in Linux).
    ///
    /// A write to `cpuset.cpus` that names this number or a higher one fails with `ERANGE`. The default is one more
    /// than the highest number of [`HostView::cpus`].
    fn cpu_limit(&self) -> usize {
        self.cpus().last().map_or(1, |last| last + 1)
    }

    /// The CPU time of all tasks that the roots list, by CPU, where those are more than the tasks of the engine.
    ///
    /// A front end may list every task of the machine in the roots. Its host then returns the machine's time, in user
    /// mode and in the kernel with interrupts. The time never goes back. The default is `None`: the roots have the
    /// tasks of the engine, and core's count is all that there is.
    fn machine_cpu_usage(&self) -> Option<CpuUsage> {
        None
    }

    /// One more than the highest number that a list of memory nodes may name (`MAX_NUMNODES` in Linux).
    ///
    /// A write to `cpuset.mems` that names this number or a higher one fails with `ERANGE`. The default is 1024.
    fn node_limit(&self) -> usize {
        1024
    }
}

/// The actions on tasks that core and subsystems have a host carry out.
///
/// The engine is borrowed during every call, so an implementation must not call the engine. The [module](self) states
/// the whole contract.
pub trait Host: HostView {
    /// Points `task` to `set`: the commit point of an attach, a fork and an adoption. This can't fail.
    ///
    /// [`HostView::css_set`] and [`HostView::for_each_task`] answer accordingly as soon as this returns. Core already
    /// counts the task in `set`, and drops the former css_set afterwards.
    fn place(&mut self, task: Tid, set: CssSetId);

    /// Makes sure that the host has `capability` from now on, for the tasks that it has and those to come.
    ///
    /// Called before a setting that takes the capability is accepted: a finite limit on forks, CPUs, a frozen state. A
    /// host may arrange the capability here, or only now learn that a task to be started needs it.
    ///
    /// # Errors
    /// [`Unsupported`] with the reason. The setting is refused with `EOPNOTSUPP`.
    fn require(&mut self, capability: Capability) -> Result<(), Unsupported>;

    /// Provides `capability` for this task from now on.
    ///
    /// Called after [`HostView::check_task`] and everything else that may refuse has agreed, so this can't fail. The
    /// default does nothing, for a host that has its capabilities for all tasks alike.
    fn enable_task(&mut self, task: Tid, capability: Capability) {
        let _ = (task, capability);
    }

    /// Restricts a task to `cpus`.
    ///
    /// An affinity that the task has set for itself is kept where it fits. The task then runs on those of its CPUs
    /// that are in `cpus`. A task without such an affinity, or with none of its CPUs in `cpus`, runs on all of `cpus`.
    ///
    /// # Errors
    /// The errno of `sched_setaffinity(2)`. A subsystem ignores it in an attach that is past its commit point.
    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno>;

    /// Binds a task's future memory to the nodes in `to`. `existing` decides about its pages on the nodes in `from`.
    ///
    /// The default does nothing: a host that can't bind memory refuses [`Capability::MemoryNodes`].
    ///
    /// # Errors
    /// The errno of `migrate_pages(2)`.
    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        existing: ExistingPages,
    ) -> Result<(), Errno> {
        let _ = (task, from, to, existing);
        Ok(())
    }

    /// Begins to stop a task; [`HostView::is_frozen`] becomes true when it has stopped. A second call is harmless.
    fn freeze(&mut self, task: Tid);

    /// Lets a frozen task continue.
    fn thaw(&mut self, task: Tid);

    /// Gives the sockets of a task the class `class` (F5): those that exist and those made later. 0 is unclassified.
    ///
    /// The host itself gives a child the class of its parent, since a child is born in its parent's cgroup. No fork
    /// callback sets the class. The default does nothing: a host without classes refuses [`Capability::SocketClass`].
    ///
    /// # Errors
    /// The errno of setsockopt(2).
    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        let _ = (task, class);
        Ok(())
    }

    /// Sends the signal number `signal` to one task, as tgkill(2) does.
    ///
    /// # Errors
    /// The errno of kill(2). The default answers `EOPNOTSUPP`, for a host without signals.
    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        let _ = (task, signal);
        Err(Errno::EOPNOTSUPP)
    }

    /// Reports the CPU time of living tasks since the last report, before a subsystem or a front end reads CPU time.
    ///
    /// The host calls `charge` with the css_set, the number of the CPU and the time. The default does nothing, for a
    /// host that calls [`Engine::charge_cpu`](crate::Engine::charge_cpu) as time passes, such as on every tick.
    fn sample_cpu(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        let _ = charge;
    }

    /// Reports the CPU time of one task that is about to move, so that the cgroup that it leaves is charged.
    ///
    /// Arguments as in [`Host::sample_cpu`]. The default samples all tasks.
    fn sample_task(&mut self, task: Tid, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        let _ = task;
        self.sample_cpu(charge);
    }
}
