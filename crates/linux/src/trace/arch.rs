//! What differs between processor architectures: audit codes, system call numbers and registers.
//!
//! Another architecture is another `ABIS` table and another `Registers`.

use nix::errno::Errno;

use super::{Tid, sys};

/// One system call interface that a task on this machine can use.
pub(super) struct Abi {
    /// `AUDIT_ARCH_*`, as the seccomp filter sees it.
    pub(super) audit_arch: u32,
    /// A bit that is set in all system call numbers of this interface (x32), or 0.
    pub(super) number_bit: u32,
    pub(super) clone: u32,
    pub(super) clone3: u32,
    pub(super) fork: Option<u32>,
    pub(super) vfork: Option<u32>,
    pub(super) ptrace: u32,
    pub(super) sched_setaffinity: u32,
    pub(super) socket: u32,
    /// The call that i386 multiplexes socket(2) through, as its sub-call 1.
    pub(super) socketcall: Option<u32>,
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{ABIS, Registers};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Abi, Errno, Tid, sys};

    const I386: usize = 2;

    /// x32 before `x86_64`: both have one audit code, and the first match wins.
    pub(in crate::trace) const ABIS: [Abi; 3] = [
        Abi {
            audit_arch: 0xc000_003e,
            number_bit: 0x4000_0000,
            clone: 56,
            clone3: 435,
            fork: Some(57),
            vfork: Some(58),
            ptrace: 521,
            sched_setaffinity: 203,
            socket: 41,
            socketcall: None,
        },
        Abi {
            audit_arch: 0xc000_003e,
            number_bit: 0,
            clone: 56,
            clone3: 435,
            fork: Some(57),
            vfork: Some(58),
            ptrace: 101,
            sched_setaffinity: 203,
            socket: 41,
            socketcall: None,
        },
        Abi {
            audit_arch: 0x4000_0003,
            number_bit: 0,
            clone: 120,
            clone3: 435,
            fork: Some(2),
            vfork: Some(190),
            ptrace: 26,
            sched_setaffinity: 241,
            socket: 359,
            socketcall: Some(102),
        },
    ];

    /// The registers of a stopped task.
    pub(in crate::trace) struct Registers(libc::user_regs_struct);

    impl Registers {
        pub(in crate::trace) fn read(tid: Tid) -> Result<Self, Errno> {
            // SAFETY: user_regs_struct is plain data, for which zero is a valid value.
            let mut regs = Self(unsafe { std::mem::zeroed() });
            // one set for 64-bit and 32-bit tasks alike, where PTRACE_GETREGSET has two layouts
            sys::registers(false, tid, &mut regs.0)?;
            Ok(regs)
        }

        pub(in crate::trace) fn write(&mut self, tid: Tid) -> Result<(), Errno> {
            sys::registers(true, tid, &mut self.0)
        }

        /// An argument of the system call, 0 to 2.
        pub(in crate::trace) fn argument(&self, abi: usize, index: usize) -> u64 {
            let regs = &self.0;
            if abi == I386 {
                [regs.rbx, regs.rcx, regs.rdx][index] & 0xffff_ffff
            } else {
                [regs.rdi, regs.rsi, regs.rdx][index]
            }
        }

        /// Changes the first argument.
        pub(in crate::trace) fn set_first_argument(&mut self, abi: usize, value: u64) {
            if abi == I386 {
                self.0.rbx = value;
            } else {
                self.0.rdi = value;
            }
        }

        /// Has the kernel leave the system call out and return `result`; at a seccomp stop only.
        pub(in crate::trace) fn skip(mut self, tid: Tid, result: i64) -> Result<(), Errno> {
            self.0.orig_rax = u64::MAX;
            self.0.rax = result as u64;
            self.write(tid)
        }

        /// What the system call answered; at its exit only.
        pub(in crate::trace) fn result(&self) -> i64 {
            self.0.rax as i64
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::{ABIS, Registers};

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use super::{Abi, Errno, Tid, sys};

    const NT_ARM_SYSTEM_CALL: i32 = 0x404;

    /// 32-bit programs are not served: every call of theirs is answered `ENOSYS`.
    pub(in crate::trace) const ABIS: [Abi; 1] = [Abi {
        audit_arch: 0xc000_00b7,
        number_bit: 0,
        clone: 220,
        clone3: 435,
        fork: None,
        vfork: None,
        ptrace: 117,
        sched_setaffinity: 122,
        socket: 198,
        socketcall: None,
    }];

    /// The registers of a stopped task.
    pub(in crate::trace) struct Registers(libc::user_regs_struct);

    impl Registers {
        pub(in crate::trace) fn read(tid: Tid) -> Result<Self, Errno> {
            // SAFETY: user_regs_struct is plain data, for which zero is a valid value.
            let mut regs = Self(unsafe { std::mem::zeroed() });
            sys::regset(false, tid, libc::NT_PRSTATUS, &mut regs.0)?;
            Ok(regs)
        }

        pub(in crate::trace) fn write(&mut self, tid: Tid) -> Result<(), Errno> {
            sys::regset(true, tid, libc::NT_PRSTATUS, &mut self.0)
        }

        /// An argument of the system call, 0 to 2.
        pub(in crate::trace) fn argument(&self, _abi: usize, index: usize) -> u64 {
            self.0.regs[index]
        }

        /// Changes the first argument.
        pub(in crate::trace) fn set_first_argument(&mut self, _abi: usize, value: u64) {
            self.0.regs[0] = value;
        }

        /// Has the kernel leave the system call out and return `result`; at a seccomp stop only.
        pub(in crate::trace) fn skip(mut self, tid: Tid, result: i64) -> Result<(), Errno> {
            sys::regset(true, tid, NT_ARM_SYSTEM_CALL, &mut -1_i32)?;
            self.0.regs[0] = result as u64;
            self.write(tid)
        }

        /// What the system call answered; at its exit only.
        pub(in crate::trace) fn result(&self) -> i64 {
            self.0.regs[0] as i64
        }
    }
}
