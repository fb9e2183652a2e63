//! The signal that ends a tracer's wait.

use std::{mem, ptr};

use libc::{c_int, c_void};
use nix::errno::Errno;
use penfold_core::Tid;

use super::{seize, task};

/// The signal of kicks, and of a job's end to the thread that waits for it.
pub(crate) fn signal() -> c_int {
    libc::SIGRTMIN() + 4
}

/// Interrupts a thread of this process.
///
/// The thread may have ended: its id is not reused while this process lives and asks, in practice of a full turn of the
/// pid counter; and the signal's handler does nothing there.
pub(crate) fn wake(thread: Tid) {
    let _ = task::tgkill(Tid(std::process::id() as i32), thread, signal());
}

extern "C" fn on_wakeup(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel calls this as a handler with SA_SIGINFO.
    unsafe { seize::end_interrupted(context) };
}

/// Installs the handler, without `SA_RESTART`: its only effect is that a wait or a seize returns.
pub(crate) fn install_handler() -> Result<(), Errno> {
    // SAFETY: sigaction is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = on_wakeup as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler changes nothing but the context that it is given, which is async-signal-safe.
    Errno::result(unsafe { libc::sigaction(signal(), &raw const action, ptr::null_mut()) }).map(drop)
}

/// Sleeps until a signal with a handler comes. One that comes just before is lost; the sender of kicks knows.
pub(crate) fn sleep_until_woken() {
    nix::unistd::pause();
}
