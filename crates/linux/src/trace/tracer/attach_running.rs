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

//!
//! A seize can have to wait for an exec in the process, and the tracer does not wait: it goes on with other events and
//! tries again.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use penfold_core::{Need, Tid};

use super::inject;
use super::policy::{Fork, Policy};
use super::requests::Gone;
use super::seizure::{Adoption, Seizure};
use super::supervisor::{Supervisor, ptrace_options};
use super::table::{Lineage, State, Task};
use crate::trace::os::filter::Interest;
use crate::trace::os::{proc, ptrace, sched, seize, task};

/// How long threads may take to stop that may be inside a fork.
const FORK_TIME: Duration = Duration::from_millis(20);
/// How long a process may keep its threads from being seized, as with an exec that does not end.
const SEIZE_TIME: Duration = Duration::from_secs(2);
/// How long a thread must refuse before that is final: one whose process executes a program refuses with `EPERM` for the
/// moment in which the thread that executes takes over the leader's number, and looks alive by the time that one can ask.
const REFUSE_TIME: Duration = Duration::from_millis(20);
/// How long one turn of the tracer may seize.
const TURN: Duration = Duration::from_millis(5);
/// How often the list of threads is read before giving up on a process that makes them faster.
const ROUNDS: u32 = 10_000;

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
    /// A thread of it does not answer.
    #[error(
        "process {pid} can't be supervised now: its thread {tid} (state {state}) does not answer; try again later"
    )]
    Unresponsive {
        /// The process.
        pid: Tid,
        /// The thread.
        tid: Tid,
        /// Its state, as proc(5) has it.
        state: char,
    },
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
            AdoptError::Unresponsive { .. } => Errno::EBUSY,
        }
    }
}

/// Which process is to be adopted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) pid: Tid,
    /// When it was started, in clock ticks since boot; `None` for whichever has the number now.
    pub(crate) started: Option<u64>,
    /// What a filter stops that it has from an earlier supervisor. Whether it is there is looked at, what it stops can't
    /// be: a wrong one means rules that are not kept.
    pub(crate) filter: Option<Interest>,
}

/// An adoption that a request waits for.
#[derive(Debug)]
pub(crate) enum Adopting {
    /// Not yet begun.
    Asked(Target),
    /// Its threads are being seized.
    Seizing(Target, Seizure),
    /// All are. Threads that may be inside a fork are waited for, and children that were born meanwhile.
    Settling { tgid: Tid, until: Instant },
    /// It has failed; what was seized is let go.
    Undoing { tgid: Tid, error: AdoptError, until: Instant },
}

impl Adopting {
    /// The process, once it is known and nobody else adopts it.
    fn process(&self) -> Option<Tid> {
        match self {
            Adopting::Asked(_) => None,
            Adopting::Seizing(_, seizure) => Some(seizure.tgid),
            Adopting::Settling { tgid, .. } | Adopting::Undoing { tgid, .. } => Some(*tgid),
        }
    }
}

/// What became of one thread.
enum Seized {
    New,
    /// It was there already, or is dying.
    Old,
    /// The process executes a program: not now.
    Waits,
}

impl<P: Policy> Supervisor<P> {
    /// Adopts the process of a task, with all its threads and the children that it makes from now on. Children that
    /// it has already are not adopted. [`Policy::adopted`] is called for each task.
    ///
    /// It gets a filter when a rule needs one. It outlives its supervisor. On an error nothing of it is traced.
    ///
    /// To be asked at every turn until it answers.
    pub(crate) fn adopt(
        &mut self,
        adopting: &mut Adopting,
        policy: &mut P,
    ) -> Option<Result<(), AdoptError>> {
        let adopted = self.go_on_adopting(adopting, policy)?;
        if let Some(tgid) = adopting.process() {
            self.adoptions.remove(&tgid);
        }
        Some(adopted)
    }

