//! cpuset on the simulated host: the facts of Linux 6.18, one rule a test.

mod family;
mod files;
mod members;

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Errno, MoveScope, Tid};
use penfold_subsystems::Cpuset;

struct World {
    engine: Engine,
    host: SimulatedHost,
    root: CgroupId,
}

impl World {
    /// Two CPUs and node 0, as on the machine where the facts were measured.
    fn new() -> World {
        World::with(2, "cpuset")
    }

    fn with(cpus: usize, options: &str) -> World {
        let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(cpus));
        engine.load(&mut host, Cpuset::default()).unwrap();
        let root = engine.session(&mut host, &administrator()).mount(options).unwrap().root;
        World { engine, host, root }
    }

    fn mkdir(&mut self, parent: CgroupId, name: &str) -> CgroupId {
        self.engine.session(&mut self.host, &administrator()).mkdir(parent, name.as_bytes(), 0o755).unwrap()
    }

    /// A child with `cpus` and node 0.
    fn cpuset(&mut self, parent: CgroupId, name: &str, cpus: &str) -> CgroupId {
        let cgroup = self.mkdir(parent, name);
        self.write(cgroup, "cpus", cpus).unwrap();
        self.write(cgroup, "mems", "0").unwrap();
        cgroup
    }

    fn write(&mut self, cgroup: CgroupId, file: &str, text: &str) -> Result<(), Errno> {
        let id = self.engine.find_file(cgroup, &format!("cpuset.{file}")).unwrap();
        let written =
            self.engine.session(&mut self.host, &administrator()).write(cgroup, id, text.as_bytes());
        written.map_err(|error| error.errno())
    }

    fn read(&mut self, cgroup: CgroupId, file: &str) -> String {
        let id = self.engine.find_file(cgroup, &format!("cpuset.{file}")).unwrap();
        String::from_utf8(self.engine.session(&mut self.host, &administrator()).read(cgroup, id).unwrap())
            .unwrap()
    }

    fn attach(&mut self, cgroup: CgroupId, task: Tid) -> Result<(), Errno> {
        let attached =
            self.engine.session(&mut self.host, &administrator()).attach(cgroup, task, MoveScope::Task);
        attached.map_err(|error| error.errno())
    }

    fn spawn(&mut self) -> Tid {
        self.host.spawn(&mut self.engine, 0)
    }

    fn affinity(&self, task: Tid) -> String {
        self.host.get(task).unwrap().affinity.to_string()
    }

    fn memory(&self, task: Tid) -> String {
        self.host.get(task).unwrap().memory.to_string()
    }
}

fn administrator() -> Caller {
    Caller::root(Tid(1))
}
