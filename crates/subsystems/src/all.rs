//! All controllers of the tree, in the order in which listings show them.

use penfold_core::{Engine, Result, host::Host};

use crate::{CpuAcct, Cpuset, Debug, Freezer, NetCls, Numtasks, Pids};

/// Loads every controller that is built in: all but [`NetCls`], which is a module unless the feature `net_cls` builds
/// it in.
///
/// # Errors
/// As [`Engine::load`]; `EEXIST` if one of the controllers is loaded already. The controllers before it stay loaded.
pub fn load_all(engine: &mut Engine, host: &mut dyn Host) -> Result<()> {
    load(engine, host, cfg!(feature = "net_cls"))
}

/// Loads every controller of the tree, also those that are modules: for programs that need them without files.
///
/// # Errors
/// As [`load_all`].
pub fn load_tree(engine: &mut Engine, host: &mut dyn Host) -> Result<()> {
    load(engine, host, true)
}

fn load(engine: &mut Engine, host: &mut dyn Host, net_cls: bool) -> Result<()> {
    engine.load(host, Cpuset::default())?;
    engine.load(host, CpuAcct)?;
    engine.load(host, Freezer)?;
    if net_cls {
        engine.load(host, NetCls)?;
    }
    engine.load(host, Pids)?;
    engine.load(host, Numtasks::default())?;
    engine.load(host, Debug)
}
