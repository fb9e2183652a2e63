//! Behaviour tests of penfold.
//!
//! A *scenario* is a plain function that drives a [`TestTarget`] through a [`ScenarioRun`]. The run records a
//! transcript: one line per operation with its result. The same scenario must give the same transcript on two targets:
//!
//! * [`KernelTarget`], the kernel's own cgroup v1, which is right in every errno and every byte;
//! * [`PenfoldTarget`], penfold's engine with all its controllers over a simulated host.
//!
//! `tests/recorded` holds the transcripts of the kernel named there, for machines that have no v1.

pub mod differential;
pub mod kernel;
pub mod ops;
pub mod penfold;
mod proc_text;
pub mod recording;
pub mod scenario_run;
pub mod scenarios;
mod show;
mod side_by_side;
pub mod target;

pub use kernel::KernelTarget;
pub use ops::{FsAnswer, FsOp};
pub use penfold::PenfoldTarget;
pub use scenario_run::ScenarioRun;
pub use scenarios::{SCENARIOS, Scenario, WALKS, Walk};
pub use side_by_side::side_by_side;
pub use target::{AgentCall, Res, TestTarget};
