//! The signal that ends a tracer's wait.

use std::{mem, ptr};

use libc::{c_int, c_void};
use nix::errno::Errno;
use penfold_core::Tid;

use super::{seize, task};

/// The number of the wake-up signal. At a job's end it is also sent to the thread that waits for the job.
pub(crate) fn signal() -> c_int {
    libc::SIGRTMIN() + 4
}

/// Interrupts a wait of a thread of this process.
///
/// The thread may have ended. Its id is not reused soon: the pid counter would have to go once around. Another thread
/// of this process would only run the handler, which does nothing there.
pub(crate) fn wake(thread: Tid) {
    let _ = task::tgkill(Tid(std::process::id() as i32), thread, signal());
}

extern "C" fn on_wakeup(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel calls this as a handler with SA_SIGINFO, and context is its argument.
    unsafe { seize::end_interrupted(context) };
}

/// Installs the handler, without `SA_RESTART`. Its only effect is that a wait or a seize returns.
pub(crate) fn install_handler() -> Result<(), Errno> {
    // SAFETY: sigaction is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = on_wakeup as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler changes only the context that it gets, which is async-signal-safe.
    Errno::result(unsafe { libc::sigaction(signal(), &raw const action, ptr::null_mut()) }).map(drop)
}

/// Sleeps until a signal with a handler comes. A signal that comes just before is lost, so a sender of wake-ups repeats
/// them.
pub(crate) fn sleep_until_woken() {
    nix::unistd::pause();
}
