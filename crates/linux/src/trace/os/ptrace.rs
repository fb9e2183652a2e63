//! ptrace(2) requests to a stopped tracee. `ESRCH` means that the task was killed. Its death is reported later.

use std::{mem, ptr};

use libc::{c_int, c_long, c_uint, c_void};
use nix::errno::Errno;
use penfold_core::Tid;

/// `PTRACE_EVENT_STOP`: group stops, interrupts and a new child's first stop.
pub(crate) const EVENT_STOP: c_int = 128;

// requests that libc lacks
const PTRACE_GETSIGMASK: c_uint = 0x420a;
const PTRACE_SETSIGMASK: c_uint = 0x420b;
const PTRACE_SECCOMP_GET_FILTER: c_uint = 0x420c;
#[cfg(target_arch = "x86_64")]
const PTRACE_GET_RSEQ_CONFIGURATION: c_uint = 0x420f;

/// Makes one request.
///
/// # Safety
/// Where the request takes a pointer in `addr` or `data`, the pointer must be valid for the kernel's reads or writes
/// there.
unsafe fn ptrace(request: c_uint, tid: Tid, addr: usize, data: usize) -> Result<c_long, Errno> {
    // SAFETY: the caller vouches for the pointers.
    Errno::result(unsafe { libc::ptrace(request, tid.0, addr as *mut c_void, data as *mut c_void) })
}

/// Makes a request that takes a number only.
fn with_number(request: c_uint, tid: Tid, number: c_int) -> Result<(), Errno> {
    // SAFETY: none of the requests that this file passes here takes a pointer.
    unsafe { ptrace(request, tid, 0, number as usize) }.map(drop)
}

/// Makes a request that reads or writes `value`. The kernel gets its size in `addr` or knows it.
fn with_value<T>(request: c_uint, tid: Tid, addr: usize, value: &mut T) -> Result<c_long, Errno> {
    // SAFETY: the kernel reads and writes one T at most: this file passes each request with the type that belongs to
    // it.
    unsafe { ptrace(request, tid, addr, ptr::from_mut(value) as usize) }
}

/// Ends the tracing of a stopped task, which gets this signal unless it is 0.
pub(crate) fn detach(tid: Tid, signal: c_int) -> Result<(), Errno> {
    with_number(libc::PTRACE_DETACH, tid, signal)
}

/// Continues a task, which gets this signal unless it is 0.
pub(crate) fn cont(tid: Tid, signal: c_int) -> Result<(), Errno> {
    with_number(libc::PTRACE_CONT, tid, signal)
}

/// Continues a task until it enters or leaves a system call. The task gets this signal unless it is 0.
pub(crate) fn cont_to_call(tid: Tid, signal: c_int) -> Result<(), Errno> {
    with_number(libc::PTRACE_SYSCALL, tid, signal)
}

pub(crate) fn listen(tid: Tid) -> Result<(), Errno> {
    with_number(libc::PTRACE_LISTEN, tid, 0)
}

pub(crate) fn interrupt(tid: Tid) -> Result<(), Errno> {
    with_number(libc::PTRACE_INTERRUPT, tid, 0)
}

pub(crate) fn set_options(tid: Tid, options: c_int) -> Result<(), Errno> {
    with_number(libc::PTRACE_SETOPTIONS, tid, options)
}

/// The signals that a stopped task blocks. A call such as ppoll(2) blocks others for its own time; then these are the
/// ones that the task blocks otherwise.
pub(crate) fn blocked_signals(tid: Tid) -> Result<u64, Errno> {
    let mut mask = 0_u64;
    with_value(PTRACE_GETSIGMASK, tid, mem::size_of::<u64>(), &mut mask)?;
    Ok(mask)
}

/// Changes the blocked signals. A call that blocks others for its own time sets those again when it is restarted.
pub(crate) fn block_signals(tid: Tid, mut mask: u64) -> Result<(), Errno> {
    with_value(PTRACE_SETSIGMASK, tid, mem::size_of::<u64>(), &mut mask).map(drop)
}

