//! What any thread can do with the engine at once: directories, mounts and generic files need no tracer.

use std::ops::Deref;

use penfold_core::{
    Caller, CannotGive, CgroupId, CssSetId, Engine, Errno, Error, FileId, Host, HostView, Mask, Mounted,
    Need, Owner, TaskFacts, Tid,
};

use super::tasks::Tasks;

/// An engine that is lent for a moment, see [`Control::quick`](super::Control::quick): everything that only looks, by
/// [`Deref`], and those changes that need no tracer.
#[derive(Debug)]
pub struct Quick<'a> {
    engine: &'a mut Engine,
}

impl Deref for Quick<'_> {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        self.engine
    }
}

impl Quick<'_> {
    /// Whether [`Quick::read`] takes this file.
    pub fn can_read(file: FileId) -> bool {
        !matches!(file, FileId::Subsystem { .. })
    }

    /// Whether [`Quick::write`] takes this file: no attach, and nothing of a subsystem's.
    pub fn can_write(file: FileId) -> bool {
        Self::can_read(file) && !matches!(file, FileId::Tasks | FileId::Procs)
    }

    /// As [`Engine::read`], for files that [`Quick::can_read`].
    ///
    /// # Errors
    /// As [`Engine::read`].
    ///
    /// # Panics
    /// For any other file: it is not the caller's to ask for here, and may need the tracer. Nothing has changed.
    pub fn read(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        file: FileId,
    ) -> Result<Vec<u8>, Error> {
        assert!(Self::can_read(file), "a subsystem's file is read with Control::with");
        self.engine.read(host, caller, cgroup, file)
    }

    /// As [`Engine::write`], for files that [`Quick::can_write`].
    ///
    /// # Errors
    /// As [`Engine::write`].
    ///
    /// # Panics
    /// For any other file: it is not the caller's to ask for here, and may need the tracer. Nothing has changed.
    pub fn write(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        file: FileId,
        content: &[u8],
    ) -> Result<(), Error> {
        assert!(Self::can_write(file), "a subsystem's file and an attach are written with Control::with");
        self.engine.write(host, caller, cgroup, file, content)
    }

    /// As [`Engine::mkdir`].
    ///
    /// # Errors
    /// As [`Engine::mkdir`].
    pub fn mkdir(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        parent: CgroupId,
        name: &[u8],
        mode: u32,
    ) -> Result<CgroupId, Error> {
        self.engine.mkdir(host, caller, parent, name, mode)
    }

    /// As [`Engine::rmdir`].
    ///
    /// # Errors
    /// As [`Engine::rmdir`].
    pub fn rmdir(&mut self, host: &mut dyn Host, caller: &Caller, cgroup: CgroupId) -> Result<(), Error> {
        self.engine.rmdir(host, caller, cgroup)
    }

    /// As [`Engine::rename`].
    ///
    /// # Errors
    /// As [`Engine::rename`].
    pub fn rename(
        &mut self,
        caller: &Caller,
        parent: CgroupId,
        name: &[u8],
        new_parent: CgroupId,
        new_name: &[u8],
    ) -> Result<(), Error> {
        self.engine.rename(caller, parent, name, new_parent, new_name)
    }

    /// As [`Engine::set_owner`].
    ///
    /// # Errors
    /// As [`Engine::set_owner`].
    pub fn set_owner(&mut self, caller: &Caller, cgroup: CgroupId, owner: Owner) -> Result<(), Error> {
        self.engine.set_owner(caller, cgroup, owner)
    }

    /// As [`Engine::set_file_owner`].
    ///
    /// # Errors
    /// As [`Engine::set_file_owner`].
    pub fn set_file_owner(
        &mut self,
        caller: &Caller,
        cgroup: CgroupId,
        file: FileId,
        owner: Owner,
    ) -> Result<(), Error> {
        self.engine.set_file_owner(caller, cgroup, file, owner)
    }

    /// As [`Engine::mount`].
    ///
    /// # Errors
    /// As [`Engine::mount`].
    pub fn mount(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        options: impl AsRef<[u8]>,
    ) -> Result<Mounted, Error> {
        self.engine.mount(host, caller, options)
    }

    /// As [`Engine::mount_cpuset`].
    ///
    /// # Errors
    /// As [`Engine::mount_cpuset`].
    pub fn mount_cpuset(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        options: impl AsRef<[u8]>,
    ) -> Result<Mounted, Error> {
        self.engine.mount_cpuset(host, caller, options)
    }

    /// As [`Engine::remount`].
    ///
    /// # Errors
    /// As [`Engine::remount`].
    pub fn remount(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        root: CgroupId,
        options: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        self.engine.remount(host, caller, root, options)
    }

    /// As [`Engine::unmount`].
    ///
    /// # Errors
    /// As [`Engine::unmount`].
    pub fn unmount(&mut self, host: &mut dyn Host, root: CgroupId) -> Result<(), Error> {
        self.engine.unmount(host, root)
    }
}

