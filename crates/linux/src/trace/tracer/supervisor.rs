//! One turn of the tracer: an event, its handling, and the choice of the next wait.
//!
//! One system call finds an event and leaves it in place. Continuing the task takes it away, so an ordinary stop costs
//! two calls.
//!
//! The thread runs wherever and however the scheduler likes. The alternatives were measured on a virtual machine with
//! two CPUs, in µs per round, the least of six interleaved runs. The storms make children with the veto, so four stops
//! and a death each. The script has pipelines and is in ms. The machine had other work too, and differences below a
//! tenth are noise:
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
//! Polling gains where a CPU is idle anyway. Where none is, it takes the CPU from the job: two fork+exec storms at once
//! took 1.77 times as long as untraced, instead of 1.51. Everything on one CPU would be best for storms (vfork+exit 30,
//! bare 19), but only by setting the job's own affinity, which would show. A shorter slice and a better nice value
//! changed nothing beyond the noise.

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

/// The number of events in a row after which every waiting task gets one turn.
const FAIR_AFTER: u32 = 64;

/// The interval of wake-ups while the tracer waits for a change that no event may report.
const TICK: Duration = Duration::from_millis(1);

/// The fate of launched tasks when their supervisor ends in order. Adopted ones go on in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Launched tasks go on. Their filter stays and hands system calls to a tracer that is gone. From then on ptrace
    /// fails with `ENOSYS`, and so do fork, vfork and clone if the filter stops them.
    Leave,
    /// Launched tasks are killed.
    Kill,
}

/// The result of a look for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitResult {
    /// An event, left in place.
    Event(WaitReport),
    /// No event now, or a wake-up.
    Nothing,
    /// No task is left.
    NoTask,
}

/// The tracer's way to the next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextWait {
    /// A look for an event without waiting.
    Look,
    /// A wait for an event or a wake-up.
    Wait,
    /// A wait for a wake-up: there is no task.
    WaitForWakeup,
    /// The end of the tracer.
    End,
}

/// The tracer thread's state: the tasks of its jobs, and the tasks that it has adopted.
///
/// Other threads reach it through a [`Handle`](super::Handle). It does not contain its policy: functions that need both
/// get both.
pub struct Supervisor<P: Policy> {
    /// All tasks.
    pub tasks: TableOf<P>,
    /// The option of this name, of the job in the foreground.
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
    /// The lineage of a child whose parent is not known.
    pub(crate) default_lineage: Lineage,
    /// The tasks with a fork in flight.
    pub(crate) in_flight: TidSet,
    /// Of these, the tasks that were interrupted to see the outcome of their fork.
    pub(crate) unsettled: TidSet,
    /// Tasks whose refused fork waits for those outcomes, and for the deaths to be seen.
    pub(crate) refused_forks: Vec<(Tid, usize)>,
    /// Whether a fork was refused and the dead have not been looked for since.
    pub(crate) refused: bool,
    /// The number of requests that wait until no fork is in flight, or work while none is.
    pub(crate) settling: u32,
    /// Tasks whose fork waits for those requests.
    pub(crate) paused: Vec<Tid>,
    /// Whether the main command in the foreground has exited: everything is being killed.
    pub(crate) closing: bool,
    /// Set at the end: every task that is not killed is detached when it stops.
    pub(crate) ending: Option<AtEnd>,
    /// Whether the tracer ends now and leaves the remaining tasks for the kernel to detach.
    pub(crate) over: bool,
    /// Whether the tracer waits for requests when no task is left.
    pub(crate) stays: bool,
    /// Processes on their way to this tracer for which no request waits.
    pub(crate) seizures: Vec<Seizure>,
    /// Processes whose adoption a request waits for.
    pub(crate) adoptions: TidSet,
    /// Processes with a thread that installs a filter.
    pub(crate) injected: TidSet,
    /// The number of stops of the main command, and the number of those that are settled. A stop is settled when it is
    /// over, or when it was the meant effect of a signal to this process. See `Job::wait_forwarding`.
    pub(crate) main_stops: u64,
    pub(crate) main_stops_known: u64,
    pub(crate) status: Option<i32>,
    pub(crate) failure: Option<StartError>,
    /// Wakes the tracer thread where no event may come. `None` until that thread runs.
    timer: Option<WakeupTimer>,
    events: u32,
    /// Whether an unreported child was seen: a look for other events comes before a wait.
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

/// The ptrace options of a task.
///
/// Stops of filters are requested also for a task without a filter of this crate. A filter that is installed later is
/// in force for all threads at once, and an option can be set on a stopped thread only.
pub(crate) fn ptrace_options(lineage: Lineage) -> c_int {
    let exit_kill = if lineage.exit_kill { libc::PTRACE_O_EXITKILL } else { 0 };
    libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACESECCOMP
        | exit_kill
}

impl<P: Policy> Supervisor<P> {
    /// A supervisor without a task, which stays until its end is requested.
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

    /// Deals with the result of a look.
    pub(crate) fn on_found(&mut self, found: WaitResult, policy: &mut P) {
        match found {
            WaitResult::Event(report) => {
                self.dispatch(report, policy);
                self.events += 1;
                if self.refused || self.events.is_multiple_of(FAIR_AFTER) {
                    self.fair_round(policy);
                }
                // with an unreported child, a look for other events comes first
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

    /// Ends a turn, after its requests: deadlines, deferred actions, forks that had to wait.
    pub(crate) fn end_turn(&mut self, policy: &mut P) {
        self.resume_seizures(policy);
        self.look_again(policy);
        self.give_up_injections(policy);
        self.resume_paused(policy);
        self.do_deferred(policy);
        policy.batch_done();
    }

    /// Sets the timer of the calling thread, which is the tracer's.
    pub(crate) fn set_timer(&mut self, timer: WakeupTimer) {
        self.timer = Some(timer);
    }

    /// Turns periodic wake-ups on or off. With them, each wait without an event is given up in time.
    pub(crate) fn tick(&mut self, on: bool) {
        self.wake_every(on.then_some(TICK));
    }

    fn wake_every(&mut self, period: Option<Duration>) {
        if let Some(timer) = &mut self.timer {
            timer.every(period);
        }
    }

    /// The tracer's way to the next event, after this result.
    pub(crate) fn next(&mut self, found: WaitResult) -> NextWait {
        if self.over || found == WaitResult::NoTask && !self.stays {
            return NextWait::End;
        }
        if found == WaitResult::NoTask && self.tasks.entries.is_empty() {
            self.tick(false);
            return NextWait::WaitForWakeup;
        }
        // a task with a refused fork waits already
        if self.refused || self.look_first {
            return NextWait::Look;
        }
        let has_deadline =
            !self.unreported.is_empty() || !self.seizures.is_empty() || !self.injected.is_empty();
        self.wake_every(if has_deadline { Some(TICK) } else { self.tasks.workers.period() });
        NextWait::Wait
    }

    /// Makes the deferred ptrace requests.
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

    /// Gives one turn to every waiting task, the dead first.
    ///
    /// The kernel looks for events among this thread's children first, and then from the youngest tracee to the oldest.
    /// A look at an event does not move its task back. On a big machine young tasks could stop so often that an old one
    /// is never seen.
    fn fair_round(&mut self, policy: &mut P) {
        let mut stops = TidMap::default();
        while let Ok(Some(report)) = wait::peek(false) {
            // an earlier event of this task is out of date
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
        self.forget_reused(report.tid, policy);
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
