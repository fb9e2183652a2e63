//! One turn of the tracer: an event, what it is about, and what is to be waited for next.
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
use std::time::Duration;

use libc::c_int;
use penfold_core::Tid;

use super::job_record::JobRecord;
use super::policy::{Policy, TableOf};
use super::seizure::Seizure;
use super::table::{Deferred, JobId, Lineage, NO_JOB, TaskTable, TidMap, TidSet};
use super::unreported::UnreportedChild;

use crate::trace::os::StartError;
use crate::trace::os::timer::WakeupTimer;
use crate::trace::os::wait::{self, WaitReport};
use crate::trace::os::{ptrace, task};

/// Events in a row after which all tasks that wait get one turn each.
const FAIR_AFTER: u32 = 64;

/// How often a tracer looks that waits for something that no event may tell.
const TICK: Duration = Duration::from_millis(1);

/// What becomes of launched tasks when their supervisor ends in order. Adopted ones go on in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// They go on. Their filter stays with them and hands system calls to a tracer that is gone: where it stopped
    /// fork, vfork and clone, these fail with `ENOSYS` from now on, and so does ptrace.
    Leave,
    /// They are killed.
    Kill,
}

/// What the tracer found when it looked for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitResult {
    /// An event, left in place.
    Event(WaitReport),
    /// Nothing now, or a kick.
    Nothing,
    /// No task is left.
    NoTask,
}

/// How the tracer looks for the next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextWait {
    /// At once, without waiting.
    Look,
    /// It waits for an event or a kick.
    Wait,
    /// It waits for a kick: there is no task.
    WaitForWakeup,
    /// It ends.
    End,
}

/// The tracer thread's state: the tasks of its jobs, and those that it has adopted.
///
/// Other threads reach it through a [`Handle`](super::Handle). It does not contain its policy: what concerns both is
/// given both.
pub struct Supervisor<P: Policy> {
    /// All tasks.
    pub tasks: TableOf<P>,
    /// Of the job in the foreground.
    pub(crate) follow_stops: bool,
    /// The main command of the job in the foreground; 0 where there is none.
    pub(crate) main: Tid,
    /// The jobs that are not over.
    pub(crate) jobs: std::collections::HashMap<JobId, JobRecord>,
    pub(crate) last_job: JobId,
    /// Children that were seen before their parents reported them.
    pub(crate) unreported: TidMap<UnreportedChild>,
    /// Tasks that were killed lately, perhaps inside a fork.
    pub(crate) killed: VecDeque<(Tid, Lineage)>,
    /// What is assumed of a child whose parent is not known.
    pub(crate) default_lineage: Lineage,
    /// The tasks with a fork in flight.
    pub(crate) in_flight: TidSet,
    /// Those of them that were interrupted to learn its outcome.
    pub(crate) unsettled: TidSet,
    /// Tasks whose refused fork waits for that, and for the deaths to be seen.
    pub(crate) refused_forks: Vec<(Tid, usize)>,
    /// A fork was refused, and the dead have not been looked for since.
    pub(crate) refused: bool,
    /// How many requests wait until no fork is in flight, or work while none is.
    pub(crate) settling: u32,
    /// Tasks whose fork waits for those requests in turn.
    pub(crate) paused: Vec<Tid>,
    /// The main command in the foreground has exited: everything is being killed.
    pub(crate) closing: bool,
    /// Everything that is not killed is detached when it stops.
    pub(crate) ending: Option<AtEnd>,
    /// Whatever is left is the kernel's to detach.
    pub(crate) over: bool,
    /// Waits for requests also when no task is left.
    pub(crate) stays: bool,
    /// Processes on their way to this tracer that no request waits for.
    pub(crate) seizures: Vec<Seizure>,
    /// Processes that requests wait to be adopted.
    pub(crate) adoptions: TidSet,
    /// Processes with a thread that installs a filter.
    pub(crate) injected: TidSet,
    /// How often the main command was stopped, and how many of these stops are known to be over or to have
    /// been what a signal to us meant; see `Job::wait_forwarding`.
    pub(crate) main_stops: u64,
    pub(crate) main_stops_known: u64,
    pub(crate) status: Option<i32>,
    pub(crate) failure: Option<StartError>,
    /// Kicks the tracer thread where no event may come. `None` until that thread runs.
    timer: Option<WakeupTimer>,
    events: u32,
    /// A child whose parent has not reported it was seen: a look at what else is there comes before a wait.
    look_first: bool,
}

impl<P: Policy> std::fmt::Debug for Supervisor<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("main", &self.main)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

/// What a task is traced with. Stops of filters are asked for also where there is none of ours: one that is put in later
/// is in force for all threads at once, and an option can be set of a stopped thread only.
pub(crate) fn ptrace_options(lineage: Lineage) -> c_int {
    let exit_kill = if lineage.exit_kill { libc::PTRACE_O_EXITKILL } else { 0 };
    libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACESECCOMP
        | exit_kill
}

