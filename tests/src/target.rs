//! What a scenario can ask of the system under test.

use crate::ops::{FsAnswer, FsOp};
use nix::errno::Errno;

/// A result whose error is what the system call would have left in `errno`.
pub type Res<T> = Result<T, Errno>;

/// One run of a release agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCall {
    /// Arguments, `argv[0]` included.
    pub argv: Vec<String>,
    /// Environment as `NAME=value`, sorted; `PWD` and the shell's own variables are left out.
    pub env: Vec<String>,
}

/// A system with cgroup v1 behaviour.
///
/// Places are named by *labels*: the path `M/g/tasks` is the file `tasks` of the group `g` of what
/// was mounted (or opened) as `M`. A path that starts with `./` is left alone, for a member that
/// stands in a directory. Members are named by *roles*; pids never reach a transcript.
pub trait TestTarget {
    /// Short name for messages.
    fn name(&self) -> &'static str;

    /// A tag that no other run uses, for names of hierarchies; 1 to 40 bytes of `[a-z0-9_]`.
    fn unique(&self) -> &str;

    /// mount(2) of file system type `cgroup` with `data`, at the new place `label`.
    fn mount(&mut self, label: &str, data: &str) -> Res<()>;

    /// mount(2) with `MS_REMOUNT`.
    fn remount(&mut self, label: &str, data: &str) -> Res<()>;

    /// umount(2).
    fn umount(&mut self, label: &str) -> Res<()>;

    /// The options the mount table shows for `label`, without those of the VFS (`rw`, `relatime`).
    fn mount_options(&mut self, label: &str) -> Option<String>;

    /// Opens a fresh, empty child group of the hierarchy that holds exactly `controller`, as
    /// `label`; the root of that hierarchy becomes `label.root`. ENODEV where there is none.
    fn open_controller(&mut self, label: &str, controller: &str) -> Res<()>;

    /// One file operation, by the member `who` or by the tester (root).
    fn fs(&mut self, who: Option<&str>, op: &FsOp) -> Res<FsAnswer>;

    /// A new process with one thread that does nothing, with real, effective and saved uid.
    fn spawn(&mut self, role: &str, uids: (u32, u32, u32)) -> Res<()>;

    /// `parent` forks; the child does nothing.
    fn fork(&mut self, parent: &str, child: &str) -> Res<()>;

    /// `process` starts another thread.
    fn thread(&mut self, process: &str, thread: &str) -> Res<()>;

    /// Changes real, effective and saved uid of a member.
    fn set_uids(&mut self, role: &str, uids: (u32, u32, u32)) -> Res<()>;

    /// SIGKILL; the member stays a zombie. EBUSY when it is still not dead after some 100 ms.
    fn kill(&mut self, role: &str) -> Res<()>;

    /// Reaps a zombie. ECHILD when it does not die within some 100 ms.
    fn reap(&mut self, role: &str) -> Res<()>;

    /// The task id of a member: a thread's tid, a process's pid.
    fn tid(&self, role: &str) -> Option<i32>;

    /// `runs`, `frozen`, `zombie` or `gone`.
    fn state(&mut self, role: &str) -> &'static str;

    /// `sched_setaffinity` called by the member for itself.
    fn set_affinity(&mut self, role: &str, cpus: &[usize]) -> Res<()>;

    /// The CPUs that the member may run on, ascending.
    fn affinity(&mut self, role: &str) -> Res<Vec<usize>>;

    /// `/proc/PID/cgroup`: lines of the hierarchies this run has places in, without their ids, in
    /// order; the path of an opened controller's group is shown as `(top)`.
    fn proc_cgroup(&mut self, role: &str) -> Res<Vec<String>>;

    /// `/proc/PID/cpuset`, cut likewise.
    fn proc_cpuset(&mut self, role: &str) -> Res<String>;

    /// The row of `/proc/cgroups`: (is it bound to a hierarchy, number of groups, enabled).
    fn proc_cgroups(&mut self, controller: &str) -> Option<(bool, u32, bool)>;

    /// Path of a release agent whose calls [`TestTarget::agent_calls`] reports.
    fn agent(&mut self) -> String;

    /// The calls since the last look, after waiting until none can still be under way.
    fn agent_calls(&mut self) -> Vec<AgentCall>;

    /// Waits until work that a system call leaves behind is done.
    fn settle(&mut self);
}
