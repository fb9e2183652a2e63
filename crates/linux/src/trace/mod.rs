//! The host that needs no privilege: a ptrace supervisor of one process tree.
//!
//! [`Job::start`] runs a command under a tracer thread. Every task of the tree is known from before its first
//! instruction until its zombie is reaped. A [`Policy`] decides about the tasks.
//!
//! The kernel's part in five lines:
//!
//! - The command is `PTRACE_SEIZE`d with fork events, so the tracer is attached to each child at birth.
//! - A seccomp filter stops the few system calls that a rule must see before they happen.
//! - Deaths are looked at with `WNOWAIT`, so the CPU time of the zombie can still be read.
//! - Group stops are left to the kernel with `PTRACE_LISTEN`, so job control looks as without a tracer.
//! - With `PTRACE_O_EXITKILL` the tree dies with its supervisor.
//!
//! The module has three layers, and each uses only those below it:
//!
//! - `host`: an engine on the tracer, for one run and for a daemon;
//! - `tracer`: the event loop, the task table, births, deaths, stops;
//! - `os`: system calls, processor architectures, filters, starting a process.

// tid and tgid are the kernel's names
#![allow(clippy::similar_names)]

mod host;
mod os;
mod tracer;

pub use crate::proc::ResourceLimit;
pub use host::{
    Control, EnginePolicy, ExecError, ExecOptions, FinishedJob, JobBuilder, JobError, Killer, Machine,
    Member, PausedChild, RunningJob, Statistics, StoppedHost, SupervisedTask, Survivor, TraceHost,
    TracedCommand, start_host,
};
pub use os::{
    Command, CommandSession, ForwardedSignals, Inheritance, StartError, TracedCalls, User, can_mark_sockets,
};
pub use penfold_core::Tid;
pub use tracer::{
    AdoptError, AtEnd, DetachError, Fork, ForkRefusal, Gone, Handle, Job, JobEnd, JobId, JobOptions,
    JobOutcome, LaunchedJob, Notice, Policy, Supervisor, TRACER_NAME, TableOf, TaskTable, TraceOptions,
};

pub(crate) use os::inheritance::join_new_keyring;
pub(crate) use os::signals::reset as reset_signals;
