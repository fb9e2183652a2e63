//! The operations of a scenario on the system under test.

use crate::ops::{FsAnswer, FsOp};
use nix::errno::Errno;

/// A result whose error is the `errno` of the system call.
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
/// Hierarchies are named by *labels*, with which they were mounted or opened. The path `M/g/tasks` is the file `tasks`
/// of the group `g` in the hierarchy `M`. A path that starts with `./` is passed on as it is, for a member whose
/// working directory is in a hierarchy. Members are named by *roles*; pids never reach a transcript.
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

    /// The options of `label` in the mount table, without those of the VFS (`rw`, `relatime`).
    fn mount_options(&mut self, label: &str) -> Option<String>;

    /// Opens a fresh, empty child group of the hierarchy with exactly `controller` as `label`.
    ///
    /// The root of that hierarchy becomes `label.root`. `ENODEV` if there is none.
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

    /// Sends SIGKILL; the member stays a zombie. `EBUSY` if the member is not dead after some 100 ms.
    fn kill(&mut self, role: &str) -> Res<()>;

    /// Reaps a zombie. `ECHILD` if the member does not die within some 100 ms.
    fn reap(&mut self, role: &str) -> Res<()>;

    /// The task id of a member: a thread's tid, a process's pid.
    fn tid(&self, role: &str) -> Option<i32>;

    /// `runs`, `frozen`, `zombie` or `gone`.
    fn state(&mut self, role: &str) -> &'static str;

    /// `sched_setaffinity` called by the member for itself.
    fn set_affinity(&mut self, role: &str, cpus: &[usize]) -> Res<()>;

    /// The CPUs that the member may run on, ascending.
    fn affinity(&mut self, role: &str) -> Res<Vec<usize>>;

    /// The lines of `/proc/PID/cgroup` for the hierarchies of this run, without ids, in order.
    ///
    /// The path of an opened controller's group is shown as `(top)`.
    fn proc_cgroup(&mut self, role: &str) -> Res<Vec<String>>;

    /// `/proc/PID/cpuset`, cut likewise.
    fn proc_cpuset(&mut self, role: &str) -> Res<String>;

    /// The row of `/proc/cgroups`: (is it bound to a hierarchy, number of groups, enabled).
    fn proc_cgroups(&mut self, controller: &str) -> Option<(bool, u32, bool)>;

    /// Path of a release agent whose calls [`TestTarget::agent_calls`] reports.
    fn agent(&mut self) -> String;

    /// The calls since the last time, after a wait until no call can still be under way.
    fn agent_calls(&mut self) -> Vec<AgentCall>;

    /// Waits until work that a system call leaves behind is done.
    fn settle(&mut self);
}
