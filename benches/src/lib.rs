//! The parts that the benchmarks share: worlds of many cgroups on a host that costs next to nothing, and three
//! comparisons.
//!
//! * [`overhead`]: `penfold run` with the bare command.
//! * [`served`]: `penfold serve` with the kernel.
//! * [`module`]: a module with the same controller compiled in.
#![forbid(unsafe_code)]

pub mod controllers;
pub mod module;
pub mod overhead;
pub mod served;
pub mod world;
