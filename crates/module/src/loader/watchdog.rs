//! The time budget of callbacks. One thread, the watchdog, reports callbacks of all modules that take too long, while
//! they still run.
//!
//! A callback pays two stores and two loads: its number is written into the module's [`CallRecord`] before it runs,
//! and removed afterwards. Only the watchdog reads a clock. It looks ten times in each budget, so it may miss a
//! callback that takes up to a tenth longer than the budget. When the watchdog has seen no callback for a second, it
//! sleeps. The next callback wakes it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Builder, Thread};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use tracing::{Dispatch, dispatcher, warn};

use super::module_call::ModuleCall;

/// The time that a callback may take, unless changed.
const BUDGET: Duration = Duration::from_millis(100);
/// The number of looks in the time of a budget.
const LOOKS: u32 = 10;
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The time without a callback after which the watchdog sleeps.
const QUIET: Duration = Duration::from_secs(1);

/// True if the next call has to wake the watchdog.
static SLEEPS: AtomicBool = AtomicBool::new(false);

/// The call that a module runs now, for the watchdog.
pub(super) struct CallRecord {
    module: String,
    files: Vec<String>,
    budget: Mutex<Duration>,
    /// The log for reports about the module: that of the thread that has opened the module.
    log: Dispatch,
    /// A [`CallNumber`]; 0 if no call is under way.
    running: AtomicU64,
    /// The call that was reported last.
    reported: AtomicU64,
    /// The time at which the watchdog first saw that call.
    since: Mutex<Option<Instant>>,
    overruns: AtomicU64,
}

/// The entry point of a call, and the count of the module's calls up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallNumber(u64);

impl CallNumber {
    fn new(count: u32, call: ModuleCall) -> CallNumber {
        CallNumber(u64::from(count) << 32 | u64::from(call.0))
    }

    fn call(self) -> ModuleCall {
        ModuleCall(self.0 as u32)
    }
}

impl CallRecord {
    /// Makes a record. The watchdog looks at it until it is dropped.
    ///
    /// # Errors
    /// As thread creation, if the watchdog has to be started.
    pub(super) fn new(module: &str, files: Vec<String>) -> io::Result<Arc<CallRecord>> {
        let record = Arc::new(CallRecord {
            module: module.to_owned(),
            files,
            budget: Mutex::new(BUDGET),
            log: dispatcher::get_default(Dispatch::clone),
            running: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            since: Mutex::new(None),
            overruns: AtomicU64::new(0),
        });
        watch(&record)?;
        Ok(record)
    }

    /// Notes the beginning of a call, the `count`-th of this module. Returns the call's number for [`CallRecord::end`].
    #[inline]
    pub(super) fn begin(&self, count: u32, call: ModuleCall) -> CallNumber {
        let number = CallNumber::new(count, call);
        self.running.store(number.0, Ordering::Relaxed);
        if SLEEPS.load(Ordering::Relaxed) {
            wake();
        }
        number
    }

    /// Notes the end of a call. Reports the time of a call that the watchdog has reported.
    #[inline]
    pub(super) fn end(&self, number: CallNumber) {
        self.running.store(0, Ordering::Relaxed);
        if self.reported.load(Ordering::Relaxed) == number.0 {
            self.report_end(number.call());
        }
    }

    pub(super) fn set_budget(&self, budget: Duration) {
        *lock(&self.budget) = budget;
        // the watchdog may be in a pause that is longer than the new budget
        wake();
    }

