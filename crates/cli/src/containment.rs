//! The engine of one `penfold run`: all controllers in one hierarchy, and the job's cgroup.

use penfold_core::{Caller, CgroupId, Engine, Tid, host::Host};
use penfold_subsystems::load_all;

use crate::failure::Failure;
use crate::modules::{self, ModuleOperand};
use crate::settings::Setting;

/// The caller of each operation of penfold itself, which owns the engine.
pub(crate) fn engine_owner() -> Caller {
    Caller::root(Tid(std::process::id().cast_signed()))
}

/// The owner of the job's cgroups: a user that no job can run as, so that no job can change the files set here.
///
/// The directories are open to every user. The server decides by the place of a client in the job whether it may make
/// a cgroup there.
fn job_cgroup_owner() -> Caller {
    const NOBODY: u32 = u32::MAX;
    Caller { uid: NOBODY, gid: NOBODY, umask: 0, ..engine_owner() }
}

/// Loads every controller, mounts them all together and makes the cgroup `name` below the root.
///
/// The `modules` are loaded too, and those that have a file of the `settings`. Returns the cgroup and the root. The
/// cgroup's CPUs and memory nodes start as copies of the root's.
pub(crate) fn prepare(
    engine: &mut Engine,
    host: &mut dyn Host,
    name: &str,
    (modules, settings): (&[ModuleOperand], &[Setting]),
) -> Result<(CgroupId, CgroupId), Failure> {
    load_all(engine, host)?;
    modules::load(engine, host, modules, settings)?;
    let root = engine.session(host, &engine_owner()).mount("all,clone_children")?.root;
    let mut at = root;
    for part in name.split('/').filter(|part| !part.is_empty()) {
        let made = engine.session(host, &job_cgroup_owner()).mkdir(at, part.as_bytes(), 0o777);
        at = made.map_err(|error| Failure::from(error).about(format!("--group {name}")))?;
    }
    Ok((at, root))
}
