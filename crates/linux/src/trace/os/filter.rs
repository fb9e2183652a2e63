//! The seccomp filters: each stops the few system calls that a rule must see before they happen.
//!
//! The number alone decides about nearly every call. The kernel keeps such calls in its bitmap of calls that are always
//! allowed and does not run the filter for them at all.

use std::sync::LazyLock;

use libc::sock_filter;
use nix::errno::Errno;
use penfold_core::host::Capability;

use super::arch::{ABIS, Abi};
use super::stopped_call::StoppedCall;

/// The reason why a filter stops a call; in the low 16 bits of the filter's return value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallClass {
    /// fork, vfork or clone.
    Fork,
    /// clone with `CLONE_UNTRACED`.
    Untraced,
    /// ptrace.
    Ptrace,
    /// `sched_setaffinity`.
    Affinity,
    /// socket.
    Socket,
}

/// Tells stops of these filters from stops that a filter of the program itself asks for.
const MAGIC: u32 = 0x9e00;

/// The class of a stopped call and the index of its interface in [`ABIS`].
///
/// `None` for a stop that a filter of the program itself asked for. Without a tracer, that filter would make the call
/// fail with `ENOSYS`.
///
/// The call alone decides about the class. The kernel passes on the data of the newest filter that stopped the call, and
/// a program can add a filter with any data. So the data only shows whether the newest filter is one of these.
pub(crate) fn classify(call: &StoppedCall) -> Option<(CallClass, usize)> {
    let abi = ABIS.iter().position(|abi| {
        abi.audit_arch == call.arch && (abi.number_bit == 0 || call.number & abi.number_bit != 0)
    })?;
    let class = class_of(&ABIS[abi], call.number & !ABIS[abi].number_bit, call.first_argument)?;
    (trace(class, abi) & libc::SECCOMP_RET_DATA == call.data).then_some((class, abi))
}

fn class_of(abi: &Abi, number: u32, first_argument: u64) -> Option<CallClass> {
    if number == abi.clone {
        let untraced = first_argument & libc::CLONE_UNTRACED as u64 != 0;
        return Some(if untraced { CallClass::Untraced } else { CallClass::Fork });
    }
    if [abi.fork, abi.vfork].contains(&Some(number)) {
        return Some(CallClass::Fork);
    }
    if number == abi.socket || abi.socketcall == Some(number) {
        return Some(CallClass::Socket);
    }
    match number {
        _ if number == abi.ptrace => Some(CallClass::Ptrace),
        _ if number == abi.sched_setaffinity => Some(CallClass::Affinity),
        _ => None,
    }
}

fn trace(class: CallClass, abi: usize) -> u32 {
    libc::SECCOMP_RET_TRACE | MAGIC | (abi as u32) << 4 | class as u32
}

const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | Errno::ENOSYS as u32;
const EBUSY: u32 = libc::SECCOMP_RET_ERRNO | Errno::EBUSY as u32;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

// offsets in struct seccomp_data; on the little-endian architectures of the table the low half of an argument comes
// first
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const SECOND_ARGUMENT: u32 = 24;

/// `SYS_SOCKET`, the sub-call of socketcall(2).
const SOCKETCALL_SOCKET: u32 = 1;

fn op(code: u16, jt: usize, jf: usize, k: u32) -> sock_filter {
    let jump = |length| u8::try_from(length).expect("blocks are shorter than 256 instructions");
    sock_filter { code, jt: jump(jt), jf: jump(jf), k }
}

/// The system calls that a filter stops, besides ptrace(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TracedCalls {
    /// fork, vfork and clone, so that they can be refused.
    pub fork: bool,
    /// `sched_setaffinity`.
    pub affinity: bool,
    /// socket(2).
    pub sockets: bool,
}

impl TracedCalls {
    /// Only ptrace(2) and clone with `CLONE_UNTRACED`, which every filter stops.
    pub(crate) const NONE: Self = Self { fork: false, affinity: false, sockets: false };

    /// Every call that a rule can need to see.
    pub(crate) const ALL: Self = Self { fork: true, affinity: true, sockets: true };

    /// The calls that a capability needs to see; `None` for one that no filter helps.
    pub(crate) fn of(need: Capability) -> Option<Self> {
        let none = Self::NONE;
        match need {
            Capability::ForkVeto => Some(Self { fork: true, ..none }),
            Capability::Affinity => Some(Self { affinity: true, ..none }),
            Capability::SocketClass => Some(Self { sockets: true, ..none }),
            // no filter helps memory nodes and freezing
            _ => None,
        }
    }

    /// The value as a number, never 0.
    pub(crate) fn bits(self) -> u8 {
        1 | u8::from(self.fork) << 1 | u8::from(self.affinity) << 2 | u8::from(self.sockets) << 3
    }

    /// The inverse of [`TracedCalls::bits`]; `None` for 0.
    pub(crate) fn of_bits(bits: u8) -> Option<Self> {
        let is = |bit: u8| bits & 1 << bit != 0;
        is(0).then(|| Self { fork: is(1), affinity: is(2), sockets: is(3) })
    }

