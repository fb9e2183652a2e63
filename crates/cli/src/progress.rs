//! Progress of a long operation, shown on a terminal so that the program does not look hung.

use std::io::{IsTerminal, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;

/// An operation that ends sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(700);
/// The time between two updates of the line.
const STEP: Duration = Duration::from_millis(500);

/// Runs `work` and returns its result.
///
/// If the work takes long and standard error is a terminal, a line there shows `what` and the seconds until the end.
pub(crate) fn during<R>(what: &str, work: impl FnOnce() -> R) -> R {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let (done, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            // the thread that works decides about signals
            let _ = SigSet::all().thread_block();
            show(what, &wait);
        });
        let result = work();
        drop(done);
        result
    })
}

fn show(what: &str, done: &mpsc::Receiver<()>) {
    let began = Instant::now();
    let mut pause = PATIENCE;
    let mut shown = false;
    while done.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprint!("\r{what} ... {} s", began.elapsed().as_secs());
        let _ = std::io::stderr().flush();
        (shown, pause) = (true, STEP);
    }
    if shown {
        eprint!("\r\x1b[K");
    }
}
