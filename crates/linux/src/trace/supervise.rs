//! The tracer thread's loop.
//!
//! One system call finds an event and leaves it in place; continuing the task takes it away, so an ordinary
//! stop costs two calls. The thread runs wherever and however the scheduler likes. That was measured against
//! the alternatives on a virtual machine with two CPUs (µs per round, least of six interleaved runs; storms
//! of children with the veto, so four stops and a death each, and a script with pipelines in ms; the machine
//! had other work too, and differences below a tenth are noise):
//!
//! | tracer | vfork+exit | fork+exit | fork+exec | script | vfork+exit beside two busy loops |
//! |---|---|---|---|---|---|
//! | no tracer | 27 | 101 | 416 | 291 | 13 to 62 |
//! | **as is** | 63 | 151 | 460 | 401 | 36 to 319 |
//! | bound to one CPU | 61 | 139 | 459 | 401 | 80 to 429 |
//! | `SCHED_IDLE` while continuing a task | 70 | 159 | 458 | 449 | |
//! | bound, and that | 60 | 147 | 458 | 379 | |
//! | `SCHED_IDLE` always | 57 | 149 | 478 | 383 | 2567 |
//! | polls for 20 µs before it sleeps | 46 | 154 | 484 | 405 | |
//! | polls for 50 µs before it sleeps | 50 | 108 | 449 | 377 | 135 |
//!
//! Polling gains where a CPU is idle anyway, and where none is takes it from the job: two fork+exec storms
//! at once took 1.77 times as long as untraced, instead of 1.51. Everything on one CPU would be best for
//! storms (vfork+exit 30, bare 19), but only by setting the job's own affinity, which would show. A shorter slice and
//! a better nice value changed nothing beyond the noise.

use std::collections::VecDeque;
use std::sync::Arc;

use libc::c_int;
use nix::errno::Errno;

use super::attendant::Attendant;
use super::births::Early;
use super::command::Command;
use super::jobs::{Begun, JobOptions};
use super::kick::Queue;
use super::launch::StartError;
use super::leave::AtEnd;
use super::sys::{self, Report};
use super::table::{JobId, Lineage, NO_JOB, Table, TidMap};
use super::{Policy, Tid};

/// Events in a row after which all tasks that wait get one turn each.
const FAIR_AFTER: u32 = 64;

/// How a command is to be supervised.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // independent switches
pub struct Options {
    /// Kill the job when the supervisor dies. Without it a job whose supervisor died goes on, but those of
    /// its system calls that the filter stops fail with `ENOSYS`.
    pub exit_kill: bool,
    /// Ask [`Policy::may_fork`] before every fork: one more stop per fork.
    pub fork_veto: bool,
    /// Clamp `sched_setaffinity` to [`Policy::allowed_cpus`].
    pub affinity: bool,
    /// Tell [`Policy::socket_made`] of every socket(2) of a task that has a socket class.
    pub sockets: bool,
    /// Stop this whole process when the main command is stopped by the terminal or from outside, so that a
    /// shell sees its job stop.
    pub follow_stops: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { exit_kill: true, fork_veto: false, affinity: false, sockets: false, follow_stops: false }
    }
}

