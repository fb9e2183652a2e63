//! Adoption: taking in a process that runs already.
//!
//! Every thread is seized; what it makes from then on is attached at birth. The kernel decides about that when a fork
//! begins: one that is under way when its thread is seized makes a thread or child that is not attached, however late it
//! appears. So a thread that can't be seen to wait outside of a fork is interrupted, and when it stops its fork is over:
//! then its process's threads and its own children are looked through once more, before it runs on and before anybody
//! can have waited for them. A thread inside a vfork stops when its child has executed a program or died; the adoption
//! does not wait for it.
//!
//! A process is thus adopted as of one moment, the last seize of a thread that existed: every thread, and every child
//! that is born later, is supervised. Children that were born while the adoption was under way, at this moment or a
//! little before, are taken in with it as far as they are found: by their age, which is known in ticks of 10 ms, so that
//! one born a little earlier may be taken in too; but not if their own parent, born in the same moment, is gone already.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::Need;

use super::arch::{ABIS, Abi};
use super::attendant::Attendant;
use super::filter::Interest;
use super::kick::Gone;
use super::supervise::{Supervisor, ptrace_options};
use super::table::{Lineage, State, Task};
use super::{Fork, Policy, Tid, inject, sys};

/// How long threads may take to stop that may be inside a fork.
const FORK_TIME: Duration = Duration::from_millis(20);

/// How often the list of threads is read before giving up on a process that makes them faster.
const ROUNDS: u32 = 10_000;
/// How often a refused thread is asked again, a millisecond apart.
const PATIENCE: u32 = 20;
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
    /// Forks are limited where every process is, and it can't get the filter that takes.
    #[error("process {pid} can't get the filter that could refuse its forks, which are limited: {reason}")]
    NoFilter {
        /// The process.
        pid: Tid,
        /// Why not.
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
            AdoptError::NoFilter { .. } => Errno::EOPNOTSUPP,
            AdoptError::Gone => Errno::ESHUTDOWN,
            AdoptError::Busy(_) => Errno::EAGAIN,
        }
    }
}

impl<P: Policy> Supervisor<P> {
    /// Adopts the process of a task, with all its threads and the children that it makes from now on. Children that
    /// it has already are not adopted. [`Policy::adopted`] is told of each task.
    ///
    /// It gets a filter when a rule needs one, see [`Policy::filtered`]. It outlives its supervisor.
    ///
    /// For requests of other threads; not to be called by a policy.
    ///
    /// # Errors
    /// [`AdoptError`]; then nothing of it is traced.
    pub fn adopt(&mut self, pid: Tid) -> Result<(), AdoptError> {
        self.adopt_known(pid, None, None)
    }

    /// The same for the process that was started at this time, in clock ticks since boot as `/proc/PID/stat` has it, and
    /// with a filter that it has from an earlier supervisor. `None` for whichever has the number now, and for no filter.
    ///
    /// Whether the filter is there is looked at, what it stops can't be: a wrong `filter` means rules that are not kept.
    ///
    /// # Errors
    /// [`AdoptError`]; `NoProcess` when the number is another's now.
    pub fn adopt_known(
        &mut self,
        pid: Tid,
        start_time: Option<u64>,
        filter: Option<Interest>,
    ) -> Result<(), AdoptError> {
        let tgid = group_of(pid)?;
        if self.table.processes.contains_key(&tgid) {
            return Err(AdoptError::Known(tgid));
        }
        let adoption = Adoption { began: sys::boot_ticks(), parent: None, filter };
        let adopted = self.seize_all(tgid, adoption).and_then(|()| {
            // seized it keeps its number until it is reaped here
            if start_time.is_some_and(|time| started(tgid) != Some(time)) {
                return Err(AdoptError::NoProcess(tgid));
            }
            self.give_veto(tgid)
        });
        if let Err(error) = adopted {
            // refused for one thread, as when a debugger has only that
            self.let_process_go(tgid);
            return Err(error);
        }
        let children = threads_of(tgid).unwrap_or_default().into_iter();
        self.adopt_young(children.flat_map(|tid| children_of(tgid, tid)).collect(), adoption.of(tgid));
        self.step_until(FORK_TIME, |supervisor| {
            supervisor.table.tasks.values().all(|task| task.tgid != tgid || task.adopting.is_none())
        });
        Ok(())
    }

