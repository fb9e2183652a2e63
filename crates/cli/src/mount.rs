//! `penfold mount`.

use nix::errno::Errno;
use penfold_core::ErrorKind;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use penfold_linux::fuse_mount::{FuseMount, SOURCE, Unmounting, subtype, unmount};
use penfold_linux::proc::{MountEntry, mounts};
use penfold_server::protocol::{
    HierarchiesCall, HierarchyInfo, MountCall, RemountCall, SubsystemsCall, ViewCall,
};

use crate::engine_connection::{EngineConnection, GlobalOptions};
use crate::failure::{Failure, Outcome, invalid, usage};
use crate::mount_options::SplitMountOptions;
use crate::verbs::EXIT_STATUS;

/// Mounts a hierarchy: as files at PATH, or without PATH under a name for the other verbs.
///
/// Options are those of `mount -t cgroup`: the subsystems, or `all` or nothing for all; `none,name=NAME` for a
/// hierarchy without subsystems; `name=`, `release_agent=`, `clone_children`, `noprefix`. A hierarchy that is mounted
/// already is shared. Only root, or the owner of the daemon, may mount.
///
/// PATH is in the mount namespace of this command. Users other than root need fusermount3, or `unshare -rm`. Unmount
/// PATH with umount(8) or `penfold umount`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold mount -o cpu,cpuacct /mnt/cpu
  penfold mount -o none,name=jobs
  penfold mount -t cpuset /dev/cpuset
  penfold mount -t proc /mnt/proc
  penfold mount -o remount,net_cls /mnt/net

{EXIT_STATUS}"))]
pub(crate) struct MountArguments {
    /// Options as mount(8) takes them, separated by commas. With `remount`, PATH may be a hierarchy too.
    #[arg(short, value_name = "OPTIONS", default_value = "")]
    options: OsString,

    /// The file system: cgroup; cpuset, the legacy one with bare names; or proc, the texts of /proc.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = ["cgroup", "cpuset", "proc"], default_value = "cgroup")]
    filesystem: String,

    /// Where to mount.
    #[arg(value_name = "PATH")]
    target: Option<PathBuf>,
}