    /// The calls of both.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            fork: self.fork || other.fork,
            affinity: self.affinity || other.affinity,
            sockets: self.sockets || other.sockets,
        }
    }
}

/// The filters, by [`TracedCalls::bits`]; an even index has none.
static PROGRAMS: LazyLock<[Vec<sock_filter>; 16]> = LazyLock::new(|| {
    std::array::from_fn(|bits| TracedCalls::of_bits(bits as u8).map_or_else(Vec::new, assemble))
});

/// Assembles the filters, so that a forked child, which may not allocate, finds them made.
pub(crate) fn prepare() {
    LazyLock::force(&PROGRAMS);
}

/// The filter that stops these calls.
pub(crate) fn program(interest: TracedCalls) -> &'static [sock_filter] {
    &PROGRAMS[usize::from(interest.bits())]
}

/// Assembles a filter.
///
/// clone3 fails with `ENOSYS`, and C libraries fall back to clone. The flags of clone3 lie in memory that another
/// thread can change after the check. A call through an interface that is not in the table can't be judged, so it fails
/// with `ENOSYS` too.
///
/// seccomp(2) with a listener fails with `EBUSY`, as it does for a second listener. The kernel gives a call that a
/// listener answers to no tracer, so a listener could let every limit be passed.
fn assemble(interest: TracedCalls) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for (index, abi) in ABIS.iter().enumerate() {
        let block = block(abi, index, interest);
        program.push(op(LOAD, 0, 0, ARCH));
        program.push(op(JUMP_EQUAL, 0, block.len(), abi.audit_arch));
        program.extend(block);
    }
    program.push(op(RETURN, 0, 0, ENOSYS));
    program
}

