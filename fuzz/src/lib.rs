//! The parts that the fuzz targets share beside the testkit: a world with all controllers.

use penfold_core::CgroupId;
use penfold_testkit::SimWorld;

/// The number of CPUs that the simulated machine has.
pub const CPUS: usize = 70;

/// A world with all controllers loaded, and nothing mounted.
pub fn world() -> SimWorld {
    let mut world = SimWorld::with_cpus(CPUS);
    penfold_subsystems::load_tree(&mut world.engine, &mut world.host).expect("they load");
    world
}

/// The content of all files of some cgroups, and of /proc/cgroups.
pub fn seen(world: &mut SimWorld, cgroups: &[CgroupId]) -> Vec<String> {
    let mut seen = vec![world.engine.proc_cgroups()];
    for &cgroup in cgroups {
        for (name, content) in world.contents(cgroup) {
            seen.push(format!("{name} {:?}", content.map(|bytes| bytes.escape_ascii().to_string())));
        }
    }
    seen
}
