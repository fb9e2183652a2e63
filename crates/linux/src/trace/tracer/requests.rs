//! Requests of other threads.
//!
//! Supervisor and policy stand behind one lock, which the tracer thread takes once for an event and never while it waits.
//! What needs no ptrace request happens on the thread that asks, under that lock ([`Handle::with`]). The rest is put in
//! a queue, and a signal interrupts the tracer's wait. Between the tracer's look at the queue and its wait the signal
//! comes too early and is lost; so it is sent again until the request is answered: at first often, since a tracer that
//! has just answered another request is likely to be there, then every millisecond.
//!
//! A request that has to wait for a task is polled at every turn of the tracer, which goes on with everything else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{hint, mem, thread};

use super::policy::Policy;
use super::supervisor::Supervisor;
use crate::trace::os::{task, wakeup};

const RESEND: Duration = Duration::from_millis(1);
const RESEND_AT_FIRST: Duration = Duration::from_micros(50);
/// How long an answer is waited for without sleep, which costs as much as a short request itself.
const SPIN: Duration = Duration::from_micros(15);
const SPINS: u32 = 2;
/// After a wait that was longer, the tracer is busy or has to wait for a CPU, and spinning only takes that from it.
const CALLS_WITHOUT_SPIN: u32 = 32;
/// How long a request that wants exact counters waits for forks in flight.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// How long other forks wait for it at a time, and how long they go on before they wait again.
const PAUSE_TIME: Duration = Duration::from_millis(50);
const REST_TIME: Duration = Duration::from_millis(10);

/// The job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", Gone::SUBJECT, Gone::DETAIL)]
pub struct Gone;

impl Gone {
    pub(crate) const SUBJECT: &'static str = "host";
    pub(crate) const DETAIL: &'static str = "has ended";
}

/// Asked at every turn until it answers true: it is through.
pub(crate) type TracerRequest<P> = Box<dyn FnMut(&mut Supervisor<P>, &mut P) -> bool + Send>;

/// What the tracer thread and those that ask share.
#[derive(Debug)]
pub(crate) struct TracerState<P: Policy> {
    pub(crate) supervisor: Supervisor<P>,
    pub(crate) policy: P,
}

/// The same behind its lock, and the way to the tracer thread. `None` when the job has ended.
pub(crate) struct SharedTracer<P: Policy> {
    state: Mutex<Option<TracerState<P>>>,
    requests: Mutex<Option<VecDeque<TracerRequest<P>>>>,
    has_requests: AtomicBool,
    tracer: AtomicI32,
    /// How many of the next calls are to sleep at once.
    skip_spin: AtomicU32,
}

impl<P: Policy> SharedTracer<P> {
    pub(crate) fn new(supervisor: Supervisor<P>, policy: P) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Some(TracerState { supervisor, policy })),
            requests: Mutex::new(Some(VecDeque::new())),
            has_requests: AtomicBool::new(false),
            tracer: AtomicI32::new(0),
            skip_spin: AtomicU32::new(0),
        })
    }

    /// A panic of a request has left the engine as it was between two of its own steps: the job goes on with it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<TracerState<P>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the calling thread as the one to kick.
    pub(crate) fn set_tracer_thread(&self) {
        self.tracer.store(task::gettid().0, Ordering::Release);
    }

    /// What has been asked; empties the queue.
    pub(crate) fn take_requests(&self) -> VecDeque<TracerRequest<P>> {
        if !self.has_requests.load(Ordering::Acquire) {
            return VecDeque::new();
        }
        self.has_requests.store(false, Ordering::Release);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Drops what has been asked; every later request fails at once.
    pub(crate) fn close(&self) {
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn put(&self, request: TracerRequest<P>) -> Result<(), Gone> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.as_mut().ok_or(Gone)?.push_back(request);
        self.has_requests.store(true, Ordering::Release);
        Ok(())
    }

    /// How often to spin for an answer.
    fn spins(&self) -> u32 {
        let less = |calls: u32| calls.checked_sub(1);
        let skip = self.skip_spin.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        if skip { 0 } else { SPINS }
    }

    fn wake(&self) {
        wakeup::wake(penfold_core::Tid(self.tracer.load(Ordering::Acquire)));
    }
}

/// A way to the supervisor and its policy, for any thread but the tracer's, which would wait for itself.
pub struct Handle<P: Policy> {
    shared: Arc<SharedTracer<P>>,
}

impl<P: Policy> Clone for Handle<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<P: Policy> std::fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl<P: Policy> Handle<P> {
    pub(crate) fn new(shared: Arc<SharedTracer<P>>) -> Self {
        Self { shared }
    }

    /// Runs `request` on the calling thread, between two events. It is to be short: no event is dealt with meanwhile.
    /// What it asks of tasks that takes the tracer is done before this returns.
    ///
    /// # Errors
    /// [`Gone`] when the job has ended; then the request has not run.
    pub fn with<R>(&self, request: impl FnOnce(&mut Supervisor<P>, &mut P) -> R) -> Result<R, Gone> {
        self.finish(self.shared.lock(), request)
    }

