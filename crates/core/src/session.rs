//! Operations of one caller: those that a front end runs for a client.

use alloc::vec::Vec;

use crate::engine::Engine;
use crate::error::Result;
use crate::host::Host;
use crate::ids::{CgroupId, FileId, MoveScope};
use crate::mount::Mounted;
use crate::task::{Access, Caller, Tid};

/// The operations of one caller: mount, make and remove cgroups, move tasks, read and write control files.
///
/// [`Engine::session`] makes a session. The session borrows the engine, the host and the [`Caller`] for as long as it
/// lives. An operation checks the caller's rights as the kernel does, and changes nothing if it returns an error. An
/// error of a subsystem keeps its errno.
///
/// ```
/// use penfold_core::simulated::SimulatedHost;
/// use penfold_core::{Caller, Engine, Tid};
///
/// let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(1));
/// let root = Caller::root(Tid(1));
/// let mut session = engine.session(&mut host, &root);
/// let top = session.mount("none,name=jobs")?.root;
/// let job = session.mkdir(top, b"build", 0o755)?;
/// assert_eq!(session.read_file(job, "tasks")?, b"");
/// # Ok::<(), penfold_core::Error>(())
/// ```
pub struct Session<'a> {
    pub(crate) engine: &'a mut Engine,
    pub(crate) host: &'a mut dyn Host,
    pub(crate) caller: &'a Caller,
}

impl Engine {
    /// Borrows engine and host for operations of `caller`. The host is the one that the engine always has.
    pub fn session<'a>(&'a mut self, host: &'a mut dyn Host, caller: &'a Caller) -> Session<'a> {
        Session { engine: self, host, caller }
    }
}

