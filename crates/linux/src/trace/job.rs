//! A job: one command, its tracer thread, and the way to it.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libc::c_int;
use nix::errno::Errno;

use super::command::Command;
use super::kick::{self, Handle, Queue};
use super::launch::StartError;
use super::signals::{self, Signals};
use super::supervise::{Options, Supervisor};
use super::{Policy, Tid, sys};

/// How long a stop or continue signal to this process may take to show in the main command, if it was sent
/// to that too. Sent a second time it could undo what was done since.
const GRACE_STEP: Duration = Duration::from_millis(2);
const GRACE_CHECKS: u32 = 10;

/// The name of the thread that traces a job, as `/proc/PID/comm` shows it.
pub const TRACER_NAME: &str = "penfold-tracer";

/// How a job ended.
#[derive(Debug)]
pub struct Outcome<P> {
    /// The main command's status, as wait(2) gives it; or why it could not be executed.
    pub status: Result<i32, StartError>,
    /// The policy, with what it has counted.
    pub policy: P,
}

/// A running job.
#[derive(Debug)]
pub struct Job<P> {
    handle: Handle<P>,
    main: Tid,
    ended: Arc<AtomicBool>,
    tracer: JoinHandle<Option<Outcome<P>>>,
}

impl<P: Policy> Job<P> {
    /// Starts a command under a tracer thread.
    ///
    /// Makes this process a child subreaper, so that daemons of the job stay its descendants, and SIGCHLD
    /// take its default action if it was ignored. That the program does not exist is told by
    /// [`Outcome::status`].
    pub fn start(command: Command, options: Options, policy: P) -> Result<Self, StartError> {
        Self::spawn(move |queue| Supervisor::launch(&command, options, policy, queue))
    }

    /// Starts a tracer thread without a command, which waits for requests until [`Supervisor::end`].
    ///
    /// # Errors
    /// [`StartError::System`].
    pub fn idle(policy: P) -> Result<Self, StartError> {
        Self::spawn(move |queue| Ok(Supervisor::idle(policy, queue)))
    }

    fn spawn(
        make: impl FnOnce(Arc<Queue<P>>) -> Result<Supervisor<P>, StartError> + Send + 'static,
    ) -> Result<Self, StartError> {
        let system = |step| move |errno| StartError::System { step, errno };
        sys::become_subreaper().map_err(system("become a child subreaper"))?;
        kick::install_handler().map_err(system("install a signal handler"))?;
        signals::prepare_sigchld();
        let ended = Arc::new(AtomicBool::new(false));
        let queue = Queue::new();
        let end = End { ended: Arc::clone(&ended), waiter: sys::gettid(), queue: Arc::clone(&queue) };
        let handle = Handle::new(Arc::clone(&queue));
        let (started, start) = mpsc::sync_channel(1);
        let tracer = move || {
            let _end = end;
            signals::block_all_but_kicks();
            queue.serve_from_here();
            let supervisor = match make(queue) {
                Ok(supervisor) => supervisor,
                Err(error) => {
                    let _ = started.send(Err(error));
                    return None;
                }
            };
            let _ = started.send(Ok(supervisor.main()));
            let (status, policy) = supervisor.run();
            Some(Outcome { status, policy })
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

    /// A way to the tracer thread, for any thread.
    pub fn handle(&self) -> Handle<P> {
        self.handle.clone()
    }

    /// The main command's process id.
    pub fn main(&self) -> Tid {
        self.main
    }

    /// Waits until no process of the job is left.
    pub fn wait(self) -> Outcome<P> {
        match self.tracer.join() {
            Ok(outcome) => outcome.expect("a job that was started has an outcome"),
            Err(panicked) => panic::resume_unwind(panicked),
        }
    }

    /// Waits, and passes on the signals that are sent to this process meanwhile. Must be called on the
    /// thread that started the job and made `signals`.
    pub fn wait_forwarding(self, signals: &Signals) -> Outcome<P> {
        let handle = self.handle();
        signals.forward(&self.ended, |signal, sender| {
            // somebody may have sent it to the whole process group: wait for the effect that it then has
            let sees_it_itself = || handle.call(move |job| job.has_seen(signal, sender)).unwrap_or(true);
            for _ in 0..GRACE_CHECKS {
                if sees_it_itself() {
                    return;
                }
                if !signals::is_job_control(signal) {
                    break;
                }
                thread::sleep(GRACE_STEP);
            }
            let _ = handle.call(move |job| job.kill(job.main(), signal));
        });
        self.wait()
    }
}

impl<P: Policy> Supervisor<P> {
    /// Whether a signal that this process got from `sender` has reached the main command without our help.
    fn has_seen(&mut self, signal: c_int, sender: Tid) -> bool {
        let stopped = self.is_group_stopped(self.main);
        if signal == libc::SIGCONT {
            // a stop of ours is always ended by one of these: what stopped us is dealt with
            self.main_stops_known = self.main_stops;
            return !stopped;
        }
        if signals::is_job_control(signal) && self.main_stops_known != self.main_stops {
            self.main_stops_known = self.main_stops;
            return true;
        }
        // the job's own signals to the whole process group
        self.contains(sender)
    }
}

/// Tells those who wait that the tracer thread has ended, also when the policy panicked.
struct End<P> {
    ended: Arc<AtomicBool>,
    waiter: Tid,
    queue: Arc<Queue<P>>,
}

impl<P> Drop for End<P> {
    fn drop(&mut self) {
        self.queue.close();
        self.ended.store(true, Ordering::Release);
        let _ = sys::tgkill(std::process::id() as Tid, self.waiter, kick::signal());
    }
}
