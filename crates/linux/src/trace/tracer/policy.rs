//! What the supervisor asks of the engine above it.

use std::fmt::Debug;

use nix::errno::Errno;
use penfold_core::{Tid, host::IndexSet};

use super::table::TaskTable;

/// The tasks of a supervisor with this policy.
pub type TableOf<P> = TaskTable<<P as Policy>::Task, <P as Policy>::Common>;

/// A birth, as told to [`Policy::forked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// The task that called fork, vfork or clone.
    pub parent: Tid,
    /// The new task. It has not run yet.
    pub child: Tid,
    /// The process of the new task: `child` itself unless it is a thread.
    pub tgid: Tid,
    /// The fork was charged by [`Policy::may_fork`] before.
    pub charged: bool,
    /// `parent` was killed inside its fork and has been reported by [`Policy::exited`] already, as one of
    /// the last few tasks that were: a policy that wants to place the child exactly remembers where those
    /// were. A quarter of the kills that hit a task which does nothing but fork end like this.
    ///
    /// The kernel does not tell who made such a child. Without the veto, or when several tasks were killed
    /// in their forks at once, `parent` is the likeliest of them; when none is known, the main command.
    pub parent_died: bool,
}

/// Why a fork is not agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkRefusal {
    /// The answer is final: the system call fails with this errno (`EAGAIN` for a limit) without entering the kernel.
    Final(Errno),
    /// Not now. Charges of other forks in flight may still come back, and deaths may not have been seen.
    NotYet,
}

/// Something the user should hear about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A program inside called ptrace(2) and was answered `EPERM`, since it is traced already.
    /// Given once per process.
    PtraceRefused {
        /// The process that asked.
        tgid: Tid,
        /// Its command name, as in `/proc/PID/comm`.
        comm: String,
    },
    /// A program asked for a child hidden from tracers (`CLONE_UNTRACED`); the flag was cleared.
    /// Given once per process.
    UntracedCleared {
        /// The task that called clone.
        task: Tid,
    },
    /// A process should have got the system call filter that a rule needs, and did not: the rule is not kept
    /// for it, nor for what it starts.
    FilterFailed {
        /// The process.
        tgid: Tid,
        /// Its command name, as in `/proc/PID/comm`.
        comm: String,
        /// Why.
        reason: String,
    },
}

/// Decides about forks and learns of births, deaths and CPU time.
///
/// All methods run on the tracer thread while the task concerned is stopped (or dead), so a slow policy
/// slows the job. What a policy knows of a task it keeps in [`Policy::Task`], in the supervisor's own entry.
pub trait Policy: Sized + Send + 'static {
    /// What the policy keeps of each task.
    type Task: Default + Debug + Send + 'static;

    /// What the policy keeps beside the tasks.
    type Common: Debug + Send + 'static;

    /// The main command exists and waits to be let loose: place it.
    ///
    /// `Err` ends the job before the command has run; why is for the policy to remember.
    fn started(&mut self, tasks: &mut TableOf<Self>, main: Tid) -> Result<(), Errno> {
        let _ = (tasks, main);
        Ok(())
    }

    /// `parent` is about to fork: charge the child, or refuse. `certain` says that no other fork is in flight which was
    /// when the question first came up, and that every death until then has been seen; only then must the answer be
    /// final, and only then is a refusal one to be counted.
    ///
    /// Asked only with [`TraceOptions::fork_veto`](super::TraceOptions::fork_veto).
    fn may_fork(&mut self, tasks: &mut TableOf<Self>, parent: Tid, certain: bool) -> Result<(), ForkRefusal> {
        let _ = (tasks, parent, certain);
        Ok(())
    }

    /// A fork that was charged by [`Policy::may_fork`] failed in the kernel: give the charge back.
    fn cancel_fork(&mut self, tasks: &mut TableOf<Self>, parent: Tid) {
        let _ = (tasks, parent);
    }

    /// A task was born. It is in the table.
    fn forked(&mut self, tasks: &mut TableOf<Self>, fork: Fork) {
        let _ = (tasks, fork);
    }

    /// `task` died; its zombie and its entry are still there. `last_of_group` when its process is gone with it.
    fn exited(&mut self, tasks: &mut TableOf<Self>, task: Tid, last_of_group: bool) {
        let _ = (tasks, task, last_of_group);
    }

    /// A task that ran already has been adopted, of the process `tgid`: place it. Until it gets a filter, nothing will be
    /// asked before it or its children fork, set their affinity or make sockets.
    fn adopted(&mut self, tasks: &mut TableOf<Self>, task: Tid, tgid: Tid) {
        let _ = (tasks, task, tgid);
    }

    /// Must the forks of a task be asked for where it is placed?
    fn needs_veto(&self, tasks: &TableOf<Self>, task: Tid) -> bool {
        let _ = (tasks, task);
        false
    }

    /// `task` goes on without its tracer: it is gone as if it had died.
    fn detached(&mut self, tasks: &mut TableOf<Self>, task: Tid) {
        self.exited(tasks, task, false);
    }

    /// The thread `former` executed a new program and took over its process's id, under which its entry is now. The old
    /// leader `tgid` was reported by [`Policy::exited`] just before.
    fn renamed(&mut self, tasks: &mut TableOf<Self>, former: Tid, tgid: Tid) {
        let _ = (tasks, former, tgid);
    }

    /// `task` (a process, by its leader, or a thread where threads of one process are accounted apart)
    /// has used this much more CPU time, in nanoseconds. `data` is what is kept of it, `cpu` where it was last seen.
    fn charge_cpu(&mut self, task: Tid, data: Option<&Self::Task>, cpu: usize, user_ns: u64, system_ns: u64) {
        let _ = (task, data, cpu, user_ns, system_ns);
    }

    /// What `task` may ask for by `sched_setaffinity`; `None` for anything.
    fn allowed_cpus(&self, tasks: &TableOf<Self>, task: Tid) -> Option<IndexSet> {
        let _ = (tasks, task);
        None
    }

    /// Whether a child placed by [`Policy::forked`] is to stay stopped until it is thawed, though it was not frozen.
    fn starts_frozen(&self, task: Tid) -> bool {
        let _ = task;
        false
    }

    /// The class that sockets of `task` get; 0 for none. Asked at socket(2), with
    /// [`TraceOptions::sockets`](super::TraceOptions::sockets).
    fn socket_class(&self, tasks: &TableOf<Self>, task: Tid) -> u32 {
        let _ = (tasks, task);
        0
    }

    /// `task`, which has a class, has made a socket and has not yet returned to its program.
    fn socket_made(&mut self, tasks: &TableOf<Self>, task: Tid, descriptor: i32) {
        let _ = (tasks, task, descriptor);
    }

    /// A stop, a death or some requests have been dealt with, on whichever thread.
    fn batch_done(&mut self) {}

    /// Something the user should hear about.
    fn notice(&mut self, notice: Notice) {
        let _ = notice;
    }
}
