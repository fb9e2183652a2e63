//! A job: one command, its tracer thread, and the access to it.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::Tid;

use super::job_record::{JobOptions, TraceOptions};
use super::policy::Policy;
use super::requests::{Handle, SharedTracer, TracerRequest, TracerState};
use super::supervisor::{NextWait, Supervisor, WaitResult};
use crate::trace::os::Command;
use crate::trace::os::StartError;
use crate::trace::os::signals::{self, ForwardedSignals};
use crate::trace::os::timer::WakeupTimer;
use crate::trace::os::{task, wait, wakeup};

/// The time between two checks. They show whether a stop or continue signal to this process was sent to the main
/// command too. Forwarded as well, it could undo later changes.
const GRACE_STEP: Duration = Duration::from_millis(2);
const GRACE_CHECKS: u32 = 10;

/// The name of a tracer thread, as in `/proc/PID/comm`.
pub const TRACER_NAME: &str = "penfold-tracer";

/// The end of a job.
#[derive(Debug)]
pub struct JobOutcome<P: Policy> {
    /// The main command's status as wait(2) gives it, or the reason why there is none.
    pub status: Result<i32, StartError>,
    /// The policy, with its counts.
    pub policy: P,
    /// The supervisor, without a task.
    pub supervisor: Supervisor<P>,
}

/// A running job.
#[derive(Debug)]
pub struct Job<P: Policy> {
    handle: Handle<P>,
    main: Tid,
    ended: Arc<AtomicBool>,
    tracer: JoinHandle<Option<JobOutcome<P>>>,
}

impl<P: Policy> Job<P> {
    /// Starts a command under a tracer thread.
    ///
    /// Makes this process a child subreaper, so that daemons of the job stay its descendants. SIGCHLD gets its default
    /// action if it was ignored. [`JobOutcome::status`] reports a program that does not exist.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(command: Command, options: TraceOptions, policy: P) -> Result<Self, StartError>
    where
        P::Common: Default,
    {
        Self::start_in(Supervisor::new(P::Common::default()), command, options, policy)
    }

    /// Starts a command with this supervisor, whose policy may have prepared it.
    ///
    /// # Errors
    /// [`StartError`].
    pub(crate) fn start_in(
        mut supervisor: Supervisor<P>,
        command: Command,
        options: TraceOptions,
        policy: P,
    ) -> Result<Self, StartError> {
        supervisor.stays = false;
        supervisor.follow_stops = options.follow_stops;
        Self::spawn(supervisor, policy, move |supervisor, policy| {
            let (main, lineage) = supervisor.spawn(&command, JobOptions::new(options), policy)?;
            supervisor.main = main;
            supervisor.default_lineage = lineage;
            match policy.started(&mut supervisor.tasks, main) {
                Ok(()) => supervisor.release_main(lineage.job, policy),
                Err(_) => supervisor.close(),
            }
            Ok(main)
        })
    }

    /// Starts a tracer thread without a command. It waits for requests until [`Supervisor::end`].
    ///
    /// # Errors
    /// [`StartError::System`].
    pub(crate) fn idle(supervisor: Supervisor<P>, policy: P) -> Result<Self, StartError> {
        Self::spawn(supervisor, policy, |_, _| Ok(Tid(0)))
    }

    fn spawn(
        supervisor: Supervisor<P>,
        policy: P,
        begin: impl FnOnce(&mut Supervisor<P>, &mut P) -> Result<Tid, StartError> + Send + 'static,
    ) -> Result<Self, StartError> {
        let system = |step| move |errno| StartError::System { step, errno };
        task::become_subreaper().map_err(system("become a child subreaper"))?;
        wakeup::install_handler().map_err(system("install a signal handler"))?;
        signals::prepare_sigchld();
        let ended = Arc::new(AtomicBool::new(false));
        let shared = SharedTracer::new(supervisor, policy);
        let end = EndGuard { ended: Arc::clone(&ended), waiter: task::gettid(), shared: Arc::clone(&shared) };
        let handle = Handle::new(Arc::clone(&shared));
        let (started, start) = mpsc::sync_channel(1);
        let tracer = move || {
            let end = end;
            signals::block_all_but_wakeups();
            let begun = WakeupTimer::new().map_err(system("make a timer")).and_then(|timer| {
                let mut state = shared.lock();
                let TracerState { supervisor, policy } = state.as_mut().expect("it has just been made");
                supervisor.set_timer(timer);
                begin(supervisor, policy)
            });
            let failed = begun.is_err();
            if !failed {
                shared.set_tracer_thread();
            }
            let _ = started.send(begun);
            if failed {
                return None;
            }
            run(&shared);
            let TracerState { mut supervisor, policy } = shared.lock().take().expect("a job ends once");
            drop(end);
            // a status that nobody has seen is no success
            let status = match supervisor.failure.take() {
                Some(failure) => Err(failure),
                None => supervisor.status.ok_or(StartError::StatusUnknown),
            };
            Some(JobOutcome { status, policy, supervisor })
        };
        let tracer = thread::Builder::new().name(TRACER_NAME.to_owned()).spawn(tracer).map_err(|error| {
            StartError::System {
                step: "start the tracer thread",
                errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
            }
        })?;
        match start.recv() {
            Ok(Ok(main)) => Ok(Self { handle, main, ended, tracer }),
            Ok(Err(error)) => {
                let _ = tracer.join();
                Err(error)
            }
            Err(_) => panic::resume_unwind(tracer.join().err().unwrap_or_else(|| Box::new("no start"))),
        }
    }

