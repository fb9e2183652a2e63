//! The top layer: an engine on the tracer, for the job of one run and for a daemon.

mod control;
mod core_host;
mod engine_policy;
mod host_handle;
mod job_builder;
mod machine;
mod paused_child;
mod readopt;
mod trace_host;

pub use control::Control;
pub use engine_policy::{EnginePolicy, Statistics};
pub use host_handle::start_host;
pub use job_builder::{FinishedJob, JobBuilder, JobError, RunningJob};
pub use machine::{Machine, Member};
pub use paused_child::PausedChild;
pub use readopt::Survivor;
pub use trace_host::{ExecError, ExecOptions, Killer, StoppedHost, SupervisedTask, TraceHost, TracedCommand};
