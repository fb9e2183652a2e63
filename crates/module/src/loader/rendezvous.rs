//! How the engine's thread has a module's thread run one thing, and answers what that asks meanwhile.
//!
//! One of the two runs at any time, the other waits. So what is passed are plain pointers into the stack of the one
//! that waits, and every access of one is ordered before every access of the other by [`Rendezvous::turn`].

use super::sync::{AtomicU32, Hint, Ordering, Thread, UnsafeCell, cpu, current, park, spin_loop};
use std::time::{Duration, Instant};

/// Nobody runs: the module's thread waits for a job.
const IDLE: u32 = 0;
/// The module's thread runs the job.
const JOB: u32 = 1;
/// The engine's thread runs what the job asks.
const REQUEST: u32 = 2;
/// The module's thread ends.
const QUIT: u32 = 3;

/// How often a waiting side looks before it sleeps, if the other side is on another CPU: some microseconds, in which a
/// short job is done. On the same CPU it would only keep the other from running.
const SPINS: u32 = 200;

/// The meeting of two threads. `J` is a job, `R` a request that a job makes.
pub(super) struct Rendezvous<J, R> {
    turn: AtomicU32,
    job: UnsafeCell<Option<J>>,
    request: UnsafeCell<Option<R>>,
    engine: UnsafeCell<Option<Thread>>,
    /// Where each side was when it last passed the turn; to be wrong about it costs time and nothing else.
    engine_cpu: Hint,
    module_cpu: Hint,
}

// SAFETY: the cells are touched only by the side whose turn it is, and a turn is passed with release and acquired.
unsafe impl<J: Send, R: Send> Sync for Rendezvous<J, R> {}

impl<J: Copy, R: Copy> Rendezvous<J, R> {
    pub(super) fn new() -> Rendezvous<J, R> {
        Rendezvous {
            turn: AtomicU32::new(IDLE),
            job: UnsafeCell::new(None),
            request: UnsafeCell::new(None),
            engine: UnsafeCell::new(None),
            engine_cpu: Hint::new(u32::MAX),
            module_cpu: Hint::new(u32::MAX),
        }
    }

    /// For the engine's side: has `module` run `job`, and returns when that is done. `late` is called if nothing is
    /// heard of it for `patience`. Calls from several threads at once are the caller's fault.
    pub(super) fn call(
        &self,
        module: &Thread,
        job: J,
        patience: Duration,
        mut serve: impl FnMut(R),
        mut late: impl FnMut(),
    ) {
        // SAFETY: it is IDLE, so the module's thread only looks at the turn.
        unsafe {
            self.job.with_mut(|cell| *cell = Some(job));
            self.engine.with_mut(|cell| *cell = Some(current()));
        }
        self.pass(JOB, module, &self.engine_cpu);
        loop {
            match self.wait_while(JOB, &self.module_cpu, Some(patience), &mut late) {
                REQUEST => {
                    // SAFETY: it is the engine's turn.
                    let request = unsafe { self.request.with_mut(|cell| (*cell).take()) };
                    serve(request.expect("asked for"));
                    self.pass(JOB, module, &self.engine_cpu);
                }
                _ => return,
            }
        }
    }

    /// For the engine's side: the module's thread returns from [`Rendezvous::serve`].
    pub(super) fn quit(&self, module: &Thread) {
        self.pass(QUIT, module, &self.engine_cpu);
    }

    /// For the module's side: runs jobs until [`Rendezvous::quit`].
    pub(super) fn serve(&self, mut run: impl FnMut(J)) {
        while self.wait_while(IDLE, &self.engine_cpu, None, &mut || {}) == JOB {
            // SAFETY: it is the module's turn.
            let (job, engine) = unsafe {
                (self.job.with_mut(|cell| (*cell).take()), self.engine.with_mut(|cell| (*cell).clone()))
            };
            run(job.expect("passed with the turn"));
            self.pass(IDLE, &engine.expect("passed with the turn"), &self.module_cpu);
        }
    }

    /// For the module's side, in a job: has the engine's thread run `request`, and returns when that is done.
    pub(super) fn ask(&self, request: R) {
        // SAFETY: it is the module's turn.
        let engine = unsafe {
            self.request.with_mut(|cell| *cell = Some(request));
            self.engine.with_mut(|cell| (*cell).clone())
        };
        self.pass(REQUEST, &engine.expect("passed with the turn"), &self.module_cpu);
        self.wait_while(REQUEST, &self.engine_cpu, None, &mut || {});
    }

    fn pass(&self, turn: u32, to: &Thread, own_cpu: &Hint) {
        own_cpu.store(cpu(), Ordering::Relaxed);
        self.turn.store(turn, Ordering::Release);
        to.unpark();
    }

    /// Waits until the turn is another one, which is returned.
    fn wait_while(
        &self,
        turn: u32,
        others_cpu: &Hint,
        patience: Option<Duration>,
        late: &mut dyn FnMut(),
    ) -> u32 {
        let spins = if others_cpu.load(Ordering::Relaxed) == cpu() { 0 } else { SPINS };
        for _ in 0..spins {
            let now = self.turn.load(Ordering::Acquire);
            if now != turn {
                return now;
            }
            spin_loop();
        }
        let deadline = patience.map(|patience| Instant::now() + patience);
        let mut told = false;
        loop {
            let now = self.turn.load(Ordering::Acquire);
            if now != turn {
                return now;
            }
            // a token may be left from an earlier turn, and a thread may wake without one: so this is a loop
            match deadline.filter(|_| !told) {
                None => park(None),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        told = true;
                        late();
                    } else {
                        park(Some(left));
                    }
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn jobs_and_what_they_ask_run_in_turn() {
        let meeting = Arc::new(Rendezvous::<u32, u32>::new());
        let module = {
            let meeting = Arc::clone(&meeting);
            thread::spawn(move || {
                let mut sum = 0;
                meeting.serve(|job| {
                    sum += job;
                    for request in 0..job % 3 {
                        meeting.ask(request);
                    }
                });
                sum
            })
        };
        let (mut expected, mut asked) = (0, 0);
        for job in 0..1000 {
            expected += job;
            meeting.call(module.thread(), job, Duration::from_mins(1), |_| asked += 1, || panic!("not late"));
        }
        meeting.quit(module.thread());
        assert_eq!(module.join().unwrap(), expected);
        assert_eq!(asked, 333 + 333 * 2, "one for each 3n+1, two for each 3n+2");
    }

    #[test]
    fn a_job_that_takes_long_is_told_of_once() {
        let meeting = Arc::new(Rendezvous::<(), ()>::new());
        let module = {
            let meeting = Arc::clone(&meeting);
            thread::spawn(move || meeting.serve(|()| thread::sleep(Duration::from_millis(60))))
        };
        let mut late = 0;
        meeting.call(module.thread(), (), Duration::from_millis(5), |()| {}, || late += 1);
        meeting.quit(module.thread());
        module.join().unwrap();
        assert_eq!(late, 1);
    }
}
