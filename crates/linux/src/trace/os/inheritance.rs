//! The state that fork(2) and execve(2) pass on: a command that is started for another process has that process's.
//!
//! A child inherits far more than a user and descriptors. Whatever the daemon has and the caller has not would be the
//! caller's gain. A session keyring is one, a higher priority, more CPUs, protection from the out-of-memory killer, a
//! kernel cgroup without limits. So each of these is the caller's own, or a fresh one, or weaker than the caller's.

use std::ffi::{CStr, CString};
use std::mem;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use libc::{c_int, c_long, c_uint, c_ulong};
use nix::errno::Errno;
use penfold_core::{Tid, host::IndexSet};

use super::sched::{self, SavedAffinity};
use crate::proc::{self, OwnFile};

/// Nanoseconds: the timer slack of a process that has set none.
const TIMER_SLACK: u64 = 50_000;
/// `SCHED_FLAG_RESET_ON_FORK`.
const RESET_ON_FORK: u64 = 1;
const IOPRIO_WHO_PROCESS: c_int = 1;
const KEYCTL_JOIN_SESSION_KEYRING: c_int = 1;

/// The inheritable state of a process, as a child of that process would have it.
#[derive(Debug, Clone)]
pub struct Inheritance {
    scheduling: Scheduling,
    io_priority: c_int,
    /// The CPUs, set by the tracer before the command has a place in a cpuset. `None` leaves them as they are.
    pub(crate) cpus: Option<IndexSet>,
    timer_slack: u64,
    personality: c_ulong,
    huge_pages_off: bool,
    /// Files below `/proc/self`, each with its text.
    own_files: Vec<OwnFile>,
    /// The lists of processes of kernel cgroups to enter.
    kernel_cgroups: Vec<CString>,
}

/// The first fields of `struct sched_attr`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Scheduling {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

impl Scheduling {
    fn of(task: Tid) -> Result<Scheduling, Errno> {
        let mut scheduling = Scheduling::default();
        let size = mem::size_of::<Scheduling>();
        // SAFETY: the kernel writes at most `size` bytes.
        let rc = unsafe { libc::syscall(libc::SYS_sched_getattr, task.0, &raw mut scheduling, size, 0) };
        Errno::result(rc)?;
        Ok(scheduling.of_child())
    }

    /// The scheduling of a child by fork(2).
    fn of_child(self) -> Scheduling {
        let size = mem::size_of::<Scheduling>() as u32;
        let is_realtime =
            matches!(self.policy as c_int, libc::SCHED_FIFO | libc::SCHED_RR | libc::SCHED_DEADLINE);
        let resets = self.flags & RESET_ON_FORK != 0 || self.policy as c_int == libc::SCHED_DEADLINE;
        if !resets {
            return Scheduling { size, flags: 0, ..self };
        }
        let policy = if is_realtime { libc::SCHED_OTHER as u32 } else { self.policy };
        Scheduling { size, policy, nice: self.nice.max(0), ..Scheduling::default() }
    }

    /// A weaker one, for a process that may not raise its own: `nice` is the process's now.
    fn weaker(self, nice: i32) -> Scheduling {
        let size = mem::size_of::<Scheduling>() as u32;
        Scheduling { size, nice: self.nice.max(nice), ..Scheduling::default() }
    }

    fn apply(&self) -> Result<(), Errno> {
        // SAFETY: the kernel reads `size` bytes of a structure of that size.
        let rc = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(self), 0) };
        Errno::result(rc).map(drop)
    }
}

