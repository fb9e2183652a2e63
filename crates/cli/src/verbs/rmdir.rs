//! `penfold rmdir`.

use penfold_server::protocol::RmdirCall;

use crate::address::CgroupAddress;
use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, each};
use crate::progress;
use crate::verbs::EXIT_STATUS;

/// Removes cgroups, which must be empty: no task, and without -r no cgroup below.
///
/// A cgroup with tasks is busy (EBUSY): move the tasks away with `penfold attach`, or end them with `penfold kill`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold rmdir /build
  penfold kill /ci && penfold rmdir -r /ci

{EXIT_STATUS}"))]
pub(crate) struct RmdirArguments {
    /// Removes the cgroups below first.
    #[arg(short, long)]
    recursive: bool,

    /// The cgroups to remove: [HIERARCHY:]/path.
    #[arg(required = true, value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroups: Vec<CgroupAddress>,
}

pub(crate) fn run(arguments: &RmdirArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    each(&arguments.cgroups, |cgroup| {
        let call = RmdirCall { cgroup: cgroup.0.clone(), recursive: arguments.recursive.then_some(true) };
        progress::during(&format!("penfold: removing {cgroup}"), || remote.call(&call)).map(drop)
    })
}