impl<P: Policy> Supervisor<P> {
    /// A supervisor of nothing, which stays until it is to end.
    pub(crate) fn new(common: P::Common) -> Self {
        Self {
            tasks: TaskTable::new(common),
            follow_stops: false,
            main: Tid(0),
            jobs: std::collections::HashMap::new(),
            last_job: NO_JOB,
            unreported: TidMap::default(),
            killed: VecDeque::new(),
            default_lineage: Lineage::adopted(false),
            in_flight: TidSet::default(),
            unsettled: TidSet::default(),
            refused_forks: Vec::new(),
            refused: false,
            settling: 0,
            paused: Vec::new(),
            closing: false,
            ending: None,
            over: false,
            stays: true,
            seizures: Vec::new(),
            adoptions: TidSet::default(),
            injected: TidSet::default(),
            main_stops: 0,
            main_stops_known: 0,
            status: None,
            failure: None,
            timer: None,
            events: 0,
            look_first: false,
        }
    }

    /// Deals with what was found.
    pub(crate) fn on_found(&mut self, found: WaitResult, policy: &mut P) {
        match found {
            WaitResult::Event(report) => {
                self.dispatch(report, policy);
                self.events += 1;
                if self.refused || self.events.is_multiple_of(FAIR_AFTER) {
                    self.fair_round(policy);
                }
                // with a child in hand whose parent has not reported, a look at what else is there comes first
                self.look_first = !self.unreported.is_empty();
            }
            WaitResult::Nothing => {
                if self.refused {
                    self.fair_round(policy);
                }
                self.look_first = self.resolve_unreported(policy);
            }
            WaitResult::NoTask => self.finish_unreported(policy),
        }
    }

    /// What is to be done when requests have been served: deadlines, deferred work, forks that had to wait.
    pub(crate) fn end_turn(&mut self, policy: &mut P) {
        self.resume_seizures(policy);
        self.give_up_injections(policy);
        self.resume_paused(policy);
        self.do_deferred(policy);
        policy.batch_done();
    }

    /// Takes the timer of the calling thread, which is the tracer's.
    pub(crate) fn set_timer(&mut self, timer: WakeupTimer) {
        self.timer = Some(timer);
    }

    /// Kicks the tracer from now on, or no more: what waits without an event gives up sooner or later.
    pub(crate) fn tick(&mut self, on: bool) {
        if let Some(timer) = &mut self.timer {
            timer.every(on.then_some(TICK));
        }
    }

    /// What the tracer waits for next, after it has `found` that.
    pub(crate) fn next(&mut self, found: WaitResult) -> NextWait {
        if self.over || found == WaitResult::NoTask && !self.stays {
            return NextWait::End;
        }
        if found == WaitResult::NoTask && self.tasks.entries.is_empty() {
            self.tick(false);
            return NextWait::WaitForWakeup;
        }
        // a task that was refused a fork waits already
        if self.refused || self.look_first {
            return NextWait::Look;
        }
        let has_deadline =
            !self.unreported.is_empty() || !self.seizures.is_empty() || !self.injected.is_empty();
        self.tick(has_deadline);
        NextWait::Wait
    }

    /// Makes the ptrace requests that were noted meanwhile.
    pub(crate) fn do_deferred(&mut self, policy: &mut P) {
        while !self.tasks.deferred.is_empty() {
            for deferred in std::mem::take(&mut self.tasks.deferred) {
                match deferred {
                    // ESRCH: killed meanwhile
                    Deferred::Interrupt(tid) => drop(ptrace::interrupt(tid)),
                    Deferred::Thaw(tid) => self.resume_thawed(tid, policy),
                }
            }
        }
    }

    /// One turn for every task that waits, the dead first.
    ///
    /// The kernel looks for events among our children first and then from the youngest tracee to the oldest, and an
    /// event that was peeked at and dealt with does not move a task back. On a big machine young tasks could stop so
    /// often that an old one is never seen.
    fn fair_round(&mut self, policy: &mut P) {
        let mut stops = TidMap::default();
        while let Ok(Some(report)) = wait::peek(false) {
            // whatever there was of this task is out of date
            stops.remove(&report.tid);
            if report.code == libc::CLD_TRAPPED {
                wait::consume(report.tid);
                stops.insert(report.tid, report);
            } else {
                self.on_death(report, policy);
            }
        }
        self.refused = false;
        self.retry_refused(policy);
        for report in stops.into_values() {
            self.dispatch(report, policy);
        }
    }

    pub(crate) fn dispatch(&mut self, report: WaitReport, policy: &mut P) {
        if report.code == libc::CLD_TRAPPED {
            self.on_stop(report.tid, report.status & 0xff, report.status >> 8, policy);
        } else {
            self.on_death(report, policy);
        }
        self.retry_refused(policy);
    }

    /// The process id of the main command in the foreground; 0 where there is none.
    pub fn main(&self) -> Tid {
        self.main
    }

    /// Kills all tasks; the job in the foreground ends when the last of them is reaped. Forks fail from now on.
    pub fn close(&mut self) {
        self.closing = true;
        for tgid in self.tasks.processes.keys().chain(self.unreported.keys()) {
            let _ = task::kill(*tgid, libc::SIGKILL);
        }
    }
}
