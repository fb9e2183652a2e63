//! The record of a job: a command, its descendants, and a rule for those that it leaves behind.

use std::sync::mpsc;

use penfold_core::Tid;

use super::table::JobId;
use crate::trace::os::StartError;
use crate::trace::os::spawn::ForkedChild;

/// The switches for the supervision of a command, fixed at its start. By default only `exit_kill` is on.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // independent switches
pub struct TraceOptions {
    /// Whether the job is killed when the supervisor dies. Otherwise it goes on, but the system calls that its filter
    /// stops fail with `ENOSYS`.
    pub exit_kill: bool,
    /// Whether [`Policy::may_fork`](super::Policy::may_fork) is called before every fork, which costs one stop per
    /// fork.
    pub fork_veto: bool,
    /// Whether `sched_setaffinity` is clamped to [`Policy::allowed_cpus`](super::Policy::allowed_cpus).
    pub affinity: bool,
    /// Whether [`Policy::socket_made`](super::Policy::socket_made) is called for every socket(2) of a task with a
    /// socket class.
    pub sockets: bool,
    /// Whether this whole process stops when the terminal or an outside process stops the main command, so that a shell
    /// sees its job stop.
    pub follow_stops: bool,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self { exit_kill: true, fork_veto: false, affinity: false, sockets: false, follow_stops: false }
    }
}

/// The end of a job: the main command's status as wait(2) gives it, or the reason why it could not be executed.
pub type JobEnd = Result<i32, StartError>;

/// A command that was launched beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchedJob {
    /// The main command's process id.
    pub main: Tid,
    /// The job's number, unique in this supervisor.
    pub job: JobId,
}

/// The options for the launch of a command beside others of the same supervisor.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// The supervision of the command. [`TraceOptions::follow_stops`] is for a job of its own only.
    pub options: TraceOptions,
    /// Whether processes that the main command leaves behind go on, members of no job. Otherwise they are killed.
    pub leave_running: bool,
    /// Receives the end once, when the job is over. The main command has ended then and, unless it is left running, the
    /// last task that it left behind has died.
    pub ended: Option<mpsc::Sender<JobEnd>>,
}

impl JobOptions {
    /// A job that kills everything that it leaves behind, and reports its end to no receiver.
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
    /// The result. Set when the main command has died and the processes that it left behind are being killed.
    pub(crate) end: Option<JobEnd>,
}

impl JobRecord {
    pub(crate) fn send_end(&mut self) {
        if let (Some(ended), Some(end)) = (self.ended.take(), self.end.take()) {
            // the receiver may be gone
            let _ = ended.send(end);
        }
    }
}
