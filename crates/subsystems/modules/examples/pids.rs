//! `pids` as a module. The controller itself is `crates/subsystems/src/pids.rs`.
#![forbid(unsafe_code)]

penfold_module::export!(penfold_subsystems::Pids);
