//! The reach of a process inside one `penfold run`: the cgroups below its own, and no others.
//!
//! Owner and mode can't express this rule: one user owns the control files of a job and of all jobs inside it. So the
//! engine of a job judges a client by the client's own cgroup. A client can make cgroups there, and do in them what
//! their owner may. It can't raise a limit that applies to itself, nor move a task out of that limit.

use penfold_core::{CgroupId, Engine, Errno, Error, Result, Tid, host::HostView};

use crate::operation::Operation;

/// The part of a cgroup that an operation touches. It decides where the cgroup may be, seen from the caller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The cgroup's own files, name or existence: only a cgroup below the caller's.
    Below,
    /// The cgroup's children: a cgroup below the caller's, or the caller's own.
    SelfOrBelow,
}

/// Checks that a task of the job may touch this part of a cgroup.
///
/// # Errors
/// `EPERM` outside of the task's reach; `ESRCH` if the task is not, or no longer, in the job.
pub(crate) fn must_reach(
    engine: &Engine,
    host: &dyn HostView,
    caller: Tid,
    cgroup: CgroupId,
    reach: Reach,
) -> Result<()> {
    let own = own_cgroup(engine, host, caller, cgroup)?;
    if reach == Reach::SelfOrBelow && own == cgroup {
        return Ok(());
    }
    must(is_below(engine, cgroup, own), || path(engine, cgroup))
}

/// Checks that a task of the job may perform an operation on a cgroup.
///
/// # Errors
/// As [`must_reach`]; for an attach also `EPERM` unless the moved task is in or below the caller's own cgroup.
pub(crate) fn check(
    engine: &Engine,
    host: &dyn HostView,
    caller: Tid,
    cgroup: CgroupId,
    operation: &Operation<'_>,
) -> Result<()> {
    must_reach(engine, host, caller, cgroup, Reach::Below)?;
    match *operation {
        Operation::Attach { task, .. } => must_reach_task(engine, host, caller, task, cgroup),
        Operation::ReleaseAgent { .. } | Operation::Write { .. } => Ok(()),
    }
}

/// Checks that a task of the job may move another one, which must be in or below the caller's own cgroup.
///
/// # Errors
/// `EPERM` if the moved task is elsewhere; `ESRCH` if either is not in the job.
fn must_reach_task(engine: &Engine, host: &dyn HostView, caller: Tid, task: Tid, to: CgroupId) -> Result<()> {
    let own = own_cgroup(engine, host, caller, to)?;
    let theirs = own_cgroup(engine, host, task, to)?;
    must(theirs == own || is_below(engine, theirs, own), || format!("task {task}"))
}

fn must(allowed: bool, object: impl FnOnce() -> String) -> Result<()> {
    if allowed {
        return Ok(());
    }
    Err(Error::Permission {
        operation: "change",
        object: object(),
        errno: Errno::EPERM,
        reason: "from inside a job only what is below one's own cgroup can be changed",
    })
}

fn path(engine: &Engine, cgroup: CgroupId) -> String {
    String::from_utf8_lossy(&engine.tree().path(cgroup)).into_owned()
}

/// The cgroup of a task in the hierarchy of `beside`.
fn own_cgroup(engine: &Engine, host: &dyn HostView, task: Tid, beside: CgroupId) -> Result<CgroupId> {
    let tree = engine.tree();
    tree.get(beside).ok_or(Error::Removed { operation: "change" })?;
    let set = host.css_set(task).and_then(|set| tree.css_set(set)).ok_or(Error::NoTask(task))?;
    let hierarchy = tree.hierarchy_of(beside).id;
    let own = set.cgroups().find(|at| tree.hierarchy_of(*at).id == hierarchy);
    Ok(own.expect("every css_set is in every hierarchy"))
}

fn is_below(engine: &Engine, cgroup: CgroupId, top: CgroupId) -> bool {
    let above = |at: &CgroupId| engine.tree().get(*at).and_then(penfold_core::tree::Cgroup::parent);
    std::iter::successors(above(&cgroup), above).any(|at| at == top)
}
