//! The differences between processor architectures: audit codes, system call numbers and registers.
//!
//! Another architecture is another `ABIS` table and another `Registers`.

use nix::errno::Errno;

use penfold_core::Tid;

use super::ptrace;

/// One system call interface that a task on this machine can use.
pub(crate) struct Abi {
    /// `AUDIT_ARCH_*`, as the seccomp filter sees it.
    pub(crate) audit_arch: u32,
    /// A bit that is set in every system call number of this interface (x32), or 0.
    pub(crate) number_bit: u32,
    pub(crate) clone: u32,
    pub(crate) clone3: u32,
    pub(crate) fork: Option<u32>,
    pub(crate) vfork: Option<u32>,
    pub(crate) ptrace: u32,
    pub(crate) seccomp: u32,
    pub(crate) sched_setaffinity: u32,
    pub(crate) socket: u32,
    /// The call through which i386 multiplexes socket(2), as its sub-call 1.
    pub(crate) socketcall: Option<u32>,
}

/// Whether the system call of this number makes a task, through any interface of this machine.
pub(crate) fn is_fork_call(number: i64) -> bool {
    let calls = |abi: &Abi| [Some(abi.clone), Some(abi.clone3), abi.fork, abi.vfork];
    ABIS.iter().flat_map(calls).flatten().any(|fork| i64::from(fork) == number)
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{ABIS, Injector, Registers};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Abi, Errno, Tid, ptrace};
    use crate::proc::executable_mappings;
    use crate::trace::os::memory;

    const I386: usize = 2;

    /// x32 before `x86_64`: both have one audit code, and the first match wins.
    pub(crate) const ABIS: [Abi; 3] = [
        Abi {
            audit_arch: 0xc000_003e,
            number_bit: 0x4000_0000,
            clone: 56,
            clone3: 435,
            fork: Some(57),
            vfork: Some(58),
            ptrace: 521,
            seccomp: 317,
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
            seccomp: 317,
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
            seccomp: 354,
            sched_setaffinity: 241,
            socket: 359,
            socketcall: Some(102),
        },
    ];

    /// The registers of a stopped task.
    #[derive(Clone)]
    pub(crate) struct Registers(libc::user_regs_struct);

    impl Registers {
        pub(crate) fn read(tid: Tid) -> Result<Self, Errno> {
            // SAFETY: user_regs_struct is plain data, for which zero is a valid value.
            let mut regs = Self(unsafe { std::mem::zeroed() });
            // one set for 64-bit and 32-bit tasks alike, where PTRACE_GETREGSET has two layouts
            ptrace::registers(false, tid, &mut regs.0)?;
            Ok(regs)
        }

        pub(crate) fn write(&mut self, tid: Tid) -> Result<(), Errno> {
            ptrace::registers(true, tid, &mut self.0)
        }

        /// The number of the system call; at its entry only.
        pub(crate) fn number(&self) -> u32 {
            self.0.orig_rax as u32
        }

        /// An argument of the system call, 0 to 2.
        pub(crate) fn argument(&self, abi: usize, index: usize) -> u64 {
            let regs = &self.0;
            if abi == I386 {
                [regs.rbx, regs.rcx, regs.rdx][index] & 0xffff_ffff
            } else {
                [regs.rdi, regs.rsi, regs.rdx][index]
            }
        }

        /// Changes the first argument.
        pub(crate) fn set_first_argument(&mut self, abi: usize, value: u64) {
            if abi == I386 {
                self.0.rbx = value;
            } else {
                self.0.rdi = value;
            }
        }

        /// Makes the kernel skip the system call and return `result`; at a seccomp stop only.
        pub(crate) fn skip(mut self, tid: Tid, result: i64) -> Result<(), Errno> {
            self.0.orig_rax = u64::MAX;
            self.0.rax = result as u64;
            self.write(tid)
        }

        /// The result of the system call; at its exit only.
        pub(crate) fn result(&self) -> i64 {
            self.0.rax as i64
        }

        /// Changes the result of the system call; at its exit only.
        pub(crate) fn set_result(mut self, tid: Tid, result: i64) -> Result<(), Errno> {
            self.0.rax = result as u64;
            self.write(tid)
        }
    }

    /// The selector of 64-bit user code.
    const USER_CODE: u64 = 0x33;
    const SYSCALL: [u8; 2] = [0x0f, 0x05];
    const ERESTARTNOHAND: i64 = 514;

    /// Makes a task that is on its way back to its program execute system calls for the tracer.
    pub(crate) struct Injector {
        saved: Registers,
        /// The address of an instruction that enters the kernel.
        instruction: u64,
    }

    impl Injector {
        /// Whether injection exists for this architecture.
        pub(crate) const EXISTS: bool = true;

        /// Whether an injection into a program with this ELF header is possible: 64-bit, for this machine.
        pub(crate) fn understands(header: &[u8]) -> bool {
            header.starts_with(b"\x7fELF\x02") && header.get(18..20) == Some(&[0x3e, 0])
        }

        /// `Err` with the reason, or without one when the task was killed.
        pub(crate) fn new(tid: Tid, mut saved: Registers) -> Result<Self, Option<&'static str>> {
            if saved.0.cs != USER_CODE {
                return Err(Some("it runs 32-bit code"));
            }
            saved.leave_sequence(tid);
            let before = saved.0.rip.wrapping_sub(2);
            let mut bytes = [0; 2];
            let instruction = match memory::read(tid, before, &mut bytes) {
                Ok(()) if bytes == SYSCALL => before,
                Err(Errno::ESRCH) => return Err(None),
                _ => find_instruction(tid)
                    .ok_or(Some("no instruction that enters the kernel was found in its memory"))?,
            };
            Ok(Self { saved, instruction })
        }

        /// The registers that make the task execute a call.
        pub(crate) fn prepare(&self, number: u64, arguments: [u64; 6]) -> Registers {
            let mut registers = self.saved.clone();
            let regs = &mut registers.0;
            regs.rip = self.instruction;
            regs.rax = number;
            // the kernel must restart no call
            regs.orig_rax = u64::MAX;
            [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = arguments;
            registers
        }

        /// The registers with which the task continues as before the injection.
        pub(crate) fn restored(&mut self) -> &mut Registers {
            &mut self.saved
        }
    }

    impl Registers {
        /// Abandons a restartable sequence (rseq(2)) in which the task stopped, as the kernel does at an interruption.
        /// The kernel would not do so after the injected calls, which are outside of the sequence.
        fn leave_sequence(&mut self, tid: Tid) {
            let number = |address, offset| {
                let mut bytes = [0; 8];
                memory::read(tid, address + offset, &mut bytes).ok().map(|()| u64::from_le_bytes(bytes))
            };
            let Some(sequence) = ptrace::rseq_address(tid).and_then(|rseq| number(rseq, 8)) else { return };
            if sequence == 0 {
                return;
            }
            // struct rseq_cs
            let fields = (number(sequence, 8), number(sequence, 16), number(sequence, 24));
            if let (Some(start), Some(length), Some(abort)) = fields
                && self.0.rip.wrapping_sub(start) < length
            {
                self.0.rip = abort;
            }
        }

        /// Has the kernel restart a call that ended with `EINTR` at a stop for which no handler runs.
        ///
        /// That is done for waits without a time limit. A call with one is left alone, since its time would begin anew.
        pub(crate) fn restart_if_only_interrupted(tid: Tid) {
            // ESRCH: killed meanwhile
            let Ok(mut registers) = Registers::read(tid) else { return };
            let regs = &mut registers.0;
            let waits_for_ever = match regs.orig_rax as libc::c_long {
                libc::SYS_epoll_wait | libc::SYS_epoll_pwait => (regs.r10 as u32).cast_signed() < 0,
                libc::SYS_epoll_pwait2 => regs.r10 == 0,
                libc::SYS_rt_sigtimedwait => regs.rdx == 0,
                _ => false,
            };
            if waits_for_ever && regs.rax as i64 == -i64::from(libc::EINTR) {
                regs.rax = -ERESTARTNOHAND as u64;
                let _ = registers.write(tid);
            }
        }
    }

    /// Searches the executable memory of a task for such an instruction, first its vDSO.
    fn find_instruction(tid: Tid) -> Option<u64> {
        let mut mappings = executable_mappings(tid)?;
        mappings.sort_by_key(|mapping| !mapping.is_vdso);
        mappings.iter().find_map(|mapping| {
            let (start, end) = (mapping.start, mapping.end);
            let mut bytes = vec![0; (end - start).min(1 << 22) as usize];
            memory::read(tid, start, &mut bytes).ok()?;
            let offset = bytes.windows(2).position(|pair| pair == SYSCALL)?;
            Some(start + offset as u64)
        })
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{ABIS, Injector, Registers};

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use super::{Abi, Errno, Tid, ptrace};

    const NT_ARM_SYSTEM_CALL: i32 = 0x404;

    /// 32-bit programs are not supported: each of their calls fails with `ENOSYS`.
    pub(crate) const ABIS: [Abi; 1] = [Abi {
        audit_arch: 0xc000_00b7,
        number_bit: 0,
        clone: 220,
        clone3: 435,
        fork: None,
        vfork: None,
        ptrace: 117,
        seccomp: 277,
        sched_setaffinity: 122,
        socket: 198,
        socketcall: None,
    }];

    /// The registers of a stopped task.
    pub(crate) struct Registers(libc::user_regs_struct);

    impl Registers {
        pub(crate) fn read(tid: Tid) -> Result<Self, Errno> {
            // SAFETY: user_regs_struct is plain data, for which zero is a valid value.
            let mut regs = Self(unsafe { std::mem::zeroed() });
            ptrace::regset(false, tid, libc::NT_PRSTATUS, &mut regs.0)?;
            Ok(regs)
        }

        pub(crate) fn write(&mut self, tid: Tid) -> Result<(), Errno> {
            ptrace::regset(true, tid, libc::NT_PRSTATUS, &mut self.0)
        }

        /// The number of the system call; at its entry only.
        pub(crate) fn number(&self) -> u32 {
            self.0.regs[8] as u32
        }

        /// An argument of the system call, 0 to 2.
        pub(crate) fn argument(&self, _abi: usize, index: usize) -> u64 {
            self.0.regs[index]
        }

        /// Changes the first argument.
        pub(crate) fn set_first_argument(&mut self, _abi: usize, value: u64) {
            self.0.regs[0] = value;
        }

        /// Makes the kernel skip the system call and return `result`; at a seccomp stop only.
        pub(crate) fn skip(mut self, tid: Tid, result: i64) -> Result<(), Errno> {
            ptrace::regset(true, tid, NT_ARM_SYSTEM_CALL, &mut -1_i32)?;
            self.0.regs[0] = result as u64;
            self.write(tid)
        }

        /// The result of the system call; at its exit only.
        pub(crate) fn result(&self) -> i64 {
            self.0.regs[0] as i64
        }

        /// Changes the result of the system call; at its exit only.
        pub(crate) fn set_result(mut self, tid: Tid, result: i64) -> Result<(), Errno> {
            self.0.regs[0] = result as u64;
            self.write(tid)
        }

        /// Does nothing on this architecture: such calls return `EINTR`.
        pub(crate) fn restart_if_only_interrupted(_: Tid) {}
    }

    /// An uninhabited type: on this architecture adopted processes get no filter yet.
    pub(crate) enum Injector {}

    impl Injector {
        /// Whether injection exists for this architecture.
        pub(crate) const EXISTS: bool = false;

        /// Whether an injection into a program with this ELF header is possible.
        pub(crate) fn understands(_: &[u8]) -> bool {
            false
        }

        pub(crate) fn new(_: Tid, _: Registers) -> Result<Self, Option<&'static str>> {
            Err(Some("not on this processor architecture"))
        }

        pub(crate) fn prepare(&self, _: u64, _: [u64; 6]) -> Registers {
            match *self {}
        }

        pub(crate) fn restored(&mut self) -> &mut Registers {
            match *self {}
        }
    }
}
