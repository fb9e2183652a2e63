//! Periodic wake-ups of a tracer thread. Its deadlines depend on them: waitid(2) has no timeout.

use std::time::Duration;
use std::{mem, ptr};

use nix::errno::Errno;

use super::{task, wakeup};

/// A timer that wakes the thread that made it. Off at first.
pub(crate) struct WakeupTimer {
    id: libc::timer_t,
    period: Option<Duration>,
}

// SAFETY: a timer's id is a number of the process; any thread may set or delete it.
unsafe impl Send for WakeupTimer {}

impl WakeupTimer {
    /// Makes a timer for the calling thread.
    ///
    /// # Errors
    /// Those of `timer_create(2)`.
    pub(crate) fn new() -> Result<WakeupTimer, Errno> {
        // SAFETY: sigevent is plain data, for which zero is a valid value.
        let mut event: libc::sigevent = unsafe { mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = wakeup::signal();
        event.sigev_notify_thread_id = task::gettid().0;
        let mut id: libc::timer_t = ptr::null_mut();
        // SAFETY: the kernel reads event and writes id.
        Errno::result(unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut id) })?;
        Ok(WakeupTimer { id, period: None })
    }

    /// Wakes the thread once in every period from now on; with `None` no more. A wake-up that comes just before a wait
    /// is lost, the next one is not.
    pub(crate) fn every(&mut self, period: Option<Duration>) {
        if self.period == period {
            return;
        }
        self.period = period;
        let period = period.unwrap_or_default();
        let spec =
            libc::timespec { tv_sec: period.as_secs() as i64, tv_nsec: i64::from(period.subsec_nanos()) };
        let setting = libc::itimerspec { it_interval: spec, it_value: spec };
        // SAFETY: the timer exists until this is dropped; the kernel reads setting.
        unsafe { libc::timer_settime(self.id, 0, &raw const setting, ptr::null_mut()) };
    }
}

impl Drop for WakeupTimer {
    fn drop(&mut self) {
        // SAFETY: new has made the timer, and it is deleted once.
        unsafe { libc::timer_delete(self.id) };
    }
}
