//! The host that needs no privilege: a ptrace supervisor of one process tree.
//!
//! [`Job::start`] runs a command under a tracer thread. Every task of the tree is known before it runs its
//! first instruction and until its zombie is reaped; what to do about it is decided by a [`Policy`].
//!
//! The kernel side in five lines: the command is `PTRACE_SEIZE`d with fork events, so children are attached
//! to the tracer at birth; a seccomp filter stops the few system calls that a rule must see before they
//! happen; deaths are peeked at with `WNOWAIT`, so that the zombie's CPU time can still be read; group stops
//! are left to the kernel with `PTRACE_LISTEN`, so that job control looks as without a tracer; and
//! `PTRACE_O_EXITKILL` makes the tree die with its supervisor.

//!
//! Three storeys, and arrows point down only: `os` (system calls, processor architectures, filters, starting a process),
//! `tracer` (the event loop, the task table, births, deaths, stops) and `host` (an engine on it, for one run and for a
//! daemon).

// tid and tgid are what everyone calls them
#![allow(clippy::similar_names)]

mod host;
mod os;
mod tracer;

pub use host::{
    Control, EnginePolicy, ExecError, ExecOptions, FinishedJob, JobBuilder, JobError, Killer, Machine,
    Member, PausedChild, RunningJob, Statistics, StoppedHost, SupervisedTask, Survivor, TraceHost,
    TracedCommand, start_host,
};
pub use os::{
    Command, ForwardedSignals, ResourceLimit, Session, StartError, TracedCalls, User, can_mark_sockets,
};
pub use penfold_core::Tid;
pub use tracer::{
    AdoptError, AtEnd, DetachError, Fork, ForkRefusal, Gone, Handle, Job, JobEnd, JobId, JobOptions,
    JobOutcome, LaunchedJob, Notice, Policy, Supervisor, TRACER_NAME, TableOf, TaskTable, TraceOptions,
};
