//! Putting the filter into a process that runs already: it is made to install it itself.
//!
//! Every thread of the process is interrupted. The first that stops makes the calls, and the kernel gives the filter to
//! all threads at once (`SECCOMP_FILTER_FLAG_TSYNC`). The stop that is needed is the kernel's own on the way back to the
//! program (`PTRACE_EVENT_STOP`): there nothing has been decided yet about an interrupted system call, so with the
//! registers as they were it is restarted, or not, as it would have been. Any other stop is followed by that one before
//! the program runs again, and so is the end of a system call that can't be interrupted. A fork that a thread begins
//! while its interrupt is pending is given up by the kernel and made again afterwards; so none is missed.
//!
//! All signals are blocked meanwhile and wait, but for those that the calls themselves could cause.

use std::{fs, io};

use super::arch::{Injector, Registers};
use super::filter::{self, Interest};
use super::supervise::{Supervisor, ptrace_options};
use super::sys;
use super::table::State;
use super::{Notice, Policy, Tid};
use libc::c_int;
use nix::errno::Errno;
use penfold_core::Need;

/// A stop at the entry or the exit of a system call, as `PTRACE_O_TRACESYSGOOD` has it reported.
const CALL_STOP: c_int = libc::SIGTRAP | 0x80;
/// Signals that an instruction causes: the kernel would take their handlers away if they were blocked.
const SYNCHRONOUS: [c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
/// All that is written into the tracee has room in one page.
const SCRATCH: u64 = 4096;

/// Why a process did not get its filter.
enum Failure {
    /// It died or executes another program: what has happened is reported as usual.
    Gone,
    /// It can't make the calls.
    Refused(String),
}

impl From<Errno> for Failure {
    /// Every request to a stopped tracee can fail because it was killed.
    fn from(errno: Errno) -> Failure {
        if errno == Errno::ESRCH { Failure::Gone } else { Failure::Refused(errno.desc().to_owned()) }
    }
}

/// Whether a filter can be put into a task, else why not. It may have changed when it comes to it, which then is told by
/// [`Notice::FilterFailed`]. `ours` tells that it has one of ours, which permits the calls.
pub(super) fn possible(task: Tid, ours: bool) -> Result<(), String> {
    if !Injector::EXISTS {
        return Err("not on this processor architecture".to_owned());
    }
    match sys::status_field(task, "Seccomp").as_deref() {
        // gone: there is nothing to put it into
        None | Some("0") => {}
        Some("1") => return Err("it is in seccomp's strict mode".to_owned()),
        // of ours there is one at most; what it has put on top may forbid the calls
        Some("2") if ours && sys::status_field(task, "Seccomp_filters").as_deref() == Some("1") => {}
        Some(_) => {
            return Err("it has a system call filter of its own, which may forbid the calls".to_owned());
        }
    }
    let mut header = [0; 20];
    let program = fs::File::open(format!("/proc/{task}/exe"));
    match program.and_then(|mut file| io::Read::read_exact(&mut file, &mut header)) {
        Ok(()) if Injector::understands(&header) => Ok(()),
        Ok(()) => Err("it runs a program of another architecture".to_owned()),
        // dying, it has no program any more
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("the program that it runs can't be read: {error}")),
    }
}

impl<P: Policy> Supervisor<P> {
    /// Has a filter for this need put into the process of a task, unless it has one. All its threads have it before they
    /// run another instruction of their program.
    pub(super) fn want_filter(&mut self, tid: Tid, need: Need) {
        let (Some(interest), Some(tgid)) = (Interest::of(need), self.tgid_of(tid)) else { return };
        for thread in self.table.threads_of(tgid) {
            let Some(task) = self.table.tasks.get_mut(&thread) else { continue };
            let wanted = match task.wants.or(task.lineage.filter) {
                Some(known) if known.with(interest) == known => continue,
                // a second filter for the second need is for all that may come
                Some(_) => Interest::ALL,
                None => interest,
            };
            task.wants = Some(wanted);
            // others are interrupted when they go on; one in a group stop stops again when that ends
            if task.state == State::Running {
                let _ = sys::interrupt(thread);
            }
        }
    }

