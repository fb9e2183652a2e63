//! Facts about an actor from the machine's /proc.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use penfold_testkit::{proc::state, retry};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The time after which an expected event counts as missing.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether a process is a zombie and all its threads are gone.
pub(super) fn is_zombie(pid: i32) -> bool {
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    state(pid) == Some('Z') && threads() == 1
}

/// Waits for an expected event. False if the event did not come.
///
/// A panic, as [`penfold_testkit::wait_until`] has it, would end the campaign without its report.
pub(super) fn comes(mut happened: impl FnMut() -> bool) -> bool {
    retry(PATIENCE, || if happened() { Ok(()) } else { Err(()) }).is_ok()
}

/// `runs`, `frozen`, `zombie` or `gone`, after the end of a change between these.
///
/// `frozen` says whether the task is frozen by the freezer's files.
pub(super) fn settled_state(tid: i32, frozen: bool) -> &'static str {
    let mut last = None;
    comes(|| {
        last = state(tid);
        // a frozen task is `D` on the kernel and `t` under a tracer; other tasks are so for a moment only
        matches!(last, Some('D' | 't')) == frozen && last != Some('R')
    });
    match last {
        None | Some('X') => "gone",
        Some('Z') => "zombie",
        Some('D' | 't') => "frozen",
        Some(_) => "runs",
    }
}

/// Whether a task is in a frozen group of this directory or below, by the files, which every side has.
pub(super) fn is_in_frozen_group(directory: &Path, tid: i32) -> bool {
    let read = |name| fs::read_to_string(directory.join(name)).unwrap_or_default();
    let tid = tid.to_string();
    if read("tasks").lines().any(|line| line == tid) {
        return read("freezer.state") != "THAWED\n";
    }
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let tid = tid.parse().unwrap_or_default();
    groups.into_iter().any(|group| is_in_frozen_group(&group.path(), tid))
}

/// Is a task listed in this directory or below?
pub(super) fn is_listed(directory: &Path, tid: i32) -> bool {
    let tasks = fs::read_to_string(directory.join("tasks")).unwrap_or_default();
    let number = tid.to_string();
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    tasks.lines().any(|line| line == number) || groups.any(|group| is_listed(&group.path(), tid))
}

/// The CPUs that a task may run on.
pub(super) fn affinity(tid: i32) -> String {
    match sched_getaffinity(Pid::from_raw(tid)) {
        Err(errno) => format!("{errno:?}"),
        Ok(set) => {
            let cpus = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false));
            format!("{:?}", cpus.collect::<Vec<_>>())
        }
    }
}

/// Every thread of a process with its state and its place in the kernel, for messages.
pub(super) fn threads(pid: i32) -> String {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let describe = |tid: String| {
        let wchan = fs::read_to_string(format!("/proc/{tid}/wchan")).unwrap_or_default();
        format!("{tid} {:?} {wchan}", tid.parse().ok().and_then(state))
    };
    threads.map(|thread| describe(thread.file_name().to_string_lossy().into())).collect::<Vec<_>>().join(", ")
}
