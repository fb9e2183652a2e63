//! All controllers of the tree, in the order in which listings show them.

use penfold_core::{Engine, Result, host::Host, subsystem::Subsystem};

use crate::{CpuAcct, Cpuset, Debug, Freezer, NetCls, Numtasks, Pids};

/// The names of all controllers of the tree, in the order of [`load_tree`].
pub const NAMES: [&str; 7] =
    [Cpuset::NAME, CpuAcct::NAME, Freezer::NAME, NetCls::NAME, Pids::NAME, Numtasks::NAME, Debug::NAME];

/// Whether a controller of the tree is built in: whether the feature of its name is on.
pub fn is_built_in(name: &str) -> bool {
    match name {
        Cpuset::NAME => cfg!(feature = "cpuset"),
        CpuAcct::NAME => cfg!(feature = "cpuacct"),
        Freezer::NAME => cfg!(feature = "freezer"),
        NetCls::NAME => cfg!(feature = "net_cls"),
        Pids::NAME => cfg!(feature = "pids"),
        Numtasks::NAME => cfg!(feature = "numtasks"),
        Debug::NAME => cfg!(feature = "debug"),
        _ => false,
    }
}

/// Loads every controller that is built in: by default all but [`NetCls`].
///
/// # Errors
/// As [`Engine::load`]; `EEXIST` if one of the controllers is loaded already. The controllers before it stay loaded.
pub fn load_all(engine: &mut Engine, host: &mut dyn Host) -> Result<()> {
    load_those(engine, host, is_built_in)
}

/// Loads every controller of the tree, also those that are modules: for programs that need them without files.
///
/// # Errors
/// As [`load_all`].
pub fn load_tree(engine: &mut Engine, host: &mut dyn Host) -> Result<()> {
    load_those(engine, host, |_| true)
}

/// Loads the controllers of the tree whose names are `wanted`.
///
/// # Errors
/// As [`load_all`].
pub fn load_those(engine: &mut Engine, host: &mut dyn Host, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let mut loading = Loading { engine, host, wanted };
    loading.load(Cpuset::default())?;
    loading.load(CpuAcct)?;
    loading.load(Freezer)?;
    loading.load(NetCls)?;
    loading.load(Pids)?;
    loading.load(Numtasks::default())?;
    loading.load(Debug)
}

struct Loading<'a, W> {
    engine: &'a mut Engine,
    host: &'a mut dyn Host,
    wanted: W,
}

impl<W: Fn(&str) -> bool> Loading<'_, W> {
    fn load<S: Subsystem>(&mut self, controller: S) -> Result<()> {
        if (self.wanted)(S::NAME) { self.engine.load(self.host, controller) } else { Ok(()) }
    }
}
