//! The interface of the supervisor to the engine above it.

use std::fmt::Debug;

use nix::errno::Errno;
use penfold_core::{Tid, host::IndexSet};

use super::table::TaskTable;

/// The task table of a supervisor with this policy.
pub type TableOf<P> = TaskTable<<P as Policy>::Task, <P as Policy>::Common>;

/// A birth, for [`Policy::forked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// The task that called fork, vfork or clone.
    pub parent: Tid,
    /// The new task. It has not run yet, unless [`Fork::has_run`].
    pub child: Tid,
    /// The process of the new task: `child` itself unless it is a thread.
    pub tgid: Tid,
    /// Whether [`Policy::may_fork`] has charged the fork.
    pub charged: bool,
    /// Whether `parent` was killed inside its fork. [`Policy::exited`] was called for it already, among the last few
    /// tasks. A policy that wants to place the child exactly remembers the places of those. A quarter of the kills that
    /// hit a task which does nothing but fork end like this.
    ///
    /// The kernel does not show the parent of such a child. Without the veto, or when several tasks were killed in
    /// their forks at once, `parent` is the likeliest of them. When none is known, it is the main command.
    pub parent_died: bool,
    /// Whether the child ran before the tracer had it: it was seized late, while its parent was adopted.
    pub has_run: bool,
}

/// The refusal of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkRefusal {
    /// A final refusal. The system call fails with this errno (`EAGAIN` for a limit) without entering the kernel.
    Final(Errno),
    /// Not now. Charges of other forks in flight may still come back, and deaths may not have been seen.
    NotYet,
}

/// An occurrence that the user should know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A program inside called ptrace(2), which failed with `EPERM`: it is traced already. Given once per process.
    PtraceRefused {
        /// The calling process.
        tgid: Tid,
        /// The process's command name, as in `/proc/PID/comm`.
        comm: String,
    },
    /// A program wanted a child that is hidden from tracers (`CLONE_UNTRACED`); the flag was cleared. Given once per
    /// process.
    UntracedCleared {
        /// The task that called clone.
        task: Tid,
    },
    /// A limit refused a child that was born without a check, because another filter outranks this crate's. The child
    /// was killed before its first instruction.
    UnjudgedKilled {
        /// The task that made the child.
        parent: Tid,
        /// The child.
        child: Tid,
    },
    /// A process did not get the system call filter that a rule needs. The rule is not kept for it, nor for its
    /// descendants.
    FilterFailed {
        /// The process.
        tgid: Tid,
        /// The process's command name, as in `/proc/PID/comm`.
        comm: String,
        /// The reason.
        reason: String,
    },
}

/// Decides about forks, and sees births, deaths and CPU time.
///
/// All methods run on the tracer thread while the task concerned is stopped or dead, so a slow policy slows the job. A
/// policy keeps its part of a task in [`Policy::Task`], in the supervisor's own entry.
pub trait Policy: Sized + Send + 'static {
    /// The policy's part of each task's entry.
    type Task: Default + Debug + Send + 'static;

    /// The policy's part beside the tasks.
    type Common: Debug + Send + 'static;

    /// The main command exists and waits: place it.
    ///
    /// `Err` ends the job before the command has run. The policy itself keeps the reason.
    fn started(&mut self, tasks: &mut TableOf<Self>, main: Tid) -> Result<(), Errno> {
        let _ = (tasks, main);
        Ok(())
    }

    /// `parent` is about to fork: charge the child, or refuse.
    ///
    /// `certain` says that two things are known since the fork was first judged: the outcome of every fork in flight,
    /// and every death until then. Only then must the result be final, and only then does a refusal count.
    ///
    /// Called only with [`TraceOptions::fork_veto`](super::TraceOptions::fork_veto).
    fn may_fork(&mut self, tasks: &mut TableOf<Self>, parent: Tid, certain: bool) -> Result<(), ForkRefusal> {
        let _ = (tasks, parent, certain);
        Ok(())
    }

    /// A fork that [`Policy::may_fork`] charged has failed in the kernel: give the charge back.
    fn cancel_fork(&mut self, tasks: &mut TableOf<Self>, parent: Tid) {
        let _ = (tasks, parent);
    }

    /// A task was born. It is in the table.
    fn forked(&mut self, tasks: &mut TableOf<Self>, fork: Fork) {
        let _ = (tasks, fork);
    }

    /// `task` died; its zombie and its entry still exist. `last_of_group` when its process is gone with it.
    fn exited(&mut self, tasks: &mut TableOf<Self>, task: Tid, last_of_group: bool) {
        let _ = (tasks, task, last_of_group);
    }

    /// The leader `tgid` has ended before the other threads of its process: it is a member of nothing any more.
    /// [`Policy::exited`] is called at its death, which is that of the process.
    fn leader_ended(&mut self, tasks: &mut TableOf<Self>, tgid: Tid) {
        let _ = (tasks, tgid);
    }

    /// A task of the process `tgid` that ran already has been adopted: place it. Until it gets a filter, no method is
    /// called before it or its children fork, set their affinity or make sockets.
    fn adopted(&mut self, tasks: &mut TableOf<Self>, task: Tid, tgid: Tid) {
        let _ = (tasks, task, tgid);
    }

    /// Whether the forks of a task can be refused where it is placed.
    fn needs_veto(&self, tasks: &TableOf<Self>, task: Tid) -> bool {
        let _ = (tasks, task);
        false
    }

    /// `task` goes on without its tracer: it is gone as if it had died.
    fn detached(&mut self, tasks: &mut TableOf<Self>, task: Tid) {
        self.exited(tasks, task, false);
    }

    /// The thread `former` executed a program and took over its process's id, under which its entry is now.
    /// [`Policy::exited`] was called for the old leader `tgid` just before.
    fn renamed(&mut self, tasks: &mut TableOf<Self>, former: Tid, tgid: Tid) {
        let _ = (tasks, former, tgid);
    }

    /// `task` has used this much more CPU time, in nanoseconds. It is a process, named by its leader, or a thread where
    /// threads of one process are accounted by themselves. `data` is the policy's part of it, `cpu` the CPU where it
    /// was last seen.
    fn charge_cpu(&mut self, task: Tid, data: Option<&Self::Task>, cpu: usize, user_ns: u64, system_ns: u64) {
        let _ = (task, data, cpu, user_ns, system_ns);
    }

    /// The CPUs to which `sched_setaffinity` of `task` is clamped; `None` for any.
    fn allowed_cpus(&self, tasks: &TableOf<Self>, task: Tid) -> Option<IndexSet> {
        let _ = (tasks, task);
        None
    }

    /// Whether a child stays stopped after [`Policy::forked`] until it is thawed, though it was not frozen.
    fn starts_frozen(&self, task: Tid) -> bool {
        let _ = task;
        false
    }

    /// The class of sockets of `task`; 0 for none. Called at socket(2), with
    /// [`TraceOptions::sockets`](super::TraceOptions::sockets).
    fn socket_class(&self, tasks: &TableOf<Self>, task: Tid) -> u32 {
        let _ = (tasks, task);
        0
    }

    /// `task`, which has a class, has made a socket and has not yet returned to its program.
    fn socket_made(&mut self, tasks: &TableOf<Self>, task: Tid, descriptor: i32) {
        let _ = (tasks, task, descriptor);
    }

    /// A stop, a death or some requests have been dealt with, on any thread.
    fn batch_done(&mut self) {}

    /// An occurrence that the user should know of.
    fn notice(&mut self, notice: Notice) {
        let _ = notice;
    }
}
