//! The parts that the fuzz targets share: an engine with all controllers, on a host without processes.

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Result, Tid};

/// The number of CPUs that the simulated machine has.
pub const CPUS: usize = 70;

/// An engine with its host.
pub struct World {
    /// The engine, with all controllers loaded.
    pub engine: Engine,
    /// The host of the engine.
    pub host: SimulatedHost,
}

impl Default for World {
    fn default() -> World {
        let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(CPUS));
        penfold_subsystems::load_tree(&mut engine, &mut host).expect("they load");
        World { engine, host }
    }
}

/// The administrator.
pub fn root() -> Caller {
    Caller::root(Tid(1))
}

impl World {
    /// Mounts a hierarchy, and returns its root.
    pub fn mount(&mut self, options: impl AsRef<[u8]>) -> Result<CgroupId> {
        self.engine.session(&mut self.host, &root()).mount(options).map(|mounted| mounted.root)
    }

    /// Makes a cgroup. Panics if the engine refuses, which has no reason to.
    pub fn mkdir(&mut self, parent: CgroupId, name: &str) -> CgroupId {
        self.engine
            .session(&mut self.host, &root())
            .mkdir(parent, name.as_bytes(), 0o755)
            .expect("a free name")
    }

    /// Writes to a file, which must exist.
    pub fn write(&mut self, cgroup: CgroupId, file: &str, content: &[u8]) -> Result<()> {
        let file = self.engine.find_file(cgroup, file).expect("it is there");
        self.engine.session(&mut self.host, &root()).write(cgroup, file, content)
    }

    /// Reads a file, which must exist.
    pub fn read(&mut self, cgroup: CgroupId, file: &str) -> Result<String> {
        let file = self.engine.find_file(cgroup, file).expect("it is there");
        let content = self.engine.session(&mut self.host, &root()).read(cgroup, file)?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    /// The content of all files of some cgroups, and of /proc/cgroups.
    pub fn seen(&mut self, cgroups: &[CgroupId]) -> Vec<String> {
        let mut seen = vec![self.engine.proc_cgroups()];
        for &cgroup in cgroups {
            for entry in self.engine.files(cgroup).expect("it lives") {
                let content = self.engine.session(&mut self.host, &root()).read(cgroup, entry.id);
                let content = content.map(|bytes| bytes.escape_ascii().to_string());
                seen.push(format!("{} {content:?}", entry.name));
            }
        }
        seen
    }
}