    /// Returns a handle, through which other threads reach supervisor and policy while the job runs.
    ///
    /// The tracer thread must not use the handle: it would wait for itself. After the end of the job each request
    /// fails with [`Gone`](super::Gone).
    pub fn handle(&self) -> Handle<P> {
        self.handle.clone()
    }

    /// The main command's process id.
    pub fn main(&self) -> Tid {
        self.main
    }

    /// Waits until no process of the job is left.
    pub fn wait(self) -> JobOutcome<P> {
        match self.tracer.join() {
            Ok(outcome) => outcome.expect("a job that was started has an outcome"),
            Err(panicked) => panic::resume_unwind(panicked),
        }
    }

    /// Waits as [`Job::wait`], and forwards the signals that are sent to this process meanwhile. Must be called on the
    /// thread that started the job and made `signals`.
    pub fn wait_forwarding(self, signals: &ForwardedSignals) -> JobOutcome<P> {
        let handle = self.handle();
        signals.forward(&self.ended, |signal, sender| {
            // the signal may have been sent to the whole process group: wait for its effect
            let sees_it_itself = || handle.with(|job, _| job.has_seen(signal, sender)).unwrap_or(true);
            for _ in 0..GRACE_CHECKS {
                if sees_it_itself() {
                    return;
                }
                if !signals::is_job_control(signal) {
                    break;
                }
                thread::sleep(GRACE_STEP);
            }
            let _ = handle.with(|job, _| job.tasks.kill(job.main(), signal));
        });
        self.wait()
    }
}

/// Supervises until no task is left, or until the end is requested.
fn run<P: Policy>(shared: &SharedTracer<P>) {
    let mut begun: Vec<TracerRequest<P>> = Vec::new();
    let mut found = WaitResult::Nothing;
    loop {
        let (next, left_over) = shared.turn(|TracerState { supervisor, policy }| {
            supervisor.on_found(found, policy);
            let left_over = shared.serve_requests(&mut begun, supervisor, policy);
            supervisor.end_turn(policy);
            (supervisor.next(found), left_over)
        });
        let block = match next {
            NextWait::End => return,
            // without a task there is nothing to look for, and with requests nothing to wait for
            NextWait::WaitForWakeup | NextWait::Wait if left_over => false,
            NextWait::WaitForWakeup => {
                wakeup::sleep_until_woken();
                found = WaitResult::Nothing;
                continue;
            }
            NextWait::Look => false,
            NextWait::Wait => true,
        };
        found = match wait::peek(block) {
            Ok(Some(report)) => WaitResult::Event(report),
            Ok(None) | Err(Errno::EINTR) => WaitResult::Nothing,
            Err(_) => WaitResult::NoTask,
        };
    }
}

impl<P: Policy> Supervisor<P> {
    /// Whether a signal that this process got from `sender` has reached the main command by itself.
    fn has_seen(&mut self, signal: c_int, sender: Tid) -> bool {
        let stopped = self.tasks.is_group_stopped(self.main);
        if signal == libc::SIGCONT {
            // only such a signal ends a stop of this process: the stop's reason is settled
            self.main_stops_known = self.main_stops;
            return !stopped;
        }
        if signals::is_job_control(signal) && self.main_stops_known != self.main_stops {
            self.main_stops_known = self.main_stops;
            return true;
        }
        // the job's own signals to the whole process group
        self.tasks.contains(sender)
    }
}

/// Ends the waits of other threads when the tracer thread ends, also when the policy panicked.
struct EndGuard<P: Policy> {
    ended: Arc<AtomicBool>,
    waiter: Tid,
    shared: Arc<SharedTracer<P>>,
}

impl<P: Policy> Drop for EndGuard<P> {
    fn drop(&mut self) {
        // a panic has left supervisor and policy in the midst of a step, so no other thread may use them
        drop(self.shared.lock().take());
        self.shared.close();
        self.ended.store(true, Ordering::Release);
        wakeup::wake(self.waiter);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::supervisor::AtEnd;
    use super::*;

    struct Indifferent;

    impl Policy for Indifferent {
        type Task = ();
        type Common = ();
    }

    #[test]
    fn job_without_a_seen_end_has_no_status() {
        let job = Job::idle(Supervisor::new(()), Indifferent).expect("a tracer thread");
        let began = Instant::now();
        let ended = job.handle().poll(move |supervisor, policy| {
            supervisor.end(AtEnd::Kill, policy);
            supervisor.has_ended(began).then_some(())
        });
        assert!(ended.is_ok());
        assert!(matches!(job.wait().status, Err(StartError::StatusUnknown)), "and 0 would be a success");
    }
}
