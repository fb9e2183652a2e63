//! The controllers of penfold, one file each. Each file begins with the manual of its controller: every control file,
//! the values that it takes and the errors that it gives.
//!
//! The controllers know core's traits only, and no host. [`load_all`] loads all that are built in.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod all;
mod cpuacct;
mod cpuset;
mod debug;
mod freezer;
mod net_cls;
mod numtasks;
mod pids;

pub use all::{load_all, load_tree};
pub use cpuacct::CpuAcct;
pub use cpuset::Cpuset;
pub use debug::Debug;
pub use freezer::Freezer;
pub use net_cls::NetCls;
pub use numtasks::Numtasks;
pub use pids::Pids;
