//! `penfold run` compared with the bare command: the same command, in the same run, in turns.

pub mod machine;
pub mod project;
pub mod report;
pub mod runner;
pub mod workload;
