//! Thin wrappers for system calls that nix lacks, or whose nix form costs more than one call per stop.

use std::{fs, mem, ptr};

use libc::{c_int, c_long, c_uint, c_void};
use nix::errno::Errno;
use penfold_core::Mask;

use super::Tid;
use crate::process::text_of;

/// `PTRACE_EVENT_STOP`: group stops, interrupts and a new child's first stop.
pub(super) const EVENT_STOP: c_int = 128;

// not in libc
const PTRACE_GETSIGMASK: c_uint = 0x420a;
const PTRACE_SETSIGMASK: c_uint = 0x420b;
const PTRACE_GET_RSEQ_CONFIGURATION: c_uint = 0x420f;

/// `__WNOTHREAD` keeps each tracer thread to its own tracees, so that a process may run several jobs.
const WAIT_FLAGS: c_int = libc::__WALL | libc::__WNOTHREAD;

/// What `waitid` reports of a tracee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) tid: Tid,
    /// `CLD_TRAPPED`, `CLD_EXITED`, `CLD_KILLED` or `CLD_DUMPED`.
    pub(super) code: c_int,
    /// For `CLD_TRAPPED` the signal and, shifted by 8, the ptrace event; else exit code or signal.
    pub(super) status: c_int,
}

impl Report {
    /// In the encoding of wait(2).
    pub(super) fn raw_status(&self) -> i32 {
        match self.code {
            libc::CLD_EXITED => (self.status & 0xff) << 8,
            libc::CLD_DUMPED => self.status | 0x80,
            _ => self.status,
        }
    }
}

fn waitid(id_type: libc::idtype_t, id: Tid, flags: c_int) -> Result<Option<Report>, Errno> {
    waitid_exactly(id_type, id, flags | WAIT_FLAGS)
}

