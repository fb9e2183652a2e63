//! cpuset on the simulated host: the facts of Linux 6.18, one rule a test.

mod family;
mod files;
mod members;

use crate::subject::cpuset;
use penfold_core::{CgroupId, Tid};
use penfold_testkit::SimWorld;

/// The controller under test, built in. `crates/subsystems/modules` runs the same tests with a module of that name.
#[allow(dead_code)]
mod subject {
    pub(crate) fn cpuset() -> penfold_subsystems::Cpuset {
        penfold_subsystems::Cpuset::default()
    }
}

/// Two CPUs and node 0, as on the machine where the facts were measured.
fn world() -> SimWorld {
    world_with(2, "cpuset")
}

fn world_with(cpus: usize, options: &str) -> SimWorld {
    let mut world = SimWorld::with_cpus(cpus);
    world.mount_controller(cpuset(), options);
    world
}

/// The operations that only the tests of cpuset need.
trait Cpusets {
    fn cpuset(&mut self, parent: CgroupId, name: &str, cpus: &str) -> CgroupId;
    fn affinity(&self, task: Tid) -> String;
    fn memory(&self, task: Tid) -> String;
}

impl Cpusets for SimWorld {
    /// A child with `cpus` and node 0.
    fn cpuset(&mut self, parent: CgroupId, name: &str, cpus: &str) -> CgroupId {
        let cgroup = self.mkdir(parent, name);
        self.write(cgroup, "cpus", cpus);
        self.write(cgroup, "mems", "0");
        cgroup
    }

    fn affinity(&self, task: Tid) -> String {
        self.host.get(task).unwrap().affinity.to_string()
    }

    fn memory(&self, task: Tid) -> String {
        self.host.get(task).unwrap().memory.to_string()
    }
}
