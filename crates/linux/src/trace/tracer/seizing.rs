//! Seizing the threads of a process, as far as that can be done now.
//!
//! A seize can have to wait for an exec in the process, and the tracer does not wait: it goes on with other events and
//! tries again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use penfold_core::Tid;

use super::adopt_error::{AdoptError, refusal};
use super::policy::{Fork, Policy};
use super::seizure::{Adoption, Seizure};
use super::supervisor::{Supervisor, ptrace_options};
use super::table::{Lineage, TaskEntry, TaskState};
use crate::trace::os::{proc, ptrace, sched, seize, task};

/// How long a process may keep its threads from being seized, as with an exec that does not end.
const SEIZE_TIME: Duration = Duration::from_secs(2);
/// How long a thread must refuse before that is final: one whose process executes a program refuses with `EPERM` for the
/// moment in which the thread that executes takes over the leader's number, and looks alive by the time that one can ask.
const REFUSE_TIME: Duration = Duration::from_millis(20);
/// How long one turn of the tracer may seize.
const TURN: Duration = Duration::from_millis(5);
/// How often the list of threads is read before giving up on a process that makes them faster.
const ROUNDS: u32 = 10_000;

/// What became of one thread.
enum SeizeResult {
    New,
    /// It was there already, or is dying.
    Old,
    /// The process executes a program: not now.
    Waits,
}

impl<P: Policy> Supervisor<P> {
    /// Seizes all threads of a process, as far as that can be done now. `None` when there are more to come.
    pub(crate) fn seize_all(
        &mut self,
        seizure: &mut Seizure,
        policy: &mut P,
    ) -> Option<Result<(), AdoptError>> {
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
                    Ok(SeizeResult::New) => new = true,
                    Ok(SeizeResult::Old) => {}
                    Ok(SeizeResult::Waits) if seizure.since.elapsed() > SEIZE_TIME => {
                        let state = proc::state(tid).unwrap_or('X');
                        return Some(Err(AdoptError::Unresponsive { pid: tgid, tid, state }));
                    }
                    Ok(SeizeResult::Waits) => return None,
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
                self.adopt_late_children(born, seizure.adoption, policy);
            }
            // what can't be seized is dying
            Some(Err(_)) => {}
        }
    }

    /// Takes in those of some children that are not older than the adoption, and what they have made.
    pub(crate) fn adopt_late_children(&mut self, born: Vec<Tid>, adoption: Adoption, policy: &mut P) {
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
        self.adopt_late_children(proc::children_of(tgid, tid), adoption, policy);
    }

    fn seize_one(
        &mut self,
        tid: Tid,
        seizure: &mut Seizure,
        policy: &mut P,
    ) -> Result<SeizeResult, AdoptError> {
        let (tgid, Adoption { parent, filter, .. }) = (seizure.tgid, seizure.adoption);
        // Not asked for again: while another thread of its process executes a program, the kernel answers when that is
        // done, which may take us, to see those die that it replaces.
        if proc::tracer_of(tid) == Some(task::gettid()) {
            return Ok(SeizeResult::Old);
        }
        let mut lineage = Lineage::adopted(false);
        // ends the wait for an exec
        self.tick(true);
        // which of its threads will execute a new program is not known
        match seize::seize(tid, ptrace_options(lineage) | libc::PTRACE_O_TRACEEXEC) {
            // It has executed a program meanwhile, and is the leader: the number that it had is nobody's.
            Ok(()) if tid != tgid && proc::tracer_of(tid).is_none() => return Ok(SeizeResult::New),
            Ok(()) => {}
            Err(Errno::EINTR) => return Ok(SeizeResult::Waits),
            Err(_) if proc::tracer_of(tid) == Some(task::gettid()) => return Ok(SeizeResult::Old),
            Err(errno) => return seizure.refuse(tid, errno),
        }
        if self.tasks.contains(tid) {
            // a thread that was not seized yet has executed a program and taken over the leader's number
            return Ok(SeizeResult::New);
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
        let mut task = TaskEntry::new(tgid, lineage);
        task.state = TaskState::Running;
        task.traces_exec = true;
        task.worker = proc::is_worker(tid);
        task.wanted_cpus = sched::affinity(tid).ok().map(Arc::new);
        task.wants = wants.filter(|_| !task.worker);
        let began = seizure.adoption.began;
        task.adopting = (!task.worker && !proc::waits_outside_fork(tgid, tid)).then_some(began);
        if task.adopting.is_some() || task.wants.is_some() {
            let _ = ptrace::interrupt(tid);
        }
        self.tasks.insert(tid, task, 0);
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
        Ok(SeizeResult::New)
    }
}

impl Seizure {
    /// A thread could not be seized. Whether that is final.
    fn refuse(&mut self, tid: Tid, errno: Errno) -> Result<SeizeResult, AdoptError> {
        if is_dying(self.tgid, tid)? {
            return Ok(SeizeResult::Old);
        }
        let transient = errno == Errno::EPERM && proc::tracer_of(tid).is_none();
        match self.refused {
            Some((other, since)) if other == tid && since.elapsed() < REFUSE_TIME && transient => {
                Ok(SeizeResult::Waits)
            }
            None if transient => {
                self.refused = Some((tid, Instant::now()));
                Ok(SeizeResult::Waits)
            }
            Some((other, _)) if other != tid && transient => {
                self.refused = Some((tid, Instant::now()));
                Ok(SeizeResult::Waits)
            }
            _ => Err(refusal(self.tgid, tid, errno)),
        }
    }
}

/// Whether a thread is on its way out; a leader that is takes its process's report with it.
fn is_dying(tgid: Tid, tid: Tid) -> Result<bool, AdoptError> {
    let dying = proc::state(tid).is_none_or(|state| matches!(state, 'Z' | 'X'));
    if dying && tid == tgid { Err(AdoptError::NoProcess(tgid)) } else { Ok(dying) }
}