    /// Forks may be limited where every process is.
    fn give_veto(&mut self, tgid: Tid) -> Result<(), AdoptError> {
        let vetoes = self.table.tasks.get(&tgid).is_some_and(|task| task.lineage.vetoes());
        if !vetoes && self.policy.needs_veto(tgid) {
            let possible = inject::possible(tgid, false);
            possible.map_err(|reason| AdoptError::NoFilter { pid: tgid, reason })?;
            self.want_filter(tgid, Need::ForkVeto);
        }
        Ok(())
    }

    /// Seizes all threads of a process.
    fn seize_all(&mut self, tgid: Tid, adoption: Adoption) -> Result<(), AdoptError> {
        if self.attendant.is_none() {
            self.attendant = Attendant::start();
        }
        if let Some(attendant) = &self.attendant {
            attendant.begin(tgid);
        }
        let seized = self.seize_rounds(tgid, adoption);
        for death in self.attendant.as_ref().map(Attendant::end).into_iter().flatten() {
            self.dispatch(death);
        }
        seized
    }

    fn seize_rounds(&mut self, tgid: Tid, adoption: Adoption) -> Result<(), AdoptError> {
        for _ in 0..ROUNDS {
            let threads = threads_of(tgid)?;
            let mut new = false;
            for &tid in &threads {
                new |= self.seize_one(tgid, tid, adoption)?;
            }
            // the list can leave one out while another ends
            if !new && count_threads(tgid) == Some(threads.len() as u64) {
                return Ok(());
            }
        }
        Err(AdoptError::Busy(tgid))
    }

    /// Takes in those of some children that are not older than the adoption, and what they have made.
    fn adopt_young(&mut self, mut born: Vec<Tid>, adoption: Adoption) {
        while let Some(child) = born.pop() {
            if started(child).is_none_or(|time| time < adoption.began) {
                continue;
            }
            // one that was attached at birth will be reported; one that is gone took its children's trace with it
            if tracer_of(child) != Some(sys::gettid()) && self.seize_all(child, adoption).is_ok() {
                let threads = threads_of(child).unwrap_or_default().into_iter();
                born.extend(threads.flat_map(|tid| children_of(child, tid)));
            }
        }
    }

    /// An adopted thread has stopped: a fork that it was in when it was seized is over.
    pub(super) fn complete_adoption(&mut self, tid: Tid) {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        let Some(began) = task.adopting.take() else { return };
        let tgid = task.tgid;
        // what can't be seized any more is dying
        let adoption = Adoption { began, parent: Some(tid), filter: None };
        let _ = self.seize_all(tgid, adoption);
        self.adopt_young(children_of(tgid, tid), adoption);
    }

