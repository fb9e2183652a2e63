//! Requests from other threads to the tracer thread.
//!
//! Only the tracer thread may touch its tracees, and it sleeps in waitid(2). A request is put in a queue and
//! a signal interrupts the wait. Between the tracer's look at the queue and its wait the signal comes too
//! early and is lost; so it is sent again until the request is answered: at first often, since a tracer that has just
//! answered another request is likely to be there, then every millisecond.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{hint, mem, process, ptr};

use libc::c_int;
use nix::errno::Errno;

use super::supervise::Supervisor;
use super::{Tid, sys};

const RESEND: Duration = Duration::from_millis(1);
const RESEND_AT_FIRST: Duration = Duration::from_micros(50);
/// How long an answer is waited for without sleep, which costs as much as a short request itself.
const SPIN: Duration = Duration::from_micros(15);
const SPINS: u32 = 2;
/// After a wait that was longer, the tracer is busy or has to wait for a CPU, and spinning only takes that from it.
const CALLS_WITHOUT_SPIN: u32 = 32;

/// The job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job has ended")]
pub struct Gone;

type Request<P> = Box<dyn FnOnce(&mut Supervisor<P>) + Send>;

pub(super) struct Queue<P> {
    requests: Mutex<Option<VecDeque<Request<P>>>>,
    waiting: AtomicBool,
    tracer: AtomicI32,
    /// How many of the next calls are to sleep at once.
    hopeless: AtomicU32,
}

impl<P> Queue<P> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            requests: Mutex::new(Some(VecDeque::new())),
            waiting: AtomicBool::new(false),
            tracer: AtomicI32::new(0),
            hopeless: AtomicU32::new(0),
        })
    }

    /// Names the calling thread as the one to kick.
    pub(super) fn serve_from_here(&self) {
        self.tracer.store(sys::gettid(), Ordering::Release);
    }

    /// What has been asked; empties the queue.
    pub(super) fn take(&self) -> VecDeque<Request<P>> {
        if !self.waiting.load(Ordering::Acquire) {
            return VecDeque::new();
        }
        self.waiting.store(false, Ordering::Release);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Drops what has been asked; whoever asks from now on is told so at once.
    pub(super) fn close(&self) {
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn put(&self, request: Request<P>) -> Result<(), Gone> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.as_mut().ok_or(Gone)?.push_back(request);
        self.waiting.store(true, Ordering::Release);
        Ok(())
    }

    /// How often to spin for an answer.
    fn spins(&self) -> u32 {
        let less = |calls: u32| calls.checked_sub(1);
        let hopeless = self.hopeless.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        if hopeless { 0 } else { SPINS }
    }

    fn kick(&self) {
        // the thread may have ended: its id is not reused while this process lives and asks, in practice
        // of a full turn of the pid counter; the signal's handler does nothing anyway
        let _ = sys::tgkill(process::id() as Tid, self.tracer.load(Ordering::Acquire), signal());
    }
}

/// A way to the tracer thread, for any thread.
pub struct Handle<P> {
    queue: Arc<Queue<P>>,
}

impl<P> Clone for Handle<P> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue) }
    }
}

impl<P> std::fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl<P: 'static> Handle<P> {
    pub(super) fn new(queue: Arc<Queue<P>>) -> Self {
        Self { queue }
    }

    /// Runs `request` on the tracer thread, between two stops, and waits for its answer.
    ///
    /// Not to be called on the tracer thread, which would wait for itself.
    pub fn call<R, F>(&self, request: F) -> Result<R, Gone>
    where
        R: Send + 'static,
        F: FnOnce(&mut Supervisor<P>) -> R + Send + 'static,
    {
        let (answer, answered) = mpsc::sync_channel(1);
        self.queue.put(Box::new(move |supervisor| {
            let _ = answer.send(request(supervisor));
        }))?;
        let spins = self.queue.spins();
        for _ in 0..spins {
            self.queue.kick();
            let kicked = Instant::now();
            // no yield: where many want this CPU it would be long before this thread had it again
            while kicked.elapsed() < SPIN {
                match answered.try_recv() {
                    Ok(result) => return Ok(result),
                    Err(mpsc::TryRecvError::Empty) => hint::spin_loop(),
                    Err(mpsc::TryRecvError::Disconnected) => return Err(Gone),
                }
            }
        }
        if spins > 0 {
            self.queue.hopeless.store(CALLS_WITHOUT_SPIN, Ordering::Relaxed);
        }
        let mut resend = RESEND_AT_FIRST;
        loop {
            self.queue.kick();
            match answered.recv_timeout(resend) {
                Ok(result) => return Ok(result),
                Err(mpsc::RecvTimeoutError::Timeout) => resend = (resend * 2).min(RESEND),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Gone),
            }
        }
    }
}

/// The signal of kicks, and of a job's end to the thread that waits for it.
pub(super) fn signal() -> c_int {
    libc::SIGRTMIN() + 4
}

extern "C" fn do_nothing(_: c_int) {}

/// Installs the handler, without `SA_RESTART`: its only effect is that waitid returns.
pub(super) fn install_handler() -> Result<(), Errno> {
    // SAFETY: sigaction is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = do_nothing as extern "C" fn(c_int) as usize;
    // SAFETY: the handler does nothing, which is async-signal-safe.
    Errno::result(unsafe { libc::sigaction(signal(), &raw const action, ptr::null_mut()) }).map(drop)
}
