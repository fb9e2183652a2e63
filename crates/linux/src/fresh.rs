//! State that a program must not inherit from a daemon: signals, and the keys of the daemon's session.

use nix::errno::Errno;

/// `KEYCTL_JOIN_SESSION_KEYRING` of keyctl(2).
const JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Gives every signal its default action and unblocks all. Async-signal-safe, for a child between fork and exec.
pub(crate) fn reset_signals() {
    // the kernel's own structure, at least as long as on any architecture; zero is the default action
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads the structure. The C library's function would leave out the signals that it keeps for
        // itself, but a program can be started with those ignored. The calls for KILL and STOP fail.
        unsafe {
            let old = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, 8);
        }
    }
    let none = 0_u64;
    // SAFETY: the kernel reads the mask, which has 8 bytes in its own layout.
    unsafe {
        let old = std::ptr::null_mut::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, old, 8);
    }
}

/// Takes a new session keyring, so that the keys of this process's session can be neither read nor changed. The new one
/// belongs to the user that this process has now. Async-signal-safe.
///
/// # Errors
/// Those of keyctl(2). A kernel without keys is no error.
pub(crate) fn leave_session_keyring() -> Result<(), Errno> {
    // SAFETY: a null name asks for an anonymous keyring; no memory is read.
    let joined =
        unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    match Errno::result(joined) {
        Ok(_) | Err(Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(errno),
    }
}
