//! `cpuacct` as a module. The controller itself is `crates/subsystems/src/cpuacct.rs`.
#![forbid(unsafe_code)]

penfold_module::export!(penfold_subsystems::CpuAcct);
