//! Operations of one caller: what a front end does for a client.

use alloc::vec::Vec;

use crate::engine::Engine;
use crate::error::Result;
use crate::host::Host;
use crate::ids::{CgroupId, FileId};
use crate::mount::Mounted;
use crate::task::{Access, Caller, MoveScope, Tid};

/// The engine, its host and the caller on whose behalf operations run, borrowed for as long as they do.
///
/// Every operation checks the caller's rights as the kernel does. On an error it has changed nothing.
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
    /// Borrows engine and host for operations of `caller`.
    pub fn session<'a>(&'a mut self, host: &'a mut dyn Host, caller: &'a Caller) -> Session<'a> {
        Session { engine: self, host, caller }
    }
}

impl Session<'_> {
    /// The engine, to look at between operations.
    pub fn engine(&self) -> &Engine {
        self.engine
    }

    /// Mounts a hierarchy: shares the existing one that the options name, or creates one (A4). `options` is the list of
    /// mount(2)'s data, such as `b"cpu,name=x"`.
    ///
    /// # Errors
    /// `EINVAL` for options that can't be taken, `EBUSY` where a subsystem or a name is taken, `EPERM` without the
    /// administrator's rights (A3).
    pub fn mount(&mut self, options: impl AsRef<[u8]>) -> Result<Mounted> {
        self.engine.mount(self.host, self.caller, options)
    }

    /// Mounts the file system type `cpuset`: the subsystem `cpuset` without prefixes (A7).
    ///
    /// # Errors
    /// `ENODEV` without the subsystem, `EINVAL` for any option, otherwise those of [`Session::mount`].
    pub fn mount_cpuset(&mut self, options: impl AsRef<[u8]>) -> Result<Mounted> {
        self.engine.mount_cpuset(self.host, self.caller, options)
    }

    /// Changes the subsystems or the release agent of the hierarchy with that root (A5.2).
    ///
    /// # Errors
    /// `ENODEV` if the hierarchy is gone, `EINVAL` for another name or other flags, `EBUSY` while it has children or a
    /// subsystem is bound elsewhere, `EPERM` without the administrator's rights.
    pub fn remount(&mut self, root: CgroupId, options: impl AsRef<[u8]>) -> Result<()> {
        self.engine.remount(self.host, self.caller, root, options)
    }

    /// Creates a child of `parent`, with the permission bits `mode` less the caller's umask (B1.2).
    ///
    /// # Errors
    /// `ENODEV` if the parent was removed, `EEXIST`, `ENAMETOOLONG`, `EINVAL` for a newline in the name, `EACCES`
    /// without the right to write into the parent, or the error of a subsystem's `create` (B1.1).
    pub fn mkdir(&mut self, parent: CgroupId, name: &[u8], mode: u32) -> Result<CgroupId> {
        self.engine.mkdir(self.host, self.caller, parent, name, mode)
    }

    /// Removes a cgroup without children and tasks (B1.10).
    ///
    /// # Errors
    /// `EBUSY` for a root, and with children, tasks or a fork in flight; `EACCES` or `EPERM` without the right;
    /// `ENODEV` if it was removed; or the error of a subsystem's `pre_destroy`.
    pub fn rmdir(&mut self, cgroup: CgroupId) -> Result<()> {
        self.engine.rmdir(self.host, self.caller, cgroup)
    }

    /// Moves one thread, or the whole thread group of a thread, into a cgroup. All or nothing: tasks that are members
    /// already stay as they are, and without any other task no callback runs.
    ///
    /// # Errors
    /// `ENODEV` if the cgroup was removed; `ESRCH` for an unknown task; `EINVAL` for a task that may never move;
    /// `EACCES` unless the caller's uid is 0 or the task's real or saved uid (B4.4, no capability counts);
    /// `EAGAIN` while a fork of the task is in flight; `EOPNOTSUPP` if tasks are limited there and the host can't
    /// refuse the task's forks; or the error of a subsystem's `can_attach`.
    pub fn attach(&mut self, cgroup: CgroupId, task: Tid, scope: MoveScope) -> Result<()> {
        self.engine.attach(self.host, self.caller, cgroup, task, scope)
    }

    /// The whole content of a control file: text, except for a release agent, which is any bytes. Tasks have the host's
    /// numbers. Checks no permission: [`Engine::open`] does.
    ///
    /// # Errors
    /// `ENODEV` if the cgroup or the file's subsystem is gone; `EINVAL` for a file that can't be read; or the error of
    /// the subsystem.
    pub fn read(&mut self, cgroup: CgroupId, file: FileId) -> Result<Vec<u8>> {
        self.engine.read(self.host, self.caller, cgroup, file)
    }

    /// Writes a control file: one write is one command, and an empty one does nothing, as in Linux 6.x. Checks no
    /// permission: [`Engine::open`] does.
    ///
    /// # Errors
    /// `ENODEV` if the cgroup or the file's subsystem is gone; `E2BIG` above the file's longest write; `EINVAL` and
    /// `ERANGE` for content that can't be parsed; or the error of the operation or the subsystem.
    pub fn write(&mut self, cgroup: CgroupId, file: FileId, content: &[u8]) -> Result<()> {
        self.engine.write(self.host, self.caller, cgroup, file, content)
    }

    /// Opens and reads a control file by its name.
    ///
    /// # Errors
    /// Those of [`Engine::open`] and [`Session::read`].
    pub fn read_file(&mut self, cgroup: CgroupId, name: &str) -> Result<Vec<u8>> {
        let file = self.engine.open(self.caller, cgroup, name, Access::READ)?;
        self.read(cgroup, file)
    }

    /// Opens and writes a control file by its name.
    ///
    /// # Errors
    /// Those of [`Engine::open`] and [`Session::write`].
    pub fn write_file(&mut self, cgroup: CgroupId, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let file = self.engine.open(self.caller, cgroup, name, Access::WRITE)?;
        self.write(cgroup, file, content.as_ref())
    }
}
