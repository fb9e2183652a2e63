//! `cgclassify`.

use penfold_server::protocol::AttachCall;

use super::exit_status::EXIT_STATUS;
use super::spec::{GroupSpec, MountedHierarchies};
use crate::engine_connection::EngineConnection;
use crate::failure::{Outcome, each};
use crate::number_arguments::pid;

/// Moves running tasks to control groups, as libcgroup's cgclassify(1): each PID is one task (thread).
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  cgclassify -g pids:/student 4711 4712

{EXIT_STATUS}"))]
pub(crate) struct CgclassifyArguments {
    /// The control groups: CONTROLLERS:PATH. May be given again.
    #[arg(short, required = true, value_name = "CONTROLLERS:PATH")]
    groups: Vec<GroupSpec>,

    /// Accepted without effect: no daemon here would move the tasks elsewhere.
    #[arg(long, conflicts_with = "cancel_sticky")]
    sticky: bool,

    /// Accepted without effect, likewise.
    #[arg(long)]
    cancel_sticky: bool,

    /// The tasks.
    #[arg(required = true, value_name = "PID", value_parser = pid)]
    tasks: Vec<i32>,
}

pub(super) fn run(arguments: &CgclassifyArguments, remote: &mut EngineConnection) -> Outcome {
    let cgroups = MountedHierarchies::fetch(remote)?.all_addresses(&arguments.groups)?;
    let pairs =
        arguments.tasks.iter().flat_map(|task| cgroups.iter().map(move |cgroup| TaskMove(*task, &cgroup.0)));
    each(pairs, |TaskMove(task, cgroup)| {
        let call = AttachCall { cgroup: (*cgroup).clone(), task: i64::from(*task), process: false };
        remote.call(&call).map(drop)
    })
}

struct TaskMove<'a>(i32, &'a String);

impl std::fmt::Display for TaskMove<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.0, self.1)
    }
}