    fn go_on_adopting(&mut self, adopting: &mut Adopting, policy: &mut P) -> Option<Result<(), AdoptError>> {
        loop {
            let next = match adopting {
                Adopting::Asked(target) => match group_of(target.pid) {
                    Err(error) => return Some(Err(error)),
                    // of two requests the second waits for the first, and then finds it done, or undone
                    Ok(tgid) if self.adoptions.contains(&tgid) => return None,
                    Ok(tgid) if self.tasks.table.processes.contains_key(&tgid) => {
                        return Some(Err(AdoptError::Known(tgid)));
                    }
                    Ok(tgid) => {
                        let adoption =
                            Adoption { began: task::boot_ticks(), parent: None, filter: target.filter };
                        self.adoptions.insert(tgid);
                        Adopting::Seizing(*target, Seizure::new(tgid, adoption))
                    }
                },
                Adopting::Seizing(target, seizure) => {
                    let (tgid, adoption) = (seizure.tgid, seizure.adoption);
                    let seized = self.seize_all(seizure, policy)?.and_then(|()| {
                        // seized it keeps its number until it is reaped here
                        if target.started.is_some_and(|time| proc::started(tgid) != Some(time)) {
                            return Err(AdoptError::NoProcess(tgid));
                        }
                        self.give_veto(tgid, policy)
                    });
                    match seized {
                        Ok(()) => {
                            self.adopt_young(proc::children_of_process(tgid), adoption.of(tgid), policy);
                            Adopting::Settling { tgid, until: Instant::now() + FORK_TIME }
                        }
                        // refused for one thread, as when a debugger has only that
                        Err(error) => {
                            self.ask_process_to_leave(tgid, policy);
                            Adopting::Undoing { tgid, error, until: Instant::now() + SEIZE_TIME }
                        }
                    }
                }
                Adopting::Settling { tgid, until } => {
                    let threads = self.tasks.threads_of(*tgid).iter();
                    let settled =
                        threads.filter_map(|tid| self.tasks.get(*tid)).all(|task| task.adopting.is_none());
                    let done = settled && self.seizures.is_empty() || Instant::now() > *until;
                    return done.then_some(Ok(()));
                }
                Adopting::Undoing { tgid, error, until } => {
                    let gone = self.tasks.threads_of(*tgid).is_empty();
                    return (gone || Instant::now() > *until).then(|| Err(error.clone()));
                }
            };
            *adopting = next;
        }
    }

    /// Forks may be limited where every process is.
    fn give_veto(&mut self, tgid: Tid, policy: &mut P) -> Result<(), AdoptError> {
        let lineage = self.tasks.get(tgid).map(|task| task.lineage);
        if lineage.is_none_or(|lineage| !lineage.vetoes()) && policy.needs_veto(&self.tasks, tgid) {
            let possible = inject::possible(tgid, lineage.map_or(0, |lineage| lineage.filters));
            possible.map_err(|reason| AdoptError::NoFilter { pid: tgid, reason })?;
            self.tasks.want_filter(tgid, Need::ForkVeto);
        }
        Ok(())
    }

    /// Seizes all threads of a process, as far as that can be done now. `None` when there are more to come.
    fn seize_all(&mut self, seizure: &mut Seizure, policy: &mut P) -> Option<Result<(), AdoptError>> {
        let tgid = seizure.tgid;
        let turn = Instant::now();
        while turn.elapsed() < TURN {
            seizure.rounds += 1;
            if seizure.rounds > ROUNDS {
                return Some(Err(AdoptError::Busy(tgid)));
            }
            let Some(threads) = proc::threads_of(tgid) else { return Some(Err(AdoptError::NoProcess(tgid))) };
            let mut new = false;
            for &tid in &threads {
                match self.seize_one(tid, seizure, policy) {
                    Ok(Seized::New) => new = true,
                    Ok(Seized::Old) => {}
                    Ok(Seized::Waits) if seizure.since.elapsed() > SEIZE_TIME => {
                        let state = proc::state(tid).unwrap_or('X');
                        return Some(Err(AdoptError::Unresponsive { pid: tgid, tid, state }));
                    }
                    Ok(Seized::Waits) => return None,
                    Err(error) => return Some(Err(error)),
                }
            }
            // the list can leave one out while another ends
            if !new && proc::count_threads(tgid) == Some(threads.len() as u64) {
                return Some(Ok(()));
            }
        }
        None
    }

