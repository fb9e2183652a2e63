//! `cpuset` as a module. The controller itself is `crates/subsystems/src/cpuset.rs`.
#![forbid(unsafe_code)]

penfold_module::export!(penfold_subsystems::Cpuset);
