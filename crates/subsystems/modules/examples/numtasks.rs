//! `numtasks` as a module. The controller itself is `crates/subsystems/src/numtasks.rs`.
#![forbid(unsafe_code)]

penfold_module::export!(penfold_subsystems::Numtasks);
