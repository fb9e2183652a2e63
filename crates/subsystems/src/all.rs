//! All controllers of the tree, in the order in which listings show them.

use penfold_core::{Engine, Host, Result};

#[cfg(feature = "net_cls")]
use crate::NetCls;
use crate::{CpuAcct, Cpuset, Debug, Freezer, Numtasks, Pids};

/// Loads every controller that is built in: all but [`NetCls`](crate::NetCls), which is only with the feature
/// `net_cls` and else a module.
///
/// # Errors
/// Those of [`Engine::load`]: `EEXIST` if one of them is loaded already. Those before it stay loaded.
pub fn load_all(engine: &mut Engine, host: &mut dyn Host) -> Result<()> {
    engine.load(host, Cpuset::default())?;
    engine.load(host, CpuAcct)?;
    engine.load(host, Freezer)?;
    #[cfg(feature = "net_cls")]
    engine.load(host, NetCls)?;
    engine.load(host, Pids)?;
    engine.load(host, Numtasks::default())?;
    engine.load(host, Debug)
}
