//! Something that may take a while: said on a terminal, so that nobody takes it for hung.

use std::io::{IsTerminal, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What takes no longer needs no word.
const PATIENCE: Duration = Duration::from_millis(700);
const STEP: Duration = Duration::from_millis(500);

/// Does `work`; if that takes long, shows `what` and the seconds on standard error, where that is a terminal, and
/// takes it away afterwards.
pub(crate) fn during<R>(what: &str, work: impl FnOnce() -> R) -> R {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let (done, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || show(what, &wait));
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
