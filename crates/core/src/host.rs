//! The small trait between core and the part that knows real processes.

use core::fmt;

use alloc::borrow::Cow;
use alloc::string::String;

use crate::counter::CpuTime;
use crate::errno::Errno;
use crate::error::Error;
use crate::ids::CssSetId;
use crate::task::Tid;

pub use crate::event_mask::EventMask;
pub use crate::index_set::IndexSet;
pub use crate::task::{MoveFacts, TaskFacts};

/// Something that a subsystem needs the host to be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Refuse a fork before the child exists.
    ForkVeto,
    /// Set the CPU affinity of tasks and clamp what they set themselves.
    Affinity,
    /// Bind the memory of tasks to nodes.
    MemoryNodes,
    /// Stop tasks so that neither they nor their parents notice.
    Freeze,
    /// Mark the sockets of tasks with a class.
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

/// A host's answer to a [`Capability`] that it can't meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The host's name.
    pub host: &'static str,
    /// Why not, and which host could.
    pub reason: Cow<'static, str>,
}

impl Unsupported {
    /// As the error of the operation that needed it.
    pub(crate) fn error(self, need: Capability) -> Error {
        Error::HostCannot { file: String::new(), host: self.host, need, reason: self.reason }
    }
}

/// What can be asked of a host about its tasks and its machine. It changes nothing.
///
/// The host owns the tasks, core owns the css_sets that they point to. Code that only looks takes this trait, so that a
/// reader sees from a signature whether tasks can be touched.
pub trait HostView {
    /// The facts of a task; `None` if there is none of that number.
    fn task(&self, task: Tid) -> Option<TaskFacts>;

    /// What a move has to know of a task: less than [`HostView::task`] tells, so that a host need not read what only a
    /// check of permission looks at.
    fn move_facts(&self, task: Tid) -> Option<MoveFacts> {
        self.task(task).map(MoveFacts::from)
    }

    /// The css_set that a living task points to.
    fn css_set(&self, task: Tid) -> Option<CssSetId>;

    /// Visits every task that points to `set`, in any order.
    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid));

    /// Visits every task that points to any css_set, in any order. `sets` are all that there are: a host that does not
    /// keep its tasks by css_set goes through them once instead.
    fn for_every_task(&self, sets: &[CssSetId], visit: &mut dyn FnMut(Tid)) {
        for &set in sets {
            self.for_each_task(set, visit);
        }
    }

    /// Visits every thread of a thread group that is not exiting, leader first, the others in the order of their making
    /// as far as it is known.
    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid));

    /// The thread group of a task: the one fact of [`HostView::task`] that listings need.
    fn group(&self, task: Tid) -> Option<Tid> {
        self.task(task).map(|facts| facts.group)
    }

    /// True once a task that [`Host::freeze`] was called for can't run any more.
    fn is_frozen(&self, task: Tid) -> bool;

    /// Asks whether a need that the host can meet can be met for this task, where a host has tasks of several kinds.
    ///
    /// # Errors
    /// [`Unsupported`], with a reason that names the task.
    fn check_task(&self, task: Tid, need: Capability) -> Result<(), Unsupported> {
        let _ = (task, need);
        Ok(())
    }

    /// Nanoseconds of a clock that never goes back. Core itself never reads it.
    fn now(&self) -> u64;

    /// The CPUs that are online.
    fn cpus(&self) -> IndexSet;

    /// The memory nodes that are online.
    fn memory_nodes(&self) -> IndexSet {
        IndexSet::single(0)
    }

    /// One more than the highest CPU number that a list may name (`nr_cpu_ids`).
    fn cpu_limit(&self) -> usize {
        self.cpus().last().map_or(1, |last| last + 1)
    }

    /// One more than the highest node number that a list may name (`MAX_NUMNODES`).
    fn node_limit(&self) -> usize {
        1024
    }
}

/// What core has a host do to its tasks.
///
/// Every method is called with the engine borrowed, so an implementation must not call back into it.
pub trait Host: HostView {
    /// Points a task to another css_set: the commit point of an attach. It must not fail.
    fn place(&mut self, task: Tid, set: CssSetId);

    /// Asks whether the host can meet a need from now on, for the tasks it has.
    ///
    /// # Errors
    /// [`Unsupported`] with the reason; the operation that asked is refused with `EOPNOTSUPP`.
    fn require(&mut self, need: Capability) -> Result<(), Unsupported>;

    /// A need that [`HostView::check_task`] agreed to has arisen for this task: from now on it must be met.
    ///
    /// Called after everything that could refuse has agreed. It can't fail.
    fn enable_task(&mut self, task: Tid, need: Capability) {
        let _ = (task, need);
    }

    /// Restricts a task to `cpus`; what it had asked for itself is kept where it still fits.
    ///
    /// # Errors
    /// What `sched_setaffinity(2)` gives. An attach that is past its commit point ignores it.
    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno>;

    /// Binds a task's future memory to `to`, and with `migrate` moves what it has on `from`.
    ///
    /// # Errors
    /// What `migrate_pages(2)` gives.
    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        migrate: bool,
    ) -> Result<(), Errno> {
        let _ = (task, from, to, migrate);
        Ok(())
    }

    /// Starts to stop a task. Asking twice is harmless.
    fn freeze(&mut self, task: Tid);

    /// Lets a frozen task go on.
    fn thaw(&mut self, task: Tid);

    /// Gives the sockets of a task this class (F5): those it has and those it will make. 0 is "unclassified".
    ///
    /// A child has the class of its parent, without being told: it is born in its parent's cgroup, and no fork
    /// callback asks for it.
    ///
    /// # Errors
    /// What setsockopt(2) gives.
    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        let _ = (task, class);
        Ok(())
    }

    /// Sends a signal to one task, as tgkill(2) does.
    ///
    /// # Errors
    /// What kill(2) gives; `EOPNOTSUPP` from a host that has no signals.
    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        let _ = (task, signal);
        Err(Errno::EOPNOTSUPP)
    }

    /// Reports the CPU time that living tasks have used and that was not yet reported, before it is read.
    fn sample_cpu(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        let _ = charge;
    }

    /// The same for one task that is about to move, so that its time goes to where it was.
    fn sample_task(&mut self, task: Tid, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        let _ = task;
        self.sample_cpu(charge);
    }
}
