//! What /proc tells about hierarchies and tasks.

use crate::ops::errno;
use crate::target::Res;
use std::fs;
use std::path::{Path, PathBuf};

/// Controllers that distributions leave unbound and that scenarios therefore mount themselves.
const FREE: [&str; 3] = ["net_cls", "perf_event", "net_prio"];

/// Whether the kernel has the file system type `cgroup`.
pub(super) fn knows_v1() -> bool {
    let text = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    text.lines().any(|line| line.trim_start_matches("nodev").trim() == "cgroup")
}

/// (mount point, options of the superblock) of every mount of type `cgroup`.
fn mounts() -> Vec<(PathBuf, String)> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
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

/// Where the hierarchy that holds exactly `controller` is mounted.
pub(super) fn mount_point_of(controller: &str) -> Option<PathBuf> {
    mounts().into_iter().find(|(_, options)| options == &format!("rw,{controller}")).map(|(at, _)| at)
}

/// The state letter of a task.
pub(super) fn state(tid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{tid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The lines of `/proc/TID/cgroup` that belong to this run, without ids.
pub(super) fn cgroup_lines(tid: i32, unique: &str, controllers: &[String]) -> Res<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{tid}/cgroup")).map_err(errno)?;
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(bound), Some(path)) = (parts.next(), parts.next()) else { continue };
        let ours = bound.contains(unique)
            || bound.split(',').any(|name| FREE.contains(&name))
            || controllers.iter().any(|name| name == bound);
        if ours {
            lines.push(format!("{bound}:{}", below_group(path, unique)));
        }
    }
    Ok(lines)
}

/// `/proc/TID/cpuset` without its newline.
pub(super) fn cpuset(tid: i32, unique: &str) -> Res<String> {
    let text = fs::read_to_string(format!("/proc/{tid}/cpuset")).map_err(errno)?;
    Ok(below_group(text.trim_end_matches('\n'), unique))
}

/// Cuts the group of an opened controller from a path.
fn below_group(path: &str, unique: &str) -> String {
    let Some(rest) = path.strip_prefix(&format!("/{unique}_")) else { return path.into() };
    rest.find('/').map_or_else(|| "(top)".into(), |at| format!("(top){}", &rest[at..]))
}

/// Bound, number of groups, enabled.
pub(super) fn cgroups_row(controller: &str) -> Option<(bool, u32, bool)> {
    let text = fs::read_to_string("/proc/cgroups").ok()?;
    let row: Vec<&str> =
        text.lines().map(|l| l.split('\t').collect::<Vec<_>>()).find(|r| r[0] == controller)?;
    Some((row.get(1)? != &"0", row.get(2)?.parse().ok()?, row.get(3)? == &"1"))
}
