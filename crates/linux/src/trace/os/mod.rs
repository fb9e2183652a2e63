//! The lowest layer: system calls, processor architectures, filters, signals and starting a process. It knows no task
//! table and no rule.

pub(crate) mod arch;
mod command;
pub(crate) mod filter;
pub(crate) mod inheritance;
pub(crate) mod injection;
pub(crate) mod marking;
pub(crate) mod memory;
pub(crate) mod ptrace;
pub(crate) mod sched;
pub(crate) mod seize;
pub(crate) mod signals;
pub(crate) mod spawn;
mod start_error;
pub(crate) mod stopped_call;
pub(crate) mod task;
pub(crate) mod timer;
pub(crate) mod wait;
pub(crate) mod wakeup;

pub use command::{Command, CommandSession, User};
pub use filter::TracedCalls;
pub use inheritance::Inheritance;
pub use marking::can_mark_sockets;
pub use signals::ForwardedSignals;
pub use start_error::StartError;

/// An error of a call through rustix, in the type of all the others.
fn errno(errno: rustix::io::Errno) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(errno.raw_os_error())
}
