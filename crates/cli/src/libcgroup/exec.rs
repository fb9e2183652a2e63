//! `cgexec`.

use std::ffi::OsString;

use super::spec::{GroupSpec, MountedHierarchies};
use crate::engine_connection::EngineConnection;
use crate::failure::Outcome;
use crate::verbs::exec::execute;

/// Runs a command in control groups, as libcgroup's cgexec(1).
///
/// The exit status is the command's own, or 128+N if signal N killed the command. The status is 125 if penfold failed,
/// 126 if the command can't be executed, and 127 if the command is not found.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cgexec -g pids,cpuset:/student make")]
pub(crate) struct CgexecArguments {
    /// The control groups: CONTROLLERS:PATH. May be given again.
    #[arg(short, required = true, value_name = "CONTROLLERS:PATH")]
    groups: Vec<GroupSpec>,

    /// Accepted without effect: no daemon here would move the command elsewhere.
    #[arg(long)]
    sticky: bool,

    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) fn run(arguments: &CgexecArguments, remote: &mut EngineConnection) -> Outcome {
    let cgroups = MountedHierarchies::fetch(remote)
        .and_then(|hierarchies| hierarchies.all_addresses(&arguments.groups))?;
    execute(remote, &cgroups, &arguments.command, true, true)
}