fn waitid_exactly(id_type: libc::idtype_t, id: Tid, flags: c_int) -> Result<Option<Report>, Errno> {
    // SAFETY: siginfo_t is plain data, for which zero is a valid value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: info is a valid place to write to.
    let rc = unsafe { libc::waitid(id_type, id as libc::id_t, &raw mut info, flags) };
    Errno::result(rc)?;
    // SAFETY: waitid filled the SIGCHLD fields, or left the zeroes.
    let (tid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((tid != 0).then_some(Report { tid, code: info.si_code, status }))
}

/// The next event, left in place. `None` only when not blocking.
pub(super) fn peek(block: bool) -> Result<Option<Report>, Errno> {
    let nohang = if block { 0 } else { libc::WNOHANG };
    waitid(libc::P_ALL, 0, libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | nohang)
}

/// The next event of one task, which is on its way; left in place.
pub(super) fn peek_at(tid: Tid) -> Result<Report, Errno> {
    loop {
        match waitid(libc::P_PID, tid, libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT) {
            Ok(Some(report)) => return Ok(report),
            Ok(None) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Takes the stop of a task which is to stay stopped out of the queue.
pub(super) fn consume(tid: Tid) {
    // fails only when the task was killed meanwhile, and then its death is reported next
    let _ = waitid(libc::P_PID, tid, libc::WSTOPPED | libc::WNOHANG);
}

/// Reaps a task whose death was peeked at. A parent of its own is told only now.
pub(super) fn reap(tid: Tid) {
    let _ = waitid(libc::P_PID, tid, libc::WEXITED | libc::WNOHANG);
}

/// Reaps the threads of a process that have ended, but for the leader, whichever of our threads traces them.
pub(super) fn reap_threads(tgid: Tid) -> Vec<Report> {
    let threads = fs::read_dir(format!("/proc/{tgid}/task")).into_iter().flatten().flatten();
    let others =
        threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|tid| *tid != tgid);
    let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    others.filter_map(|tid| waitid_exactly(libc::P_PID, tid, flags).ok()?).collect()
}

/// Reaps a child that is about to die.
pub(super) fn reap_blocking(tid: Tid) {
    while waitid(libc::P_PID, tid, libc::WEXITED) == Err(Errno::EINTR) {}
}

fn ptrace(request: c_uint, tid: Tid, addr: usize, data: usize) -> Result<c_long, Errno> {
    // SAFETY: all requests made through here take numbers, or pointers that the caller vouches for.
    let rc = unsafe { libc::ptrace(request, tid, addr as *mut c_void, data as *mut c_void) };
    Errno::result(rc)
}

pub(super) fn seize(tid: Tid, options: c_int) -> Result<(), Errno> {
    ptrace(libc::PTRACE_SEIZE, tid, 0, options as usize).map(drop)
}

/// Ends the tracing of a stopped task, with this signal delivered unless 0.
pub(super) fn detach(tid: Tid, signal: c_int) -> Result<(), Errno> {
    ptrace(libc::PTRACE_DETACH, tid, 0, signal as usize).map(drop)
}

/// `ESRCH` everywhere below means that the task was killed; its death is reported later.
pub(super) fn cont(tid: Tid, signal: c_int) -> Result<(), Errno> {
    ptrace(libc::PTRACE_CONT, tid, 0, signal as usize).map(drop)
}

/// Lets a task go on until its system call is about to return.
pub(super) fn cont_to_exit(tid: Tid) -> Result<(), Errno> {
    ptrace(libc::PTRACE_SYSCALL, tid, 0, 0).map(drop)
}

/// Lets a task go on until it enters or leaves a system call, with this signal delivered unless 0.
pub(super) fn cont_to_call(tid: Tid, signal: c_int) -> Result<(), Errno> {
    ptrace(libc::PTRACE_SYSCALL, tid, 0, signal as usize).map(drop)
}

/// The signals that a stopped task blocks. In a call that blocks others for its own time, such as ppoll(2), those that
/// it blocks otherwise.
pub(super) fn blocked_signals(tid: Tid) -> Result<u64, Errno> {
    let mut mask = 0_u64;
    ptrace(PTRACE_GETSIGMASK, tid, mem::size_of_val(&mask), &raw mut mask as usize)?;
    Ok(mask)
}

/// Changes them. A call that blocks others for its own time sets its own again when it is restarted.
pub(super) fn block_signals(tid: Tid, mask: u64) -> Result<(), Errno> {
    ptrace(PTRACE_SETSIGMASK, tid, mem::size_of_val(&mask), &raw const mask as usize).map(drop)
}

/// Where a stopped thread has told the kernel that its restartable sequences are noted: its `struct rseq`.
pub(super) fn rseq_address(tid: Tid) -> Option<u64> {
    // struct ptrace_rseq_configuration, whose first field is the address; needs Linux 5.13
    let mut configuration = [0_u64; 3];
    let size = mem::size_of_val(&configuration);
    ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, size, configuration.as_mut_ptr() as usize).ok()?;
    Some(configuration[0]).filter(|address| *address != 0)
}

pub(super) fn listen(tid: Tid) -> Result<(), Errno> {
    ptrace(libc::PTRACE_LISTEN, tid, 0, 0).map(drop)
}

pub(super) fn interrupt(tid: Tid) -> Result<(), Errno> {
    ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0).map(drop)
}

pub(super) fn set_options(tid: Tid, options: c_int) -> Result<(), Errno> {
    ptrace(libc::PTRACE_SETOPTIONS, tid, 0, options as usize).map(drop)
}

/// The child of a fork event, the data of a seccomp stop, the former id at an exec event.
pub(super) fn event_message(tid: Tid) -> Result<u64, Errno> {
    let mut message: libc::c_ulong = 0;
    ptrace(libc::PTRACE_GETEVENTMSG, tid, 0, &raw mut message as usize)?;
    Ok(message)
}

/// The sender of the signal at a signal-delivery stop: its `si_code`, and its pid where the code has one.
pub(super) fn signal_sender(tid: Tid) -> Result<(c_int, Tid), Errno> {
    // SAFETY: siginfo_t is plain data, for which zero is a valid value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    ptrace(libc::PTRACE_GETSIGINFO, tid, 0, &raw mut info as usize)?;
    // SAFETY: si_pid reads a union field that is plain data in every variant.
    Ok((info.si_code, unsafe { info.si_pid() }))
}

/// Reads or writes the general registers (`PTRACE_GETREGS`, `PTRACE_SETREGS`).
#[cfg(target_arch = "x86_64")]
pub(super) fn registers(write: bool, tid: Tid, registers: &mut libc::user_regs_struct) -> Result<(), Errno> {
    let request = if write { libc::PTRACE_SETREGS } else { libc::PTRACE_GETREGS };
    ptrace(request, tid, 0, ptr::from_mut(registers) as usize).map(drop)
}

/// Reads or writes a register set (`PTRACE_GETREGSET`, `PTRACE_SETREGSET`).
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn regset<T>(write: bool, tid: Tid, set: c_int, value: &mut T) -> Result<(), Errno> {
    let request = if write { libc::PTRACE_SETREGSET } else { libc::PTRACE_GETREGSET };
    let mut vector =
        libc::iovec { iov_base: ptr::from_mut(value).cast::<c_void>(), iov_len: mem::size_of::<T>() };
    ptrace(request as c_uint, tid, set as usize, &raw mut vector as usize).map(drop)
}

/// kill(2); 0 only asks whether the process exists.
pub(super) fn kill(pid: Tid, signal: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Whether `tid` is a thread of process `tgid`: one cheap call instead of reading /proc.
pub(super) fn is_thread_of(tid: Tid, tgid: Tid) -> bool {
    tgkill(tgid, tid, 0).is_ok()
}

pub(super) fn tgkill(tgid: Tid, tid: Tid, signal: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::syscall(libc::SYS_tgkill, tgid, tid, signal) }).map(drop)
}

