//! An engine and a simulated host, and what of this process a module could leave behind.

use std::collections::BTreeMap;
use std::path::Path;

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Errno, MoveScope, Tid, simulated::ChildKind};
use penfold_module::loader::Controller;

pub struct World {
    pub engine: Engine,
    pub host: SimulatedHost,
    pub root: Caller,
}

impl World {
    pub fn new() -> World {
        World { engine: Engine::new(), host: SimulatedHost::new(2), root: Caller::root(Tid(1)) }
    }

    pub fn load(&mut self, path: &Path) {
        self.engine.load(&mut self.host, Controller::open(path).unwrap()).unwrap();
    }

    pub fn unload(&mut self, name: &str) -> Result<(), Errno> {
        self.engine.unload(&mut self.host, name).map_err(|error| error.errno())
    }

    pub fn mount(&mut self, options: &str) -> Result<CgroupId, Errno> {
        let mounted = self.engine.session(&mut self.host, &self.root).mount(options);
        mounted.map(|mounted| mounted.root).map_err(|error| error.errno())
    }

    pub fn unmount(&mut self, root: CgroupId) {
        self.engine.unmount(&mut self.host, root).unwrap();
    }

    pub fn mkdir(&mut self, parent: CgroupId, name: &str) -> Result<CgroupId, Errno> {
        let made = self.engine.session(&mut self.host, &self.root).mkdir(parent, name.as_bytes(), 0o755);
        made.map_err(|error| error.errno())
    }

    pub fn rmdir(&mut self, cgroup: CgroupId) -> Result<(), Errno> {
        self.engine.session(&mut self.host, &self.root).rmdir(cgroup).map_err(|error| error.errno())
    }

    pub fn spawn(&mut self) -> Tid {
        self.host.spawn(&mut self.engine, 0)
    }

    pub fn fork(&mut self, parent: Tid) -> Result<Tid, Errno> {
        self.host.fork(&mut self.engine, parent, ChildKind::Process).map_err(|error| error.errno())
    }

    pub fn exit(&mut self, task: Tid) {
        self.host.exit(&mut self.engine, task);
    }

    pub fn attach(&mut self, cgroup: CgroupId, task: Tid) -> Result<(), Errno> {
        let moved = self.engine.session(&mut self.host, &self.root).attach(cgroup, task, MoveScope::Task);
        moved.map_err(|error| error.errno())
    }

    pub fn read(&mut self, cgroup: CgroupId, name: &str) -> Result<String, String> {
        let file = self.engine.find_file(cgroup, name).expect("the file is there");
        let read = self.engine.session(&mut self.host, &self.root).read(cgroup, file);
        let read = read.map(|content| String::from_utf8(content).expect("a text"));
        read.map_err(|error| format!("{} {error}", error.errno().name()))
    }

    pub fn write(&mut self, cgroup: CgroupId, name: &str, text: &str) -> Result<(), String> {
        let file = self.engine.find_file(cgroup, name).expect("the file is there");
        let written = self.engine.session(&mut self.host, &self.root).write(cgroup, file, text.as_bytes());
        written.map_err(|error| format!("{} {error}", error.errno().name()))
    }

    /// The account of `c/witness.c`, which is the same in every cgroup.
    pub fn told(&mut self, cgroup: CgroupId, name: &str) -> BTreeMap<String, u64> {
        let text = self.read(cgroup, &format!("{name}.told")).unwrap();
        let pair = |line: &str| {
            let (key, value) = line.split_once(' ').expect("a key and a value");
            (key.to_owned(), value.parse().expect("a number"))
        };
        text.lines().map(pair).collect()
    }

    /// The same, which must not tell of anything that should not have been.
    pub fn told_right(&mut self, cgroup: CgroupId, name: &str) -> BTreeMap<String, u64> {
        let told = self.told(cgroup, name);
        assert_eq!((told["twice"], told["unknown"], told["wrong"]), (0, 0, 0), "{told:?}");
        told
    }
}

/// Is anything of this file mapped into this process?
pub fn is_mapped(path: &Path) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
    maps.contains(path.to_str().expect("a name of ours is UTF-8"))
}