fn block(abi: &Abi, index: usize, interest: TracedCalls) -> Vec<sock_filter> {
    let fork_answer = if interest.fork { trace(CallClass::Fork, index) } else { libc::SECCOMP_RET_ALLOW };
    let mut body = Vec::new();
    let mut answer = |number: u32, answer: u32| {
        body.push(op(JUMP_EQUAL, 0, 1, number | abi.number_bit));
        body.push(op(RETURN, 0, 0, answer));
    };
    answer(abi.clone3, ENOSYS);
    answer(abi.ptrace, trace(CallClass::Ptrace, index));
    for number in [abi.fork, abi.vfork].into_iter().flatten() {
        answer(number, fork_answer);
    }
    if interest.affinity {
        answer(abi.sched_setaffinity, trace(CallClass::Affinity, index));
    }
    if interest.sockets {
        answer(abi.socket, trace(CallClass::Socket, index));
    }
    if let (true, Some(socketcall)) = (interest.sockets, abi.socketcall) {
        body.push(op(JUMP_EQUAL, 0, 4, socketcall | abi.number_bit));
        body.push(op(LOAD, 0, 0, FIRST_ARGUMENT));
        body.push(op(JUMP_EQUAL, 0, 1, SOCKETCALL_SOCKET));
        body.push(op(RETURN, 0, 0, trace(CallClass::Socket, index)));
        body.push(op(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    }
    body.push(op(JUMP_EQUAL, 0, 6, abi.seccomp | abi.number_bit));
    body.push(op(LOAD, 0, 0, FIRST_ARGUMENT));
    body.push(op(JUMP_EQUAL, 0, 3, libc::SECCOMP_SET_MODE_FILTER));
    body.push(op(LOAD, 0, 0, SECOND_ARGUMENT));
    body.push(op(JUMP_SET, 0, 1, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32));
    body.push(op(RETURN, 0, 0, EBUSY));
    body.push(op(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    body.push(op(JUMP_EQUAL, 0, 4, abi.clone | abi.number_bit));
    body.push(op(LOAD, 0, 0, FIRST_ARGUMENT));
    body.push(op(JUMP_SET, 0, 1, libc::CLONE_UNTRACED as u32));
    body.push(op(RETURN, 0, 0, trace(CallClass::Untraced, index)));
    body.push(op(RETURN, 0, 0, fork_answer));
    body.push(op(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));

    let mut block = vec![op(LOAD, 0, 0, NUMBER)];
    if abi.number_bit != 0 {
        block.push(op(JUMP_SET, 0, body.len(), abi.number_bit));
    }
    block.extend(body);
    block
}

/// Installs a filter on the calling thread. Async-signal-safe, for the child between fork and exec.
///
/// That needs `CAP_SYS_ADMIN` or *no new privileges*. The latter is set only where the former is missing, so that
/// set-user-ID programs keep working in a privileged job.
pub(crate) fn install(program: &[sock_filter]) -> Result<(), Errno> {
    let fprog = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: fprog and the program that it points to outlive the call, and the kernel only reads them.
    let seccomp =
        || unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const fprog) };
    match Errno::result(seccomp()) {
        Err(Errno::EACCES) => {
            nix::sys::prctl::set_no_new_privs()?;
            Errno::result(seccomp()).map(drop)
        }
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a filter as the kernel does.
    fn run(program: &[sock_filter], arch: u32, number: u32, first: u32, second: u32) -> u32 {
        let (mut accumulator, mut at) = (0, 0);
        loop {
            let instruction = program[at];
            let jump = |taken: bool| usize::from(if taken { instruction.jt } else { instruction.jf });
            at += 1;
            match instruction.code {
                LOAD => {
                    accumulator = match instruction.k {
                        NUMBER => number,
                        ARCH => arch,
                        FIRST_ARGUMENT => first,
                        SECOND_ARGUMENT => second,
                        other => panic!("loads from {other}"),
                    }
                }
                JUMP_EQUAL => at += jump(accumulator == instruction.k),
                JUMP_SET => at += jump(accumulator & instruction.k != 0),
                RETURN => return instruction.k,
                other => panic!("code {other}"),
            }
        }
    }

    #[test]
    fn every_interface_of_the_table_is_judged() {
        let untraced = (libc::CLONE_UNTRACED | libc::SIGCHLD) as u32;
        for (index, abi) in ABIS.iter().enumerate() {
            let of = |number: u32| number | abi.number_bit;
            for fork in [false, true] {
                let filter = program(TracedCalls { fork, affinity: fork, sockets: fork });
                let answer = |number, first| run(filter, abi.audit_arch, of(number), first, 0);
                let class = |number, first| {
                    let data = answer(number, first) & libc::SECCOMP_RET_DATA;
                    let call = stopped(abi, of(number), first, data);
                    classify(&call).filter(|_| answer(number, first) & !0xffff == libc::SECCOMP_RET_TRACE)
                };
                assert_eq!(answer(abi.clone3, 0), ENOSYS);
                assert_eq!(class(abi.clone, untraced), Some((CallClass::Untraced, index)));
                assert_eq!(class(abi.clone, 17), fork.then_some((CallClass::Fork, index)));
                assert_eq!(class(abi.ptrace, 0), Some((CallClass::Ptrace, index)));
                assert_eq!(class(abi.sched_setaffinity, 0), fork.then_some((CallClass::Affinity, index)));
                assert_eq!(class(abi.socket, 0), fork.then_some((CallClass::Socket, index)));
                if let Some(socketcall) = abi.socketcall {
                    assert_eq!(class(socketcall, 1), fork.then_some((CallClass::Socket, index)));
                    assert_eq!(answer(socketcall, 2), libc::SECCOMP_RET_ALLOW);
                }
                for number in [abi.fork, abi.vfork].into_iter().flatten() {
                    assert_eq!(class(number, 0), fork.then_some((CallClass::Fork, index)));
                }
                assert_eq!(answer(11, untraced), libc::SECCOMP_RET_ALLOW);
                let seccomp =
                    |operation, flags| run(filter, abi.audit_arch, of(abi.seccomp), operation, flags);
                assert_eq!(seccomp(1, 8), EBUSY);
                assert_eq!(seccomp(1, 0x29), EBUSY, "other flags beside it");
                assert_eq!(seccomp(1, 0x7), libc::SECCOMP_RET_ALLOW, "no listener");
                assert_eq!(seccomp(2, 8), libc::SECCOMP_RET_ALLOW, "another operation");
            }
        }
        assert_eq!(
            run(program(TracedCalls { fork: false, affinity: false, sockets: false }), 0x1234, 1, 0, 0),
            ENOSYS
        );
    }

    fn stopped(abi: &Abi, number: u32, first: u32, data: u32) -> StoppedCall {
        StoppedCall { arch: abi.audit_arch, number, first_argument: u64::from(first), data }
    }

    #[test]
    fn no_data_makes_a_call_another_class() {
        let untraced = (libc::CLONE_UNTRACED | libc::SIGCHLD) as u32;
        for (index, abi) in ABIS.iter().enumerate() {
            for (number, first, class) in [
                (abi.clone, 17, CallClass::Fork),
                (abi.clone, untraced, CallClass::Untraced),
                (abi.ptrace, 0, CallClass::Ptrace),
                (abi.sched_setaffinity, 0, CallClass::Affinity),
                (abi.socket, 0, CallClass::Socket),
            ] {
                let ours = trace(class, index) & libc::SECCOMP_RET_DATA;
                for data in 0..=libc::SECCOMP_RET_DATA {
                    let call = stopped(abi, number | abi.number_bit, first, data);
                    assert_eq!(classify(&call), (data == ours).then_some((class, index)));
                }
            }
            let forged = trace(CallClass::Fork, index) & libc::SECCOMP_RET_DATA;
            assert_eq!(classify(&stopped(abi, abi.number_bit | 0xb, 0, forged)), None, "no call of a rule");
            let foreign = StoppedCall { arch: 0x1234, ..stopped(abi, abi.clone, 17, forged) };
            assert_eq!(classify(&foreign), None);
        }
    }
}
