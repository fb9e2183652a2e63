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

mod affinity;
mod arch;
mod contained;
mod cpumask;
mod cputime;
mod filter;
mod freeze;
mod job;
mod kick;
mod launch;
mod placement;
mod policy;
mod settle;
mod signals;
mod sockets;
mod stops;
mod supervise;
mod sys;
mod table;
mod tasks;
mod view;

pub use contained::{ContainError, Contained, Control, Ended, Workshop};
pub use cpumask::CpuMask;
pub use job::{Job, Outcome};
pub use kick::{Gone, Handle};
pub use launch::{Command, StartError};
pub use placement::{Placement, Statistics};
pub use policy::{Fork, Notice, Policy, Tid};
pub use signals::Signals;
pub use sockets::can_mark_sockets;
pub use supervise::{Options, Supervisor};