    /// Goes on with processes whose threads could not all be seized at once.
    pub(crate) fn resume_seizures(&mut self, policy: &mut P) {
        for seizure in std::mem::take(&mut self.seizures) {
            self.seize_late(seizure, policy);
        }
    }

    /// Seizes a process that was born or grew during an adoption, and what it has made meanwhile.
    fn seize_late(&mut self, mut seizure: Seizure, policy: &mut P) {
        match self.seize_all(&mut seizure, policy) {
            None => self.seizures.push(seizure),
            Some(Ok(())) => {
                let born = proc::children_of_process(seizure.tgid);
                self.adopt_young(born, seizure.adoption, policy);
            }
            // what can't be seized is dying
            Some(Err(_)) => {}
        }
    }

    /// Takes in those of some children that are not older than the adoption, and what they have made.
    fn adopt_young(&mut self, born: Vec<Tid>, adoption: Adoption, policy: &mut P) {
        for child in born {
            if proc::started(child).is_none_or(|time| time < adoption.began) {
                continue;
            }
            // one that was attached at birth will be reported; one that is gone took its children's trace with it
            if proc::tracer_of(child) != Some(task::gettid()) {
                self.seize_late(Seizure::new(child, adoption), policy);
            }
        }
    }

    /// An adopted thread has stopped: a fork that it was in when it was seized is over.
    pub(crate) fn complete_adoption(&mut self, tid: Tid, policy: &mut P) {
        let Some(task) = self.tasks.get_mut(tid) else { return };
        let Some(began) = task.adopting.take() else { return };
        let tgid = task.tgid;
        let adoption = Adoption { began, parent: Some(tid), filter: None };
        let mut seizure = Seizure::new(tgid, adoption);
        if self.seize_all(&mut seizure, policy).is_none() {
            self.seizures.push(seizure);
        }
        self.adopt_young(proc::children_of(tgid, tid), adoption, policy);
    }

    fn seize_one(&mut self, tid: Tid, seizure: &mut Seizure, policy: &mut P) -> Result<Seized, AdoptError> {
        let (tgid, Adoption { parent, filter, .. }) = (seizure.tgid, seizure.adoption);
        // Not asked for again: while another thread of its process executes a program, the kernel answers when that is
        // done, which may take us, to see those die that it replaces.
        if proc::tracer_of(tid) == Some(task::gettid()) {
            return Ok(Seized::Old);
        }
        let mut lineage = Lineage::adopted(false);
        // ends the wait for an exec
        self.tick(true);
        // which of its threads will execute a new program is not known
        match seize::seize(tid, ptrace_options(lineage) | libc::PTRACE_O_TRACEEXEC) {
            // It has executed a program meanwhile, and is the leader: the number that it had is nobody's.
            Ok(()) if tid != tgid && proc::tracer_of(tid).is_none() => return Ok(Seized::New),
            Ok(()) => {}
            Err(Errno::EINTR) => return Ok(Seized::Waits),
            Err(_) if proc::tracer_of(tid) == Some(task::gettid()) => return Ok(Seized::Old),
            Err(errno) => return seizure.refuse(tid, errno),
        }
        if self.tasks.contains(tid) {
            // a thread that was not seized yet has executed a program and taken over the leader's number
            return Ok(Seized::New);
        }
        // a thread that is seized later than its leader has what that has got meanwhile
        let family = self.tasks.get(parent.unwrap_or(tgid));
        let mut wants = family.and_then(|parent| parent.wants);
        let filters = family.map_or(1, |parent| parent.lineage.filters.max(1));
        let inherited = family.and_then(|parent| parent.lineage.filter);
        if let Some(filter) = inherited.or(filter) {
            // a thread gets it with the others; a child may be older, and what was said of it may be wrong
            if proc::status_field(tid, "Seccomp").is_some_and(|mode| mode == "0") {
                wants = inherited;
            } else {
                (lineage.filter, lineage.filters) = (Some(filter), filters);
            }
        }
        let mut task = Task::new(tgid, lineage);
        task.state = State::Running;
        task.traces_exec = true;
        task.worker = proc::is_worker(tid);
        task.wanted_cpus = sched::affinity(tid).ok().map(Arc::new);
        task.wants = wants.filter(|_| !task.worker);
        let began = seizure.adoption.began;
        task.adopting = (!task.worker && !proc::waits_outside_fork(tgid, tid)).then_some(began);
        if task.adopting.is_some() || task.wants.is_some() {
            let _ = ptrace::interrupt(tid);
        }
        self.tasks.table.insert(tid, task, 0);
        if tid == tgid {
            self.tasks.skip_charges(tgid);
        }
        match parent {
            None => policy.adopted(&mut self.tasks, tid, tgid),
            Some(parent) => {
                let fork = Fork { parent, child: tid, tgid, charged: false, parent_died: false };
                policy.forked(&mut self.tasks, fork);
                if policy.starts_frozen(tid) {
                    self.tasks.freeze(tid);
                }
            }
        }
        Ok(Seized::New)
    }
}