    /// True when the thread was new.
    fn seize_one(&mut self, tgid: Tid, tid: Tid, adoption: Adoption) -> Result<bool, AdoptError> {
        // Not asked for again: while another thread of its process executes a program, the kernel answers when that is
        // done, which may take us, to see those die whom it replaces.
        if tracer_of(tid) == Some(sys::gettid()) {
            return Ok(false);
        }
        let Adoption { began, parent, filter } = adoption;
        let mut lineage = Lineage::adopted(false);
        // which of its threads will execute a new program is not known
        let seize = || seize_patiently(tid, ptrace_options(lineage) | libc::PTRACE_O_TRACEEXEC);
        match self.attendant.as_ref().map_or_else(seize, |attendant| attendant.attended(seize)) {
            // It has executed a program meanwhile, and is the leader: the number that it had is nobody's.
            Ok(()) if tid != tgid && tracer_of(tid).is_none() => return Ok(true),
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
        let family = parent.and_then(|parent| self.table.tasks.get(&parent));
        let mut wants = family.and_then(|parent| parent.wants);
        if let Some(filter) = family.and_then(|parent| parent.lineage.filter).or(filter) {
            // a thread gets it with the others; a child may be older, and what was told may be wrong
            if sys::status_field(tid, "Seccomp").is_some_and(|mode| mode == "0") {
                wants = parent.map(|_| filter);
            } else {
                lineage.filter = Some(filter);
            }
        }
        let mut task = Task::new(tgid, lineage);
        task.state = State::Running;
        task.traces_exec = true;
        task.wanted_cpus = sys::affinity(tid).ok().map(Arc::new);
        task.wants = wants;
        task.adopting = (!waits_outside_fork(tgid, tid)).then_some(began);
        if task.adopting.is_some() || task.wants.is_some() {
            let _ = sys::interrupt(tid);
        }
        self.table.insert(tid, task, 0);
        if tid == tgid {
            self.skip_charges(tgid);
        }
        let filtered = lineage.vetoes();
        match parent {
            None => {
                self.policy.adopted(tid, tgid);
                if let Some(filter) = lineage.filter {
                    self.policy.filtered(tid, filter.fork);
                }
            }
            Some(parent) => {
                let fork = Fork { parent, child: tid, tgid, charged: false, parent_died: false, filtered };
                self.policy.forked(fork);
                if self.policy.starts_frozen(tid) {
                    self.freeze(tid);
                }
            }
        }
        Ok(true)
    }
}

/// An adoption under way.
#[derive(Clone, Copy)]
struct Adoption {
    /// In ticks since boot.
    began: u64,
    /// Whose late children these are; `None` for the process itself.
    parent: Option<Tid>,
    /// What the process has from an earlier supervisor.
    filter: Option<Interest>,
}

impl Adoption {
    /// The same for late children of a task.
    fn of(self, parent: Tid) -> Adoption {
        Adoption { parent: Some(parent), filter: None, ..self }
    }
}

/// Seizes a thread. One whose process executes a program refuses with `EPERM` for the moment in which the thread that
/// executes takes over the leader's number, and looks alive by the time that one can ask: so a refusal must last.
fn seize_patiently(tid: Tid, options: c_int) -> Result<(), Errno> {
    let mut seized = sys::seize(tid, options);
    for _ in 0..PATIENCE {
        if seized != Err(Errno::EPERM) || tracer_of(tid).is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(1));
        seized = sys::seize(tid, options);
    }
    seized
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

/// How many threads a process has.
fn count_threads(tgid: Tid) -> Option<u64> {
    // the links of a directory are itself, its entry above, and one for each directory in it
    fs::metadata(format!("/proc/{tgid}/task")).ok()?.nlink().checked_sub(2)
}

/// Whether a thread is seen to wait, and not for a fork of its own.
fn waits_outside_fork(tgid: Tid, tid: Tid) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{tgid}/task/{tid}/syscall")) else { return false };
    // the number of the call it waits in; -1 for a page fault; "running" otherwise
    let number = text.split_whitespace().next().and_then(|number| number.parse::<i64>().ok());
    let forks = |number: i64| {
        let calls = |abi: &Abi| [Some(abi.clone), Some(abi.clone3), abi.fork, abi.vfork];
        ABIS.iter().flat_map(calls).flatten().any(|fork| i64::from(fork) == number)
    };
    number.is_some_and(|number| !forks(number))
}

/// The children that a thread has made. One can be left out while another is reaped: the list is read until it is the
/// same twice.
fn children_of(tgid: Tid, tid: Tid) -> Vec<Tid> {
    let path = format!("/proc/{tgid}/task/{tid}/children");
    let mut last = None;
    loop {
        let Ok(text) = fs::read_to_string(&path) else {
            // a kernel without CONFIG_PROC_CHILDREN, or it is gone
            return if tid == tgid { children_by_parent(tgid) } else { Vec::new() };
        };
        if text.is_empty() || last.as_ref() == Some(&text) {
            return text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        }
        last = Some(text);
    }
}

fn children_by_parent(tgid: Tid) -> Vec<Tid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<Tid>().ok());
    let parent = |pid| sys::stat_fields(pid)?.get(1)?.parse::<Tid>().ok();
    pids.filter(|pid| parent(*pid) == Some(tgid)).collect()
}

/// When a process was started, in ticks since boot.
pub(super) fn started(pid: Tid) -> Option<u64> {
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
