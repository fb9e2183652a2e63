//! The members of a cgroup, as one client sees them, and new members that nobody supervised so far.

use std::collections::HashSet;
use std::fmt::Write as _;

use nix::errno::Errno;
use penfold_core::{CgroupId, Error, ErrorKind, Tid, control_file::FileId, host::HostView};
use penfold_linux::process::{Process, all_tasks};
use penfold_linux::trace::AdoptError;

use crate::client::Client;
use crate::failure::Failure;
use crate::service::Service;

/// The lines of `tasks` or `cgroup.procs`.
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

/// The members of a cgroup: threads for `tasks`, processes for `cgroup.procs`. Of a root with all that nobody supervises.
///
/// # Errors
/// `ENODEV` if it was removed.
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
    if let Some(supervised) = elsewhere {
        add_unsupervised(&mut members, &supervised, whole);
    }
    Ok(members)
}

/// What nobody supervises is in every root, as everything is in Linux.
fn add_unsupervised(members: &mut Vec<Tid>, supervised: &HashSet<Tid>, whole: bool) {
    let others = all_tasks().into_iter().filter(|task| !supervised.contains(&Tid(*task)));
    let living = others.filter_map(Process::read).filter(|process| !process.exiting);
    members.extend(living.map(|process| Tid(if whole { process.group } else { process.task })));
    members.sort_unstable();
    members.dedup();
}

/// Takes a task's process in, if it is not supervised yet and the client may move it. A client may not even learn
/// whether it could be traced before the rules of B4.4 have let it pass. False for a zombie.
///
/// # Errors
/// `ESRCH`; `EINVAL` for a kernel thread; `EACCES` for another user's; what [`AdoptError`] says.
pub(crate) fn supervise(service: &Service, client: &Client, task: Tid) -> Result<bool, Failure> {
    // one that was born a moment ago only the tracer knows
    let known = |host: &dyn HostView| host.css_set(task).is_some();
    if service.with_snapshot(|_, host| known(host))?
        || service.with_exact(|_, host| host.task(task).is_some())?
    {
        return Ok(true);
    }
    let refused = |kind, errno, detail: String| Failure::new(kind, errno, format!("task {task}"), detail);
    let process = Process::read(task.0)
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
    if process.exiting {
        return Ok(false);
    }
    match service.host()?.adopt(task, None) {
        // somebody else has just asked for the same
        Err(AdoptError::Known(_)) | Ok(()) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
