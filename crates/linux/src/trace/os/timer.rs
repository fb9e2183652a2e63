//! Kicks to the calling thread from time to time: what a tracer has deadlines by, since waitid(2) has none.

use std::time::Duration;
use std::{mem, ptr};

use nix::errno::Errno;

use super::{task, wakeup};

/// A timer that kicks the thread that made it. Off at first.
pub(crate) struct WakeupTimer {
    id: libc::timer_t,
    period: Option<Duration>,
}

// SAFETY: a timer's id is a number of the process; any thread may set or delete it.
unsafe impl Send for WakeupTimer {}

impl WakeupTimer {
    /// For the calling thread.
    ///
    /// # Errors
    /// What `timer_create(2)` gives.
    pub(crate) fn new() -> Result<WakeupTimer, Errno> {
        // SAFETY: sigevent is plain data, for which zero is a valid value.
        let mut event: libc::sigevent = unsafe { mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = wakeup::signal();
        event.sigev_notify_thread_id = task::gettid().0;
        let mut id: libc::timer_t = ptr::null_mut();
        // SAFETY: event is read, id written.
        Errno::result(unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut id) })?;
        Ok(WakeupTimer { id, period: None })
    }

    /// Kicks once in every period from now on; with `None` no more. A kick that comes just before a wait is lost, the
    /// next one is not.
    pub(crate) fn every(&mut self, period: Option<Duration>) {
        if self.period == period {
            return;
        }
        self.period = period;
        let period = period.unwrap_or_default();
        let spec =
            libc::timespec { tv_sec: period.as_secs() as i64, tv_nsec: i64::from(period.subsec_nanos()) };
        let setting = libc::itimerspec { it_interval: spec, it_value: spec };
        // SAFETY: the timer exists until this is dropped; setting is only read.
        unsafe { libc::timer_settime(self.id, 0, &raw const setting, ptr::null_mut()) };
    }
}

impl Drop for WakeupTimer {
    fn drop(&mut self) {
        // SAFETY: made by new, deleted once.
        unsafe { libc::timer_delete(self.id) };
    }
}