impl Seizure {
    /// A thread could not be seized. Whether that is final.
    fn refuse(&mut self, tid: Tid, errno: Errno) -> Result<Seized, AdoptError> {
        if is_dying(self.tgid, tid)? {
            return Ok(Seized::Old);
        }
        let transient = errno == Errno::EPERM && proc::tracer_of(tid).is_none();
        match self.refused {
            Some((other, since)) if other == tid && since.elapsed() < REFUSE_TIME && transient => {
                Ok(Seized::Waits)
            }
            None if transient => {
                self.refused = Some((tid, Instant::now()));
                Ok(Seized::Waits)
            }
            Some((other, _)) if other != tid && transient => {
                self.refused = Some((tid, Instant::now()));
                Ok(Seized::Waits)
            }
            _ => Err(refusal(self.tgid, tid, errno)),
        }
    }
}

/// The process of a task, if it is one that can be adopted.
fn group_of(pid: Tid) -> Result<Tid, AdoptError> {
    let none = AdoptError::NoProcess(pid);
    if pid.0 <= 0 {
        return Err(none);
    }
    let tgid = proc::status_task(pid, "Tgid").ok_or(none.clone())?;
    let kernel = proc::is_kernel_thread(tgid).ok_or(none)?;
    if tgid.0 == std::process::id() as i32 {
        Err(AdoptError::Itself)
    } else if kernel {
        Err(AdoptError::KernelThread(pid))
    } else {
        Ok(tgid)
    }
}

/// Whether a thread is on its way out; a leader that is takes its process's report with it.
fn is_dying(tgid: Tid, tid: Tid) -> Result<bool, AdoptError> {
    let dying = proc::state(tid).is_none_or(|state| matches!(state, 'Z' | 'X'));
    if dying && tid == tgid { Err(AdoptError::NoProcess(tgid)) } else { Ok(dying) }
}

fn refusal(pid: Tid, tid: Tid, errno: Errno) -> AdoptError {
    if let Some(tracer_pid) = proc::tracer_of(tid) {
        return AdoptError::Traced { pid, tracer: proc::comm(tracer_pid), tracer_pid };
    }
    let user =
        |pid: Tid| proc::status_field(pid, "Uid").map(|ids| ids.split_whitespace().map(str::to_owned).next());
    let yama = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let reason = if user(pid) != user(Tid(std::process::id() as i32)) {
        "it belongs to another user".to_owned()
    } else if !matches!(yama.trim(), "" | "0") {
        format!("Yama permits only ancestors or nobody (kernel.yama.ptrace_scope is {})", yama.trim())
    } else {
        "it has rights that this one has not, or a security module forbids it".to_owned()
    };
    AdoptError::Refused { pid, errno, reason }
}
