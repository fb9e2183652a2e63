//! Facts about hierarchies and tasks from /proc.

use crate::ops::errno;
use crate::proc_text;
use crate::target::Res;
use std::fs;
use std::path::{Path, PathBuf};

/// Whether the kernel has the file system type `cgroup`.
pub(super) fn knows_v1() -> bool {
    let text = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    text.lines().any(|line| line.trim_start_matches("nodev").trim() == "cgroup")
}

/// (mount point, options of the superblock) of every mount of type `cgroup`.
fn mounts() -> Vec<(PathBuf, String)> {
    // mounts of other users may have names that are not UTF-8
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let parse = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let place = before.split(' ').nth(4)?;
        let mut after = after.split(' ');
        let (kind, _, options) = (after.next()?, after.next()?, after.next()?);
        (kind == "cgroup").then(|| (PathBuf::from(place), options.to_owned()))
    };
    text.lines().filter_map(parse).collect()
}

/// The superblock options at a mount point, without a leading `rw`.
pub(super) fn mount_options(place: &Path) -> Option<String> {
    let options = mounts().into_iter().find(|(at, _)| at == place)?.1;
    Some(options.strip_prefix("rw,").unwrap_or(&options).to_owned())
}

/// The mount point of the hierarchy with exactly `controller`.
pub(super) fn mount_point_of(controller: &str) -> Option<PathBuf> {
    mounts().into_iter().find(|(_, options)| options == &format!("rw,{controller}")).map(|(at, _)| at)
}

/// The mount point of the hierarchy with `controller`, perhaps with others.
pub(super) fn mount_with(controller: &str) -> Option<PathBuf> {
    let holds = |options: &str| options.split(',').any(|option| option == controller);
    mounts().into_iter().find(|(_, options)| holds(options)).map(|(at, _)| at)
}

/// The lines of `/proc/TID/cgroup` that belong to this run, without ids.
pub(super) fn cgroup_lines(tid: i32, unique: &str, controllers: &[String]) -> Res<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{tid}/cgroup")).map_err(errno)?;
    Ok(proc_text::cgroup_lines(&text, unique, controllers))
}

/// `/proc/TID/cpuset` without its newline.
pub(super) fn cpuset(tid: i32, unique: &str) -> Res<String> {
    let text = fs::read_to_string(format!("/proc/{tid}/cpuset")).map_err(errno)?;
    Ok(proc_text::cpuset(&text, unique))
}

/// Bound, number of groups, enabled.
pub(super) fn cgroups_row(controller: &str) -> Option<(bool, u32, bool)> {
    proc_text::cgroups_row(&fs::read_to_string("/proc/cgroups").ok()?, controller)
}

/// The hierarchy with these mount options in the words of /proc/PID/cgroup: controllers and name.
pub(super) fn hierarchy_of_options(options: &str) -> Option<String> {
    let named = |word: &&str| word.starts_with("name=") || cgroups_row(word).is_some();
    let words: Vec<&str> = options.split(',').filter(named).collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// Whether there is a hierarchy of these controllers and this name.
pub(super) fn is_hierarchy(hierarchy: &str) -> bool {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    text.lines().any(|line| line.split(':').nth(1) == Some(hierarchy))
}

/// Whether such a hierarchy is mounted anywhere.
pub(super) fn is_mounted(hierarchy: &str) -> bool {
    mounts().iter().any(|(_, options)| hierarchy_of_options(options).as_deref() == Some(hierarchy))
}
