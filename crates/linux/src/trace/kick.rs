//! Requests from other threads to the tracer thread.
//!
//! Only the tracer thread may touch its tracees, and it sleeps in waitid(2). A request is put in a queue and
//! a signal interrupts the wait. Between the tracer's look at the queue and its wait the signal comes too
//! early and is lost; so it is sent again every millisecond until the request is answered.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use std::{mem, process, ptr};

use libc::c_int;
use nix::errno::Errno;

use super::supervise::Supervisor;
use super::{Tid, sys};

const RESEND: Duration = Duration::from_millis(1);

/// The job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job has ended")]
pub struct Gone;

type Request<P> = Box<dyn FnOnce(&mut Supervisor<P>) + Send>;

pub(super) struct Queue<P> {
    requests: Mutex<Option<VecDeque<Request<P>>>>,
    waiting: AtomicBool,
    tracer: AtomicI32,
}

impl<P> Queue<P> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            requests: Mutex::new(Some(VecDeque::new())),
            waiting: AtomicBool::new(false),
            tracer: AtomicI32::new(0),
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
        loop {
            self.queue.kick();
            match answered.recv_timeout(RESEND) {
                Ok(result) => return Ok(result),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
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
