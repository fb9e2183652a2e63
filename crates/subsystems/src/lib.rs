//! The controllers of penfold, one file each. Each file begins with its manual.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod pids;

pub use pids::Pids;
