//! `lssubsys`.

use std::process::ExitCode;

use penfold_linux::proc::{MountEntry, mounts};
use penfold_server::protocol::{HierarchyInfo, SubsystemsCall};

use super::exit_status::EXIT_STATUS;
use super::spec::{MountedHierarchies, controllers};
use crate::engine_connection::EngineConnection;
use crate::failure::Outcome;
use crate::output;

/// Lists hierarchies by their controllers, as libcgroup's lssubsys(1).
///
/// A mount point is shown if the hierarchy is mounted as files. A daemon's hierarchy need not be.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  lssubsys -a
  lssubsys -im pids

{EXIT_STATUS}"))]
pub(crate) struct LssubsysArguments {
    /// Controllers that are in no hierarchy too.
    #[arg(short, long)]
    all: bool,

    /// The hierarchies' numbers.
    #[arg(short = 'i', long)]
    hierarchies: bool,

    /// The first mount point of each.
    #[arg(short, long)]
    mount_points: bool,

    /// Every mount point, one a line.
    #[arg(short = 'M', long)]
    all_mount_points: bool,

    /// Only the hierarchies of these controllers.
    #[arg(value_name = "CONTROLLER", conflicts_with = "all")]
    controllers: Vec<String>,
}

pub(super) fn run(arguments: &LssubsysArguments, remote: &mut EngineConnection) -> Outcome {
    let hierarchies = MountedHierarchies::fetch(remote)?;
    let mounts = mounts().unwrap_or_default();
    let named = &arguments.controllers;
    let mut text = String::new();
    for one in &hierarchies.0 {
        if named.is_empty() || one.subsystems.iter().any(|subsystem| named.contains(subsystem)) {
            text += &lines(arguments, one, &mount_points(&mounts, one));
        }
    }
    if arguments.all {
        let unbound =
            remote.call(&SubsystemsCall {})?.subsystems.into_iter().filter(|one| one.hierarchy == 0);
        text.extend(unbound.flat_map(|one| [one.name, "\n".to_owned()]));
    }
    output::write(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn lines(arguments: &LssubsysArguments, hierarchy: &HierarchyInfo, mounts: &[String]) -> String {
    let name = controllers(hierarchy);
    let places = match (arguments.mount_points, arguments.all_mount_points) {
        (_, true) => mounts,
        (true, false) => &mounts[..mounts.len().min(1)],
        (false, false) => &[],
    };
    if places.is_empty() {
        let number = if arguments.hierarchies { format!(" {}", hierarchy.id) } else { String::new() };
        return format!("{name}{number}\n");
    }
    places.iter().map(|place| format!("{name} {place}\n")).collect::<Vec<_>>().concat()
}

/// The mount points of a hierarchy as files: the type of such a mount has the controllers after `cgroup.`.
fn mount_points(mounts: &[MountEntry], hierarchy: &HierarchyInfo) -> Vec<String> {
    let mut own = hierarchy.subsystems.clone();
    own.sort();
    let fits = |kind: &str| {
        let Some(list) = kind.strip_prefix("cgroup.") else { return false };
        let mut there: Vec<&str> = list.split('+').collect();
        there.sort_unstable();
        there == own
    };
    // a mount of another user may have a name that is not UTF-8
    let place = |mount: &MountEntry| String::from_utf8_lossy(&mount.escaped_mount_point).into_owned();
    mounts.iter().filter(|mount| mount.fuse_subtype().is_some_and(fits)).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_those_of_the_same_controllers() {
        let lines: [&[u8]; 2] = [
            b"8 1 0:5 / /a rw - fuse.cgroup.cpuset+pids penfold rw",
            b"9 1 0:6 / /b rw - fuse.cgroup.pids penfold rw",
        ];
        let mounts: Vec<MountEntry> = lines.into_iter().filter_map(MountEntry::parse).collect();
        let subsystems = vec!["pids".to_owned(), "cpuset".to_owned()];
        let hierarchy = HierarchyInfo { subsystems, ..HierarchyInfo::default() };
        assert_eq!(mount_points(&mounts, &hierarchy), ["/a"]);
    }
}
