//! Adoption: the supervision of a process that runs already.
//!
//! The tracer seizes every thread that runs the program, and is attached at birth to all that they make from then on. The kernel decides that
//! when a fork begins. A fork that is under way when its thread is seized makes a thread or child without the tracer,
//! however late that child appears.
//!
//! A thread that is not seen to wait outside of a fork is therefore interrupted. When it stops, its fork is over. Then
//! the list of threads and the thread's own children are searched once more. That is done before the thread runs on,
//! and before any code can have waited for them. A thread inside a vfork stops when its child has executed a program or
//! died. The adoption does not wait for that.
//!
//! A process is thus adopted as of one moment: the last seize of a thread that existed. Every thread, and every child
//! that is born later, is supervised. Children that were born during the adoption are adopted with it as far as they
//! are found:
//!
//! - They are recognized by their age, in ticks of 10 ms, so a child born a little earlier may be adopted too.
//! - A child is not found if its own parent, born in the same moment, is gone already.

use std::time::{Duration, Instant};

use penfold_core::{Tid, host::Capability};

use super::adopt_error::AdoptError;
use super::inject;
use super::policy::Policy;
use super::seizure::{Adoption, Seizure};
use super::supervisor::Supervisor;
use crate::proc::{self, StatusFile};
use crate::trace::os::filter::TracedCalls;
use crate::trace::os::task;

/// The time that threads get to stop that may be inside a fork.
const FORK_TIME: Duration = Duration::from_millis(20);
/// The time that seized threads get to be detached when the adoption has failed.
const UNDO_TIME: Duration = Duration::from_secs(2);

/// The process that is to be adopted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdoptTarget {
    pub(crate) pid: Tid,
    /// The start time in clock ticks since boot; `None` for any process that has the number now.
    pub(crate) started: Option<u64>,
    /// The calls that its filter of an earlier supervisor stops. Whether it has a filter is checked. Which calls that
    /// stops can't be checked: a wrong value means that rules are not kept.
    pub(crate) filter: Option<TracedCalls>,
}

/// The state of an adoption that a request waits for.
#[derive(Debug)]
pub(crate) enum AdoptRequest {
    /// Not yet begun.
    Asked(AdoptTarget),
    /// The threads are being seized.
    Seizing(AdoptTarget, Seizure),
    /// All threads are seized. The request waits for threads that may be inside a fork, and for children born
    /// meanwhile.
    Settling { tgid: Tid, until: Instant },
    /// The adoption has failed. The seized threads are being detached.
    Undoing { tgid: Tid, error: AdoptError, until: Instant },
}

impl AdoptRequest {
    /// The process, once it is known and no other request adopts it.
    fn process(&self) -> Option<Tid> {
        match self {
            AdoptRequest::Asked(_) => None,
            AdoptRequest::Seizing(_, seizure) => Some(seizure.tgid),
            AdoptRequest::Settling { tgid, .. } | AdoptRequest::Undoing { tgid, .. } => Some(*tgid),
        }
    }
}

impl<P: Policy> Supervisor<P> {
    /// Adopts the process of a task, with all its threads and the children that it makes from now on. Its present
    /// children are not adopted. [`Policy::adopted`] is called for each task.
    ///
    /// The process gets a filter when a rule needs one, and it outlives its supervisor. After an error no thread of it
    /// is traced.
    ///
    /// To be called at every turn until it returns a value.
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
                    // the second of two requests waits for the first, and then finds the process adopted or not
                    Ok(tgid) if self.adoptions.contains(&tgid) => return None,
                    Ok(tgid) if self.tasks.speaker(tgid).is_some() => {
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
                        // a seized process keeps its number until it is reaped here
                        if target.started.is_some_and(|time| proc::start_time(tgid) != Some(time)) {
                            return Err(AdoptError::NoProcess(tgid));
                        }
                        self.require_veto(tgid, policy)
                    });
                    match seized {
                        Ok(()) => {
                            let parent = self.tasks.speaker(tgid).unwrap_or(tgid);
                            self.adopt_late_children(
                                proc::children_of_process(tgid),
                                adoption.of_children(parent),
                                policy,
                            );
                            AdoptRequest::Settling { tgid, until: Instant::now() + FORK_TIME }
                        }
                        // one thread was refused, perhaps because a debugger traces only that
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
                    let gone = self.tasks.speaker(*tgid).is_none();
                    return (gone || Instant::now() > *until).then(|| Err(error.clone()));
                }
            };
            *adopting = next;
        }
    }

    /// Wants a filter for the process if the root limits forks.
    fn require_veto(&mut self, tgid: Tid, policy: &mut P) -> Result<(), AdoptError> {
        let Some(thread) = self.tasks.speaker(tgid) else { return Ok(()) };
        let lineage = self.tasks.get(thread).map(|task| task.lineage);
        if lineage.is_none_or(|lineage| !lineage.vetoes()) && policy.needs_veto(&self.tasks, thread) {
            let injectable = inject::check_injectable(thread, lineage.map_or(0, |lineage| lineage.filters))
                .and_then(|()| inject::check_unshared(thread, |other| self.tasks.contains(other)));
            injectable.map_err(|reason| AdoptError::NoFilter { pid: tgid, reason })?;
            self.tasks.want_filter(thread, Capability::ForkVeto);
        }
        Ok(())
    }
}

/// The process of a task, if it can be adopted.
fn adoptable_process(pid: Tid) -> Result<Tid, AdoptError> {
    let none = AdoptError::NoProcess(pid);
    if pid.0 <= 0 {
        return Err(none);
    }
    let tgid = StatusFile::read(pid).and_then(|status| status.group()).ok_or(none.clone())?;
    let kernel = proc::is_kernel_thread(tgid).ok_or(none)?;
    if tgid.0 == std::process::id() as i32 {
        Err(AdoptError::Itself)
    } else if kernel {
        Err(AdoptError::KernelThread(pid))
    } else {
        Ok(tgid)
    }
}
