//! The upper storey: an engine on the tracer, for the job of one run and for a daemon.

mod control;
mod daemon;
mod engine_policy;
mod handle;
mod machine;
mod paused_child;
mod readopt;
mod run;
mod tasks;

pub use control::Control;
pub use daemon::{ExecError, ExecOptions, Killer, Running, Stopped, Supervised, TraceHost};
pub use engine_policy::{EnginePolicy, Statistics};
pub use handle::start_host;
pub use machine::{Machine, Member};
pub use paused_child::Guest;
pub use readopt::Survivor;
pub use run::{ContainError, Contained, Ended, Workshop};
