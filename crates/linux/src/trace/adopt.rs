//! Adoption: taking in a process that runs already.
//!
//! Every thread is seized; from then on whatever it makes is attached at birth. A thread that is not seized yet can
//! make threads and children meanwhile: the list of threads is read again until nothing new appears twice in a row,
//! and children that are younger than the adoption are taken in with their parent. Their age is known in ticks of 10 ms,
//! so one that is a little older may be taken in too.

use std::fs;
use std::sync::Arc;

use nix::errno::Errno;

use super::kick::Gone;
use super::supervise::{Supervisor, ptrace_options};
use super::table::{Lineage, State, Task};
use super::{Policy, Tid, sys};

/// How often the list of threads is read before giving up on a process that makes them faster.
const ROUNDS: u32 = 10_000;
/// Of the flags in `/proc/PID/stat`.
const PF_KTHREAD: u64 = 0x0020_0000;

/// Why a process can't be adopted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// There is none of that number, or it is dying.
    #[error("there is no process {0}")]
    NoProcess(Tid),
    /// A process can't trace itself.
    #[error("penfold can't supervise itself")]
    Itself,
    /// It is part of the kernel.
    #[error("task {0} is a kernel thread; the trace host can't supervise it")]
    KernelThread(Tid),
    /// It is supervised already.
    #[error("process {0} is supervised already")]
    Known(Tid),
    /// Another tracer has it.
    #[error("process {pid} is traced already by {tracer} (pid {tracer_pid}); end that first")]
    Traced {
        /// The process.
        pid: Tid,
        /// Its tracer's command name.
        tracer: String,
        /// Its tracer's task id.
        tracer_pid: Tid,
    },
    /// ptrace is not permitted.
    #[error("process {pid} can't be traced: {errno}; {reason}")]
    Refused {
        /// The process.
        pid: Tid,
        /// `EPERM` as a rule.
        errno: Errno,
        /// The likeliest reason.
        reason: String,
    },
    /// It makes threads faster than they can be seized.
    #[error("process {0} makes threads faster than they can be seized; try again")]
    Busy(Tid),
    /// The host was stopped.
    #[error("{}", Gone)]
    Gone,
}

impl AdoptError {
    /// The error number for a caller outside.
    pub fn errno(&self) -> Errno {
        match self {
            AdoptError::NoProcess(_) => Errno::ESRCH,
            AdoptError::Itself | AdoptError::KernelThread(_) => Errno::EINVAL,
            AdoptError::Known(_) => Errno::EEXIST,
            AdoptError::Traced { .. } => Errno::EPERM,
            AdoptError::Refused { errno, .. } => *errno,
            AdoptError::Gone => Errno::ESHUTDOWN,
            AdoptError::Busy(_) => Errno::EAGAIN,
        }
    }
}

impl<P: Policy> Supervisor<P> {
    /// Adopts the process of a task, with all its threads and the children that it makes from now on. Children that
    /// it has already are not adopted. [`Policy::adopted`] is told of each task.
    ///
    /// An adopted process has no filter: its forks can't be refused and what it asks for by `sched_setaffinity` is
    /// not clamped. It outlives its supervisor.
    ///
    /// For requests of other threads; not to be called by a policy.
    ///
    /// # Errors
    /// [`AdoptError`]; then nothing of it is traced.
    pub fn adopt(&mut self, pid: Tid) -> Result<(), AdoptError> {
        let tgid = group_of(pid)?;
        if self.table.processes.contains_key(&tgid) {
            return Err(AdoptError::Known(tgid));
        }
        let began = sys::boot_ticks();
        if let Err(error) = self.seize_all(tgid) {
            // refused for one thread, as when a debugger has only that
            let _ = self.release(tgid);
            return Err(error);
        }
        let mut born: Vec<Tid> = children_of(tgid);
        while let Some(child) = born.pop() {
            if started(child).is_none_or(|time| time < began) {
                continue;
            }
            // one that was attached at birth will be reported; one that is gone took its children's trace with it
            if tracer_of(child) != Some(sys::gettid()) && self.seize_all(child).is_ok() {
                born.extend(children_of(child));
            }
        }
        Ok(())
    }

