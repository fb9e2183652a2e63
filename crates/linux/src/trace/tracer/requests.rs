//! Requests of other threads.
//!
//! Supervisor and policy are behind one lock. The tracer thread takes it once for each event, and never while it waits.
//! A request without ptrace requests runs on the calling thread, under that lock ([`Handle::with`]).
//!
//! Other requests are put in a queue, and a signal interrupts the tracer's wait. Between the tracer's look at the queue
//! and its wait the signal comes too early and is lost. So it is sent again until the request is done. At first it is
//! sent often, since a tracer that has just served another request is likely to be there, and then every millisecond.
//!
//! A request that has to wait for a task is polled at every turn of the tracer, which meanwhile does everything else.
//!
//! Neither side can keep the other from its work. A requesting thread that finds the tracer waiting for the lock lets it
//! in first, once. So an event waits for one request at most. A turn of the tracer begins queued requests only for a
//! short time ([`TURN_TIME`]); those left over come in the next turn, after the next event.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{hint, mem, thread};

use super::policy::Policy;
use super::supervisor::Supervisor;
use crate::trace::os::{task, wakeup};

const RESEND: Duration = Duration::from_millis(1);
const RESEND_AT_FIRST: Duration = Duration::from_micros(50);
/// The time after which a turn of the tracer begins no further request. One is begun in any case.
const TURN_TIME: Duration = Duration::from_millis(1);
/// The time of a wait without sleep, about the length of a short request itself.
const SPIN: Duration = Duration::from_micros(15);
const SPINS: u32 = 2;
/// The number of calls that do not spin after a longer wait. The tracer is busy then or waits for a CPU, and spinning
/// only takes that from it.
const CALLS_WITHOUT_SPIN: u32 = 32;
/// The longest wait for the tracer's turn.
const LONGEST_TURN: Duration = Duration::from_millis(100);
/// The time that a request for exact counters waits for forks in flight.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// The time that other forks wait for such a request, and the time between two such waits.
const PAUSE_TIME: Duration = Duration::from_millis(50);
const REST_TIME: Duration = Duration::from_millis(10);

/// The job, or the host, has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", Gone::SUBJECT, Gone::DETAIL)]
pub struct Gone;

impl Gone {
    pub(crate) const SUBJECT: &'static str = "host";
    pub(crate) const DETAIL: &'static str = "has ended";
}

/// A request of another thread, called at every turn until it returns true: it is done.
pub(crate) type TracerRequest<P> = Box<dyn FnMut(&mut Supervisor<P>, &mut P) -> bool + Send>;

/// The state that the tracer thread shares with requesting threads.
#[derive(Debug)]
pub(crate) struct TracerState<P: Policy> {
    pub(crate) supervisor: Supervisor<P>,
    pub(crate) policy: P,
}

/// The shared state behind its lock, which is `None` when the job has ended, and the queue to the tracer thread.
pub(crate) struct SharedTracer<P: Policy> {
    state: Mutex<Option<TracerState<P>>>,
    /// Whether the tracer thread waits for the lock, to deal with an event.
    tracer_waits: AtomicBool,
    /// The number of threads that let the tracer in first, and how it calls them afterwards.
    waiting_for_tracer: AtomicU32,
    tracer_was_in: Condvar,
    requests: Mutex<Option<VecDeque<TracerRequest<P>>>>,
    has_requests: AtomicBool,
    tracer: AtomicI32,
    /// The number of next calls that sleep at once.
    skip_spin: AtomicU32,
}

