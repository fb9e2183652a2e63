//! A task that makes system calls for us, one stop at a time: a page is mapped, the filter is written into it and
//! installed, the page is unmapped. Nothing here waits; each stop of the task is handed in.
//!
//! All signals are blocked meanwhile and wait, but for those that the calls themselves could cause.

use std::mem;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::Tid;

use super::arch::{Injector, Registers};
use super::filter::{self, TracedCalls};
use super::{memory, proc, ptrace, task};
use crate::error_text::error_text;

/// A stop at the entry or the exit of a system call, as `PTRACE_O_TRACESYSGOOD` has it reported.
const CALL_STOP: c_int = libc::SIGTRAP | 0x80;
/// Signals that an instruction causes: the kernel would take their handlers away if they were blocked.
const SYNCHRONOUS: [c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
/// All that is written into the tracee has room in one page.
const SCRATCH: u64 = 4096;

/// Why a process does not get its filter.
#[derive(Debug)]
pub(crate) enum InjectionError {
    /// It died or executes another program: what has happened is reported as usual.
    Gone,
    /// It can't make the calls.
    Refused(String),
}

impl From<Errno> for InjectionError {
    /// Every request to a stopped tracee can fail because it was killed.
    fn from(errno: Errno) -> InjectionError {
        if errno == Errno::ESRCH {
            InjectionError::Gone
        } else {
            InjectionError::Refused(error_text(errno).to_owned())
        }
    }
}

/// What an injection has come to with a stop.
#[derive(Debug)]
pub(crate) enum InjectionProgress {
    /// The task goes on with the calls.
    Goes,
    /// All calls are made, and the filter is there or refused. Next is [`Injection::end`].
    Done(Result<(), String>),
    /// The stop is none of the injection's, which is over.
    Gone,
}

/// The call that is under way.
#[derive(Debug, Clone, Copy)]
enum InjectionStep {
    Map,
    Install { page: u64 },
    RenouncePrivileges { page: u64 },
    InstallAgain { page: u64 },
    Unmap,
}

/// A task that makes calls for us.
pub(crate) struct Injection {
    tid: Tid,
    /// What it is traced with, for afterwards.
    options: c_int,
    interest: TracedCalls,
    registers: Injector,
    blocked: u64,
    /// Signals that came meanwhile though all are blocked.
    held_back: Vec<c_int>,
    step: InjectionStep,
    /// It has entered the call.
    entered: bool,
    /// What the installation came to, while the page is unmapped.
    installed: Result<(), String>,
}

impl std::fmt::Debug for Injection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Injection").field("tid", &self.tid).field("step", &self.step).finish_non_exhaustive()
    }
}

impl Injection {
    /// Begins, with a task that has stopped on its way back to its program and is traced with these options.
    pub(crate) fn begin(
        tid: Tid,
        options: c_int,
        interest: TracedCalls,
    ) -> Result<Injection, InjectionError> {
        // what it has become since it was asked whether this is possible
        if proc::status_field(tid, "Seccomp").is_some_and(|mode| mode == "1") {
            return Err(InjectionError::Refused("it is in seccomp's strict mode".to_owned()));
        }
        let registers = Injector::new(tid, Registers::read(tid)?).map_err(|reason| match reason {
            Some(reason) => InjectionError::Refused(reason.to_owned()),
            None => InjectionError::Gone,
        })?;
        let blocked = ptrace::blocked_signals(tid)?;
        ptrace::set_options(tid, options | libc::PTRACE_O_TRACESYSGOOD)?;
        let synchronous = SYNCHRONOUS.iter().fold(0, |mask, signal| mask | 1_u64 << (signal - 1));
        ptrace::block_signals(tid, blocked | !synchronous)?;
        let mut injection = Injection {
            tid,
            options,
            interest,
            registers,
            blocked,
            held_back: Vec::new(),
            step: InjectionStep::Map,
            entered: false,
            installed: Ok(()),
        };
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        injection.call(InjectionStep::Map, libc::SYS_mmap, [0, SCRATCH, protection, flags, u64::MAX, 0])?;
        Ok(injection)
    }

    /// What the filter will stop.
    pub(crate) fn interest(&self) -> TracedCalls {
        self.interest
    }

    /// The task has stopped.
    pub(crate) fn on_stop(&mut self, signal: c_int, event: c_int) -> InjectionProgress {
        match self.progress(signal, event) {
            Ok(progress) => progress,
            Err(InjectionError::Gone) => InjectionProgress::Gone,
            Err(InjectionError::Refused(reason)) => InjectionProgress::Done(Err(reason)),
        }
    }

