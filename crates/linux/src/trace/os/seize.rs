//! `PTRACE_SEIZE` that can be interrupted.
//!
//! The kernel holds a lock of a process from the beginning of an exec to its end, and a seize waits for it. The exec in
//! turn waits for the process's other threads to die, and tracees among them are dead only when the tracer reaps them.
//! It can also wait for a file on a server that does not respond.
//!
//! The kernel restarts a seize after every signal, so no signal ends it. Therefore the system call has a code section
//! of its own. When the handler of the wake-up signal finds the thread at the call, it moves the thread behind the
//! call, with `EINTR` as the result. A thread whose seize has succeeded is behind the call anyway.

use libc::{c_int, c_long, c_void};
use nix::errno::Errno;
use penfold_core::Tid;

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .text.penfold_linux_seize,\"ax\",@progbits",
    ".globl penfold_linux_seize",
    ".hidden penfold_linux_seize",
    ".globl penfold_linux_seize_end",
    ".hidden penfold_linux_seize_end",
    "penfold_linux_seize:",
    "mov r10, rcx",
    "mov eax, 101",
    "syscall",
    "penfold_linux_seize_end:",
    "ret",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .text.penfold_linux_seize,\"ax\",@progbits",
    ".globl penfold_linux_seize",
    ".hidden penfold_linux_seize",
    ".globl penfold_linux_seize_end",
    ".hidden penfold_linux_seize_end",
    "penfold_linux_seize:",
    "mov x8, #117",
    "svc #0",
    "penfold_linux_seize_end:",
    "ret",
    ".popsection",
);

unsafe extern "C" {
    /// The bare ptrace(2): a negative error number, or a result.
    fn penfold_linux_seize(request: c_long, pid: c_long, address: c_long, data: c_long) -> c_long;
    /// The address behind the system call. Not a function to call.
    fn penfold_linux_seize_end();
}

/// Seizes a task.
///
/// # Errors
/// `EINTR` when a wake-up came while the seize had to wait; otherwise those of ptrace(2).
pub(crate) fn seize(tid: Tid, options: c_int) -> Result<(), Errno> {
    // SAFETY: the request takes numbers only.
    let result = unsafe {
        penfold_linux_seize(c_long::from(libc::PTRACE_SEIZE), c_long::from(tid.0), 0, c_long::from(options))
    };
    if result < 0 { Err(Errno::from_raw(-result as i32)) } else { Ok(()) }
}

/// Ends a seize that the calling thread's signal has interrupted. For the handler of wake-ups, with its third argument.
///
/// # Safety
/// `context` must be the pointer that the kernel passed to a handler with `SA_SIGINFO`, used while that handler runs.
pub(crate) unsafe fn end_interrupted(context: *mut c_void) {
    let (begin, end) =
        (penfold_linux_seize as *const () as usize, penfold_linux_seize_end as *const () as usize);
    // SAFETY: the kernel passes a ucontext_t, which no other code uses until the handler returns.
    let machine = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    {
        let registers = &mut machine.gregs;
        if (begin..end).contains(&(registers[libc::REG_RIP as usize] as usize)) {
            registers[libc::REG_RIP as usize] = end as i64;
            registers[libc::REG_RAX as usize] = -i64::from(libc::EINTR);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if (begin..end).contains(&(machine.pc as usize)) {
        machine.pc = end as u64;
        machine.regs[0] = -i64::from(libc::EINTR) as u64;
    }
}
