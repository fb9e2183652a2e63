//! Removes the groups, mounts and processes that a killed run has left. All have the pid of the test in their names,
//! and nothing else has.

use super::process::comes;
use super::setup::PREFIX;
use super::side::{children, remove, thaw};
use crate::kernel::unmount_for_good;
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Starts once a reaper: a process that outlives this one and then cleans up. Also cleans up after processes that were
/// killed together with their reapers.
pub(super) fn start_reaper(helper: &Path) -> io::Result<()> {
    static REAPER: OnceLock<Option<Child>> = OnceLock::new();
    let own = std::process::id();
    let reaper = REAPER.get_or_init(|| {
        let programs = [helper.to_owned(), super::program().unwrap_or_default()];
        let programs = programs.map(|path| path.canonicalize().unwrap_or_default());
        for owner in stale_owners() {
            sweep(owner, &programs);
        }
        let mut command = Command::new(helper);
        command.args(["reaper", &own.to_string()]).args(programs).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
    });
    reaper.as_ref().map(|_| ()).ok_or_else(|| io::Error::other("the reaper can't be started"))
}

/// Waits for the end of the process at the other end of standard input, and cleans up after that process.
///
/// Only processes of these `programs` are ended.
pub fn reaper(owner: u32, programs: &[PathBuf]) -> io::Result<()> {
    // a signal to the test's whole process group must not reach this process
    let _ = setsid();
    io::stdin().read_to_end(&mut Vec::new())?;
    sweep(owner, programs);
    Ok(())
}

/// The processes that have left something behind and are gone.
fn stale_owners() -> Vec<u32> {
    let owner = |name: &str| name.strip_prefix(PREFIX)?.split_once('x')?.0.parse().ok();
    let mut owners: Vec<u32> =
        work_dirs_and_groups().iter().filter_map(|path| owner(name_of(path))).collect();
    owners.sort_unstable();
    owners.dedup();
    owners.retain(|owner| !Path::new(&format!("/proc/{owner}")).exists());
    owners
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Every work directory, and every group of a test at the top of a hierarchy.
fn work_dirs_and_groups() -> Vec<PathBuf> {
    let mut places = vec![std::env::temp_dir()];
    places.extend(mounts().into_iter().filter(|(_, kind)| kind == "cgroup").map(|(place, _)| place));
    let entries = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| name_of(path).starts_with(PREFIX)).collect()
}

/// The work directories and groups of a process that still exist.
pub fn left_by(owner: u32) -> Vec<PathBuf> {
    let mark = mark_of(owner);
    work_dirs_and_groups().into_iter().filter(|path| name_of(path).starts_with(&mark)).collect()
}

fn mark_of(owner: u32) -> String {
    format!("{PREFIX}{owner}x")
}

/// Mount points and types of this mount namespace.
fn mounts() -> Vec<(PathBuf, String)> {
    // mounts of other users may have names that are not UTF-8
    let text = fs::read("/proc/self/mounts").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let parse = |line: &str| {
        let mut words = line.split(' ').skip(1);
        Some((PathBuf::from(words.next()?), words.next()?.to_owned()))
    };
    text.lines().filter_map(parse).collect()
}

/// Cleans up after a process that is gone.
fn sweep(owner: u32, programs: &[PathBuf]) {
    let (work_dir, groups): (Vec<_>, Vec<_>) =
        left_by(owner).into_iter().partition(|path| path.starts_with(std::env::temp_dir()));
    let inside: Vec<_> = mounts()
        .into_iter()
        .filter(|(place, _)| work_dir.iter().any(|work_dir| place.starts_with(work_dir)))
        .collect();
    // a view whose daemon is dead can't be entered; a view whose daemon lives ends with the daemon
    let own = inside.iter().filter(|(_, kind)| kind == "cgroup").map(|(place, _)| place);
    let tops: Vec<PathBuf> = groups.into_iter().chain(own.clone().flat_map(|root| children(root))).collect();
    for group in &tops {
        thaw(group);
    }
    end_processes(&mark_of(owner), programs);
    for group in &tops {
        // there is nobody to report an error to
        let _ = remove(group);
    }
    for (place, kind) in inside.iter().rev() {
        if kind == "cgroup" {
            unmount_for_good(place);
        } else {
            let _ = umount2(place, MntFlags::MNT_DETACH);
        }
    }
    for work_dir in
        work_dir.iter().filter(|work_dir| !mounts().iter().any(|(place, _)| place.starts_with(work_dir)))
    {
        let _ = fs::remove_dir_all(work_dir);
    }
}

/// Ends the processes of `programs` that name the work directory.
///
/// Operators and actors have it on the command line, daemons in the environment. Other programs, such as an editor or a
/// search, may name it too.
fn end_processes(mark: &str, programs: &[PathBuf]) {
    let has = |path: String| {
        fs::read(path).is_ok_and(|text| text.windows(mark.len()).any(|part| part == mark.as_bytes()))
    };
    let is_ours = |pid: &i32| {
        fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| programs.contains(&exe))
            && (has(format!("/proc/{pid}/cmdline")) || has(format!("/proc/{pid}/environ")))
    };
    let ours = || {
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(is_ours).collect::<Vec<i32>>()
    };
    // repeated, since an actor may be in the middle of a fork
    comes(|| {
        let left = ours();
        for pid in &left {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        left.is_empty()
    });
}
