//! The middle layer: the tracer thread, its task table, and the handling of births, deaths and stops. A [`Policy`] has
//! the rules.

mod adopt_error;
mod affinity;
pub(crate) mod attach_running;
mod births;
mod calls;
mod charges;
pub(crate) mod cputime;
mod deaths;
pub(crate) mod detach;
mod forks;
mod freeze;
pub(crate) mod inject;
pub(crate) mod job;
pub(crate) mod job_record;
mod jobs;
mod known_workers;
mod number_map;
pub(crate) mod policy;
pub(crate) mod requests;
mod seizing;
mod seizure;
mod sockets;
mod stops;
pub(crate) mod supervisor;
pub(crate) mod table;
mod tasks;
mod unreported;
pub(crate) mod workers;

pub use adopt_error::AdoptError;
pub use detach::DetachError;
pub use job::{Job, JobOutcome, TRACER_NAME};
pub use job_record::{JobEnd, JobOptions, LaunchedJob, TraceOptions};
pub use policy::{Fork, ForkRefusal, Notice, Policy, TableOf};
pub use requests::{Gone, Handle};
pub use supervisor::{AtEnd, Supervisor};
pub use table::{JobId, TaskTable};
