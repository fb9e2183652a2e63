//! `cgcreate`.

use penfold_server::protocol::{FilesCall, MkdirCall, OwnerInfo, SetOwnerCall};

use super::exit_status::EXIT_STATUS;
use super::spec::{GroupSpec, MountedHierarchies};
use crate::address::CgroupAddress;
use crate::engine_connection::EngineConnection;
use crate::failure::{Failure, Outcome, each};
use crate::verbs::mkdir::octal;
use crate::verbs::owner::owner;

/// Creates control groups and missing ones above, as libcgroup's cgcreate(1), and accepts those that exist already.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  cgcreate -g pids,cpuset:/student
  cgcreate -a alice:users -t alice:users -g *:/alice

{EXIT_STATUS}"))]
pub(crate) struct CgcreateArguments {
    /// The control groups: CONTROLLERS:PATH. CONTROLLERS is a list with commas, name=NAME, or * for all.
    #[arg(short, required = true, value_name = "CONTROLLERS:PATH")]
    groups: Vec<GroupSpec>,

    /// Owner of the group's directory and of all its files.
    #[arg(short, value_name = "UID:GID", value_parser = owner)]
    admin: Option<(Option<u32>, Option<u32>)>,

    /// Owner of the tasks file.
    #[arg(short, value_name = "UID:GID", value_parser = owner)]
    tasks: Option<(Option<u32>, Option<u32>)>,

    /// Permissions of the directory, in octal digits.
    #[arg(short, long, value_name = "MODE", value_parser = octal)]
    dperm: Option<u32>,

    /// Permissions of the files: at most those of the owner.
    #[arg(short, long, value_name = "MODE", value_parser = octal)]
    fperm: Option<u32>,

    /// Permissions of the tasks file: at most those of the owner.
    #[arg(short = 's', long, value_name = "MODE", value_parser = octal)]
    tperm: Option<u32>,
}

pub(super) fn run(arguments: &CgcreateArguments, remote: &mut EngineConnection) -> Outcome {
    let cgroups = MountedHierarchies::fetch(remote)?.all_addresses(&arguments.groups)?;
    each(&cgroups, |cgroup| {
        remote.call(&MkdirCall { cgroup: cgroup.0.clone(), mode: None, parents: Some(true) })?;
        give(remote, arguments, cgroup)
    })
}

/// Sets owners and modes. The directory is last: a caller who gives it away may have no access to it any more.
fn give(
    remote: &mut EngineConnection,
    arguments: &CgcreateArguments,
    cgroup: &CgroupAddress,
) -> Result<(), Failure> {
    let files = remote.call(&FilesCall { cgroup: cgroup.0.clone() })?.files;
    for file in &files {
        let is_tasks = file.name == "tasks";
        let owner = if is_tasks { arguments.tasks.or(arguments.admin) } else { arguments.admin };
        let mode = if is_tasks { arguments.tperm.or(arguments.fperm) } else { arguments.fperm };
        let mode = mode.map(|mode| i64::from(mode) & at_most(&file.owner));
        set_owner(remote, cgroup, Some(&file.name), owner, mode)?;
    }
    let mode = arguments.dperm.map(i64::from);
    set_owner(remote, cgroup, None, arguments.admin, mode)
}

/// The owner's permissions, for every user.
fn at_most(owner: &OwnerInfo) -> i64 {
    let own = owner.mode & 0o700;
    own | own >> 3 | own >> 6
}

fn set_owner(
    remote: &mut EngineConnection,
    cgroup: &CgroupAddress,
    file: Option<&str>,
    owner: Option<(Option<u32>, Option<u32>)>,
    mode: Option<i64>,
) -> Result<(), Failure> {
    let (uid, gid) = owner.unwrap_or_default();
    if uid.is_none() && gid.is_none() && mode.is_none() {
        return Ok(());
    }
    remote.call(&SetOwnerCall {
        cgroup: cgroup.0.clone(),
        file: file.map(str::to_owned),
        uid: uid.map(Into::into),
        gid: gid.map(Into::into),
        mode,
    })?;
    Ok(())
}