impl Session<'_> {
    /// The engine, for questions between two operations.
    pub fn engine(&self) -> &Engine {
        self.engine
    }

    /// Mounts a hierarchy: shares the existing one that the options name, or creates one (A4).
    ///
    /// `options` is a list as in the data of mount(2), such as `b"pids,cpuset,name=x"` (A3). Each mount needs an
    /// [`Engine::unmount`] of its own.
    ///
    /// # Errors
    /// * `EPERM`: the caller has no administrator's rights.
    /// * `EINVAL`: an option is unknown or malformed, options exclude each other, or only `name=` is given and no
    ///   hierarchy has that name.
    /// * `EBUSY`: a subsystem is bound to another hierarchy, or the name belongs to one with other subsystems.
    pub fn mount(&mut self, options: impl AsRef<[u8]>) -> Result<Mounted> {
        self.engine.mount(self.host, self.caller, options)
    }

    /// Mounts the file system type `cpuset`: the subsystem `cpuset`, whose files then have no prefix (A7).
    ///
    /// # Errors
    /// * `EPERM`: the caller has no administrator's rights.
    /// * `ENODEV`: no subsystem `cpuset` is loaded.
    /// * `EINVAL`: there are options, other than those that mount(2) itself understands.
    /// * `EBUSY`: `cpuset` is bound to a hierarchy with other subsystems.
    pub fn mount_cpuset(&mut self, options: impl AsRef<[u8]>) -> Result<Mounted> {
        self.engine.mount_cpuset(self.host, self.caller, options)
    }

    /// Changes the subsystems or the release agent of the hierarchy with the root `root` (A5.2).
    ///
    /// `options` is a complete list as in [`Session::mount`]: a bound subsystem that it leaves out goes back to the
    /// dummy hierarchy.
    ///
    /// # Errors
    /// * `EPERM`: the caller has no administrator's rights.
    /// * `ENODEV`: the hierarchy is gone, or is the dummy one.
    /// * `EINVAL`: the options can't be taken, or have another name or other flags than the hierarchy.
    /// * `EBUSY`: the root has children, or a subsystem is bound to another hierarchy.
    pub fn remount(&mut self, root: CgroupId, options: impl AsRef<[u8]>) -> Result<()> {
        self.engine.remount(self.host, self.caller, root, options)
    }

    /// Creates a child of `parent` and returns its id. The permission bits are `mode` less the caller's umask (B1.2).
    ///
    /// # Errors
    /// * `ENOENT`: the parent was removed, or `name` is empty or has a `/` or NUL.
    /// * `EPERM`: the parent is in the dummy hierarchy.
    /// * `ENAMETOOLONG`: `name` has more than 4095 bytes.
    /// * `EEXIST`: the parent has a child or a control file of that name.
    /// * `EACCES`: the caller may not write and search the parent.
    /// * `EINVAL`: `name` has a newline.
    /// * `ENAMETOOLONG`: the path would have more than 4095 bytes.
    /// * `EDQUOT`: the caller's user has as many cgroups as [`Engine::set_quota`] allows.
    /// * The error of a subsystem's `create` (B1.1).
    pub fn mkdir(&mut self, parent: CgroupId, name: &[u8], mode: u32) -> Result<CgroupId> {
        self.engine.mkdir(self.host, self.caller, parent, name, mode)
    }

    /// Removes a cgroup that has neither children nor tasks (B1.10).
    ///
    /// # Errors
    /// * `ENODEV`: the cgroup was removed.
    /// * `EBUSY`: the cgroup is a root or has children, tasks, a fork in flight or an [`Engine::pin`].
    /// * `EACCES`: the caller may not write and search the parent.
    /// * `EPERM`: the parent is sticky, and neither the parent nor the cgroup is the caller's.
    /// * The error of a subsystem's `pre_destroy`.
    pub fn rmdir(&mut self, cgroup: CgroupId) -> Result<()> {
        self.engine.rmdir(self.host, self.caller, cgroup)
    }

    /// Moves one thread, or the whole thread group of a thread, into a cgroup: all of its tasks or none.
    ///
    /// A task that is a member already is left out, and so is one that exits. If no task is left, nothing happens and
    /// no callback runs.
    ///
    /// # Errors
    /// * `ENODEV`: the cgroup was removed.
    /// * `ESRCH`: the host has no task of that number.
    /// * `EINVAL`: the task may never move ([`TaskFacts::movable`](crate::host::TaskFacts::movable)).
    /// * `EACCES`: the caller's uid is neither 0 nor the task's real or saved uid (B4.4). No capability counts.
    /// * `EAGAIN`: a fork of a task is in flight; try again when it has succeeded or failed.
    /// * `EOPNOTSUPP`: forks are limited there, and the host can't refuse those of a task.
    /// * The error of a subsystem's `can_attach`.
    pub fn attach(&mut self, cgroup: CgroupId, task: Tid, scope: MoveScope) -> Result<()> {
        self.engine.attach(self.host, self.caller, cgroup, task, scope)
    }

    /// The whole content of a control file: text, except for `release_agent`, which has any bytes.
    ///
    /// Tasks are listed by the host's numbers. The caller's permission is not checked here: [`Engine::open`] does that.
    ///
    /// # Errors
    /// * `ENODEV`: the cgroup was removed, or the file's subsystem is unbound or unloaded.
    /// * `EINVAL`: the file can't be read.
    /// * The error of the subsystem's read handler.
    pub fn read(&mut self, cgroup: CgroupId, file: FileId) -> Result<Vec<u8>> {
        self.engine.read(self.host, self.caller, cgroup, file)
    }

    /// Writes a control file: one write is one command. An empty write does nothing, as in Linux 6.x.
    ///
    /// The permission to write the file is not checked here: [`Engine::open`] does that.
    ///
    /// # Errors
    /// * `ENODEV`: the cgroup was removed, or the file's subsystem is unbound or unloaded.
    /// * `E2BIG`: `content` is longer than the longest write of the file, even in a cgroup that was removed.
    /// * `EINVAL`: the file can't be written, or does not take the content.
    /// * `ERANGE`: a number is too large.
    /// * `EPERM`: a write to `release_agent` without the administrator's rights.
    /// * The errors of [`Session::attach`] for `tasks` and `cgroup.procs`, else those of the subsystem's write handler.
    pub fn write(&mut self, cgroup: CgroupId, file: FileId, content: &[u8]) -> Result<()> {
        self.engine.write(self.host, self.caller, cgroup, file, content)
    }

    /// Opens and reads the control file of a name, such as `pids.max`.
    ///
    /// # Errors
    /// Those of [`Engine::open`] and [`Session::read`].
    pub fn read_file(&mut self, cgroup: CgroupId, name: &str) -> Result<Vec<u8>> {
        let file = self.engine.open(self.caller, cgroup, name, Access::READ)?;
        self.read(cgroup, file)
    }

    /// Opens and writes the control file of a name, such as `pids.max`.
    ///
    /// # Errors
    /// Those of [`Engine::open`] and [`Session::write`].
    pub fn write_file(&mut self, cgroup: CgroupId, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let file = self.engine.open(self.caller, cgroup, name, Access::WRITE)?;
        self.write(cgroup, file, content.as_ref())
    }
}
