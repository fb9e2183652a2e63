//! Single system calls about a task or about this process.

use libc::c_int;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd;
use penfold_core::Tid;

/// kill(2); signal 0 only tests whether the process exists.
pub(crate) fn kill(pid: Tid, signal: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers. nix has no real-time signals.
    Errno::result(unsafe { libc::kill(pid.0, signal) }).map(drop)
}

/// tgkill(2); signal 0 only tests whether `tid` is a thread of process `tgid`.
pub(crate) fn tgkill(tgid: Tid, tid: Tid, signal: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::syscall(libc::SYS_tgkill, tgid.0, tid.0, signal) }).map(drop)
}

/// Whether `tid` is a thread of process `tgid`, by one cheap call instead of a read of /proc.
pub(crate) fn is_thread_of(tid: Tid, tgid: Tid) -> bool {
    tgkill(tgid, tid, 0).is_ok()
}

/// Whether two processes share their memory (`KCMP_VM`). False where that can't be found out.
pub(crate) fn share_memory(one: Tid, other: Tid) -> bool {
    const KCMP_VM: c_int = 1;
    // SAFETY: takes numbers.
    unsafe { libc::syscall(libc::SYS_kcmp, one.0, other.0, KCMP_VM, 0, 0) == 0 }
}

/// Makes this process a child subreaper: orphans of its descendants become its children.
pub(crate) fn become_subreaper() -> Result<(), Errno> {
    prctl::set_child_subreaper(true)
}

pub(crate) fn gettid() -> Tid {
    Tid(unistd::gettid().as_raw())
}

/// The time since boot in the ticks of `/proc/PID/stat`: 100 a second on every architecture.
pub(crate) fn boot_ticks() -> u64 {
    // every kernel that has ptrace with seccomp has this clock
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    time.map_or(0, |time| time.tv_sec() as u64 * 100 + time.tv_nsec() as u64 / 10_000_000)
}

/// A clock of the process `pid`, in nanoseconds. A zombie still has it, with its dead threads included.
///
/// `which` is 0 for user plus system time by ticks, 1 for user time by ticks, 2 for the scheduler's exact sum.
pub(crate) fn process_clock(pid: Tid, which: c_int) -> Result<u64, Errno> {
    let time = nix::time::clock_gettime(nix::time::ClockId::from_raw((!pid.0 << 3) | which))?;
    Ok(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}
