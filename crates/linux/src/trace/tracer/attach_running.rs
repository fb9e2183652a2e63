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

use std::time::{Duration, Instant};

use penfold_core::{Tid, host::Capability};

use super::adopt_error::AdoptError;
use super::inject;
use super::policy::Policy;
use super::seizure::{Adoption, Seizure};
use super::supervisor::Supervisor;
use crate::trace::os::filter::TracedCalls;
use crate::trace::os::{proc, task};

/// How long threads may take to stop that may be inside a fork.
const FORK_TIME: Duration = Duration::from_millis(20);
/// How long what was seized of a process may take to be let go when the rest is refused.
const UNDO_TIME: Duration = Duration::from_secs(2);

/// Which process is to be adopted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdoptTarget {
    pub(crate) pid: Tid,
    /// When it was started, in clock ticks since boot; `None` for whichever has the number now.
    pub(crate) started: Option<u64>,
    /// What a filter stops that it has from an earlier supervisor. Whether it is there is looked at, what it stops can't
    /// be: a wrong one means rules that are not kept.
    pub(crate) filter: Option<TracedCalls>,
}

/// An adoption that a request waits for.
#[derive(Debug)]
pub(crate) enum AdoptRequest {
    /// Not yet begun.
    Asked(AdoptTarget),
    /// Its threads are being seized.
    Seizing(AdoptTarget, Seizure),
    /// All are. Threads that may be inside a fork are waited for, and children that were born meanwhile.
    Settling { tgid: Tid, until: Instant },
    /// It has failed; what was seized is let go.
    Undoing { tgid: Tid, error: AdoptError, until: Instant },
}

impl AdoptRequest {
    /// The process, once it is known and nobody else adopts it.
    fn process(&self) -> Option<Tid> {
        match self {
            AdoptRequest::Asked(_) => None,
            AdoptRequest::Seizing(_, seizure) => Some(seizure.tgid),
            AdoptRequest::Settling { tgid, .. } | AdoptRequest::Undoing { tgid, .. } => Some(*tgid),
        }
    }
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
        adopting: &mut AdoptRequest,
        policy: &mut P,
    ) -> Option<Result<(), AdoptError>> {
        let adopted = self.continue_adoption(adopting, policy)?;
        if let Some(tgid) = adopting.process() {
            self.adoptions.remove(&tgid);
        }
        Some(adopted)
    }

    fn continue_adoption(
        &mut self,
        adopting: &mut AdoptRequest,
        policy: &mut P,
    ) -> Option<Result<(), AdoptError>> {
        loop {
            let next = match adopting {
                AdoptRequest::Asked(target) => match adoptable_process(target.pid) {
                    Err(error) => return Some(Err(error)),
                    // of two requests the second waits for the first, and then finds it done, or undone
                    Ok(tgid) if self.adoptions.contains(&tgid) => return None,
                    Ok(tgid) if self.tasks.processes.contains_key(&tgid) => {
                        return Some(Err(AdoptError::Known(tgid)));
                    }
                    Ok(tgid) => {
                        let adoption =
                            Adoption { began: task::boot_ticks(), parent: None, filter: target.filter };
                        self.adoptions.insert(tgid);
                        AdoptRequest::Seizing(*target, Seizure::new(tgid, adoption))
                    }
                },
                AdoptRequest::Seizing(target, seizure) => {
                    let (tgid, adoption) = (seizure.tgid, seizure.adoption);
                    let seized = self.seize_all(seizure, policy)?.and_then(|()| {
                        // seized it keeps its number until it is reaped here
                        if target.started.is_some_and(|time| proc::started(tgid) != Some(time)) {
                            return Err(AdoptError::NoProcess(tgid));
                        }
                        self.require_veto(tgid, policy)
                    });
                    match seized {
                        Ok(()) => {
                            self.adopt_late_children(
                                proc::children_of_process(tgid),
                                adoption.of(tgid),
                                policy,
                            );
                            AdoptRequest::Settling { tgid, until: Instant::now() + FORK_TIME }
                        }
                        // refused for one thread, as when a debugger has only that
                        Err(error) => {
                            self.begin_detach_process(tgid, policy);
                            AdoptRequest::Undoing { tgid, error, until: Instant::now() + UNDO_TIME }
                        }
                    }
                }
                AdoptRequest::Settling { tgid, until } => {
                    let threads = self.tasks.threads_of(*tgid).iter();
                    let settled =
                        threads.filter_map(|tid| self.tasks.get(*tid)).all(|task| task.adopting.is_none());
                    let done = settled && self.seizures.is_empty() || Instant::now() > *until;
                    return done.then_some(Ok(()));
                }
                AdoptRequest::Undoing { tgid, error, until } => {
                    let gone = self.tasks.threads_of(*tgid).is_empty();
                    return (gone || Instant::now() > *until).then(|| Err(error.clone()));
                }
            };
            *adopting = next;
        }
    }

    /// Forks may be limited where every process is.
    fn require_veto(&mut self, tgid: Tid, policy: &mut P) -> Result<(), AdoptError> {
        let lineage = self.tasks.get(tgid).map(|task| task.lineage);
        if lineage.is_none_or(|lineage| !lineage.vetoes()) && policy.needs_veto(&self.tasks, tgid) {
            let injectable = inject::check_injectable(tgid, lineage.map_or(0, |lineage| lineage.filters));
            injectable.map_err(|reason| AdoptError::NoFilter { pid: tgid, reason })?;
            self.tasks.want_filter(tgid, Capability::ForkVeto);
        }
        Ok(())
    }
}

/// The process of a task, if it is one that can be adopted.
fn adoptable_process(pid: Tid) -> Result<Tid, AdoptError> {
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