impl<P: Policy> SharedTracer<P> {
    pub(crate) fn new(supervisor: Supervisor<P>, policy: P) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Some(TracerState { supervisor, policy })),
            tracer_waits: AtomicBool::new(false),
            waiting_for_tracer: AtomicU32::new(0),
            tracer_was_in: Condvar::new(),
            requests: Mutex::new(Some(VecDeque::new())),
            has_requests: AtomicBool::new(false),
            tracer: AtomicI32::new(0),
            skip_spin: AtomicU32::new(0),
        })
    }

    /// Locks the state. A panic of a request has left the engine between two of its own steps: the job goes on with it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<TracerState<P>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one turn of the tracer thread under the lock, which it gets before requests that come from now on.
    pub(crate) fn turn<R>(&self, turn: impl FnOnce(&mut TracerState<P>) -> R) -> R {
        self.tracer_waits.store(true, Ordering::SeqCst);
        let mut guard = self.lock();
        self.tracer_waits.store(false, Ordering::SeqCst);
        let result = turn(guard.as_mut().expect("only the tracer thread ends it"));
        drop(guard);
        if self.waiting_for_tracer.load(Ordering::SeqCst) > 0 {
            self.tracer_was_in.notify_all();
        }
        result
    }

    /// Locks the state for a request. A tracer that waits for the lock gets it first, but only once: it may have so many
    /// events that it always waits.
    fn lock_for_request(&self) -> MutexGuard<'_, Option<TracerState<P>>> {
        let guard = self.lock();
        if !self.tracer_waits.load(Ordering::SeqCst) {
            return guard;
        }
        // The tracer looks at this number after it has had the lock, which this thread still holds: the call can't be
        // missed. The wait has an end in case that the tracer thread panics.
        self.waiting_for_tracer.fetch_add(1, Ordering::SeqCst);
        let waited = self.tracer_was_in.wait_timeout(guard, LONGEST_TURN);
        self.waiting_for_tracer.fetch_sub(1, Ordering::SeqCst);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Makes the calling thread the one to wake.
    pub(crate) fn set_tracer_thread(&self) {
        self.tracer.store(task::gettid().0, Ordering::Release);
    }

    /// Serves requests in one turn of the tracer: polls those that have begun, then begins queued ones until the time of
    /// the turn is over. Returns whether some are left over.
    pub(crate) fn serve_requests(
        &self,
        begun: &mut Vec<TracerRequest<P>>,
        supervisor: &mut Supervisor<P>,
        policy: &mut P,
    ) -> bool {
        begun.retain_mut(|request| !request(supervisor, policy));
        let began = Instant::now();
        while let Some(mut request) = self.take_request() {
            if !request(supervisor, policy) {
                begun.push(request);
            }
            if began.elapsed() > TURN_TIME {
                return self.has_requests.load(Ordering::Acquire);
            }
        }
        false
    }

    /// Takes the oldest queued request.
    fn take_request(&self) -> Option<TracerRequest<P>> {
        if !self.has_requests.load(Ordering::Acquire) {
            return None;
        }
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = requests.as_mut()?;
        let request = queue.pop_front();
        self.has_requests.store(!queue.is_empty(), Ordering::Release);
        request
    }

    /// Drops all queued requests. Every later one fails at once.
    pub(crate) fn close(&self) {
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn put(&self, request: TracerRequest<P>) -> Result<(), Gone> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.as_mut().ok_or(Gone)?.push_back(request);
        self.has_requests.store(true, Ordering::Release);
        Ok(())
    }

    /// The number of spins for this call.
    fn spins(&self) -> u32 {
        let less = |calls: u32| calls.checked_sub(1);
        let skip = self.skip_spin.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        if skip { 0 } else { SPINS }
    }

    fn wake(&self) {
        wakeup::wake(penfold_core::Tid(self.tracer.load(Ordering::Acquire)));
    }
}

/// Access to the supervisor and its policy, for any thread but the tracer's, which would wait for itself.
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

    /// Runs `request` on the calling thread, between two events. It must be short: no event is dealt with meanwhile.
    /// Actions on tasks that need the tracer are done before this returns.
    ///
    /// # Errors
    /// [`Gone`] when the job has ended; then the request has not run.
    pub fn with<R>(&self, request: impl FnOnce(&mut Supervisor<P>, &mut P) -> R) -> Result<R, Gone> {
        self.finish(self.shared.lock_for_request(), request)
    }

    /// Runs `request` as [`Handle::with`], with every fork settled that was in flight. Forks that begin meanwhile wait,
    /// but not for long: a fork that does not settle within a second stays charged, as in the kernel.
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub fn with_exact<R>(&self, request: impl FnOnce(&mut Supervisor<P>, &mut P) -> R) -> Result<R, Gone> {
        let deadline = Instant::now() + SETTLE_TIME;
        loop {
            let mut guard = self.shared.lock_for_request();
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

    /// Whether all forks in flight end within a short time.
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

    /// Runs a request under the lock, and then the actions that it deferred.
    fn finish<R>(
        &self,
        mut guard: MutexGuard<'_, Option<TracerState<P>>>,
        request: impl FnOnce(&mut Supervisor<P>, &mut P) -> R,
    ) -> Result<R, Gone> {
        let TracerState { supervisor, policy } = guard.as_mut().ok_or(Gone)?;
        supervisor.look_around(policy);
        let result = request(supervisor, policy);
        policy.batch_done();
        let deferred = !supervisor.tasks.deferred.is_empty();
        drop(guard);
        if deferred {
            // the turn that serves this call does the deferred actions
            self.call(|_, _| ())?;
        }
        Ok(result)
    }

    /// Runs `request` on the tracer thread, between two events, and waits for its result.
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

    /// Calls `request` on the tracer thread, at every turn until it returns a value, and waits for that.
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
                // the deferred actions are done before the caller continues
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
            // no yield: on a busy CPU this thread would wait long for its next turn
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

/// Resumes forks that have waited for a request, also when that has panicked.
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
