//! What the supervisor asks of the engine above it.

use nix::errno::Errno;
use penfold_core::Mask;

/// A task: a thread's id in the supervisor's pid namespace. A process is named by its leader's id.
pub type Tid = i32;

/// A birth, as told to [`Policy::forked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// The task that called fork, vfork or clone.
    pub parent: Tid,
    /// The new task. It has not run yet.
    pub child: Tid,
    /// The process that the new task belongs to; equal to `child` for a new process.
    pub tgid: Tid,
    /// Whether [`Policy::may_fork`] was asked and agreed; otherwise the policy must count the child now.
    pub charged: bool,
    /// `parent` was killed inside its fork and has been reported by [`Policy::exited`] already, as one of
    /// the last few tasks that were: a policy that wants to place the child exactly remembers where those
    /// were. A quarter of the kills that hit a task which does nothing but fork end like this.
    ///
    /// The kernel does not tell who made such a child. Without the veto, or when several tasks were killed
    /// in their forks at once, `parent` is the likeliest of them; when none is known, the main command.
    pub parent_died: bool,
    /// It has a filter that stops forks, as a command that was launched here. A child of an adopted task has that of its
    /// parent, if one was put in.
    pub filtered: bool,
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
    /// An adopted process should have got the system call filter that a rule needs, and did not: the rule is not kept
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
/// slows the job.
pub trait Policy: Send + 'static {
    /// The main command exists and waits to be let loose: place it.
    ///
    /// `Err` ends the job before the command has run; why is for the policy to remember.
    fn started(&mut self, main: Tid) -> Result<(), Errno> {
        let _ = main;
        Ok(())
    }

    /// Would [`Policy::may_fork`] agree now? Counts nothing. Asked first: the charges of other forks in flight may still
    /// come back, and dead tasks may not have been seen; only a no that stands without them is final.
    fn could_fork(&self, parent: Tid) -> bool {
        let _ = parent;
        true
    }

    /// `parent` is about to fork: charge the child. `Err` makes the system call fail with that errno
    /// (`EAGAIN` for a limit) without entering the kernel. Asked only with
    /// [`Options::fork_veto`](super::Options::fork_veto).
    fn may_fork(&mut self, parent: Tid) -> Result<(), Errno> {
        let _ = parent;
        Ok(())
    }

    /// A fork that was charged by [`Policy::may_fork`] failed in the kernel: give the charge back.
    fn cancel_fork(&mut self, parent: Tid) {
        let _ = parent;
    }

    /// A task was born.
    fn forked(&mut self, fork: Fork) {
        let _ = fork;
    }

    /// `task` died; its zombie is still there. `last_of_group` when its process is gone with it.
    fn exited(&mut self, task: Tid, last_of_group: bool) {
        let _ = (task, last_of_group);
    }

    /// A task that ran already has been adopted, of the process `tgid`: place it. Until [`Policy::filtered`] nothing will
    /// be asked before it or its children fork, set their affinity or make sockets.
    fn adopted(&mut self, task: Tid, tgid: Tid) {
        let _ = (task, tgid);
    }

    /// A filter was put into an adopted task: from now on it stops as a launched one does; `vetoes` tells whether its
    /// forks are asked for.
    fn filtered(&mut self, task: Tid, vetoes: bool) {
        let _ = (task, vetoes);
    }

    /// Must the forks of an adopted task be asked for where it is placed?
    fn needs_veto(&self, task: Tid) -> bool {
        let _ = task;
        false
    }

    /// `task` goes on without its tracer: it is gone as if it had died.
    fn released(&mut self, task: Tid) {
        self.exited(task, false);
    }

    /// The thread `former` executed a new program and took over its process's id. The old leader `tgid`
    /// was reported by [`Policy::exited`] just before.
    fn renamed(&mut self, former: Tid, tgid: Tid) {
        let _ = (former, tgid);
    }

    /// `task` (a process, by its leader, or a thread where threads of one process are accounted apart)
    /// has used this much more CPU time, in nanoseconds. `cpu` is where it was last seen.
    fn charge_cpu(&mut self, task: Tid, cpu: usize, user_ns: u64, system_ns: u64) {
        let _ = (task, cpu, user_ns, system_ns);
    }

    /// What `task` may ask for by `sched_setaffinity`; `None` for anything.
    fn allowed_cpus(&self, task: Tid) -> Option<Mask> {
        let _ = task;
        None
    }

    /// Whether a child placed by [`Policy::forked`] is to stay stopped until it is thawed.
    fn starts_frozen(&self, task: Tid) -> bool {
        let _ = task;
        false
    }

    /// The class that sockets of `task` get; 0 for none. Asked at socket(2), with
    /// [`Options::sockets`](super::Options::sockets).
    fn socket_class(&self, task: Tid) -> u32 {
        let _ = task;
        0
    }

    /// `task`, which has a class, has made a socket and has not yet returned to its program.
    fn socket_made(&mut self, task: Tid, descriptor: i32) {
        let _ = (task, descriptor);
    }

    /// A stop, a death or some requests have been dealt with, and the tracer may sleep next.
    fn turn_is_over(&mut self) {}

    /// Something the user should hear about.
    fn notice(&mut self, notice: Notice) {
        let _ = notice;
    }
}