    /// Has a task that stopped on its way back to its program install the filter that it wants. True if it did and goes
    /// on, to stop once more at the same place.
    pub(super) fn put_filter(&mut self, tid: Tid, signal: c_int) -> bool {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return false };
        task.filtered_meanwhile = false;
        let Some(interest) = task.wants else { return false };
        if signal != libc::SIGTRAP || self.closing || task.doomed || task.release {
            return false;
        }
        let tgid = task.tgid;
        let traces_exec = if task.traces_exec { libc::PTRACE_O_TRACEEXEC } else { 0 };
        let options = ptrace_options(task.lineage) | traces_exec;
        let mut call = match Injection::begin(tid, options) {
            Ok(call) => call,
            Err(Failure::Gone) => return false,
            Err(Failure::Refused(reason)) => {
                self.filter_failed(tgid, reason);
                return false;
            }
        };
        let installed = call.install(&filter::program(interest));
        if let Err(Failure::Gone) = installed {
            return true;
        }
        call.end();
        match installed {
            Err(Failure::Refused(reason)) => self.filter_failed(tgid, reason),
            _ => self.note_filter(tid, tgid, interest),
        }
        true
    }

    fn note_filter(&mut self, by: Tid, tgid: Tid, interest: Interest) {
        for thread in self.table.threads_of(tgid) {
            let Some(task) = self.table.tasks.get_mut(&thread) else { continue };
            let interest = interest.with(task.lineage.filter.unwrap_or(interest));
            task.lineage.filter = Some(interest);
            task.wants = None;
            task.filtered_meanwhile = thread != by;
            self.policy.filtered(thread, interest.fork);
        }
    }

    fn filter_failed(&mut self, tgid: Tid, reason: String) {
        for thread in self.table.threads_of(tgid) {
            if let Some(task) = self.table.tasks.get_mut(&thread) {
                task.wants = None;
            }
        }
        self.policy.notice(Notice::FilterFailed { tgid, comm: sys::comm(tgid), reason });
    }
}

/// A task that makes calls for us.
struct Injection {
    tid: Tid,
    /// What it is traced with, for afterwards.
    options: c_int,
    registers: Injector,
    blocked: u64,
    /// Signals that came meanwhile though all are blocked.
    held_back: Vec<c_int>,
}

impl Injection {
    fn begin(tid: Tid, options: c_int) -> Result<Injection, Failure> {
        // what it has become since it was asked whether this is possible
        if sys::status_field(tid, "Seccomp").is_some_and(|mode| mode == "1") {
            return Err(Failure::Refused("it is in seccomp's strict mode".to_owned()));
        }
        let registers = Injector::new(tid, Registers::read(tid)?).map_err(|reason| match reason {
            Some(reason) => Failure::Refused(reason.to_owned()),
            None => Failure::Gone,
        })?;
        let blocked = sys::blocked_signals(tid)?;
        sys::set_options(tid, options | libc::PTRACE_O_TRACESYSGOOD)?;
        let synchronous = SYNCHRONOUS.iter().fold(0, |mask, signal| mask | 1_u64 << (signal - 1));
        sys::block_signals(tid, blocked | !synchronous)?;
        Ok(Injection { tid, options, registers, blocked, held_back: Vec::new() })
    }

    fn install(&mut self, program: &[libc::sock_filter]) -> Result<(), Failure> {
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let page = self.call(libc::SYS_mmap, [0, SCRATCH, protection, flags, u64::MAX, 0], "map a page")?;
        let installed = self.install_at(page as u64, program);
        if let Err(Failure::Gone) = installed {
            return installed;
        }
        let unmapped = self.call(libc::SYS_munmap, [page as u64, SCRATCH, 0, 0, 0, 0], "unmap the page");
        installed.and(unmapped.map(drop))
    }