/// Sleeps until a signal with a handler comes. One that comes just before is lost; the sender of kicks knows.
pub(super) fn sleep_until_kicked() {
    // SAFETY: takes nothing.
    unsafe { libc::pause() };
}

/// Orphans of our descendants come back to us.
pub(super) fn become_subreaper() -> Result<(), Errno> {
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

pub(super) fn gettid() -> Tid {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// The time since boot in the ticks of `/proc/PID/stat`, which are 100 a second on every architecture.
pub(super) fn boot_ticks() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: time is a valid place to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    time.tv_sec as u64 * 100 + time.tv_nsec as u64 / 10_000_000
}

/// A clock of the process `pid`, in nanoseconds. `which` is 0 for user plus system by ticks, 1 for user by
/// ticks, 2 for the scheduler's exact sum. Zombies still have it, with their dead threads included.
pub(super) fn process_clock(pid: Tid, which: c_int) -> Result<u64, Errno> {
    let clock = (!pid << 3) | which;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: time is a valid place to write to.
    Errno::result(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

pub(super) fn set_affinity(tid: Tid, mask: &Mask) -> Result<(), Errno> {
    let words = mask.to_words();
    let words = words.as_slice();
    // SAFETY: the kernel reads size_of_val(words) bytes from words.
    let rc =
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, tid, mem::size_of_val(words), words.as_ptr()) };
    Errno::result(rc).map(drop)
}

/// The CPUs that a task may run on.
pub(super) fn affinity(tid: Tid) -> Result<Mask, Errno> {
    Ok(raw_affinity(tid)?.0)
}

/// The length in bytes of the kernel's own masks.
pub(super) fn affinity_length() -> Result<usize, Errno> {
    Ok(raw_affinity(0)?.1)
}

fn raw_affinity(tid: Tid) -> Result<(Mask, usize), Errno> {
    let mut bytes = [0_u8; 1024];
    // SAFETY: the kernel writes at most the length that it is given.
    let rc = unsafe { libc::syscall(libc::SYS_sched_getaffinity, tid, bytes.len(), bytes.as_mut_ptr()) };
    let written = Errno::result(rc)? as usize;
    Ok((mask_of_bytes(&bytes[..written]), written))
}

/// From the bytes that a program passes to the kernel.
pub(super) fn mask_of_bytes(bytes: &[u8]) -> Mask {
    let word = |chunk: &[u8]| {
        let mut whole = [0; 8];
        whole[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(whole)
    };
    Mask::from_words(&bytes.chunks(8).map(word).collect::<Vec<u64>>())
}

/// Reads `buffer.len()` bytes of a task's memory; `EFAULT` when not all of it is readable.
pub(super) fn read_memory(tid: Tid, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast::<c_void>(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: buffer.len() };
    // SAFETY: the kernel writes into buffer only, and checks the remote range itself.
    let rc = unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) };
    match Errno::result(rc) {
        Ok(read) if read as usize == buffer.len() => Ok(()),
        Ok(_) | Err(Errno::EFAULT) => Err(Errno::EFAULT),
        Err(errno) => Err(errno),
    }
}

/// Writes into a task's memory; `EFAULT` when not all of it is writable.
pub(super) fn write_memory(tid: Tid, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
    // SAFETY: the kernel only reads bytes, and checks the remote range itself.
    let rc = unsafe { libc::process_vm_writev(tid, &raw const local, 1, &raw const remote, 1, 0) };
    match Errno::result(rc) {
        Ok(written) if written as usize == bytes.len() => Ok(()),
        Ok(_) => Err(Errno::EFAULT),
        Err(errno) => Err(errno),
    }
}

/// Moves a process's pages from some memory nodes to others.
pub(super) fn migrate_pages(pid: Tid, from: &Mask, to: &Mask) -> Result<(), Errno> {
    let (mut from, mut to) = (from.to_words(), to.to_words());
    // the kernel takes one length in bits for both, and reads whole words of 64
    let words = from.len().max(to.len());
    from.resize(words, 0);
    to.resize(words, 0);
    // SAFETY: the kernel reads `words` words from each.
    let rc =
        unsafe { libc::syscall(libc::SYS_migrate_pages, pid, words * 64 + 1, from.as_ptr(), to.as_ptr()) };
    Errno::result(rc).map(drop)
}

/// A field of `/proc/PID/status`, such as `PPid`.
pub(super) fn status_field(pid: Tid, name: &str) -> Option<String> {
    let text = text_of(&format!("/proc/{pid}/status"))?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

/// The fields of `/proc/PID/stat` after the command name: the first is the state, field 3 of proc(5).
pub(super) fn stat_fields(pid: Tid) -> Option<Vec<String>> {
    let text = text_of(&format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// The command name of a process, for messages.
pub(super) fn comm(pid: Tid) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map(|text| text.trim_end().to_owned()).unwrap_or_default()
}
