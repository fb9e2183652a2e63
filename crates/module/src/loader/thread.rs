//! The thread that a module has for itself. All code of the module runs there, its constructors too, and what that
//! leaves to be done when a thread ends is done before the file is unmapped.

use std::panic;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use penfold_core::{Resource, Services};
use tracing::{error, warn};

use super::error::LoadError;
use super::guest::{About, Guest, Job, Meeting, Request, Said, SendPointer};
use super::info::Info;
use super::source::{Opened, Source};

/// How long a callback may take until it is reported.
const BUDGET: Duration = Duration::from_millis(100);

/// A module on its thread.
pub(super) struct ModuleThread {
    meeting: Arc<Meeting>,
    /// Gives the mapped file back, to be unmapped where no code of it can run any more.
    handle: Option<JoinHandle<Option<Opened>>>,
    /// Where the thread has told how its start went; closed when it has called `unload`.
    told: Mutex<mpsc::Receiver<Result<Info, LoadError>>>,
    pub(super) name: String,
    pub(super) budget: Duration,
    pub(super) overruns: Arc<AtomicU64>,
}

impl ModuleThread {
    /// Opens a module on a new thread and calls its `load`.
    ///
    /// # Errors
    /// What is wrong with it. Then nothing of it is left.
    pub(super) fn start(source: Source) -> Result<(ModuleThread, Info), LoadError> {
        let meeting = Arc::new(Meeting::new());
        let (tell, told) = mpsc::sync_channel(1);
        let shown = source.to_string();
        let thread = {
            let meeting = Arc::clone(&meeting);
            move || run(source, &meeting, &tell)
        };
        let handle = blocked(|| Builder::new().name("penfold-module".into()).spawn(thread))
            .map_err(|error| LoadError::system("start a thread", shown.as_ref(), error))?;
        let outcome =
            hear(&told, BUDGET, || warn!(module = shown, "its load has run for {BUDGET:?} and goes on"));
        let outcome = outcome.unwrap_or_else(|| {
            Err(LoadError::not_a_module(shown.as_ref(), "it ended the thread that it was to run on"))
        });
        match outcome {
            Ok(info) => {
                let name = info.name.clone();
                let overruns = Arc::default();
                Ok((
                    ModuleThread {
                        meeting,
                        handle: Some(handle),
                        told: Mutex::new(told),
                        name,
                        budget: BUDGET,
                        overruns,
                    },
                    info,
                ))
            }
            Err(error) => {
                drop(handle.join());
                Err(error)
            }
        }
    }

    /// Calls a callback on the module's thread, and serves it meanwhile.
    pub(super) fn call<R: Send>(
        &self,
        what: &str,
        services: &mut dyn Services,
        about: About,
        callback: impl FnOnce(&mut Guest<'_>, About) -> (R, Said) + Send,
    ) -> (R, Said) {
        let mut callback = Some(callback);
        let mut answer = None;
        let mut job = |guest: &mut Guest<'_>| {
            answer = callback.take().map(|callback| callback(guest, about));
        };
        let job: *mut (dyn FnMut(&mut Guest<'_>) + '_) = &raw mut job;
        #[allow(clippy::transmute_ptr_to_ptr)] // a cast can't change a lifetime
        // SAFETY: only the lifetime changes, and the call below returns when the module's thread is done with it.
        let job: *mut (dyn FnMut(&mut Guest<'_>) + 'static) = unsafe { std::mem::transmute(job) };
        let module = self.handle.as_ref().expect("it runs until it is dropped").thread();
        let started = Instant::now();
        let late = || warn!(module = self.name, "{what} has run for {:?} and goes on", self.budget);
        let serve = |request: Request| serve(request, services);
        self.meeting.call(module, SendPointer(job) as Job, self.budget, serve, late);
        let taken = started.elapsed();
        if taken > self.budget {
            self.overruns.fetch_add(1, Ordering::Relaxed);
            warn!(module = self.name, "{what} took {taken:?}; it may take {:?}", self.budget);
        }
        let (answer, said) = answer.expect("the module's thread has run it");
        if let Some(failure) = &said.failure {
            error!(module = self.name, "{what} failed: {failure}");
        }
        (answer, said)
    }
}

impl Drop for ModuleThread {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.meeting.quit(handle.thread());
            let late = || warn!(module = self.name, "unload has run for {:?} and goes on", self.budget);
            hear(&self.told.lock().unwrap_or_else(PoisonError::into_inner), self.budget, late);
            // What the thread leaves behind is dropped here, so that the file is unmapped when the thread is gone.
            drop(handle.join());
        }
    }
}

/// Waits for what a thread tells, or for its end; `late` is called if neither comes for `patience`.
fn hear<T>(told: &mpsc::Receiver<T>, patience: Duration, late: impl FnOnce()) -> Option<T> {
    match told.recv_timeout(patience) {
        Ok(said) => Some(said),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            late();
            told.recv().ok()
        }
    }
}

/// Runs what the module has asked of the engine.
fn serve(request: Request, services: &mut dyn Services) {
    // SAFETY: the module's thread made it on its stack, and waits until this returns.
    let request = unsafe { &mut *request.0 };
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| request(services)));
    if outcome.is_err() {
        // The stack of the caller must not go while the module's thread points into it, and nothing can make that go on.
        std::process::abort();
    }
}

/// Spawns with all signals blocked: those of the program are none of a module's business.
fn blocked<R>(spawn: impl FnOnce() -> R) -> R {
    let mut old = SigSet::empty();
    let masked = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut old));
    let spawned = spawn();
    if masked.is_ok() {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&old), None);
    }
    spawned
}

/// The whole life of a module's thread.
fn run(
    source: Source,
    meeting: &Meeting,
    tell: &mpsc::SyncSender<Result<Info, LoadError>>,
) -> Option<Opened> {
    let path = PathBuf::from(source.to_string());
    let opened = match source.open() {
        Ok(opened) => opened,
        Err(error) => {
            let _ = tell.send(Err(error));
            return None;
        }
    };
    let info = match opened.describe() {
        Ok(info) => info,
        Err(fault) => {
            let _ = tell.send(Err(LoadError::description(&path, fault)));
            return Some(opened);
        }
    };
    match Guest::load(meeting, opened.module(), info.counts(Resource::CpuTime)) {
        Err(code) => {
            let _ = tell.send(Err(LoadError::refused(path, code)));
        }
        Ok(mut guest) => {
            let _ = tell.send(Ok(info));
            meeting.serve(|job| {
                // SAFETY: the engine's thread made it on its stack, and waits until this returns.
                let job = unsafe { &mut *job.0 };
                job(&mut guest);
            });
            guest.unload();
        }
    }
    Some(opened)
}
