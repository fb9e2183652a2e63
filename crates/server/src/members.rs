//! The members of a cgroup as one client sees them, and the adoption of tasks that are not supervised yet.

use std::collections::HashSet;
use std::fmt::Write as _;

use nix::errno::Errno;
use penfold_core::{CgroupId, Error, ErrorKind, Tid, control_file::FileId, host::HostView};
use penfold_linux::proc::{TaskStatus, all_tasks, threads_of};
use penfold_linux::trace::AdoptError;

use crate::client::Client;
use crate::failure::Failure;
use crate::service::Service;

/// How many tasks are looked up in `/proc` before others get their turn: about 2 ms of work.
pub(crate) const TASKS_AT_ONCE: usize = 64;

/// The text of `tasks` or `cgroup.procs`: numbers of the client's pid namespace, ascending. Tasks without a number
/// there are left out.
pub(crate) fn list(
    service: &Service,
    client: &Client,
    cgroup: CgroupId,
    file: FileId,
) -> Result<Vec<u8>, Failure> {
    let members = of(service, cgroup, file)?;
    let mut numbers: Vec<i32> = members.into_iter().filter_map(|task| client.number(task)).collect();
    numbers.sort_unstable();
    let mut text = String::new();
    for number in numbers {
        let _ = writeln!(text, "{number}");
    }
    Ok(text.into_bytes())
}

/// The members of a cgroup: threads for `tasks`, processes for `cgroup.procs`. The root of a daemon also has every
/// task of the machine that is not supervised.
///
/// # Errors
/// `ENODEV` for a removed cgroup.
pub(crate) fn of(service: &Service, cgroup: CgroupId, file: FileId) -> Result<Vec<Tid>, Failure> {
    let whole = file == FileId::Procs;
    let (mut members, elsewhere) = service.with_exact(|engine, host| {
        let node = engine.tree().get(cgroup).ok_or(Error::Removed { operation: "read" })?;
        let root = node.parent().is_none();
        let tree = engine.tree();
        let members = if whole { engine.thread_groups(host, cgroup) } else { tree.tasks(host, cgroup) };
        let mut elsewhere = HashSet::new();
        if root {
            for set in tree.css_sets() {
                host.for_each_task(set, &mut |task| {
                    elsewhere.insert(task);
                });
            }
        }
        Ok::<_, Error>((members, root.then_some(elsewhere)))
    })??;
    // the engine of one `penfold run` has the tasks of its job only (L38)
    if let Some(supervised) = elsewhere.filter(|_| service.host().is_ok()) {
        add_unsupervised(service, &mut members, &supervised, whole);
    }
    Ok(members)
}

/// Adds the living tasks that are not supervised: they are in every root, as all tasks are in Linux.
fn add_unsupervised(service: &Service, members: &mut Vec<Tid>, supervised: &HashSet<Tid>, whole: bool) {
    let all = all_tasks();
    for tasks in all.chunks(TASKS_AT_ONCE) {
        // a user with many connections looks at one part at a time
        let _place = service.long_work();
        let others = tasks.iter().filter(|task| !supervised.contains(task));
        let living = others.copied().filter_map(TaskStatus::read).filter(|process| !process.exiting);
        members.extend(living.map(|process| if whole { process.group } else { process.task }));
    }
    members.sort_unstable();
    members.dedup();
}

/// Whether a task that has ended leads a process in which another thread lives.
fn has_living_threads(leader: Tid) -> bool {
    let threads = threads_of(leader).unwrap_or_default();
    threads.into_iter().filter_map(TaskStatus::read).any(|thread| thread.group == leader && !thread.exiting)
}

/// Adopts a task's process if it is not supervised yet and the client may move it. Returns false for a zombie whose process has no
/// living thread.
///
/// The rules of B4.4 come first: before they allow the move, the client must not learn whether the task can be
/// traced.
///
/// # Errors
/// `ESRCH` for no such task; `EINVAL` for a kernel thread; `EACCES` for another user's task; as [`AdoptError`].
pub(crate) fn supervise(service: &Service, client: &Client, task: Tid) -> Result<bool, Failure> {
    // the tracer alone knows a task that was born a moment ago, so the second look is exact
    let known = |host: &dyn HostView| host.css_set(task).is_some();
    if service.with_snapshot(|_, host| known(host))?
        || service.with_exact(|_, host| host.task(task).is_some())?
    {
        return Ok(true);
    }
    let refused = |kind, errno, detail: String| Failure::new(kind, errno, format!("task {task}"), detail);
    let process = TaskStatus::read(task)
        .ok_or_else(|| refused(ErrorKind::NoTask, Errno::ESRCH, "no such process".to_owned()))?;
    let uid = client.caller.uid;
    if process.kernel_thread {
        let detail = "a kernel thread, which can't be moved".to_owned();
        return Err(refused(ErrorKind::UnsuitableTask, Errno::EINVAL, detail));
    }
    if uid != 0 && uid != process.uids[0] && uid != process.uids[2] {
        let detail = format!("belongs to another user (uid {})", process.uids[0]);
        return Err(refused(ErrorKind::NotPermitted, Errno::EACCES, detail));
    }
    if process.exiting && !has_living_threads(task) {
        return Ok(false);
    }
    match service.host()?.adopt(task, None) {
        // another client has just adopted the same process
        Err(AdoptError::Known(_)) | Ok(()) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
