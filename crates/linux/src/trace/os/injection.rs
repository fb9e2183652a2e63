//! System calls that a task is made to execute, one stop at a time.
//!
//! The task maps a page, the tracer writes the filter into it, the task installs the filter and unmaps the page. No
//! function here waits: the caller passes each stop of the task.
//!
//! Another process that shares the task's memory could overwrite the filter before the kernel reads it. So the installed
//! filter is read back where that is permitted, and the caller checks for such processes before.
//!
//! All signals are blocked meanwhile and stay pending, but for those that the calls themselves could cause.

use std::mem;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::Tid;

use super::arch::{Injector, Registers};
use super::filter::{self, TracedCalls};
use super::{memory, ptrace, task};
use crate::error_text::error_text;
use crate::proc::{SeccompMode, StatusFile};

/// A stop at the entry or the exit of a system call, as reported under `PTRACE_O_TRACESYSGOOD`.
const CALL_STOP: c_int = libc::SIGTRAP | 0x80;
/// Signals that an instruction causes. The kernel would reset their handlers if they were blocked.
const SYNCHRONOUS: [c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
/// Bytes: one page, which holds everything that is written into the tracee.
const SCRATCH: u64 = 4096;

/// The reason why a process does not get its filter.
#[derive(Debug)]
pub(crate) enum InjectionError {
    /// The task died or executes another program. Either is reported as usual.
    Gone,
    /// The task can't make the calls, for this reason.
    Refused(String),
}

impl From<Errno> for InjectionError {
    /// Every request to a stopped tracee can fail with `ESRCH` because the tracee was killed.
    fn from(errno: Errno) -> InjectionError {
        if errno == Errno::ESRCH {
            InjectionError::Gone
        } else {
            InjectionError::Refused(error_text(errno).to_owned())
        }
    }
}

/// The reason why a filter is not in a process, after all calls.
#[derive(Debug)]
pub(crate) enum InstallError {
    /// A call failed, for this reason.
    Failed(String),
    /// A filter is installed, and is not the one that was to be.
    Overwritten,
}

/// The state of an injection after a stop.
#[derive(Debug)]
pub(crate) enum InjectionProgress {
    /// The task continues with the calls.
    Goes,
    /// All calls are made, and the filter is installed or not. Next is [`Injection::end`].
    Done(Result<(), InstallError>),
    /// The stop does not belong to the injection, which is over.
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

/// A task that executes calls for the tracer.
pub(crate) struct Injection {
    tid: Tid,
    /// The task's ptrace options, to be restored.
    options: c_int,
    interest: TracedCalls,
    registers: Injector,
    blocked: u64,
    /// Signals that came meanwhile although all are blocked.
    held_back: Vec<c_int>,
    step: InjectionStep,
    /// Whether the task has entered the call.
    entered: bool,
    /// The result of the installation, while the page is unmapped.
    installed: Result<(), InstallError>,
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
        // the mode may have changed since `check_injectable`
        if StatusFile::read(tid).and_then(|status| status.seccomp()) == Some(SeccompMode::Strict) {
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

    /// The calls that the filter will stop.
    pub(crate) fn interest(&self) -> TracedCalls {
        self.interest
    }

    /// Deals with a stop of the task.
    pub(crate) fn on_stop(&mut self, signal: c_int, event: c_int) -> InjectionProgress {
        match self.progress(signal, event) {
            Ok(progress) => progress,
            Err(InjectionError::Gone) => InjectionProgress::Gone,
            Err(InjectionError::Refused(reason)) => {
                InjectionProgress::Done(Err(InstallError::Failed(reason)))
            }
        }
    }

    fn progress(&mut self, signal: c_int, event: c_int) -> Result<InjectionProgress, InjectionError> {
        let mut deliver = 0;
        match (event, signal) {
            (0, CALL_STOP) if mem::replace(&mut self.entered, true) => {
                let result = Registers::read(self.tid)?.result();
                return self.next(result);
            }
            // the entry of the call; an interrupt; or a group stop, in which the task takes part when the calls are
            // done
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

    /// Deals with the return of the call that was under way.
    fn next(&mut self, result: i64) -> Result<InjectionProgress, InjectionError> {
        // the kernel's range of error numbers
        let failed = (-4095..0).contains(&result);
        match self.step {
            InjectionStep::Map if failed => return Err(refused("map a page", result)),
            InjectionStep::Map => {
                let page = result as u64;
                self.write_program(page)?;
                self.install(InjectionStep::Install { page })?;
            }
            InjectionStep::Install { page } if result == -i64::from(libc::EACCES) => {
                // as for launched jobs: only where the task lacks the privilege to do without
                let privileges = [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0];
                self.call(InjectionStep::RenouncePrivileges { page }, libc::SYS_prctl, privileges)?;
            }
            InjectionStep::RenouncePrivileges { page } if failed => {
                self.installed = Err(failed_to("renounce new privileges", result));
                self.unmap(page)?;
            }
            InjectionStep::RenouncePrivileges { page } => {
                self.install(InjectionStep::InstallAgain { page })?;
            }
            InjectionStep::Install { page } | InjectionStep::InstallAgain { page } => {
                self.installed = match result {
                    0 if self.is_overwritten() => Err(InstallError::Overwritten),
                    0 => Ok(()),
                    other if other > 0 => Err(InstallError::Failed(format!(
                        "its thread {other} has a system call filter of its own"
                    ))),
                    error => Err(failed_to("install the filter", error)),
                };
                self.unmap(page)?;
            }
            InjectionStep::Unmap => {
                let unmapped = if failed { Err(failed_to("unmap the page", result)) } else { Ok(()) };
                return Ok(InjectionProgress::Done(mem::replace(&mut self.installed, Ok(())).and(unmapped)));
            }
        }
        Ok(InjectionProgress::Goes)
    }

    fn write_program(&self, page: u64) -> Result<(), InjectionError> {
        let program = filter::program(self.interest);
        // struct sock_fprog: a length, padding, a pointer; behind it the program that it points to
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

    /// Whether the newest filter of the task differs from the one that was written into its memory. False where the
    /// kernel shows no filter to this process.
    fn is_overwritten(&self) -> bool {
        let newest = StatusFile::read(self.tid).and_then(|status| status.filters());
        let Some(newest) = newest.and_then(|count| (count as usize).checked_sub(1)) else { return false };
        let ours = filter::program(self.interest);
        let instruction = |it: &libc::sock_filter| (it.code, it.jt, it.jf, it.k);
        ptrace::filter_program(self.tid, newest)
            .is_ok_and(|program| !program.iter().map(instruction).eq(ours.iter().map(instruction)))
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

    /// Continues the task to the entry of a call.
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

    /// Restores the task's state. The task stops once more at the same place.
    pub(crate) fn end(mut self) {
        // ESRCH everywhere: killed meanwhile
        let _ = self.registers.restored().write(self.tid);
        let _ = ptrace::block_signals(self.tid, self.blocked);
        let _ = ptrace::set_options(self.tid, self.options);
        for signal in self.held_back {
            if let Some(group) = StatusFile::read(self.tid).and_then(|status| status.group()) {
                let _ = task::tgkill(group, self.tid, signal);
            }
        }
        let _ = ptrace::interrupt(self.tid);
        let _ = ptrace::cont(self.tid, 0);
    }
}

fn failed_to(what: &str, result: i64) -> InstallError {
    InstallError::Failed(reason(what, result))
}

fn reason(what: &str, result: i64) -> String {
    format!("it can't {what}: {}", error_text(Errno::from_raw(-result as i32)))
}

fn refused(what: &str, result: i64) -> InjectionError {
    InjectionError::Refused(reason(what, result))
}
