//! What the machine's /proc tells about an actor.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

/// How long anything that is under way may take before it counts as not happening.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The state letter of a task; none when it is gone.
pub(super) fn state(tid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{tid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Is it held by a freezer? A tracer's makes it `t`; the kernel's `D`, which is also how one looks that waits in vfork.
pub(super) fn is_frozen(tid: i32) -> bool {
    match state(tid) {
        Some('t') => true,
        Some('D') => {
            fs::read_to_string(format!("/proc/{tid}/wchan")).is_ok_and(|at| at.contains("refrigerator"))
        }
        _ => false,
    }
}

/// Is all of a process dead, its threads gone?
pub(super) fn is_zombie(pid: i32) -> bool {
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    state(pid) == Some('Z') && threads() == 1
}

/// Waits for something that is under way; false when it did not come.
pub(super) fn wait_until(mut happened: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    let mut pause = Duration::from_micros(20);
    while !happened() {
        if begin.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
    }
    true
}

/// `runs`, `frozen`, `zombie` or `gone`: a task on its way from one to another is waited for.
pub(super) fn settled_state(tid: i32) -> &'static str {
    let mut last = None;
    wait_until(|| {
        last = state(tid);
        last != Some('R')
    });
    match last {
        None | Some('X') => "gone",
        Some('Z') => "zombie",
        Some('D' | 't') => "frozen",
        Some(_) => "runs",
    }
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
