//! `cgdelete`.

use penfold_core::ErrorKind;
use penfold_server::protocol::{AttachCall, ListCall, ReadCall, RmdirCall};

use super::exit_status::EXIT_STATUS;
use super::spec::{GroupSpec, MountedHierarchies};
use crate::address::CgroupAddress;
use crate::engine_connection::EngineConnection;
use crate::failure::{Failure, Outcome, each};

/// Removes control groups, as libcgroup's cgdelete(1): their tasks go to the parent.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  cgdelete -r -g pids,cpuset:/student

{EXIT_STATUS}"))]
pub(crate) struct CgdeleteArguments {
    /// All groups below too.
    #[arg(short, long)]
    recursive: bool,

    /// The control groups: CONTROLLERS:PATH.
    #[arg(short, value_name = "CONTROLLERS:PATH")]
    groups: Vec<GroupSpec>,

    /// More control groups; the -g may be left out.
    #[arg(required_unless_present = "groups", value_name = "CONTROLLERS:PATH")]
    more: Vec<GroupSpec>,
}

/// The most rounds of moves. Tasks that are born during one round are moved in the next.
const ROUNDS: usize = 10;

pub(super) fn run(arguments: &CgdeleteArguments, remote: &mut EngineConnection) -> Outcome {
    let specs: Vec<GroupSpec> = arguments.groups.iter().chain(&arguments.more).cloned().collect();
    let cgroups = MountedHierarchies::fetch(remote)?.all_addresses(&specs)?;
    each(&cgroups, |cgroup| {
        let parent = cgroup.split_last().map(|(parent, _)| parent);
        let recursive = arguments.recursive.then_some(true);
        if let Some(parent) = &parent {
            let below = remote.call(&ListCall { cgroup: cgroup.0.clone(), recursive, depth: None })?.cgroups;
            // a group whose removal will be refused keeps its tasks
            if arguments.recursive || below.first().is_none_or(|own| own.children == 0) {
                for one in below {
                    empty(remote, &CgroupAddress(one.cgroup), parent)?;
                }
            }
        }
        remote.call(&RmdirCall { cgroup: cgroup.0.clone(), recursive })?;
        Ok(())
    })
}

/// Moves the tasks of a cgroup to another.
fn empty(remote: &mut EngineConnection, cgroup: &CgroupAddress, to: &CgroupAddress) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        let tasks = remote.call(&ReadCall { cgroup: cgroup.0.clone(), file: "tasks".to_owned() })?.content;
        if tasks.is_empty() {
            break;
        }
        for task in tasks.lines().filter_map(|line| line.parse().ok()) {
            let moved = remote.call(&AttachCall { cgroup: to.0.clone(), task, process: false });
            // a task that has ended meanwhile is no failure
            if moved.as_ref().is_err_and(|failure| failure.kind != ErrorKind::NoTask) {
                moved?;
            }
        }
    }
    Ok(())
}