/// What a subsystem asked for that takes the tracer.
#[derive(Debug)]
pub(super) enum Later {
    Give(Tid, Need),
    Affinity(Tid, Mask),
    MemoryNodes(Tid, Mask, Mask, bool),
    SocketClass(Tid, u32),
    Signal(Tid, i32),
    Freeze(Tid),
    Thaw(Tid),
}

impl Later {
    /// On the tracer thread. A task that has died meanwhile needs nothing any more.
    pub(super) fn apply(self, host: &mut dyn Host) {
        match self {
            Later::Give(task, need) => host.give(task, need),
            Later::Affinity(task, cpus) => {
                let _ = host.set_affinity(task, &cpus);
            }
            Later::MemoryNodes(task, from, to, migrate) => {
                let _ = host.set_memory_nodes(task, &from, &to, migrate);
            }
            Later::SocketClass(task, class) => {
                let _ = host.set_socket_class(task, class);
            }
            Later::Signal(task, signal) => {
                let _ = host.signal(task, signal);
            }
            Later::Freeze(task) => host.freeze(task),
            Later::Thaw(task) => host.thaw(task),
        }
    }
}

/// The tasks for a thread that is not the tracer's: what it asks of them is noted.
struct Noting<'a> {
    tasks: &'a mut Tasks,
    later: Vec<Later>,
}

/// Runs a request, and returns what is to be done by the tracer for it.
pub(super) fn run<R>(
    engine: &mut Engine,
    tasks: &mut Tasks,
    request: impl FnOnce(&mut Quick<'_>, &mut dyn Host) -> R,
) -> (R, Vec<Later>) {
    let mut host = Noting { tasks, later: Vec::new() };
    let result = request(&mut Quick { engine }, &mut host);
    (result, host.later)
}

impl Noting<'_> {
    fn note(&mut self, task: Tid, later: Later) -> Result<(), Errno> {
        if self.tasks.css_set(task).is_none() {
            return Err(Errno::ESRCH);
        }
        self.later.push(later);
        Ok(())
    }
}

impl HostView for Noting<'_> {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.tasks.task(task)
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.tasks.css_set(task)
    }

    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        self.tasks.for_each_task(set, visit);
    }

    fn for_every_task(&self, sets: &[CssSetId], visit: &mut dyn FnMut(Tid)) {
        self.tasks.for_every_task(sets, visit);
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        self.tasks.for_each_thread(group, visit);
    }

    fn now(&self) -> u64 {
        self.tasks.now()
    }

    fn cpus(&self) -> Mask {
        self.tasks.cpus()
    }

    fn memory_nodes(&self) -> Mask {
        self.tasks.memory_nodes()
    }

    fn cpu_limit(&self) -> usize {
        self.tasks.cpu_limit()
    }

    fn can_give(&self, task: Tid, need: Need) -> Result<(), CannotGive> {
        self.tasks.can_give(task, need)
    }

    fn group(&self, task: Tid) -> Option<Tid> {
        self.tasks.group(task)
    }

    /// Not known here, so not said: the tracer knows.
    fn is_frozen(&self, _: Tid) -> bool {
        false
    }
}

impl Host for Noting<'_> {
    fn place(&mut self, task: Tid, _: CssSetId) {
        unreachable!("task {task} is moved by Control::with only, which nothing that Quick has does");
    }

    fn require(&mut self, need: Need) -> Result<(), CannotGive> {
        self.tasks.require(need)
    }

    fn give(&mut self, task: Tid, need: Need) {
        self.later.push(Later::Give(task, need));
    }

    fn set_affinity(&mut self, task: Tid, cpus: &Mask) -> Result<(), Errno> {
        self.note(task, Later::Affinity(task, cpus.clone()))
    }

    fn set_memory_nodes(&mut self, task: Tid, from: &Mask, to: &Mask, migrate: bool) -> Result<(), Errno> {
        self.note(task, Later::MemoryNodes(task, from.clone(), to.clone(), migrate))
    }

    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        self.note(task, Later::SocketClass(task, class))
    }

    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        self.note(task, Later::Signal(task, signal))
    }

    fn freeze(&mut self, task: Tid) {
        self.later.push(Later::Freeze(task));
    }

    fn thaw(&mut self, task: Tid) {
        self.later.push(Later::Thaw(task));
    }

    // sample_cpu reports nothing: what living tasks have used is charged when it is read through Control::with
}