    fn install_at(&mut self, page: u64, program: &[libc::sock_filter]) -> Result<(), Failure> {
        // struct sock_fprog: a length, padding, a pointer; then what it points to
        let mut bytes = Vec::with_capacity(16 + program.len() * 8);
        bytes.extend_from_slice(&(program.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(page + 16).to_le_bytes());
        for instruction in program {
            bytes.extend_from_slice(&instruction.code.to_le_bytes());
            bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
            bytes.extend_from_slice(&instruction.k.to_le_bytes());
        }
        sys::write_memory(self.tid, page, &bytes)?;
        let (mode, sync) = (u64::from(libc::SECCOMP_SET_MODE_FILTER), libc::SECCOMP_FILTER_FLAG_TSYNC);
        let filter = [mode, sync, page, 0, 0, 0];
        let mut result = self.raw_call(libc::SYS_seccomp, filter)?;
        if result == -i64::from(libc::EACCES) {
            // as in launched jobs: only where it has not the privilege to do without
            let privileges = [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0];
            self.call(libc::SYS_prctl, privileges, "renounce new privileges")?;
            result = self.raw_call(libc::SYS_seccomp, filter)?;
        }
        match result {
            0 => Ok(()),
            other if other > 0 => {
                Err(Failure::Refused(format!("its thread {other} has a system call filter of its own")))
            }
            error => Err(refused("install the filter", error)),
        }
    }

    fn call(&mut self, number: libc::c_long, arguments: [u64; 6], what: &str) -> Result<i64, Failure> {
        let result = self.raw_call(number, arguments)?;
        // what the kernel takes for an error number
        if (-4095..0).contains(&result) { Err(refused(what, result)) } else { Ok(result) }
    }

    fn raw_call(&mut self, number: libc::c_long, arguments: [u64; 6]) -> Result<i64, Failure> {
        self.registers.prepare(number as u64, arguments).write(self.tid)?;
        self.run_to_call_stop()?;
        self.run_to_call_stop()?;
        Ok(Registers::read(self.tid)?.result())
    }

    /// Lets the task go on to the entry or the exit of its call.
    fn run_to_call_stop(&mut self) -> Result<(), Failure> {
        let mut deliver = 0;
        loop {
            sys::cont_to_call(self.tid, deliver)?;
            deliver = 0;
            let report = sys::peek_at(self.tid)?;
            if report.code != libc::CLD_TRAPPED {
                return Err(Failure::Gone);
            }
            let (signal, event) = (report.status & 0xff, report.status >> 8);
            match (event, signal) {
                (0, CALL_STOP) => return Ok(()),
                // an interrupt, or a group stop that it takes part in when we are done
                (sys::EVENT_STOP, _) => {}
                (0, libc::SIGSTOP) => deliver = signal,
                (0, _) => {
                    let (code, _) = sys::signal_sender(self.tid)?;
                    if code > 0 {
                        return Err(Failure::Refused("its system calls are diverted".to_owned()));
                    }
                    self.held_back.push(signal);
                }
                _ => return Err(Failure::Gone),
            }
        }
    }

    /// Everything as it was, and another stop at the same place.
    fn end(mut self) {
        // ESRCH everywhere: killed meanwhile
        let _ = self.registers.restored().write(self.tid);
        let _ = sys::block_signals(self.tid, self.blocked);
        let _ = sys::set_options(self.tid, self.options);
        for signal in self.held_back {
            if let Some(group) = sys::status_field(self.tid, "Tgid").and_then(|group| group.parse().ok()) {
                let _ = sys::tgkill(group, self.tid, signal);
            }
        }
        let _ = sys::interrupt(self.tid);
        let _ = sys::cont(self.tid, 0);
    }
}

fn refused(what: &str, result: i64) -> Failure {
    Failure::Refused(format!("it can't {what}: {}", Errno::from_raw(-result as i32).desc()))
}