/// The tracer thread's state: the tasks of its jobs, and those that it has adopted.
///
/// Other threads reach it through a [`Handle`](super::Handle).
pub struct Supervisor<P> {
    /// The policy that decides.
    pub policy: P,
    /// Of the job in the foreground.
    pub(super) follow_stops: bool,
    /// The main command of the job in the foreground; 0 where there is none.
    pub(super) main: Tid,
    /// The jobs that are not over.
    pub(super) jobs: TidMap<Begun>,
    pub(super) last_job: JobId,
    pub(super) table: Table,
    /// Children that were seen before their parents reported them.
    pub(super) early: TidMap<Early>,
    /// Tasks that were killed lately, perhaps inside a fork.
    pub(super) killed: VecDeque<(Tid, Lineage)>,
    /// What is assumed of a child whose parent nobody knows.
    pub(super) stranger: Lineage,
    /// How many tasks have a fork in flight.
    pub(super) in_flight: usize,
    /// How many of those were interrupted to learn its outcome.
    pub(super) unsettled: usize,
    /// Tasks whose refused fork waits for that, and for the burial of the dead.
    pub(super) deferred: Vec<(Tid, usize)>,
    /// A fork was refused, and the dead have not been looked for since.
    pub(super) refused: bool,
    /// A request waits until no fork is in flight.
    pub(super) settling: bool,
    /// Tasks whose fork waits for that request in turn.
    pub(super) paused: Vec<Tid>,
    /// The main command in the foreground has exited: everything is being killed.
    pub(super) closing: bool,
    /// Everything that is not killed is detached when it stops.
    pub(super) ending: Option<AtEnd>,
    /// Whatever is left is the kernel's to detach.
    pub(super) over: bool,
    /// Waits for requests also when no task is left.
    pub(super) stays: bool,
    /// How often the main command was stopped, and how many of these stops are known to be over or to have
    /// been what a signal to us meant; see `Job::wait_forwarding`.
    pub(super) main_stops: u64,
    pub(super) main_stops_known: u64,
    pub(super) status: Option<i32>,
    pub(super) failure: Option<StartError>,
    /// Where something was adopted.
    pub(super) attendant: Option<Attendant>,
    queue: Arc<Queue<P>>,
    events: u32,
}

impl<P: std::fmt::Debug> std::fmt::Debug for Supervisor<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("policy", &self.policy)
            .field("main", &self.main)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// What a task is traced with. Stops of filters are asked for also where there is none of ours: one that is put in later
/// is in force for all threads at once, and an option can be set of a stopped thread only.
pub(super) fn ptrace_options(lineage: Lineage) -> c_int {
    let exit_kill = if lineage.exit_kill { libc::PTRACE_O_EXITKILL } else { 0 };
    libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACESECCOMP
        | exit_kill
}

impl<P: Policy> Supervisor<P> {
    /// A supervisor of nothing, which stays until it is told to end. The calling thread becomes the tracer.
    pub(super) fn idle(policy: P, queue: Arc<Queue<P>>) -> Self {
        Self {
            policy,
            follow_stops: false,
            main: 0,
            jobs: TidMap::default(),
            last_job: NO_JOB,
            table: Table::default(),
            early: TidMap::default(),
            killed: VecDeque::new(),
            stranger: Lineage::adopted(false),
            in_flight: 0,
            unsettled: 0,
            deferred: Vec::new(),
            refused: false,
            settling: false,
            paused: Vec::new(),
            closing: false,
            ending: None,
            over: false,
            stays: true,
            main_stops: 0,
            main_stops_known: 0,
            status: None,
            failure: None,
            queue,
            attendant: None,
            events: 0,
        }
    }

    /// Launches the one command whose end is the supervisor's; the calling thread becomes its tracer.
    pub(super) fn launch(
        command: &Command,
        options: Options,
        policy: P,
        queue: Arc<Queue<P>>,
    ) -> Result<Self, StartError> {
        let mut supervisor = Self::idle(policy, queue);
        supervisor.stays = false;
        supervisor.follow_stops = options.follow_stops;
        let (main, lineage) = supervisor.spawn(command, JobOptions::new(options))?;
        supervisor.main = main;
        supervisor.stranger = lineage;
        Ok(supervisor)
    }

