//! The hosts of penfold on Linux.

pub mod trace;