impl Inheritance {
    /// The state of a process, to be passed on to a command. `kernel_cgroups` are the directories of the kernel cgroups
    /// that the command has to enter.
    ///
    /// Facts that this process may not read become the defaults of a new program.
    ///
    /// # Errors
    /// `ESRCH` if there is no such process; `EINVAL` for a directory whose name holds a NUL.
    pub fn of(process: Tid, kernel_cgroups: &[impl AsRef<Path>]) -> Result<Inheritance, Errno> {
        let lists = kernel_cgroups.iter().map(|directory| {
            let path = directory.as_ref().join("cgroup.procs");
            CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
        });
        // SAFETY: takes numbers.
        let io_priority =
            Errno::result(unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, process.0) })?;
        let file = |name: &str| proc::inherited_text(process, name);
        let number = |name: &str, radix| u64::from_str_radix(file(name)?.trim(), radix).ok();
        Ok(Inheritance {
            scheduling: Scheduling::of(process)?,
            io_priority: io_priority as c_int,
            cpus: Some(sched::affinity(process)?),
            timer_slack: number("timerslack_ns", 10).unwrap_or(TIMER_SLACK),
            personality: number("personality", 16).unwrap_or(0),
            huge_pages_off: proc::StatusFile::read(process).is_some_and(|status| status.huge_pages_off()),
            own_files: proc::inherited_files(process),
            kernel_cgroups: lists.collect::<Result<_, _>>()?,
        })
    }

    /// The state of a program that the kernel itself starts, such as a release agent.
    pub(crate) fn fresh() -> Inheritance {
        Inheritance {
            scheduling: Scheduling { size: mem::size_of::<Scheduling>() as u32, ..Scheduling::default() },
            io_priority: 0,
            cpus: None,
            timer_slack: TIMER_SLACK,
            personality: 0,
            huge_pages_off: false,
            own_files: proc::fresh_files(),
            kernel_cgroups: Vec::new(),
        }
    }

    /// Enters the kernel cgroups. In the child, with the rights of this process. Afterwards the child runs on those of
    /// its CPUs that a cpuset of the kernel leaves.
    pub(crate) fn enter_kernel_cgroups(&self) -> Result<(), Errno> {
        if self.kernel_cgroups.is_empty() {
            return Ok(());
        }
        let cpus = SavedAffinity::now()?;
        self.kernel_cgroups.iter().try_for_each(|list| write_file(list, b"0"))?;
        // EINVAL: none is left
        let _ = cpus.restore();
        Ok(())
    }

    /// Sets everything but the kernel cgroups, the CPUs and the keyring. In the child, with the rights of this process:
    /// before the user changes. A value that may not be set is left only where the command gains nothing by it.
    ///
    /// # Errors
    /// Those of the calls.
    pub(crate) fn apply(&self) -> Result<(), Errno> {
        self.apply_scheduling()?;
        // an unprivileged process may not set the real-time class, and had none from this process either
        let set = set_io_priority(self.io_priority);
        if set.is_err() {
            set_io_priority(0)?;
        }
        // SAFETY: takes numbers.
        Errno::result(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, self.timer_slack as c_ulong) })?;
        // SAFETY: takes a number.
        Errno::result(unsafe { libc::personality(self.personality) })?;
        // SAFETY: takes numbers.
        Errno::result(unsafe {
            libc::prctl(libc::PR_SET_THP_DISABLE, c_ulong::from(self.huge_pages_off), 0, 0, 0)
        })?;
        for (path, text) in &self.own_files {
            // EACCES, EPERM: a better value than this process may give
            let _ = write_file(path, text);
        }
        // SAFETY: the default policy takes no nodes. ENOSYS: a kernel without policies.
        unsafe { libc::syscall(libc::SYS_set_mempolicy, 0, std::ptr::null::<c_ulong>(), 0) };
        Ok(())
    }

    fn apply_scheduling(&self) -> Result<(), Errno> {
        match self.scheduling.apply() {
            // the caller has a priority that this process may not give
            Err(Errno::EPERM) => {
                // SAFETY: takes numbers. -1 is a nice value too.
                let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
                self.scheduling.weaker(nice).apply()
            }
            applied => applied,
        }
    }
}

/// Joins a new, empty session keyring. After the user has changed, whose keyring it is to be.
pub(crate) fn join_new_keyring() -> Result<(), Errno> {
    // SAFETY: takes a number and a null pointer, which stands for a keyring without a name.
    let rc = unsafe {
        libc::syscall(libc::SYS_keyctl, c_long::from(KEYCTL_JOIN_SESSION_KEYRING), std::ptr::null::<u8>())
    };
    match Errno::result(rc) {
        // no keyrings in this kernel, or a filter that forbids them to this process and all its children
        Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        joined => joined.map(drop),
    }
}

fn set_io_priority(priority: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    let rc = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority as c_uint) };
    Errno::result(rc).map(drop)
}

/// Writes a file in one call. Allocates nothing.
fn write_file(path: &CStr, text: &[u8]) -> Result<(), Errno> {
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).map_err(super::errno)?;
    rustix::io::write(&file, text).map_err(super::errno).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_of_a_resetting_process_has_no_priority() {
        let fifo = Scheduling { policy: libc::SCHED_FIFO as u32, priority: 5, ..Scheduling::default() };
        assert_eq!((fifo.of_child().policy, fifo.of_child().priority), (fifo.policy, 5));
        let reset = Scheduling { flags: RESET_ON_FORK, ..fifo }.of_child();
        assert_eq!((reset.policy, reset.priority, reset.flags), (libc::SCHED_OTHER as u32, 0, 0));
        let nice = Scheduling { flags: RESET_ON_FORK, nice: -5, ..Scheduling::default() }.of_child();
        assert_eq!(nice.nice, 0);
        let batch = Scheduling { policy: libc::SCHED_BATCH as u32, nice: 7, ..Scheduling::default() };
        assert_eq!((batch.of_child().policy, batch.of_child().nice), (batch.policy, 7));
        let deadline = Scheduling { policy: libc::SCHED_DEADLINE as u32, ..Scheduling::default() };
        assert_eq!(deadline.of_child().policy, libc::SCHED_OTHER as u32);
    }

    #[test]
    fn weaker_scheduling_gains_nothing() {
        let high =
            Scheduling { policy: libc::SCHED_RR as u32, priority: 9, nice: -9, ..Scheduling::default() };
        assert_eq!((high.weaker(3).policy, high.weaker(3).nice), (libc::SCHED_OTHER as u32, 3));
        assert_eq!(Scheduling { nice: 9, ..high }.weaker(3).nice, 9);
    }

    #[test]
    fn state_of_this_process_can_be_read() {
        let own = Inheritance::of(Tid(std::process::id().cast_signed()), &[] as &[&Path]).expect("it lives");
        assert!(own.own_files.iter().any(|(name, _)| name.to_bytes().ends_with(b"/oom_score_adj")));
        assert_eq!(own.cpus, sched::affinity(Tid(0)).ok());
        assert_eq!(Inheritance::of(Tid(1 << 22), &[] as &[&Path]).err(), Some(Errno::ESRCH));
    }
}
