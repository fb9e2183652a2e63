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

// tid and tgid are what everyone calls them
#![allow(clippy::similar_names)]

mod adopt;
mod affinity;
mod arch;
mod attendant;
mod births;
mod calls;
mod command;
mod contained;
mod cputime;
mod deaths;
mod filter;
mod freeze;
mod guest;
mod handle;
mod host;
mod inject;
mod job;
mod jobs;
mod kick;
mod launch;
mod leave;
mod placement;
mod policy;
mod quick;
mod settle;
mod signals;
mod sockets;
mod stops;
mod supervise;
mod survivors;
mod sys;
mod table;
mod tasks;
mod view;

pub use adopt::AdoptError;
pub use command::{Command, ResourceLimit, Session, User};
pub use contained::{ContainError, Contained, Control, Ended, Workshop};
pub use filter::Interest;
pub use guest::Guest;
pub use handle::start_host;
pub use host::{ExecError, ExecOptions, Killer, Running, Stopped, Supervised, TraceHost};
pub use job::{Job, Outcome, TRACER_NAME};
pub use jobs::{JobEnd, JobOptions, Launch};
pub use kick::{Gone, Handle};
pub use launch::StartError;
pub use leave::{AtEnd, ReleaseError};
pub use placement::{Placement, Statistics};
pub use policy::{Fork, Notice, Policy, Tid};
pub use quick::Quick;
pub use signals::Signals;
pub use sockets::can_mark_sockets;
pub use supervise::{Options, Supervisor};
pub use survivors::Survivor;
pub use table::JobId;
