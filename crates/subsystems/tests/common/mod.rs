//! One controller on the simulated host, mounted alone.

// each test program has its own copy of this module and uses a part of it
#![allow(dead_code, unreachable_pub)]

use penfold_core::simulated::SimulatedHost;
use penfold_core::{
    Caller, CgroupId, Engine, Errno, MoveScope, Tid, control_file::FileId, subsystem::Subsystem,
};

pub struct World {
    pub engine: Engine,
    pub host: SimulatedHost,
    pub root: Caller,
    pub top: CgroupId,
    controller: String,
}

impl World {
    pub fn of<S: Subsystem>(cpus: usize, controller: S) -> World {
        let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(cpus));
        let name = controller.name().to_owned();
        engine.load(&mut host, controller).unwrap();
        let root = Caller::root(Tid(1));
        let top = engine.session(&mut host, &root).mount(&name).unwrap().root;
        World { engine, host, root, top, controller: name }
    }

    pub fn mkdir(&mut self, parent: CgroupId, name: &str) -> CgroupId {
        self.engine.session(&mut self.host, &self.root).mkdir(parent, name.as_bytes(), 0o755).unwrap()
    }

    pub fn spawn_in(&mut self, cgroup: CgroupId) -> Tid {
        let task = self.host.spawn(&mut self.engine, 0);
        self.attach(cgroup, task);
        task
    }

    pub fn attach(&mut self, cgroup: CgroupId, task: Tid) {
        self.engine.session(&mut self.host, &self.root).attach(cgroup, task, MoveScope::Task).unwrap();
    }

    /// The id of a file of the controller, by its name without the prefix.
    pub fn file(&self, cgroup: CgroupId, name: &str) -> FileId {
        self.engine.find_file(cgroup, &format!("{}.{name}", self.controller)).unwrap()
    }

    pub fn read(&mut self, cgroup: CgroupId, name: &str) -> String {
        let file = self.file(cgroup, name);
        String::from_utf8(self.engine.session(&mut self.host, &self.root).read(cgroup, file).unwrap())
            .unwrap()
    }

    pub fn write(&mut self, cgroup: CgroupId, name: &str, text: &str) -> Result<(), Errno> {
        let file = self.file(cgroup, name);
        let written = self.engine.session(&mut self.host, &self.root).write(cgroup, file, text.as_bytes());
        written.map_err(|error| error.errno())
    }
}
