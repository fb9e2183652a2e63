//! `lscgroup`.

use penfold_server::protocol::ListCall;

use super::exit_status::EXIT_STATUS;
use super::spec::{GroupSpec, MountedHierarchies, at, controllers};
use crate::engine_connection::EngineConnection;
use crate::failure::{Outcome, each};
use crate::output;

/// Lists control groups, as libcgroup's lscgroup(1): CONTROLLERS:PATH, one a line.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  lscgroup
  lscgroup -g pids:/student

{EXIT_STATUS}"))]
pub(crate) struct LscgroupArguments {
    /// The groups to list, with those below: CONTROLLERS:PATH.
    #[arg(short, value_name = "CONTROLLERS:PATH")]
    groups: Vec<GroupSpec>,

    /// More groups; the -g may be left out.
    #[arg(value_name = "CONTROLLERS:PATH")]
    more: Vec<GroupSpec>,
}

pub(super) fn run(arguments: &LscgroupArguments, remote: &mut EngineConnection) -> Outcome {
    let hierarchies = MountedHierarchies::fetch(remote)?;
    let specs: Vec<GroupSpec> = arguments.groups.iter().chain(&arguments.more).cloned().collect();
    let addresses = if specs.is_empty() {
        hierarchies.0.iter().map(|one| at(one, "/")).collect()
    } else {
        hierarchies.all_addresses(&specs)?
    };
    each(&addresses, |address| {
        let found =
            remote.call(&ListCall { cgroup: address.0.clone(), recursive: Some(true), depth: None })?.cgroups;
        let name = |id| hierarchies.0.iter().find(|one| one.id == id).map(controllers).unwrap_or_default();
        let lines = found.iter().map(|one| format!("{}:{}\n", name(one.hierarchy), one.path));
        output::write(lines.collect::<Vec<_>>().concat().as_bytes())
    })
}
