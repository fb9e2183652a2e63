//! The system call at a seccomp stop.

use nix::errno::Errno;
use penfold_core::Tid;

use super::arch::{ABIS, Registers};
use super::ptrace;

/// A system call that a filter has stopped, as the kernel sees it. The program can't forge it: a stopped thread's
/// registers are its tracer's, and flags of clone(2) are in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoppedCall {
    /// `AUDIT_ARCH_*`, which tells interfaces apart that share numbers.
    pub(crate) arch: u32,
    /// The number, with the bit of x32.
    pub(crate) number: u32,
    pub(crate) first_argument: u64,
    /// The data of the newest filter that asked for this stop.
    pub(crate) data: u32,
}

impl StoppedCall {
    /// Reads the call of a task at its seccomp stop.
    ///
    /// # Errors
    /// `ESRCH` if the task was killed, or is at another stop.
    pub(crate) fn read(tid: Tid) -> Result<StoppedCall, Errno> {
        let info = match ptrace::call_info(tid) {
            Err(Errno::EIO) => return StoppedCall::of_registers(tid),
            info => info?,
        };
        if info.op != libc::PTRACE_SYSCALL_INFO_SECCOMP {
            return Err(Errno::ESRCH);
        }
        Ok(StoppedCall {
            arch: info.arch,
            number: info.number as u32,
            first_argument: info.arguments[0],
            data: info.data,
        })
    }

    /// The call before Linux 5.3. Registers do not show the interface, so the data names it. Forged data can name another
    /// interface only where the number makes the same call there, or none that is judged.
    fn of_registers(tid: Tid) -> Result<StoppedCall, Errno> {
        let data = ptrace::event_message(tid)? as u32;
        let registers = Registers::read(tid)?;
        // as the filters of this crate put it there
        let abi = Some((data >> 4 & 0xf) as usize).filter(|index| *index < ABIS.len()).unwrap_or(0);
        Ok(StoppedCall {
            arch: ABIS[abi].audit_arch,
            number: registers.number(),
            first_argument: registers.argument(abi, 0),
            data,
        })
    }
}
