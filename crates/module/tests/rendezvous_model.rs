//! A model of the meeting of two threads that loads, calls and unloads a module: all interleavings of it are tried.
//! `cargo xtask loom` runs it; without `--cfg loom` there is nothing here.
//!
//! What is covered: the real `rendezvous.rs`, every load and store of its turn with the orderings that it asks for, every
//! access of its three cells, parking and unparking with tokens that are left over from an earlier turn, a call with and
//! without a request, and the end of the module's thread. Around it the engine's lock and the slot in which a module is,
//! so that an unload meets a fork, an exit, an attach and a read: for the module these are the same, a call by a thread
//! that holds the lock. What a call passes are pointers into the stack of a thread that waits; here these are cells that
//! tell when two threads touch them at once, or one after the other without an order between.
//!
//! Not covered: what the engine does under its lock (`crates/core/tests/model.rs` and safe Rust), the linker, and time:
//! nothing is late in a model.
#![cfg(loom)]

#[allow(dead_code)]
#[path = "../src/loader/rendezvous.rs"]
mod rendezvous;
#[path = "../src/loader/sync.rs"]
mod sync;

use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread::{self, JoinHandle};
use rendezvous::Rendezvous;
use sync::model::Thread;

/// Longer than any model runs.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What a call is about: cells of the thread that waits.
struct Frame {
    answer: UnsafeCell<u32>,
    requests: UnsafeCell<u32>,
}

#[derive(Clone, Copy)]
struct Job {
    frame: *const Frame,
    /// How often the module asks back.
    asks: u32,
}

#[derive(Clone, Copy)]
struct Request(*const Frame);

// SAFETY: the thread that made them waits until the other is done with them: which is what is tried here.
unsafe impl Send for Job {}
// SAFETY: likewise.
unsafe impl Send for Request {}

type Meeting = Rendezvous<Job, Request>;

/// A module: the thread that it has for itself, and what it keeps there between calls.
struct Module {
    meeting: Arc<Meeting>,
    thread: Thread,
    end: JoinHandle<u32>,
}

fn load() -> Module {
    let meeting = Arc::new(Meeting::new());
    let thread = Thread::new();
    let end = {
        let (meeting, thread) = (Arc::clone(&meeting), thread.clone());
        thread::spawn(move || {
            thread.begin();
            let mut calls = 0;
            meeting.serve(|job: Job| {
                calls += 1;
                // SAFETY: the caller waits; loom tells if it does not.
                let frame = unsafe { &*job.frame };
                for asked in 0..job.asks {
                    meeting.ask(Request(job.frame));
                    // SAFETY: as above; what the engine has written for the request is here when it has answered.
                    frame.requests.with_mut(|requests| assert_eq!(unsafe { *requests }, asked + 1));
                }
                // SAFETY: as above.
                frame.answer.with_mut(|answer| unsafe { *answer = calls });
            });
            calls
        })
    };
    Module { meeting, thread, end }
}

impl Module {
    /// Returns how many calls there have been with this one.
    fn call(&self, asks: u32) -> u32 {
        let frame = Frame { answer: UnsafeCell::new(0), requests: UnsafeCell::new(0) };
        let serve = |request: Request| {
            // SAFETY: the module's thread waits.
            unsafe { &*request.0 }.requests.with_mut(|requests| unsafe { *requests += 1 });
        };
        let job = Job { frame: &raw const frame, asks };
        self.meeting.call(&self.thread, job, PATIENCE, serve, || unreachable!("nothing is late"));
        // SAFETY: the module's thread is done with it.
        frame.answer.with_mut(|answer| unsafe { *answer })
    }

    /// Returns how many calls there have been.
    fn unload(self) -> u32 {
        self.meeting.quit(&self.thread);
        self.end.join().expect("it ends")
    }
}

/// All interleavings with up to so many switches that nothing asked for; the others take hours. `LOOM_MAX_PREEMPTIONS`
/// changes it.
const SWITCHES: usize = 3;

fn model(what: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound.get_or_insert(SWITCHES);
    model.check(what);
}

/// A call that asks nothing, one that asks back, and the end.
#[test]
fn calls_requests_and_the_end_are_in_order() {
    model(|| {
        let module = load();
        assert_eq!(module.call(0), 1);
        assert_eq!(module.call(1), 2);
        assert_eq!(module.unload(), 2);
    });
}

/// Loaded and unloaded at once, never called.
#[test]
fn a_module_that_is_never_called_ends() {
    model(|| assert_eq!(load().unload(), 0));
}

/// Two threads that call, each from its own stack, and one that unloads, around the engine's lock: every call has run as
/// a whole, or the module was gone.
#[test]
fn an_unload_meets_calls_of_two_threads() {
    model(|| {
        let slot = Arc::new(Mutex::new(Some(load())));
        let callers: Vec<_> = [0, 1]
            .map(|asks| {
                let slot = Arc::clone(&slot);
                thread::spawn(move || {
                    let slot = slot.lock().expect("nobody panics");
                    slot.as_ref().map_or(0, |module| {
                        assert!(module.call(asks) > 0);
                        1
                    })
                })
            })
            .into();
        let calls = slot.lock().expect("nobody panics").take().expect("unloaded once").unload();
        let called: u32 = callers.into_iter().map(|caller| caller.join().expect("no panic")).sum();
        assert_eq!(calls, called, "a call that was made has run, and none after the unload");
    });
}
