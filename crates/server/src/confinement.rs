//! How far what runs in one `penfold run` may reach: into what is below its own cgroup, and nowhere else.
//!
//! Owner and mode can't say this: a job and the jobs inside it are one user's, who owns all their control files. So
//! whoever asks the engine of a job is judged by where it is: it can make cgroups in its own and do there what their
//! owner may, but can't raise a limit that it is held by, nor move anything out from under it.

use penfold_core::{CgroupId, Engine, Errno, Error, Result, Tid, host::HostView};

use crate::operation::Operation;

/// What an operation touches, seen from the caller's own cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The cgroup's own files, name or existence: it must be below the caller's.
    Below,
    /// What is in it: it may also be the caller's.
    SelfOrBelow,
}

/// May a task of the job do this to a cgroup?
///
/// # Errors
/// `EPERM`; `ESRCH` if the task is not, or no longer, in the job.
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

/// May a task of the job do this to a cgroup?
///
/// # Errors
/// As [`must_reach`] and, for an attach, `EPERM` unless the moved task is in or below the caller's own cgroup.
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

/// May a task of the job move another? Only one that is in or below its own cgroup.
///
/// # Errors
/// `EPERM`; `ESRCH` if either is not in the job.
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

/// The cgroup of a task in the hierarchy that another cgroup is of.
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
