//! The controllers of penfold, one file each. Each file begins with its manual.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cpuset;
mod numtasks;
mod pids;

pub use cpuset::Cpuset;
pub use numtasks::Numtasks;
pub use pids::Pids;
