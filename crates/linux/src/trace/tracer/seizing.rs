//! Seizing the threads of a process, as far as that is possible now.
//!
//! A seize can have to wait for an exec in the process. The tracer does not wait: it deals with other events and tries
//! again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use penfold_core::Tid;

use super::adopt_error::{AdoptError, refusal};
use super::policy::{Fork, Policy};
use super::seizure::{Adoption, Seizure};
use super::supervisor::{Supervisor, ptrace_options};
use super::table::{Lineage, TaskEntry, TaskState};
use crate::proc::{self, StatusFile, has_no_filter};
use crate::trace::os::{arch, ptrace, sched, seize, task};

/// The time after which a process is given up whose threads can't be seized, as with an exec that does not end.
const SEIZE_TIME: Duration = Duration::from_secs(2);
/// The time after which the refusal of a thread is final.
///
/// In a process that executes a program, a seize fails with `EPERM` for the moment in which the executing thread takes
/// over the leader's number. When its state can be read, the thread looks alive again.
const REFUSE_TIME: Duration = Duration::from_millis(20);
/// The time for seizes in one turn of the tracer.
const TURN: Duration = Duration::from_millis(5);
/// The number of reads of the list of threads after which a process is given up that makes them faster.
const ROUNDS: u32 = 10_000;

/// The result of the seize of one thread.
enum SeizeResult {
    New,
    /// The thread was seized already, or is dying.
    Old,
    /// The process executes a program: not now.
    Waits,
}

