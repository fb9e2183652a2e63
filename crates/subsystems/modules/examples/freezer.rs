//! `freezer` as a module. The controller itself is `crates/subsystems/src/freezer.rs`.
#![forbid(unsafe_code)]

penfold_module::export!(penfold_subsystems::Freezer);
