//! What is kept of a job: a command, what it starts, and a rule for what it leaves behind.

use std::sync::mpsc;

use penfold_core::Tid;

use super::table::JobId;
use crate::trace::os::StartError;
use crate::trace::os::spawn::ForkedChild;

/// How a command is to be supervised.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // independent switches
pub struct TraceOptions {
    /// Kill the job when the supervisor dies. Without it a job whose supervisor died goes on, but those of
    /// its system calls that the filter stops fail with `ENOSYS`.
    pub exit_kill: bool,
    /// Ask [`Policy::may_fork`](super::Policy::may_fork) before every fork: one more stop per fork.
    pub fork_veto: bool,
    /// Clamp `sched_setaffinity` to [`Policy::allowed_cpus`](super::Policy::allowed_cpus).
    pub affinity: bool,
    /// Tell [`Policy::socket_made`](super::Policy::socket_made) of every socket(2) of a task that has a socket class.
    pub sockets: bool,
    /// Stop this whole process when the main command is stopped by the terminal or from outside, so that a
    /// shell sees its job stop.
    pub follow_stops: bool,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self { exit_kill: true, fork_veto: false, affinity: false, sockets: false, follow_stops: false }
    }
}

/// The end of a job: the main command's status as wait(2) gives it, or why it could not be executed.
pub type JobEnd = Result<i32, StartError>;

/// A command that was launched beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchedJob {
    /// The main command's process id.
    pub main: Tid,
    /// The job's number, which no other job of this supervisor has.
    pub job: JobId,
}

/// How a command is to be launched beside others.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// How it is supervised; [`TraceOptions::follow_stops`] is for a job of its own only.
    pub options: TraceOptions,
    /// What the main command leaves behind when it ends goes on, a member of no job. Otherwise it is killed.
    pub leave_running: bool,
    /// Receives the end once when the job is over: the main command has ended and, unless it is left running, the last
    /// task that it left behind has died.
    pub ended: Option<mpsc::Sender<JobEnd>>,
}

impl JobOptions {
    /// A job that takes everything with it when it ends, and reports to nobody.
    pub fn new(options: TraceOptions) -> Self {
        Self { options, leave_running: false, ended: None }
    }
}

/// A job that is not over.
#[derive(Debug)]
pub(crate) struct JobRecord {
    pub(crate) main: Tid,
    pub(crate) launched: ForkedChild,
    pub(crate) leave_running: bool,
    pub(crate) ended: Option<mpsc::Sender<JobEnd>>,
    /// Set when the main command has died and what it left behind is being killed.
    pub(crate) end: Option<JobEnd>,
}

impl JobRecord {
    pub(crate) fn send_end(&mut self) {
        if let (Some(ended), Some(end)) = (self.ended.take(), self.end.take()) {
            // the receiver may have gone
            let _ = ended.send(end);
        }
    }
}
