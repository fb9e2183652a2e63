//! The controllers of penfold, a module for each. The page of a module is the manual of its controller: every control
//! file, the values that it takes and the errors that it gives.
//!
//! | controller | purpose |
//! |---|---|
//! | [`cpuset`] | binds tasks to CPUs and memory nodes |
//! | [`cpuacct`] | counts CPU time |
//! | [`freezer`] | stops and continues tasks |
//! | [`net_cls`] | gives sockets a class |
//! | [`pids`] | limits the number of tasks |
//! | [`numtasks`] | shares tasks out, and limits the rate of forks |
//! | [`debug`] | shows the framework's own structures |
//!
//! The controllers know core's traits only, and no host. [`load_all`] loads them into an engine:
//!
//! ```
//! use penfold_core::Engine;
//! use penfold_core::simulated::SimulatedHost;
//!
//! let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(2));
//! penfold_subsystems::load_all(&mut engine, &mut host)?;
//! assert!(engine.subsystems().any(|name| name == "pids"));
//! # Ok::<(), penfold_core::Error>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod all;
pub mod cpuacct;
pub mod cpuset;
pub mod debug;
pub mod freezer;
pub mod net_cls;
pub mod numtasks;
pub mod pids;

pub use all::{load_all, load_tree};
pub use cpuacct::CpuAcct;
pub use cpuset::Cpuset;
pub use debug::Debug;
pub use freezer::Freezer;
pub use net_cls::NetCls;
pub use numtasks::Numtasks;
pub use pids::Pids;
