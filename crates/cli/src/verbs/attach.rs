//! `penfold attach`.

use penfold_server::protocol::AttachCall;

use crate::address::CgroupAddress;
use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, each};
use crate::number_arguments::pid;
use crate::verbs::EXIT_STATUS;

/// Moves running processes, or single threads, into a cgroup.
///
/// A process that no daemon supervises yet is adopted, where ptrace permits that: the process belongs to the caller, or
/// the caller is root. The process's children are members from then on.
///
/// Each pid is moved by itself. For a pid that can't be moved there is a message, and the others are moved all the
/// same.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold attach /build $$
  penfold attach --threads cpuset:/fast 4711 4712
  penfold attach freezer:/batch $(pgrep -f batch-job)

{EXIT_STATUS}"))]
pub(crate) struct AttachArguments {
    /// Moves just the threads of these numbers, not their whole processes.
    #[arg(short, long)]
    threads: bool,

    /// The target: [HIERARCHY:]/path.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroup: CgroupAddress,

    /// The processes, or threads.
    #[arg(required = true, value_name = "PID", value_parser = pid)]
    tasks: Vec<i32>,
}

pub(crate) fn run(arguments: &AttachArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    each(&arguments.tasks, |task| {
        let (cgroup, process) = (arguments.cgroup.0.clone(), !arguments.threads);
        remote.call(&AttachCall { cgroup, task: (**task).into(), process })?;
        Ok(())
    })
}
