//! The support that tests, benches and fuzz targets of penfold share.
//!
//! * [`SimWorld`]: an engine, a host without processes, and the caller of every operation.
//! * [`PlainHost`]: a host that implements only what the traits require.
//! * [`wait_until`], [`wait_for`] and [`retry`]: waiting for a condition, with a deadline.
//! * [`TempDir`]: a directory of the test's own.
//! * [`skip`] and [`needs!`]: a test that can't run on this machine says so.
//! * [`CProgram`] and [`c_module`]: a program and a module in C, compiled for one test.
//! * [`OutsideProcess`]: a process that no host has started.
//! * [`proc`]: facts of a process, read from `/proc`.
//!
//! The crate is for tests: whatever does not work panics, with the line of the test. Only dev-dependencies name it, and
//! the crates that are themselves tests or benches.
#![forbid(unsafe_code)]

mod c_module;
mod c_program;
mod outside_process;
mod plain_host;
pub mod proc;
mod sim_world;
mod skip;
mod temp_dir;
mod wait;

pub use c_module::{c_module, compile_module};
pub use c_program::{CProgram, copy_program};
pub use outside_process::OutsideProcess;
pub use plain_host::PlainHost;
pub use sim_world::SimWorld;
pub use skip::{has_program, is_ci, is_root, skip, skip_even_in_ci};
pub use temp_dir::{TempDir, TempFile};
pub use wait::{PATIENCE, retry, wait_for, wait_until};