    /// The same with every fork settled that was in flight. Forks that begin meanwhile wait, but not for long: one that
    /// does not settle within a second stays charged, as it is in the kernel.
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub fn with_exact<R>(&self, request: impl FnOnce(&mut Supervisor<P>, &mut P) -> R) -> Result<R, Gone> {
        let deadline = Instant::now() + SETTLE_TIME;
        loop {
            let mut guard = self.shared.lock();
            let state = guard.as_mut().ok_or(Gone)?;
            if state.supervisor.in_flight.is_empty() || Instant::now() > deadline {
                return self.finish(guard, request);
            }
            // no new fork begins between the wait and the request
            state.supervisor.settling += 1;
            drop(guard);
            let resume = ResumeForks(self);
            if self.settle()? {
                let result = self.finish(self.shared.lock(), request);
                drop(resume);
                return result;
            }
            drop(resume);
            thread::sleep(REST_TIME);
        }
    }

    /// Whether all forks in flight have come to an end within a short time.
    fn settle(&self) -> Result<bool, Gone> {
        let deadline = Instant::now() + PAUSE_TIME;
        let mut begun = false;
        self.poll(move |supervisor, _| {
            if !mem::replace(&mut begun, true) {
                supervisor.unsettle();
            }
            let settled = supervisor.unsettled.is_empty();
            (settled || Instant::now() > deadline).then_some(settled)
        })
    }

    /// Runs a request under the lock, and has what it deferred done.
    fn finish<R>(
        &self,
        mut guard: MutexGuard<'_, Option<TracerState<P>>>,
        request: impl FnOnce(&mut Supervisor<P>, &mut P) -> R,
    ) -> Result<R, Gone> {
        let TracerState { supervisor, policy } = guard.as_mut().ok_or(Gone)?;
        let result = request(supervisor, policy);
        policy.batch_done();
        let deferred = !supervisor.tasks.deferred.is_empty();
        drop(guard);
        if deferred {
            // the turn that serves this does what was deferred
            self.call(|_, _| ())?;
        }
        Ok(result)
    }

    /// Runs `request` on the tracer thread, between two events, and waits for its answer.
    ///
    /// # Errors
    /// [`Gone`] when the job has ended.
    pub fn call<R, F>(&self, request: F) -> Result<R, Gone>
    where
        R: Send + 'static,
        F: FnOnce(&mut Supervisor<P>, &mut P) -> R + Send + 'static,
    {
        let mut request = Some(request);
        self.poll(move |supervisor, policy| request.take().map(|request| request(supervisor, policy)))
    }

    /// Asks `request` on the tracer thread, at every turn until it answers, and waits for that.
    ///
    /// # Errors
    /// [`Gone`] when the job has ended.
    pub(crate) fn poll<R, F>(&self, mut request: F) -> Result<R, Gone>
    where
        R: Send + 'static,
        F: FnMut(&mut Supervisor<P>, &mut P) -> Option<R> + Send + 'static,
    {
        let (answer, answered) = mpsc::sync_channel(1);
        self.shared.put(Box::new(move |supervisor, policy| match request(supervisor, policy) {
            Some(result) => {
                // what was deferred is done when the asker hears of it
                supervisor.do_deferred(policy);
                let _ = answer.send(result);
                true
            }
            None => false,
        }))?;
        let spins = self.shared.spins();
        for _ in 0..spins {
            self.shared.wake();
            let woken = Instant::now();
            // no yield: where many want this CPU it would be long before this thread had it again
            while woken.elapsed() < SPIN {
                match answered.try_recv() {
                    Ok(result) => return Ok(result),
                    Err(mpsc::TryRecvError::Empty) => hint::spin_loop(),
                    Err(mpsc::TryRecvError::Disconnected) => return Err(Gone),
                }
            }
        }
        if spins > 0 {
            self.shared.skip_spin.store(CALLS_WITHOUT_SPIN, Ordering::Relaxed);
        }
        let mut resend = RESEND_AT_FIRST;
        loop {
            self.shared.wake();
            match answered.recv_timeout(resend) {
                Ok(result) => return Ok(result),
                Err(mpsc::RecvTimeoutError::Timeout) => resend = (resend * 2).min(RESEND),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Gone),
            }
        }
    }
}

/// Lets forks go on that have waited for a request, also when that has panicked.
struct ResumeForks<'a, P: Policy>(&'a Handle<P>);

impl<P: Policy> Drop for ResumeForks<'_, P> {
    fn drop(&mut self) {
        let mut guard = self.0.shared.lock();
        let Some(TracerState { supervisor, .. }) = guard.as_mut() else { return };
        supervisor.settling -= 1;
        let paused = supervisor.settling == 0
            && !(supervisor.paused.is_empty() && supervisor.refused_forks.is_empty());
        drop(guard);
        if paused {
            let _ = self.0.call(|_, _| ());
        }
    }
}
