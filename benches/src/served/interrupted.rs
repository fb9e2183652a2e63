//! Ctrl-C must not leave cgroups in the kernel's hierarchies. So the signal is noted, and the program ends as after an
//! error. A daemon that does not answer meanwhile is killed, which ends the request that the program waits for.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

/// The time that one operation may take after the signal.
const PATIENCE: Duration = Duration::from_secs(5);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The daemon's pid; 0 for none.
static DAEMON: AtomicI32 = AtomicI32::new(0);

/// From now on SIGINT, SIGTERM and SIGHUP are only noted. Call this function before any other thread is started.
///
/// # Errors
/// As `pthread_sigmask(3)`.
pub fn note_signals() -> nix::Result<()> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block()?;
    thread::spawn(move || {
        let _ = signals.wait();
        INTERRUPTED.store(true, Ordering::Relaxed);
        thread::sleep(PATIENCE);
        let daemon = DAEMON.load(Ordering::Relaxed);
        if daemon != 0 {
            let _ = kill(Pid::from_raw(daemon), Signal::SIGKILL);
        }
    });
    Ok(())
}

/// Names the daemon that runs, before it is waited for; 0 when it has ended.
pub fn daemon_is(pid: i32) {
    DAEMON.store(pid, Ordering::Relaxed);
}

/// Fails if a signal was noted.
///
/// # Errors
/// `Interrupted`.
pub fn check() -> io::Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "ended by a signal"));
    }
    Ok(())
}
