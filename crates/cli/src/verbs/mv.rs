//! `penfold mv`.

use nix::errno::Errno;
use std::process::ExitCode;

use penfold_server::protocol::RenameCall;

use crate::address::CgroupAddress;
use crate::engine_connection::GlobalOptions;
use crate::failure::{Failure, Outcome, invalid};
use crate::verbs::EXIT_STATUS;

/// Gives a cgroup another name, in the same directory.
///
/// A cgroup can't move to another parent, as in Linux: other limits would hold for it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold mv /ci/job-7 done-7
  penfold mv pids:/a pids:/b

{EXIT_STATUS}"))]
pub(crate) struct MvArguments {
    /// The cgroup: [HIERARCHY:]/path.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroup: CgroupAddress,

    /// The new name, or the new address, which must have the same parent.
    #[arg(value_name = "NAME|ADDRESS")]
    name: String,
}

pub(crate) fn run(arguments: &MvArguments, global: &GlobalOptions) -> Outcome {
    let name = new_name(&arguments.cgroup, &arguments.name)?;
    let call = RenameCall { cgroup: arguments.cgroup.0.clone(), name };
    global.connect()?.call(&call)?;
    Ok(ExitCode::SUCCESS)
}

fn new_name(cgroup: &CgroupAddress, wanted: &str) -> Result<String, Failure> {
    let Some((parent, name)) = wanted.rsplit_once('/') else { return Ok(wanted.to_owned()) };
    let old = cgroup.split_last().map(|(parent, _)| parent.0);
    // a root is written with or without its slash
    let same = old.is_some_and(|old| old.trim_end_matches('/') == parent.trim_end_matches('/'));
    if same {
        return Ok(name.to_owned());
    }
    let detail = format!("can't move to {wanted}, which has another parent");
    Err(invalid(Errno::EXDEV, cgroup.to_string(), detail))
}
