//! The signals that end a daemon, and the one that tells of dead children.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// When somebody who is not ours to reap hides others, they are looked at again.
const REAP_RETRY: Duration = Duration::from_millis(100);

/// TERM, INT and HUP, blocked so that they can be waited for, and CHLD.
#[derive(Debug)]
pub struct ShutdownSignals {
    source: SignalFd,
}

impl ShutdownSignals {
    /// Blocks them in the calling thread: to be made on the first thread, before there is any other.
    ///
    /// HUP ends a daemon like TERM, when the terminal that it was started in is closed, unless it was ignored at the
    /// start, as with nohup(1).
    ///
    /// # Errors
    /// What signalfd(2) gives.
    pub fn block() -> io::Result<ShutdownSignals> {
        let mut set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD].into_iter().collect();
        // ignored and blocked, it would be told all the same
        if !is_ignored(Signal::SIGHUP) {
            set.add(Signal::SIGHUP);
        }
        set.thread_block()?;
        Ok(ShutdownSignals {
            source: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
        })
    }

    /// Waits for one that says to end. `reap` is called whenever children may have died, and answers whether it should be
    /// called again soon.
    ///
    /// # Errors
    /// What poll(2) and read(2) give.
    pub(super) fn wait(&self, reap: impl Fn() -> bool) -> io::Result<Signal> {
        let mut again = reap();
        loop {
            let timeout = if again {
                PollTimeout::try_from(REAP_RETRY).unwrap_or(PollTimeout::NONE)
            } else {
                PollTimeout::NONE
            };
            let mut waiting = [PollFd::new(self.source.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waiting, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            while let Some(received) = self.source.read_signal()? {
                match Signal::try_from(received.ssi_signo as i32) {
                    Ok(Signal::SIGCHLD) | Err(_) => {}
                    Ok(end) => return Ok(end),
                }
            }
            again = reap();
        }
    }
}

fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal as i32 - 1)) != 0
}
