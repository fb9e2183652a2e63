//! The choices of controllers that benchmarks load.

use std::fmt;

use penfold_core::{Engine, Result, host::Host};
use penfold_subsystems::{Pids, load_all};

/// The controllers that a benchmark loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controllers {
    /// No subsystem, so no callback is called.
    None,
    /// `pids` alone, the cheapest controller that can refuse a fork.
    Pids,
    /// Every controller that penfold has.
    All,
}

impl fmt::Display for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Controllers::None => "none",
            Controllers::Pids => "pids",
            Controllers::All => "all",
        })
    }
}

impl Controllers {
    /// Loads the controllers.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn load(self, engine: &mut Engine, host: &mut dyn Host) -> Result<()> {
        match self {
            Controllers::None => Ok(()),
            Controllers::Pids => engine.load(host, Pids),
            Controllers::All => load_all(engine, host),
        }
    }

    /// The options that mount the controllers in one hierarchy. CPUs and memory nodes start as copies of the root's.
    pub fn mount_options(self) -> &'static str {
        match self {
            Controllers::None => "none,name=bench",
            Controllers::Pids => "pids",
            Controllers::All => "all,clone_children",
        }
    }
}