    fn progress(&mut self, signal: c_int, event: c_int) -> Result<InjectionProgress, InjectionError> {
        let mut deliver = 0;
        match (event, signal) {
            (0, CALL_STOP) if mem::replace(&mut self.entered, true) => {
                let result = Registers::read(self.tid)?.result();
                return self.next(result);
            }
            // the entry of the call; an interrupt, or a group stop that it takes part in when we are done
            (0, CALL_STOP) | (ptrace::EVENT_STOP, _) => {}
            (0, libc::SIGSTOP) => deliver = signal,
            (0, _) => {
                let (code, _) = ptrace::signal_sender(self.tid)?;
                if code > 0 {
                    return Err(InjectionError::Refused("its system calls are diverted".to_owned()));
                }
                self.held_back.push(signal);
            }
            _ => return Err(InjectionError::Gone),
        }
        ptrace::cont_to_call(self.tid, deliver)?;
        Ok(InjectionProgress::Goes)
    }

    /// The call that was under way has returned.
    fn next(&mut self, result: i64) -> Result<InjectionProgress, InjectionError> {
        // what the kernel takes for an error number
        let failed = (-4095..0).contains(&result);
        match self.step {
            InjectionStep::Map if failed => return Err(refused("map a page", result)),
            InjectionStep::Map => {
                let page = result as u64;
                self.write_program(page)?;
                self.install(InjectionStep::Install { page })?;
            }
            InjectionStep::Install { page } if result == -i64::from(libc::EACCES) => {
                // as in launched jobs: only where it has not the privilege to do without
                let privileges = [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0];
                self.call(InjectionStep::RenouncePrivileges { page }, libc::SYS_prctl, privileges)?;
            }
            InjectionStep::RenouncePrivileges { page } if failed => {
                self.installed = Err(reason("renounce new privileges", result));
                self.unmap(page)?;
            }
            InjectionStep::RenouncePrivileges { page } => {
                self.install(InjectionStep::InstallAgain { page })?;
            }
            InjectionStep::Install { page } | InjectionStep::InstallAgain { page } => {
                self.installed = match result {
                    0 => Ok(()),
                    other if other > 0 => {
                        Err(format!("its thread {other} has a system call filter of its own"))
                    }
                    error => Err(reason("install the filter", error)),
                };
                self.unmap(page)?;
            }
            InjectionStep::Unmap => {
                let unmapped = if failed { Err(reason("unmap the page", result)) } else { Ok(()) };
                return Ok(InjectionProgress::Done(mem::replace(&mut self.installed, Ok(())).and(unmapped)));
            }
        }
        Ok(InjectionProgress::Goes)
    }

    fn write_program(&self, page: u64) -> Result<(), InjectionError> {
        let program = filter::program(self.interest);
        // struct sock_fprog: a length, padding, a pointer; then what it points to
        let mut bytes = Vec::with_capacity(16 + program.len() * 8);
        bytes.extend_from_slice(&(program.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(page + 16).to_le_bytes());
        for instruction in program {
            bytes.extend_from_slice(&instruction.code.to_le_bytes());
            bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
            bytes.extend_from_slice(&instruction.k.to_le_bytes());
        }
        Ok(memory::write(self.tid, page, &bytes)?)
    }

    fn install(&mut self, step: InjectionStep) -> Result<(), InjectionError> {
        let (InjectionStep::Install { page } | InjectionStep::InstallAgain { page }) = step else {
            return Ok(());
        };
        let (mode, sync) = (u64::from(libc::SECCOMP_SET_MODE_FILTER), libc::SECCOMP_FILTER_FLAG_TSYNC);
        self.call(step, libc::SYS_seccomp, [mode, sync, page, 0, 0, 0])
    }

    fn unmap(&mut self, page: u64) -> Result<(), InjectionError> {
        self.call(InjectionStep::Unmap, libc::SYS_munmap, [page, SCRATCH, 0, 0, 0, 0])
    }

    /// Lets the task go on to the entry of a call.
    fn call(
        &mut self,
        step: InjectionStep,
        number: libc::c_long,
        arguments: [u64; 6],
    ) -> Result<(), InjectionError> {
        (self.step, self.entered) = (step, false);
        self.registers.prepare(number as u64, arguments).write(self.tid)?;
        Ok(ptrace::cont_to_call(self.tid, 0)?)
    }

    /// Everything as it was, and another stop at the same place.
    pub(crate) fn end(mut self) {
        // ESRCH everywhere: killed meanwhile
        let _ = self.registers.restored().write(self.tid);
        let _ = ptrace::block_signals(self.tid, self.blocked);
        let _ = ptrace::set_options(self.tid, self.options);
        for signal in self.held_back {
            if let Some(group) = proc::status_task(self.tid, "Tgid") {
                let _ = task::tgkill(group, self.tid, signal);
            }
        }
        let _ = ptrace::interrupt(self.tid);
        let _ = ptrace::cont(self.tid, 0);
    }
}

fn reason(what: &str, result: i64) -> String {
    format!("it can't {what}: {}", error_text(Errno::from_raw(-result as i32)))
}

fn refused(what: &str, result: i64) -> InjectionError {
    InjectionError::Refused(reason(what, result))
}
