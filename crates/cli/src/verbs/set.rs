//! `penfold set`, also called `write`.

use penfold_server::escape::escape;
use penfold_server::protocol::WriteCall;

use crate::address::CgroupAddress;
use crate::engine_connection::{EngineConnection, GlobalOptions};
use crate::failure::{Failure, Outcome, each};
use crate::settings::Setting;
use crate::verbs::EXIT_STATUS;

/// Writes control files of a cgroup, one after the other in the order given.
///
/// Each setting is one write of VALUE and a newline, as of `echo VALUE > FILE`. A write that is refused changes
/// nothing, and the others are tried all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold set /build pids.max=64
  penfold set /build cpuset.cpus=0-1 cpuset.mems=0
  penfold write freezer:/build freezer.state=FROZEN

{EXIT_STATUS}"))]
pub(crate) struct SetArguments {
    /// The cgroup: [HIERARCHY:]/path.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroup: CgroupAddress,

    /// The control files and the values to write into them.
    #[arg(required = true, value_name = "FILE=VALUE")]
    settings: Vec<Setting>,
}

pub(crate) fn run(arguments: &SetArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    each(&arguments.settings, |setting| write(&mut remote, &arguments.cgroup, setting))
}

/// Writes a value and a newline, as `echo` does: so an empty value is a write too.
pub(crate) fn write(
    remote: &mut EngineConnection,
    cgroup: &CgroupAddress,
    setting: &Setting,
) -> Result<(), Failure> {
    let content = escape(format!("{}\n", setting.value).as_bytes());
    remote.call(&WriteCall { cgroup: cgroup.0.clone(), file: setting.file.clone(), content })?;
    Ok(())
}
