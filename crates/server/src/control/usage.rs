//! The method `Usage`: members, CPU time and limits of cgroups, for live tables such as `penfold top`.

use std::collections::{HashMap, HashSet};

use penfold_core::{
    Access, Caller, CgroupId, Engine, Tid,
    host::{Host, HostView},
};

use super::context::{CallContext, or_about};
use super::directories::subtree;
use super::path::{self, must_search, name_of};
use crate::failure::Failure;
use crate::protocol::{CgroupUsageInfo, LimitInfo, UsageCall, UsageReply};

pub(super) fn usage(context: &CallContext<'_>, call: UsageCall) -> Result<UsageReply, Failure> {
    let depth = usize::from(call.recursive.unwrap_or(false)) * usize::MAX;
    let (caller, address) = (&context.client.caller, &call.cgroup);
    let usages: Result<_, Failure> = context.service().with_exact(|engine, host| {
        let top = path::cgroup(engine, caller, address)?;
        must_search(engine, caller, top)?;
        let mut members = MemberCounts::below(engine, host, top);
        let mut shown = subtree(engine, caller, top, depth);
        shown.retain(|at| must_search(engine, caller, *at).is_ok());
        Ok(shown.into_iter().map(|at| of(engine, host, caller, at, &mut members)).collect())
    })?;
    Ok(UsageReply { usages: usages.map_err(or_about(address))? })
}

/// The number of tasks and the processes of each cgroup in a subtree, each with those of the cgroups below.
struct MemberCounts {
    tasks: HashMap<CgroupId, usize>,
    processes: HashMap<CgroupId, HashSet<Tid>>,
}

impl MemberCounts {
    fn below(engine: &Engine, host: &dyn HostView, top: CgroupId) -> MemberCounts {
        let tree = engine.tree();
        let mut all = vec![top];
        let mut next = 0;
        while let Some(&at) = all.get(next) {
            all.extend(tree.children(at));
            next += 1;
        }
        let mut members = MemberCounts { tasks: HashMap::new(), processes: HashMap::new() };
        // children come after their parents
        for &at in all.iter().rev() {
            let groups: Vec<Tid> = engine.thread_groups(host, at);
            let processes = members.processes.entry(at).or_default();
            processes.extend(groups);
            let count = tree.task_count(at) + members.tasks.get(&at).copied().unwrap_or(0);
            members.tasks.insert(at, count);
            if let Some(parent) =
                tree.get(at).and_then(penfold_core::tree::Cgroup::parent).filter(|_| at != top)
            {
                *members.tasks.entry(parent).or_default() += count;
                let below = members.processes[&at].clone();
                members.processes.entry(parent).or_default().extend(below);
            }
        }
        members
    }
}

fn of(
    engine: &mut Engine,
    host: &mut dyn Host,
    caller: &Caller,
    cgroup: CgroupId,
    members: &mut MemberCounts,
) -> CgroupUsageInfo {
    let mut read = |name: &str| {
        let file = engine.open(caller, cgroup, name, Access::READ).ok()?;
        String::from_utf8(engine.session(host, caller).read(cgroup, file).ok()?).ok()
    };
    let number = |text: Option<String>| text.and_then(|text| text.trim().parse().ok());
    let user = number(read("cpuacct.usage_user"));
    let system = number(read("cpuacct.usage_sys"));
    let frozen = read("freezer.state").map(|state| state.trim() == "FROZEN");
    CgroupUsageInfo {
        cgroup: name_of(engine, cgroup),
        tasks: members.tasks.get(&cgroup).copied().unwrap_or(0) as i64,
        processes: members.processes.get(&cgroup).map_or(0, HashSet::len) as i64,
        user,
        system,
        frozen,
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
