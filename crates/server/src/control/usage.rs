//! The method `Usage`: members, CPU time and limits of cgroups, for live tables such as `penfold top`.

use std::collections::HashSet;

use penfold_core::{
    Access, Caller, CgroupId, Engine, Error, Tid,
    host::{Host, HostView},
};

use super::context::{CallContext, or_about};
use super::path::{must_list, must_search, name_of};
use crate::failure::Failure;
use crate::protocol::{CgroupUsageInfo, LimitInfo, UsageCall, UsageReply};
use crate::slices::{Below, Counts};

pub(super) fn usage(context: &CallContext<'_>, call: UsageCall) -> Result<UsageReply, Failure> {
    let (caller, address) = (&context.client.caller, &call.cgroup);
    let top = context.look_at(address, |engine, caller, top| {
        must_search(engine, caller, top)?;
        Ok(top)
    })?;
    let mut rows = UsageRows { recursive: call.recursive.unwrap_or(false), ..UsageRows::default() };
    let walked = context.service().walk(top, Counts::Exact, |engine, host, at, depth| {
        if depth == 0 {
            // once for the whole answer, because it looks at every process
            engine.sample_cpu(host);
        }
        Ok(rows.visit(engine, host, caller, at, depth))
    });
    walked.map_err(or_about(address))?;
    if rows.rows.is_empty() {
        return Err(Failure::from(Error::Removed { operation: "look" }).about(address));
    }
    Ok(UsageReply { usages: rows.sum_up() })
}

/// A cgroup that a walk has visited.
struct VisitedUsage {
    /// The row of the parent; `None` for the top.
    above: Option<usize>,
    /// `None` for a cgroup that the answer does not show. It counts for those above all the same.
    usage: Option<CgroupUsageInfo>,
    /// Whether the answer may show the children.
    lists: bool,
    tasks: usize,
    processes: HashSet<Tid>,
}

/// The visited cgroups, each before its children.
#[derive(Default)]
struct UsageRows {
    recursive: bool,
    rows: Vec<VisitedUsage>,
    /// The last visited cgroup and those above it, from the top.
    line: Vec<usize>,
}

impl UsageRows {
    fn visit(
        &mut self,
        engine: &mut Engine,
        host: &mut dyn Host,
        caller: &Caller,
        at: CgroupId,
        depth: usize,
    ) -> Below {
        self.line.truncate(depth);
        let above = self.line.last().copied();
        let shown =
            above.is_none_or(|above| self.rows[above].lists) && must_search(engine, caller, at).is_ok();
        let populated = engine.tree().get(at).is_some_and(penfold_core::tree::Cgroup::is_populated);
        if !shown && !populated {
            return Below::Skip;
        }
        let lists = shown && self.recursive && must_list(engine, caller, at).is_ok();
        let usage = shown.then(|| of(engine, host, caller, at));
        let (tasks, processes) = members(engine, host, at);
        self.line.push(self.rows.len());
        self.rows.push(VisitedUsage { above, usage, lists, tasks, processes });
        Below::Visit
    }

    /// Adds the members of each cgroup to those of the cgroups above. Returns the cgroups to show.
    fn sum_up(mut self) -> Vec<CgroupUsageInfo> {
        // children come after their parents
        for index in (0..self.rows.len()).rev() {
            let row = &mut self.rows[index];
            let (tasks, mut processes) = (row.tasks, std::mem::take(&mut row.processes));
            if let Some(usage) = &mut row.usage {
                (usage.tasks, usage.processes) = (tasks as i64, processes.len() as i64);
            }
            if let Some(above) = row.above.map(|above| &mut self.rows[above]) {
                above.tasks += tasks;
                // the smaller set goes into the larger one, or a deep tree would take quadratic time
                if above.processes.len() < processes.len() {
                    std::mem::swap(&mut above.processes, &mut processes);
                }
                above.processes.extend(processes);
            }
        }
        self.rows.into_iter().filter_map(|row| row.usage).collect()
    }
}

/// The number of tasks in the cgroup itself, and their processes.
fn members(engine: &Engine, host: &dyn HostView, at: CgroupId) -> (usize, HashSet<Tid>) {
    match engine.tree().task_count(at) {
        0 => (0, HashSet::new()),
        tasks => (tasks, engine.thread_groups(host, at).into_iter().collect()),
    }
}

/// The entry of a cgroup in the answer, without its members.
fn of(engine: &mut Engine, host: &mut dyn Host, caller: &Caller, cgroup: CgroupId) -> CgroupUsageInfo {
    let readable = |engine: &Engine, name: &str| engine.open(caller, cgroup, name, Access::READ).ok();
    let time = engine.cpu_usage(cgroup);
    let nanoseconds = |value: u64| i64::try_from(value).ok();
    let user = time.filter(|_| readable(engine, "cpuacct.usage_user").is_some());
    let system = time.filter(|_| readable(engine, "cpuacct.usage_sys").is_some());
    let state = readable(engine, "freezer.state");
    let state = state.and_then(|file| engine.session(host, caller).read(cgroup, file).ok());
    CgroupUsageInfo {
        cgroup: name_of(engine, cgroup),
        tasks: 0,
        processes: 0,
        user: user.and_then(|time| nanoseconds(time.user)),
        system: system.and_then(|time| nanoseconds(time.system)),
        frozen: state.map(|state| state.trim_ascii() == b"FROZEN"),
        limits: limits(engine, caller, cgroup),
    }
}

/// The limits whose files the caller may read, and those whose file the cgroup itself does not have.
fn limits(engine: &Engine, caller: &Caller, cgroup: CgroupId) -> Vec<LimitInfo> {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let all = engine.limits(cgroup).into_iter();
    let readable = all.filter(|limit| {
        engine.find_file(cgroup, &limit.file).is_none()
            || engine.open(caller, cgroup, &limit.file, Access::READ).is_ok()
    });
    readable
        .map(|limit| LimitInfo {
            file: limit.file,
            limit: limit.limit.map(signed),
            used: signed(limit.used),
            peak: signed(limit.peak),
            failures: signed(limit.failures),
        })
        .collect()
}
