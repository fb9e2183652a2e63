//! The engine of one `penfold run`: all controllers in one hierarchy, and the job's cgroup.

use penfold_core::{Caller, CgroupId, Engine, Tid, host::Host};
use penfold_subsystems::load_all;

use crate::failure::Failure;
use crate::modules::{self, Operand};
use crate::settings::Setting;

/// Who acts: whoever runs penfold owns the engine.
pub(crate) fn owner() -> Caller {
    Caller::root(Tid(std::process::id().cast_signed()))
}

/// Whose the job's cgroups are: nobody's that a job can be run as, so that their control files stay as they are set here.
/// Their directories are open to all: who may really make a cgroup the server judges by where in the job it is.
fn maker() -> Caller {
    const NOBODY: u32 = u32::MAX;
    Caller { uid: NOBODY, gid: NOBODY, umask: 0, ..owner() }
}

/// Loads every controller, those that are `modules` or that `settings` want of them too, mounts them together and makes the cgroup `name` below the root.
///
/// Returns the cgroup and the root. CPUs and memory nodes start as copies of the root's.
pub(crate) fn prepare(
    engine: &mut Engine,
    host: &mut dyn Host,
    name: &str,
    (modules, settings): (&[Operand], &[Setting]),
) -> Result<(CgroupId, CgroupId), Failure> {
    load_all(engine, host).map_err(Failure::new)?;
    modules::load(engine, host, modules, settings)?;
    let root = engine.session(host, &owner()).mount("all,clone_children").map_err(Failure::new)?.root;
    let mut at = root;
    for part in name.split('/').filter(|part| !part.is_empty()) {
        at = engine.session(host, &maker()).mkdir(at, part.as_bytes(), 0o777).map_err(Failure::new)?;
    }
    Ok((at, root))
}
