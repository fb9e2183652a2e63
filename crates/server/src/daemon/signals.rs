//! The signals that end a daemon, and SIGCHLD, which reports dead children.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use penfold_linux::proc::StatusFile;

/// The pause before the next look for dead children, while a child that can't be reaped hides others.
const REAP_RETRY: Duration = Duration::from_millis(100);

/// TERM, INT, HUP and CHLD, blocked so that a descriptor reports them.
#[derive(Debug)]
pub struct ShutdownSignals {
    source: SignalFd,
}

impl ShutdownSignals {
    /// Blocks the signals in the calling thread. Call it on the first thread before there is any other: new threads
    /// inherit the mask.
    ///
    /// HUP, the end of the terminal, ends a daemon as TERM does. A daemon that was started with HUP ignored, as by
    /// nohup(1), goes on.
    ///
    /// # Errors
    /// The error of signalfd(2).
    pub fn block() -> io::Result<ShutdownSignals> {
        let mut set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD].into_iter().collect();
        // a signalfd reports a blocked signal even if it is ignored
        if !is_ignored(Signal::SIGHUP) {
            set.add(Signal::SIGHUP);
        }
        set.thread_block()?;
        Ok(ShutdownSignals {
            source: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
        })
    }

    /// Waits for TERM, INT or HUP and returns it. Calls `reap` whenever children may have died; a return of true asks
    /// for another call soon.
    ///
    /// # Errors
    /// The errors of poll(2) and read(2).
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
    StatusFile::own().and_then(|status| status.ignores(signal as i32)).unwrap_or(false)
}
