//! Who is where: members, and the texts of `/proc`.

use nix::errno::Errno;
use penfold_core::{CgroupId, FileId, Tid};
use penfold_linux::process::Process;

use super::ask::{Ask, number};
use super::directories::subtree;
use super::path::{must_search, name_of};
use crate::escape::escape;
use crate::failure::Failure;
use crate::members;
use crate::protocol::{ProcCall, ProcReply, Task, TasksCall, TasksReply};

pub(super) fn tasks(ask: &Ask<'_>, call: TasksCall) -> Result<TasksReply, Failure> {
    let depth = usize::from(call.recursive.unwrap_or(false)) * usize::MAX;
    let cgroups: Vec<(CgroupId, String)> = ask.look_at(&call.cgroup, move |engine, caller, top| {
        must_search(engine, caller, top)?;
        engine.open(caller, top, "tasks", 4)?;
        let readable = |at: CgroupId| {
            must_search(engine, caller, at).is_ok() && engine.open(caller, at, "tasks", 4).is_ok()
        };
        let all = subtree(engine, caller, top, depth).into_iter();
        Ok(all.filter(|at| readable(*at)).map(|at| (at, name_of(engine, at))).collect())
    })?;
    let mut tasks = Vec::new();
    for (cgroup, name) in cgroups {
        // one that is removed meanwhile has no members any more
        let members = match members::of(ask.desk(), cgroup, FileId::Tasks) {
            Err(failure) if failure.errno == Errno::ENODEV => continue,
            members => members?,
        };
        tasks.extend(members.into_iter().filter_map(|task| describe(ask, task, &name)));
    }
    Ok(TasksReply { tasks })
}

fn describe(ask: &Ask<'_>, task: Tid, cgroup: &str) -> Option<Task> {
    let process = Process::read(task.0)?;
    Some(Task {
        task: i64::from(ask.client.number(task)?),
        process: i64::from(ask.client.number(Tid(process.group))?),
        command: process.command,
        cgroup: cgroup.to_owned(),
    })
}

pub(super) fn proc(ask: &Ask<'_>, call: ProcCall) -> Result<ProcReply, Failure> {
    let content = match call.file.as_str() {
        "cgroups" => ask.desk().look(|engine, _| engine.proc_cgroups())?.into_bytes(),
        "cgroup" => of_task(ask, call.task, false)?,
        "cpuset" => of_task(ask, call.task, true)?,
        other => {
            let message = format!("proc file {other:?}: there are cgroups, cgroup and cpuset");
            return Err(Failure::new(Errno::ENOENT, message));
        }
    };
    Ok(ProcReply { content: escape(&content) })
}

fn of_task(ask: &Ask<'_>, task: Option<i64>, cpuset: bool) -> Result<Vec<u8>, Failure> {
    let task = ask.client.task(number("task", task.unwrap_or(0))?)?;
    let process = Process::read(task.0)
        .ok_or_else(|| Failure::new(Errno::ESRCH, format!("task {task}: no such process")))?;
    let text = ask.desk().look(move |engine, host| {
        // who is not supervised is in the roots, and who is exiting in no css_set
        let set = host.css_set(task).unwrap_or(engine.initial_css_set());
        let set = Some(set).filter(|_| !process.exiting);
        if cpuset { engine.proc_pid_cpuset(set) } else { engine.proc_pid_cgroup(set) }
    })??;
    Ok(text)
}
