//! The methods `Tasks` and `Proc`: members of cgroups, and the texts of `/proc`.

use nix::errno::Errno;
use penfold_core::{Access, CgroupId, ErrorKind, Tid, control_file::FileId};
use penfold_linux::proc::TaskStatus;

use super::context::{CallContext, about, number};
use super::directories::walk_visible;
use super::path::{must_search, name_of};
use crate::escape::escape;
use crate::failure::Failure;
use crate::members::TASKS_AT_ONCE;
use crate::protocol::{ProcCall, ProcReply, TaskInfo, TasksCall, TasksReply};
use crate::slices::Counts;
use crate::{members, proc_texts};

pub(super) fn tasks(context: &CallContext<'_>, call: TasksCall) -> Result<TasksReply, Failure> {
    let depth = usize::from(call.recursive.unwrap_or(false)) * usize::MAX;
    let top = context.look_at(&call.cgroup, |engine, caller, top| {
        must_search(engine, caller, top)?;
        engine.open(caller, top, "tasks", Access::READ)?;
        Ok(top)
    })?;
    let caller = &context.client.caller;
    let mut cgroups: Vec<(CgroupId, String)> = Vec::new();
    walk_visible(context, (top, depth), Counts::Any, |engine, _, at| {
        let readable =
            must_search(engine, caller, at).is_ok() && engine.open(caller, at, "tasks", Access::READ).is_ok();
        // a root lists tasks that are no members
        let root = engine.tree().get(at).is_some_and(|node| node.parent().is_none());
        if readable && (root || engine.tree().task_count(at) > 0) {
            cgroups.push((at, name_of(engine, at)));
        }
        Ok(())
    })?;
    let mut tasks = Vec::new();
    for (cgroup, name) in cgroups {
        // a cgroup that is removed meanwhile has no members any more
        let members = match members::of(context.service(), cgroup, FileId::Tasks) {
            Err(failure) if failure.kind == ErrorKind::Removed => continue,
            members => members?,
        };
        for members in members.chunks(TASKS_AT_ONCE) {
            let _place = context.service().long_work();
            tasks.extend(members.iter().filter_map(|task| describe(context, *task, &name)));
        }
    }
    Ok(TasksReply { tasks })
}

fn describe(context: &CallContext<'_>, task: Tid, cgroup: &str) -> Option<TaskInfo> {
    let process = TaskStatus::read(task)?;
    Some(TaskInfo {
        task: i64::from(context.client.number(task)?),
        process: i64::from(context.client.number(process.group)?),
        command: process.command,
        cgroup: cgroup.to_owned(),
    })
}

pub(super) fn proc(context: &CallContext<'_>, call: ProcCall) -> Result<ProcReply, Failure> {
    let service = context.service();
    let number: i32 = number("task", call.task.unwrap_or(0))?;
    let task = || context.client.task(number);
    let content = match call.file.as_str() {
        "cgroups" => proc_texts::cgroups(service)?,
        "cgroup" => proc_texts::pid_cgroup(service, task()?).map_err(about(context.task_name(number)))?,
        "cpuset" => proc_texts::pid_cpuset(service, task()?).map_err(about(context.task_name(number)))?,
        other => {
            let detail = "no such text; there are cgroups, cgroup and cpuset";
            return Err(Failure::new(ErrorKind::NotFound, Errno::ENOENT, other, detail));
        }
    };
    Ok(ProcReply { content: escape(&content) })
}
