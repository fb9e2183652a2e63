//! The priority of a process in the kernel, taken over for a command that is started in its place.

use libc::c_long;
use nix::errno::Errno;
use penfold_core::Tid;

use super::sched;
use crate::proc::{OWN_OOM_SCORE, oom_score_adj, personality_of, timer_slack_of};

/// `IOPRIO_WHO_PROCESS` of `ioprio_set(2)`.
const ONE_PROCESS: c_long = 1;
/// The bytes of `struct sched_attr` that every kernel since 3.14 knows: size, policy, flags, nice, priority, deadline.
const ATTRIBUTES: usize = 48;

/// Scheduling, I/O priority, CPUs, OOM score, timer slack and personality of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityAttributes {
    scheduling: [u64; ATTRIBUTES / 8],
    io_priority: c_long,
    cpus: Vec<u8>,
    oom_score: Vec<u8>,
    timer_slack: Option<u64>,
    personality: u64,
}

impl PriorityAttributes {
    /// The attributes of a process. Its main thread's, where threads differ.
    ///
    /// Timer slack and personality need `PTRACE_MODE_ATTACH`. Where that is missing, the slack stays that of the command's
    /// parent, and the personality is the default.
    ///
    /// # Errors
    /// `ESRCH` when the process is gone; those of the system calls.
    pub fn of(pid: Tid) -> Result<PriorityAttributes, Errno> {
        let mut scheduling = [0_u64; ATTRIBUTES / 8];
        // SAFETY: the kernel writes at most ATTRIBUTES bytes into a buffer of that size.
        Errno::result(unsafe {
            libc::syscall(libc::SYS_sched_getattr, pid.0, scheduling.as_mut_ptr(), ATTRIBUTES, 0)
        })?;
        // SAFETY: takes numbers.
        let io = unsafe { libc::syscall(libc::SYS_ioprio_get, ONE_PROCESS, pid.0) };
        let score = oom_score_adj(pid).ok_or(Errno::ESRCH)?;
        Ok(PriorityAttributes {
            scheduling,
            io_priority: Errno::result(io)?,
            cpus: sched::affinity_bytes(pid)?,
            oom_score: score.to_string().into_bytes(),
            timer_slack: timer_slack_of(pid),
            personality: personality_of(pid).unwrap_or(0),
        })
    }

    /// Gives the attributes to this process. Async-signal-safe, for a child between fork and exec.
    ///
    /// A refusal for want of rights is passed over: the kernel refuses only a raise, so this process has less than the
    /// other one, never more. CPUs are narrowed to those that this process may use, so a cpuset stays in force.
    ///
    /// # Errors
    /// Those of the system calls.
    pub(crate) fn take_over(&self) -> Result<(), Errno> {
        // SAFETY: the kernel reads ATTRIBUTES bytes, whose first number is the size.
        unless_raised(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, self.scheduling.as_ptr(), 0) })?;
        // SAFETY: takes numbers.
        unless_raised(unsafe { libc::syscall(libc::SYS_ioprio_set, ONE_PROCESS, 0, self.io_priority) })?;
        self.narrow_cpus()?;
        self.set_oom_score()?;
        if let Some(slack) = self.timer_slack {
            // SAFETY: takes numbers. 0 would mean the default of the process, which is a slack of its own.
            unless_raised(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_TIMERSLACK, slack.max(1)) })?;
        }
        // SAFETY: takes a number.
        unless_raised(unsafe { libc::syscall(libc::SYS_personality, self.personality) })
    }

    fn narrow_cpus(&self) -> Result<(), Errno> {
        let mut own = [0_u8; 1024];
        // SAFETY: the kernel writes at most the length of the buffer.
        let written = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, own.len(), own.as_mut_ptr()) };
        let length = Errno::result(written)? as usize;
        let mut any = false;
        for (index, byte) in own[..length].iter_mut().enumerate() {
            *byte &= self.cpus.get(index).copied().unwrap_or(0);
            any |= *byte != 0;
        }
        if !any {
            return Ok(());
        }
        // SAFETY: the kernel reads `length` bytes of the buffer.
        Errno::result(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, length, own.as_ptr()) })
            .map(drop)
    }

    fn set_oom_score(&self) -> Result<(), Errno> {
        // SAFETY: the path is a C string, and the flags need no mode.
        let file =
            Errno::result(unsafe { libc::open(OWN_OOM_SCORE.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) })?;
        // SAFETY: the kernel reads the given bytes; the descriptor is this function's own.
        let written = unsafe {
            let written = libc::write(file, self.oom_score.as_ptr().cast(), self.oom_score.len());
            let errno = Errno::last();
            libc::close(file);
            if written < 0 { Err(errno) } else { Ok(()) }
        };
        if matches!(written, Err(Errno::EACCES | Errno::EPERM)) { Ok(()) } else { written }
    }
}

fn unless_raised(answer: c_long) -> Result<(), Errno> {
    match Errno::result(answer) {
        Ok(_) | Err(Errno::EPERM | Errno::EACCES) => Ok(()),
        Err(errno) => Err(errno),
    }
}
