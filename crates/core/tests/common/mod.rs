//! What the tests share: a probe of a subsystem, and a world with an engine and a simulated host.
#![allow(dead_code, unreachable_pub)] // each test program uses a part

mod message;
mod probe;

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Errno, Result, Tid};

#[allow(unused_imports)] // each test program uses a part
pub use message::check_message;
#[allow(unused_imports)] // each test program uses a part
pub use probe::*;

/// An engine, a host with two CPUs, and the super-user.
pub struct World {
    pub engine: Engine,
    pub host: SimulatedHost,
    pub root: Caller,
}

impl World {
    /// Without subsystems and without tasks.
    pub fn new() -> World {
        World { engine: Engine::new(), host: SimulatedHost::new(2), root: Caller::root(Tid(1)) }
    }

    /// With plain subsystems of these names.
    pub fn with(names: &[&str]) -> World {
        let mut world = World::new();
        for name in names {
            world.load(Probe::plain(name)).unwrap();
        }
        world
    }

    pub fn load(&mut self, probe: Probe) -> Result<()> {
        self.engine.load(&mut self.host, probe)
    }

    pub fn unload(&mut self, name: &str) -> Result<(), Errno> {
        self.engine.unload(&mut self.host, name).map_err(|error| error.errno())
    }

    pub fn mount(&mut self, options: &str) -> Result<CgroupId, Errno> {
        let mounted = self.engine.mount(&mut self.host, &self.root, options);
        mounted.map(|mounted| mounted.root).map_err(|error| error.errno())
    }

    pub fn remount(&mut self, root: CgroupId, options: &str) -> Result<(), Errno> {
        self.engine.remount(&mut self.host, &self.root, root, options).map_err(|error| error.errno())
    }

    pub fn unmount(&mut self, root: CgroupId) {
        self.engine.unmount(&mut self.host, root).unwrap();
    }

    pub fn mkdir(&mut self, parent: CgroupId, name: &str) -> Result<CgroupId, Errno> {
        let made = self.engine.mkdir(&mut self.host, &self.root, parent, name.as_bytes(), 0o755);
        made.map_err(|error| error.errno())
    }

    pub fn rmdir(&mut self, cgroup: CgroupId) -> Result<(), Errno> {
        self.engine.rmdir(&mut self.host, &self.root, cgroup).map_err(|error| error.errno())
    }

    pub fn rename(
        &mut self,
        parent: CgroupId,
        name: &str,
        new_parent: CgroupId,
        new: &str,
    ) -> Result<(), Errno> {
        let renamed = self.engine.rename(&self.root, parent, name.as_bytes(), new_parent, new.as_bytes());
        renamed.map_err(|error| error.errno())
    }

    pub fn spawn(&mut self) -> Tid {
        self.host.spawn(&mut self.engine, 0)
    }

    pub fn fork(&mut self, parent: Tid) -> Result<Tid, Errno> {
        self.host.fork(&mut self.engine, parent, false).map_err(|error| error.errno())
    }

    pub fn thread(&mut self, parent: Tid) -> Tid {
        self.host.fork(&mut self.engine, parent, true).unwrap()
    }

    pub fn exit(&mut self, task: Tid) {
        self.host.exit(&mut self.engine, task);
    }

    /// Moves one thread.
    pub fn attach(&mut self, cgroup: CgroupId, task: Tid) -> Result<(), Errno> {
        let moved = self.engine.attach(&mut self.host, &self.root, cgroup, task, false);
        moved.map_err(|error| error.errno())
    }

    /// Moves a whole thread group.
    pub fn attach_group(&mut self, cgroup: CgroupId, task: Tid) -> Result<(), Errno> {
        let moved = self.engine.attach(&mut self.host, &self.root, cgroup, task, true);
        moved.map_err(|error| error.errno())
    }

    pub fn read(&mut self, cgroup: CgroupId, name: &str) -> Result<String, Errno> {
        let id = self.engine.open(&self.root, cgroup, name, 4).map_err(|error| error.errno())?;
        let content = self.engine.read(&mut self.host, &self.root, cgroup, id);
        content.map(|content| String::from_utf8(content).unwrap()).map_err(|error| error.errno())
    }

    /// The options of a mounted hierarchy.
    pub fn show_options(&self, root: CgroupId) -> String {
        String::from_utf8(self.engine.show_options(root).unwrap()).unwrap()
    }

    pub fn write(&mut self, cgroup: CgroupId, name: &str, content: impl AsRef<[u8]>) -> Result<(), Errno> {
        let id = self.engine.open(&self.root, cgroup, name, 2).map_err(|error| error.errno())?;
        let written = self.engine.write(&mut self.host, &self.root, cgroup, id, content.as_ref());
        written.map_err(|error| error.errno())
    }

    /// The tasks of a cgroup, as numbers.
    pub fn tasks(&self, cgroup: CgroupId) -> Vec<i32> {
        self.engine.tree().tasks(&self.host, cgroup).iter().map(|task| task.0).collect()
    }

    /// `/proc/TASK/cgroup`
    pub fn proc(&self, task: Tid) -> String {
        use penfold_core::host::HostView as _;
        let text = self.engine.proc_pid_cgroup(self.host.css_set(task)).unwrap();
        String::from_utf8(text).unwrap()
    }

    pub fn children(&self, cgroup: CgroupId) -> Vec<String> {
        let tree = self.engine.tree();
        let name = |child: CgroupId| String::from_utf8_lossy(tree[child].name()).into_owned();
        tree.children(cgroup).map(name).collect()
    }

    /// The names of the control files, sorted.
    pub fn files(&self, cgroup: CgroupId) -> Vec<String> {
        let mut names: Vec<String> =
            self.engine.files(cgroup).unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    }

    /// Everything queued for the release agent: agent and path.
    pub fn releases(&mut self) -> Vec<(String, String)> {
        std::iter::from_fn(|| self.engine.take_release())
            .map(|release| {
                (String::from_utf8(release.agent).unwrap(), String::from_utf8(release.path).unwrap())
            })
            .collect()
    }
}
