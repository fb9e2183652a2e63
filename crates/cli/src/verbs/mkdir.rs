//! `penfold mkdir`.

use penfold_core::Tid;
use penfold_linux::proc::TaskStatus;
use penfold_server::protocol::MkdirCall;

use crate::address::CgroupAddress;
use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, each};
use crate::verbs::EXIT_STATUS;

/// Makes cgroups.
///
/// A new cgroup belongs to the caller, who may then write its control files and make cgroups below it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold mkdir /build
  penfold mkdir -p pids:/ci/job-7/tests
  penfold mkdir -m 700 freezer:/private

{EXIT_STATUS}"))]
pub(crate) struct MkdirArguments {
    /// Makes missing cgroups above as well, and accepts cgroups that exist already.
    #[arg(short, long)]
    parents: bool,

    /// The permissions in octal digits. The umask does not reduce them.
    #[arg(short, long, value_parser = octal)]
    mode: Option<u32>,

    /// The cgroups to make: [HIERARCHY:]/path.
    #[arg(required = true, value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroups: Vec<CgroupAddress>,
}

/// Permissions as chmod(1) takes them in digits.
pub(crate) fn octal(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| "permissions are octal digits, such as 755".to_owned())
}

/// The permissions of a new directory for which the user gives none: all that the umask leaves.
pub(crate) fn by_umask() -> u32 {
    let own = TaskStatus::read(Tid(std::process::id().cast_signed()));
    0o777 & !own.map_or(0o022, |process| process.umask)
}

pub(crate) fn run(arguments: &MkdirArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    let mode = arguments.mode.unwrap_or_else(by_umask);
    each(&arguments.cgroups, |cgroup| {
        let parents = arguments.parents.then_some(true);
        remote.call(&MkdirCall { cgroup: cgroup.0.clone(), mode: Some(mode.into()), parents })?;
        Ok(())
    })
}
