//! The one thing for which a seize can wait without end.
//!
//! `PTRACE_SEIZE` waits for an exec that is under way in the process, and the exec for the process's other threads to be
//! gone; those that we trace are gone when we have reaped them. The thread that waits can't. Any other thread of ours can,
//! and this is one. What it has reaped is told to the tracer like every death, as soon as the adoption is through.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Tid;
use super::sys::{self, Report};

/// A seize that takes longer than one to two of these is taken for one that waits.
const TICK: Duration = Duration::from_millis(5);

/// Looks after the seizes of one tracer, until it is dropped.
pub(super) struct Attendant(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Odd while a seize is under way.
    seizes: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The process that is being adopted.
    process: Option<Tid>,
    reaped: Vec<Report>,
    over: bool,
}

impl Attendant {
    /// `None` when no thread can be had; then seizes wait as they do.
    pub(super) fn start() -> Option<Attendant> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        thread::Builder::new().name("penfold-reaper".to_owned()).spawn(move || own.attend()).ok()?;
        Some(Attendant(shared))
    }

    /// Threads of this process are seized from now on.
    pub(super) fn begin(&self, process: Tid) {
        self.0.lock().process = Some(process);
        self.0.changed.notify_one();
    }

    /// Seizes one.
    pub(super) fn attended<R>(&self, seize: impl FnOnce() -> R) -> R {
        self.0.seizes.fetch_add(1, Ordering::Relaxed);
        let seized = seize();
        self.0.seizes.fetch_add(1, Ordering::Relaxed);
        seized
    }

    /// No more are. Returns the deaths that the tracer has not seen.
    pub(super) fn end(&self) -> Vec<Report> {
        let mut state = self.0.lock();
        state.process = None;
        std::mem::take(&mut state.reaped)
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attend(&self) {
        let mut last = 0;
        let mut state = self.lock();
        while !state.over {
            let Some(process) = state.process else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            (state, _) = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner);
            let seizes = self.seizes.load(Ordering::Relaxed);
            // with the lock, which the tracer takes before it looks at deaths again
            if seizes % 2 == 1 && seizes == last && state.process == Some(process) {
                state.reaped.extend(sys::reap_threads(process));
            }
            last = seizes;
        }
    }
}