    fn seize_all(&mut self, tgid: Tid) -> Result<(), AdoptError> {
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            quiet += 1;
            for tid in threads_of(tgid)? {
                if self.seize_one(tgid, tid)? {
                    quiet = 0;
                }
            }
            if quiet == 2 {
                return Ok(());
            }
        }
        Err(AdoptError::Busy(tgid))
    }

    /// True when the thread was new.
    fn seize_one(&mut self, tgid: Tid, tid: Tid) -> Result<bool, AdoptError> {
        let lineage = Lineage::adopted(false);
        // which of its threads will execute a new program is not known
        match sys::seize(tid, ptrace_options(lineage) | libc::PTRACE_O_TRACEEXEC) {
            Ok(()) => {}
            Err(_) if tracer_of(tid) == Some(sys::gettid()) => return Ok(false),
            Err(errno) => {
                return if is_dying(tgid, tid)? { Ok(false) } else { Err(refusal(tgid, tid, errno)) };
            }
        }
        if self.table.tasks.contains_key(&tid) {
            // a thread that was not seized yet has executed a program and taken over the leader's number
            return Ok(true);
        }
        let mut task = Task::new(tgid, lineage);
        task.state = State::Running;
        task.traces_exec = true;
        task.wanted_cpus = sys::affinity(tid).ok().map(Arc::new);
        self.table.insert(tid, task, 0);
        if tid == tgid {
            self.skip_charges(tgid);
        }
        self.policy.adopted(tid, tgid);
        Ok(true)
    }
}

/// The process of a task, if it is one that can be adopted.
fn group_of(pid: Tid) -> Result<Tid, AdoptError> {
    let none = AdoptError::NoProcess(pid);
    if pid <= 0 {
        return Err(none);
    }
    let group = sys::status_field(pid, "Tgid").and_then(|group| group.parse().ok());
    let tgid: Tid = group.ok_or(none.clone())?;
    let fields = sys::stat_fields(tgid).ok_or(none)?;
    // the ninth field of proc(5), of which the state is the third
    let flags = fields.get(6).and_then(|flags| flags.parse::<u64>().ok()).unwrap_or(0);
    if tgid == std::process::id() as Tid {
        Err(AdoptError::Itself)
    } else if flags & PF_KTHREAD != 0 {
        Err(AdoptError::KernelThread(pid))
    } else {
        Ok(tgid)
    }
}

/// The threads of a process, leader first.
fn threads_of(tgid: Tid) -> Result<Vec<Tid>, AdoptError> {
    let entries = fs::read_dir(format!("/proc/{tgid}/task")).map_err(|_| AdoptError::NoProcess(tgid))?;
    let mut threads: Vec<Tid> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    threads.sort_by_key(|tid| *tid != tgid);
    if threads.first() == Some(&tgid) { Ok(threads) } else { Err(AdoptError::NoProcess(tgid)) }
}

/// The children of a process, of all its threads.
fn children_of(tgid: Tid) -> Vec<Tid> {
    let mut children = Vec::new();
    for tid in threads_of(tgid).unwrap_or_default() {
        match fs::read_to_string(format!("/proc/{tgid}/task/{tid}/children")) {
            Ok(text) => children.extend(text.split_whitespace().filter_map(|pid| pid.parse::<Tid>().ok())),
            // a kernel without CONFIG_PROC_CHILDREN
            Err(_) if tid == tgid => return children_by_parent(tgid),
            Err(_) => {}
        }
    }
    children
}

fn children_by_parent(tgid: Tid) -> Vec<Tid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<Tid>().ok());
    let parent = |pid| sys::stat_fields(pid)?.get(1)?.parse::<Tid>().ok();
    pids.filter(|pid| parent(*pid) == Some(tgid)).collect()
}

/// When a process was started, in ticks since boot.
fn started(pid: Tid) -> Option<u64> {
    // field 22 of proc(5), of which the state is field 3
    sys::stat_fields(pid)?.get(19)?.parse().ok()
}

/// The task that traces `tid`.
fn tracer_of(tid: Tid) -> Option<Tid> {
    sys::status_field(tid, "TracerPid")?.parse().ok().filter(|tracer| *tracer != 0)
}

/// Whether a thread is on its way out; a leader that is takes its process's report with it.
fn is_dying(tgid: Tid, tid: Tid) -> Result<bool, AdoptError> {
    let state = sys::stat_fields(tid).map(|mut fields| fields.swap_remove(0));
    let dying = state.is_none_or(|state| state == "Z" || state == "X");
    if dying && tid == tgid { Err(AdoptError::NoProcess(tgid)) } else { Ok(dying) }
}

fn refusal(pid: Tid, tid: Tid, errno: Errno) -> AdoptError {
    if let Some(tracer_pid) = tracer_of(tid) {
        return AdoptError::Traced { pid, tracer: sys::comm(tracer_pid), tracer_pid };
    }
    let user =
        |pid| sys::status_field(pid, "Uid").map(|ids| ids.split_whitespace().map(str::to_owned).next());
    let yama = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let reason = if user(pid) != user(std::process::id() as Tid) {
        "it belongs to another user".to_owned()
    } else if !matches!(yama.trim(), "" | "0") {
        format!("Yama permits only ancestors or nobody (kernel.yama.ptrace_scope is {})", yama.trim())
    } else {
        "it has rights that this one has not, or a security module forbids it".to_owned()
    };
    AdoptError::Refused { pid, errno, reason }
}
