//! `penfold ps`.

use penfold_server::protocol::{TaskInfo, TasksCall};

use crate::address::{self, CgroupAddress, path_of};
use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, each};
use crate::output::{self, TextTable};
use crate::verbs::EXIT_STATUS;

/// Lists the processes of a cgroup and of those below it.
///
/// Without an address: of every hierarchy, except for processes in its root. Pids are numbers of the caller's pid
/// namespace.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold ps
  penfold ps --threads pids:/build
  penfold ps --json /build

{EXIT_STATUS}"))]
pub(crate) struct PsArguments {
    /// Every thread, not only processes.
    #[arg(short, long)]
    threads: bool,

    /// Only the cgroup's own processes, not those of cgroups below.
    #[arg(short = '1', long)]
    own: bool,

    /// As one JSON document.
    #[arg(long)]
    json: bool,

    /// The cgroups: [HIERARCHY:]/path.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroups: Vec<CgroupAddress>,
}

pub(crate) fn run(arguments: &PsArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    let addresses = address::or_all_roots(&mut remote, &arguments.cgroups)?;
    let mut found = Vec::new();
    let outcome = each(&addresses, |address| {
        let call = TasksCall { cgroup: address.0.clone(), recursive: (!arguments.own).then_some(true) };
        found.extend(remote.call(&call)?.tasks);
        Ok(())
    })?;
    if arguments.cgroups.is_empty() {
        found.retain(|task| path_of(&task.cgroup) != "/");
    }
    if !arguments.threads {
        found = processes(found);
    }
    if arguments.json {
        output::json(&found)?;
        return Ok(outcome);
    }
    let mut table = TextTable::new(if arguments.threads {
        &[">PID", ">TID", "COMMAND", "CGROUP"]
    } else {
        &[">PID", "COMMAND", "CGROUP"]
    });
    for TaskInfo { task, process, command, cgroup } in found {
        if arguments.threads {
            table.row([process.to_string(), task.to_string(), command, cgroup]);
        } else {
            table.row([process.to_string(), command, cgroup]);
        }
    }
    table.print()?;
    Ok(outcome)
}

/// One task of each process in each cgroup: the leader if it is there, since its command name is the process's.
fn processes(mut tasks: Vec<TaskInfo>) -> Vec<TaskInfo> {
    let key = |task: &TaskInfo| (task.cgroup.clone(), task.process, task.task != task.process);
    tasks.sort_by_key(key);
    tasks.dedup_by(|later, first| (&later.cgroup, later.process) == (&first.cgroup, first.process));
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_listed_once_in_each_of_its_cgroups() {
        let task = |task, process, command: &str, cgroup: &str| TaskInfo {
            task,
            process,
            command: command.into(),
            cgroup: cgroup.into(),
        };
        let all = vec![task(6, 5, "worker", "1:/a"), task(5, 5, "main", "1:/a"), task(7, 5, "other", "1:/b")];
        assert_eq!(processes(all), [task(5, 5, "main", "1:/a"), task(7, 5, "other", "1:/b")]);
    }
}
