//! Behaviour tests of penfold.
//!
//! A *scenario* is a plain function that drives a [`Target`] through a [`Run`] and so records a
//! transcript: one line per operation with its result. The same scenario run on two targets must
//! give the same transcript. The first target is the [`Kernel`]'s own cgroup v1; it is the
//! authority on what every errno and every byte has to be. The second is [`Penfold`]'s engine with
//! all its controllers over a simulated host.
//!
//! `tests/recorded` holds the transcripts of the kernel named there, for machines that have no v1.

pub mod differential;
pub mod kernel;
pub mod ops;
pub mod penfold;
mod proc_text;
pub mod recording;
pub mod run;
pub mod scenarios;
mod show;
mod side_by_side;
pub mod target;

pub use kernel::Kernel;
pub use ops::{Answer, FsOp};
pub use penfold::Penfold;
pub use run::Run;
pub use scenarios::{SCENARIOS, Scenario, WALKS, Walk};
pub use side_by_side::side_by_side;
pub use target::{AgentCall, Res, Target};
