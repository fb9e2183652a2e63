//! The parts that the benchmarks share: a host that costs next to nothing, and engines with many cgroups. Also the
//! comparisons of `penfold run` with the bare command and of `penfold serve` with the kernel.
#![forbid(unsafe_code)]

pub mod controllers;
pub mod module;
pub mod overhead;
pub mod served;
pub mod world;