pub(crate) fn run(arguments: &MountArguments, global: &GlobalOptions) -> Outcome {
    let options = SplitMountOptions::parse(arguments.options.as_bytes());
    let mut remote = global.connect()?;
    match &arguments.target {
        Some(target) if options.remount => remount(&mut remote, &options, target)?,
        Some(target) => mount_files(&mut remote, &options, &arguments.filesystem, SOURCE, target)?,
        None if options.remount || arguments.filesystem == "proc" => {
            return Err(usage("PATH", "is missing; give the mount point"));
        }
        None => {
            let filesystem = Some(arguments.filesystem.clone());
            let reply = remote.call(&MountCall { options: options.hierarchy, filesystem });
            let reply = reply.map_err(as_option)?;
            println!("{}", reply.hierarchy.id);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Mounts a file view at `target` and passes its device to the daemon, which serves it.
pub(crate) fn mount_files(
    remote: &mut EngineConnection,
    options: &SplitMountOptions,
    filesystem: &str,
    source: &str,
    target: &Path,
) -> Result<(), Failure> {
    let target = target.canonicalize().map_err(|error| Failure::io(target.to_string_lossy(), error))?;
    let (subsystems, name) =
        if filesystem == "cgroup" { planned_type(remote, options)? } else { (Vec::new(), String::new()) };
    let mount = FuseMount {
        subtype: subtype(filesystem, &subsystems, Some(&name)),
        // programs take a mount whose source is "cgroup" for the kernel's
        source: if source == "cgroup" || source.is_empty() { SOURCE } else { source }.to_owned(),
        read_only: options.read_only,
    };
    let device = mount.mount(&target)?;
    let call = ViewCall {
        options: options.hierarchy.clone(),
        filesystem: Some(filesystem.to_owned()),
        target: target.to_string_lossy().into_owned(),
        device: 0,
    };
    remote.connection.call_with(&call, &[device.as_fd()]).map_err(|error| {
        let _ = unmount(&target, Unmounting { lazy: true });
        as_option(error.into())
    })?;
    Ok(())
}

/// A wrong option, as the user has typed it.
fn as_option(failure: Failure) -> Failure {
    if failure.kind != ErrorKind::InvalidOption {
        return failure;
    }
    let option = format!("-o {}", failure.subject);
    failure.about(option)
}

/// The subsystems and the name that a mount with these options will have, for the mount's type.
///
/// This is only a guess: the daemon decides.
fn planned_type(
    remote: &mut EngineConnection,
    options: &SplitMountOptions,
) -> Result<(Vec<String>, String), Failure> {
    let all: Vec<String> =
        remote.call(&SubsystemsCall {})?.subsystems.into_iter().map(|subsystem| subsystem.name).collect();
    let words: Vec<&str> = options.hierarchy.split(',').collect();
    let named: Vec<String> = all.iter().filter(|name| words.contains(&name.as_str())).cloned().collect();
    let name = options.name().unwrap_or_default();
    let there = remote.call(&HierarchiesCall {})?.hierarchies;
    let by_name = !name.is_empty() && named.is_empty() && !words.contains(&"none") && !words.contains(&"all");
    let subsystems = match named.is_empty() && !words.contains(&"none") {
        true if by_name => {
            let found = there.into_iter().find(|hierarchy| hierarchy.name == name);
            return Ok((found.map_or_else(Vec::new, |found| found.subsystems), name.to_owned()));
        }
        true => all,
        false => named,
    };
    // a hierarchy that exists keeps its name, even if the options give none
    let shared = there.into_iter().find(|one| !subsystems.is_empty() && one.subsystems == subsystems);
    Ok((subsystems, shared.map_or_else(|| name.to_owned(), |one| one.name)))
}

/// Remounts a hierarchy: `target` is the path of one of its mounts, or the hierarchy itself.
pub(crate) fn remount(
    remote: &mut EngineConnection,
    options: &SplitMountOptions,
    target: &Path,
) -> Result<(), Failure> {
    let hierarchies = remote.call(&HierarchiesCall {})?.hierarchies;
    let label = target.to_string_lossy();
    let hierarchy = match mounted_at(target) {
        Some(subtype) => found_by_subtype(&hierarchies, &subtype).ok_or_else(|| {
            let detail = format!(
                "the type fuse.{subtype} does not tell which hierarchy is mounted here; name the hierarchy instead"
            );
            invalid(Errno::EINVAL, label.clone(), detail)
        })?,
        None => label.into_owned(),
    };
    let call = RemountCall { hierarchy, options: options.hierarchy.clone() };
    remote.call(&call).map(drop).map_err(as_option)
}

fn found_by_subtype(hierarchies: &[HierarchyInfo], shown: &str) -> Option<String> {
    let shows = |one: &&HierarchyInfo| match shown {
        "cpuset" => one.subsystems == ["cpuset"],
        "cgroup" => false,
        _ => subtype("cgroup", &one.subsystems, Some(&one.name)) == shown,
    };
    hierarchies.iter().find(shows).map(|hierarchy| hierarchy.id.to_string())
}

/// The subtype of the FUSE mount at a path; of the newest, if there are several.
fn mounted_at(target: &Path) -> Option<String> {
    let target = target.canonicalize().ok()?;
    let subtype = |mount: &MountEntry| {
        let subtype = mount.fuse_subtype()?;
        (mount.mount_point() == target).then(|| subtype.to_owned())
    };
    mounts().ok()?.iter().rev().find_map(subtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hierarchy_is_found_by_the_type_of_its_mount() {
        let with = |id, subsystems: &[&str]| HierarchyInfo {
            id,
            subsystems: subsystems.iter().map(|name| (*name).to_owned()).collect(),
            ..HierarchyInfo::default()
        };
        let named = HierarchyInfo { name: "jobs".to_owned(), ..with(11, &[]) };
        let all = [with(4, &["cpuacct", "pids"]), with(7, &["cpuset"]), with(9, &[]), named];
        assert_eq!(found_by_subtype(&all, "cgroup.cpuacct+pids").as_deref(), Some("4"));
        assert_eq!(found_by_subtype(&all, "cpuset").as_deref(), Some("7"));
        assert_eq!(found_by_subtype(&all, "cgroup.name=jobs").as_deref(), Some("11"));
        assert_eq!(found_by_subtype(&all, "cgroup.pids"), None);
        assert_eq!(found_by_subtype(&all, "cgroup"), None);
    }
}