impl<P: Policy> Supervisor<P> {
    /// Seizes all threads of a process, as far as that is possible now. `None` when there are more to come.
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
            // the list can leave a thread out while another one ends
            if !new && proc::thread_count(tgid) == Some(threads.len() as u64) {
                let none = self.tasks.speaker(tgid).is_none();
                return Some(if none { Err(AdoptError::NoProcess(tgid)) } else { Ok(()) });
            }
        }
        None
    }

    /// Continues with processes whose threads could not all be seized at once.
    pub(crate) fn resume_seizures(&mut self, policy: &mut P) {
        for seizure in std::mem::take(&mut self.seizures) {
            self.seize_late(seizure, policy);
        }
    }

    /// Seizes a process that was born or grew during an adoption, and its children of that time.
    fn seize_late(&mut self, mut seizure: Seizure, policy: &mut P) {
        match self.seize_all(&mut seizure, policy) {
            None => self.seizures.push(seizure),
            Some(Ok(())) => {
                let born = proc::children_of_process(seizure.tgid);
                self.adopt_late_children(born, seizure.adoption, policy);
            }
            // a process that can't be seized is dying
            Some(Err(_)) => {}
        }
    }

    /// Adopts those children that are not older than the adoption, and their own children.
    pub(crate) fn adopt_late_children(&mut self, born: Vec<Tid>, adoption: Adoption, policy: &mut P) {
        for child in born {
            if proc::start_time(child).is_none_or(|time| time < adoption.began) {
                continue;
            }
            // an attached child will be reported; the children of a dead child can't be found
            if tracer_of(child) != Some(task::gettid()) {
                self.seize_late(Seizure::new(child, adoption), policy);
            }
        }
    }

    /// Completes the adoption of a thread that has stopped: a fork in which it was seized is over.
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
        // A seized thread is not seized again. While another thread of its process executes a program, such a call
        // would wait for the exec. The exec may in turn wait for this tracer, which has to reap the threads that it
        // replaces.
        if tracer_of(tid) == Some(task::gettid()) {
            return Ok(SeizeResult::Old);
        }
        let known = self.tasks.get(tid).map(|task| (task.tgid, task.worker));
        if known == Some((tgid, true)) {
            return Ok(SeizeResult::Old);
        }
        self.forget_reused(tid, policy);
        if known.is_none_or(|(_, worker)| worker) && proc::is_worker(tgid, tid) {
            self.add_worker(tid, tgid, policy);
            return Ok(SeizeResult::Old);
        }
        let mut lineage = Lineage::adopted(false);
        // the tick ends the wait for an exec
        self.tick(true);
        // any thread of the process may be the one that executes a program
        match seize::seize(tid, ptrace_options(lineage) | libc::PTRACE_O_TRACEEXEC) {
            // The thread has executed a program meanwhile and is the leader. Its former number belongs to no task.
            Ok(()) if tid != tgid && tracer_of(tid).is_none() => return Ok(SeizeResult::New),
            Ok(()) => {}
            Err(Errno::EINTR) => return Ok(SeizeResult::Waits),
            Err(_) if tracer_of(tid) == Some(task::gettid()) => return Ok(SeizeResult::Old),
            Err(errno) => return seizure.refuse(tid, errno),
        }
        if self.tasks.contains(tid) {
            // a thread that was not yet seized has executed a program and taken over the leader's number
            return Ok(SeizeResult::New);
        }
        // a thread that is seized later than its leader has the leader's filters of the time between
        let family = parent.or_else(|| self.tasks.speaker(tgid)).and_then(|tid| self.tasks.get(tid));
        let mut wants = family.and_then(|parent| parent.wants);
        let filters = family.map_or(1, |parent| parent.lineage.filters.max(1));
        let inherited = family.and_then(|parent| parent.lineage.filter);
        if let Some(filter) = inherited.or(filter) {
            // a thread got the filter with the others; a child may be older, and the caller's claim may be wrong
            if has_no_filter(tid) {
                wants = inherited;
            } else {
                (lineage.filter, lineage.filters) = (Some(filter), filters);
            }
        }
        let mut task = TaskEntry::new(tgid, lineage);
        task.state = TaskState::Running;
        task.traces_exec = true;
        task.wanted_cpus = sched::affinity(tid).ok().map(Arc::new);
        task.wants = wants;
        let began = seizure.adoption.began;
        task.adopting = (!waits_outside_fork(tgid, tid)).then_some(began);
        if task.adopting.is_some() || task.wants.is_some() {
            let _ = ptrace::interrupt(tid);
        }
        self.tasks.insert(tid, task, 0);
        if self.tasks.speaker(tgid) == Some(tid) {
            self.tasks.skip_charges(tgid);
        }
        match parent {
            None => policy.adopted(&mut self.tasks, tid, tgid),
            Some(parent) => {
                let fork =
                    Fork { parent, child: tid, tgid, charged: false, parent_died: false, has_run: true };
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
    /// Judges the failure of a thread's seize: final or not.
    fn refuse(&mut self, tid: Tid, errno: Errno) -> Result<SeizeResult, AdoptError> {
        if is_dying(self.tgid, tid)? {
            return Ok(SeizeResult::Old);
        }
        let transient = errno == Errno::EPERM && tracer_of(tid).is_none();
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

/// The thread that traces another one.
fn tracer_of(tid: Tid) -> Option<Tid> {
    StatusFile::read(tid)?.tracer()
}

/// Whether a thread is seen to wait outside of a fork.
fn waits_outside_fork(tgid: Tid, tid: Tid) -> bool {
    proc::blocked_call(tgid, tid).is_some_and(|number| !arch::is_fork_call(number))
}

/// Whether a thread is on its way out.
///
/// # Errors
/// `NoProcess` for a leader that is, without a living thread: no later stop would report the process.
fn is_dying(tgid: Tid, tid: Tid) -> Result<bool, AdoptError> {
    let dying = |tid| proc::state(tid).is_none_or(|state| matches!(state, 'Z' | 'X'));
    let threads = || proc::threads_of(tgid).unwrap_or_default();
    if dying(tid) && tid == tgid && threads().into_iter().all(dying) {
        return Err(AdoptError::NoProcess(tgid));
    }
    Ok(dying(tid))
}