/// The address of a stopped thread's `struct rseq`, which it has registered for restartable sequences.
#[cfg(target_arch = "x86_64")]
pub(crate) fn rseq_address(tid: Tid) -> Option<u64> {
    // struct ptrace_rseq_configuration begins with the address (since Linux 5.13)
    let mut configuration = [0_u64; 3];
    let size = mem::size_of_val(&configuration);
    with_value(PTRACE_GET_RSEQ_CONFIGURATION, tid, size, &mut configuration).ok()?;
    Some(configuration[0]).filter(|address| *address != 0)
}

/// The child of a fork event, or the former id at an exec event.
pub(crate) fn event_message(tid: Tid) -> Result<u64, Errno> {
    let mut message: libc::c_ulong = 0;
    with_value(libc::PTRACE_GETEVENTMSG, tid, 0, &mut message)?;
    Ok(message)
}

/// `struct ptrace_syscall_info`, in its form for a seccomp stop.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct CallInfo {
    /// `PTRACE_SYSCALL_INFO_*`: the fields below hold for `PTRACE_SYSCALL_INFO_SECCOMP` only.
    pub(crate) op: u8,
    reserved: [u8; 3],
    pub(crate) arch: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
    pub(crate) number: u64,
    pub(crate) arguments: [u64; 6],
    pub(crate) data: u32,
    more: u32,
}

/// The system call in which a task is stopped (since Linux 5.3).
pub(crate) fn call_info(tid: Tid) -> Result<CallInfo, Errno> {
    let mut info = CallInfo::default();
    with_value(libc::PTRACE_GET_SYSCALL_INFO, tid, mem::size_of::<CallInfo>(), &mut info)?;
    Ok(info)
}

/// A seccomp filter of a stopped task, by its place in the order of installation.
///
/// # Errors
/// `EACCES` without `CAP_SYS_ADMIN`, or if this process has a filter itself. `EIO` or `EINVAL` if the kernel lacks the request.
pub(crate) fn filter_program(tid: Tid, index: usize) -> Result<Vec<libc::sock_filter>, Errno> {
    // SAFETY: without a buffer, the kernel only returns the length.
    let length = unsafe { ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, 0) }?;
    let none = libc::sock_filter { code: 0, jt: 0, jf: 0, k: 0 };
    let mut program = vec![none; length as usize];
    // SAFETY: the buffer has room for the whole program. A filter never changes, and filters are only added.
    unsafe { ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, program.as_mut_ptr() as usize) }?;
    Ok(program)
}

/// The `si_code` of the signal at a signal-delivery stop, and its sender's pid where that code has one.
pub(crate) fn signal_sender(tid: Tid) -> Result<(c_int, Tid), Errno> {
    // SAFETY: siginfo_t is plain data, for which zero is a valid value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    with_value(libc::PTRACE_GETSIGINFO, tid, 0, &mut info)?;
    // SAFETY: si_pid reads a union field that is plain data in every variant.
    Ok((info.si_code, Tid(unsafe { info.si_pid() })))
}

/// Reads or writes the general registers (`PTRACE_GETREGS`, `PTRACE_SETREGS`).
#[cfg(target_arch = "x86_64")]
pub(crate) fn registers(write: bool, tid: Tid, registers: &mut libc::user_regs_struct) -> Result<(), Errno> {
    let request = if write { libc::PTRACE_SETREGS } else { libc::PTRACE_GETREGS };
    with_value(request, tid, 0, registers).map(drop)
}

/// Reads or writes a register set (`PTRACE_GETREGSET`, `PTRACE_SETREGSET`).
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn regset<T>(write: bool, tid: Tid, set: c_int, value: &mut T) -> Result<(), Errno> {
    let request = if write { libc::PTRACE_SETREGSET } else { libc::PTRACE_GETREGSET };
    let mut vector =
        libc::iovec { iov_base: ptr::from_mut(value).cast::<c_void>(), iov_len: mem::size_of::<T>() };
    with_value(request as c_uint, tid, set as usize, &mut vector).map(drop)
}