    /// Supervises until no task is left, or until told to end. Returns the status of the main command in the
    /// foreground as wait(2) gives it.
    pub(super) fn run(mut self) -> (Result<i32, StartError>, P) {
        if self.main != 0 {
            match self.policy.started(self.main) {
                Ok(()) => self.let_loose(self.stranger.job),
                Err(_) => self.close(),
            }
        }
        loop {
            for request in self.queue.take() {
                request(&mut self);
            }
            self.policy.turn_is_over();
            if self.over {
                break;
            }
            self.resume_paused();
            if self.step() {
                continue;
            }
            self.bury_early();
            if !self.stays {
                break;
            }
            self.policy.turn_is_over();
            sys::sleep_until_kicked();
        }
        let status = self.status.unwrap_or_default();
        (self.failure.take().map_or(Ok(status), Err), self.policy)
    }

    /// Waits for one event and deals with it, or returns early when kicked. False when no task is left.
    pub(super) fn step(&mut self) -> bool {
        // somebody who was refused a fork waits already
        let wait = !self.refused;
        // with a child in hand whose parent has not reported, a look at what else is there comes first
        let mut report = sys::peek(wait && self.early.is_empty());
        if matches!(report, Ok(None)) {
            let again = self.resolve_early();
            report = sys::peek(wait && !again);
        }
        match report {
            Ok(Some(report)) => self.dispatch(report),
            Ok(None) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
        self.events += 1;
        if self.refused || self.events.is_multiple_of(FAIR_AFTER) {
            self.fair_round();
        }
        true
    }

    /// One turn for every task that waits, the dead first.
    ///
    /// The kernel looks for events among our children first and then from the youngest tracee to the oldest, and an
    /// event that was peeked at and dealt with does not move a task back. On a big machine young tasks could stop so
    /// often that an old one is never seen.
    fn fair_round(&mut self) {
        let mut stops = TidMap::default();
        while let Ok(Some(report)) = sys::peek(false) {
            // whatever there was of this task is out of date
            stops.remove(&report.tid);
            if report.code == libc::CLD_TRAPPED {
                sys::consume(report.tid);
                stops.insert(report.tid, report);
            } else {
                self.on_death(report);
            }
        }
        self.refused = false;
        self.retry_deferred();
        for report in stops.into_values() {
            self.dispatch(report);
        }
    }

    pub(super) fn dispatch(&mut self, report: Report) {
        if report.code == libc::CLD_TRAPPED {
            self.on_stop(report.tid, report.status & 0xff, report.status >> 8);
        } else {
            self.on_death(report);
        }
        self.retry_deferred();
    }

    /// The process id of the main command in the foreground; 0 where there is none.
    pub fn main(&self) -> Tid {
        self.main
    }

    /// Whether a task is supervised.
    pub fn contains(&self, task: Tid) -> bool {
        self.table.tasks.contains_key(&task)
    }

    /// All living tasks.
    pub fn tasks(&self) -> Vec<Tid> {
        self.table.tasks.keys().copied().collect()
    }

    /// The process that a task belongs to.
    pub fn tgid_of(&self, task: Tid) -> Option<Tid> {
        self.table.tasks.get(&task).map(|entry| entry.tgid)
    }

    /// The living threads of a process.
    pub fn threads_of(&self, tgid: Tid) -> Vec<Tid> {
        self.table.threads_of(tgid)
    }

    /// Whether a process is stopped by a signal, as its parent sees with `WUNTRACED`.
    pub fn is_group_stopped(&self, tgid: Tid) -> bool {
        self.table.processes.get(&tgid).is_some_and(|process| process.stopped)
    }

    /// Sends a signal to a supervised process. `ESRCH` when it is not one.
    pub fn kill(&self, tgid: Tid, signal: c_int) -> Result<(), Errno> {
        // not reaped before its death is seen here, so the id cannot have been reused
        if self.table.processes.contains_key(&tgid) { sys::kill(tgid, signal) } else { Err(Errno::ESRCH) }
    }

    /// Kills all tasks; the job in the foreground ends when the last of them is reaped. Forks fail from now on.
    pub fn close(&mut self) {
        self.closing = true;
        for tgid in self.table.processes.keys().chain(self.early.keys()) {
            let _ = sys::kill(*tgid, libc::SIGKILL);
        }
    }
}