    /// The number of callbacks that took longer than their budget.
    pub(super) fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }

    /// The name of a callback, or the whole name of a control file.
    pub(super) fn name_of(&self, call: ModuleCall) -> String {
        match call.file() {
            Some(file) => format!("{}.{}", self.module, self.files[file as usize]),
            None => call.name().to_owned(),
        }
    }

    fn report_running(&self, number: CallNumber, since: Instant, budget: Duration) {
        *lock(&self.since) = Some(since);
        if number.call().is_callback() {
            self.overruns.fetch_add(1, Ordering::Relaxed);
        }
        let what = self.name_of(number.call());
        dispatcher::with_default(&self.log, || {
            warn!(module = self.module, "{what} has run for {budget:?} and goes on");
        });
        self.reported.store(number.0, Ordering::Relaxed);
    }

    #[cold]
    fn report_end(&self, call: ModuleCall) {
        let since = lock(&self.since).take();
        if let Some(since) = since.filter(|_| call.is_callback()) {
            let (what, taken, budget) = (self.name_of(call), since.elapsed(), *lock(&self.budget));
            warn!(module = self.module, "{what} took {taken:?}; it may take {budget:?}");
        }
    }
}

/// A record, and the call that the watchdog saw in it last.
struct WatchedRecord {
    record: Weak<CallRecord>,
    running: u64,
    since: Instant,
    is_reported: bool,
}

impl WatchedRecord {
    /// Reports a call that has run for too long. Returns whether a call is under way.
    fn look(&mut self, record: &CallRecord, budget: Duration, now: Instant) -> bool {
        let running = record.running.load(Ordering::Relaxed);
        if running != self.running {
            *self = WatchedRecord { record: self.record.clone(), running, since: now, is_reported: false };
        } else if running != 0 && !self.is_reported && now.duration_since(self.since) > budget {
            self.is_reported = true;
            record.report_running(CallNumber(running), self.since, budget);
        }
        running != 0
    }
}

/// Records for the watchdog's next look.
static NEW: Mutex<Vec<Weak<CallRecord>>> = Mutex::new(Vec::new());
/// The watchdog's thread, once it is started.
static WATCHDOG: OnceLock<Thread> = OnceLock::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(record: &Arc<CallRecord>) -> io::Result<()> {
    static START: Mutex<()> = Mutex::new(());
    let start = lock(&START);
    if WATCHDOG.get().is_none() {
        let spawned = with_signals_blocked(|| Builder::new().name("penfold-watchdog".into()).spawn(run))?;
        let _ = WATCHDOG.set(spawned.thread().clone());
    }
    drop(start);
    lock(&NEW).push(Arc::downgrade(record));
    wake();
    Ok(())
}

#[cold]
fn wake() {
    SLEEPS.store(false, Ordering::Relaxed);
    if let Some(thread) = WATCHDOG.get() {
        thread.unpark();
    }
}

/// Runs `spawn` with all signals blocked: signals of the program are for its other threads.
fn with_signals_blocked<R>(spawn: impl FnOnce() -> R) -> R {
    let mut old = SigSet::empty();
    let masked = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut old));
    let spawned = spawn();
    if masked.is_ok() {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&old), None);
    }
    spawned
}

/// The main loop of the watchdog's thread.
fn run() {
    let mut all: Vec<WatchedRecord> = Vec::new();
    let mut quiet_since = Instant::now();
    loop {
        let now = Instant::now();
        let new = std::mem::take(&mut *lock(&NEW)).into_iter();
        all.extend(new.map(|record| WatchedRecord { record, running: 0, since: now, is_reported: false }));
        let mut pause = BUDGET / LOOKS;
        let mut is_quiet = true;
        all.retain_mut(|watched| {
            let Some(record) = watched.record.upgrade() else { return false };
            let budget = *lock(&record.budget);
            pause = pause.min(budget / LOOKS);
            is_quiet &= !watched.look(&record, budget, now);
            true
        });
        if !is_quiet {
            quiet_since = now;
        }
        if now.duration_since(quiet_since) < QUIET {
            thread::park_timeout(pause.max(SHORTEST_PAUSE));
        } else if SLEEPS.swap(true, Ordering::Relaxed) {
            thread::park();
            quiet_since = Instant::now();
        } else {
            // A call that began just now may have read `SLEEPS` before it was set. One more look sees the call's
            // number.
            thread::park_timeout(pause.max(SHORTEST_PAUSE));
        }
    }
}
