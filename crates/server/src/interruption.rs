//! The wait of a client for a daemon that does not answer, which a signal ends.
//!
//! A daemon may be stopped, or busy for long. Its clients then block in connect(2), send(2) or recv(2). These waits go
//! through an [`Interruption`], so that a signal ends them and the client can say why.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getpid;
use penfold_linux::proc::StatusFile;

/// The signals that end a wait for the daemon, unless this process ignores them.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Ends the waits of this process for its daemon when a signal comes.
///
/// The signals are blocked while the process waits for the daemon, and only then. Elsewhere they have the effect that
/// the program has given them.
#[derive(Debug)]
pub struct Interruption {
    set: SigSet,
    signals: SignalFd,
    /// How long the daemon may still take to answer after the signal, in milliseconds.
    grace: AtomicU64,
    /// The signal that has ended a wait; 0 before.
    ended_by: AtomicI32,
}

impl Interruption {
    /// Has SIGINT, SIGTERM and SIGHUP end each wait, after a `grace` in which the daemon may still answer. If it does,
    /// the signal has its usual effect.
    ///
    /// # Errors
    /// The error of signalfd(2).
    pub fn new(grace: Duration) -> io::Result<Interruption> {
        let own = StatusFile::own();
        let ignored =
            |signal: &Signal| own.as_ref().and_then(|own| own.ignores(*signal as i32)).unwrap_or(false);
        // a signalfd reports a blocked signal even if it is ignored
        let set: SigSet = ENDING.into_iter().filter(|signal| !ignored(signal)).collect();
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let interruption =
            Interruption { set, signals, grace: AtomicU64::new(0), ended_by: AtomicI32::new(0) };
        interruption.set_grace(grace);
        Ok(interruption)
    }

    /// Changes the grace of later signals.
    pub fn set_grace(&self, grace: Duration) {
        self.grace.store(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The signal that has ended a wait. Every later wait ends at once.
    pub fn ended_by(&self) -> Option<Signal> {
        Signal::try_from(self.ended_by.load(Ordering::Acquire)).ok()
    }

    /// Notes that this signal has ended a wait elsewhere.
    pub fn end(&self, signal: Signal) {
        self.ended_by.store(signal as i32, Ordering::Release);
    }

    /// Begins a wait. The signals are blocked in the calling thread until the wait is dropped.
    pub(crate) fn begin(&self) -> io::Result<InterruptibleWait<'_>> {
        let before = self.set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(InterruptibleWait { of: self, before, came: None })
    }
}

/// One wait for the daemon.
pub(crate) struct InterruptibleWait<'a> {
    of: &'a Interruption,
    before: SigSet,
    /// The signal that came, and when the wait ends.
    came: Option<(Signal, Instant)>,
}

/// A signal has ended the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted;

impl InterruptibleWait<'_> {
    /// Waits until `file` is ready.
    pub(crate) fn until_ready(&mut self, file: BorrowedFd<'_>, events: PollFlags) -> Result<(), Interrupted> {
        while !self.poll(Some((file, events)))? {}
        Ok(())
    }

    /// Looks whether a signal ends the wait now.
    pub(crate) fn check(&mut self) -> Result<(), Interrupted> {
        self.poll(None).map(drop)
    }

    /// Waits for the file or a signal, or looks for a signal only. Returns whether the file is ready.
    fn poll(&mut self, file: Option<(BorrowedFd<'_>, PollFlags)>) -> Result<bool, Interrupted> {
        let left = match self.came {
            _ if self.of.ended_by().is_some() => return Err(Interrupted),
            Some((signal, until)) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    self.of.end(signal);
                    self.came = None;
                    return Err(Interrupted);
                }
                // rounded up, so that the last wait is not one for nothing
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        let timeout = if file.is_some() { left } else { PollTimeout::ZERO };
        let mut files = vec![PollFd::new(self.of.signals.as_fd(), PollFlags::POLLIN)];
        files.extend(file.map(|(file, events)| PollFd::new(file, events)));
        if poll(&mut files, timeout).is_err() {
            // EINTR: a signal with a handler, or the continuation of this process
            return Ok(false);
        }
        if files.get(1).is_some_and(|file| file.any().unwrap_or(true)) {
            return Ok(true);
        }
        if let Ok(Some(signal)) = self.of.signals.read_signal()
            && let Ok(signal) = Signal::try_from(signal.ssi_signo.cast_signed())
        {
            let grace = Duration::from_millis(self.of.grace.load(Ordering::Relaxed));
            self.came.get_or_insert((signal, Instant::now() + grace));
        }
        Ok(false)
    }
}

impl Drop for InterruptibleWait<'_> {
    fn drop(&mut self) {
        // the daemon has answered in time, so the signal is sent again for its usual effect
        if let Some((signal, _)) = self.came {
            let _ = kill(getpid(), signal);
        }
        let _ = self.before.thread_set_mask();
    }
}
