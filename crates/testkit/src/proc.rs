//! Facts of processes and threads as `/proc` tells them to any observer.
//!
//! Tests compare with these what penfold says, so nothing here asks penfold.

use std::fs;

/// The command name of a task (`comm`); empty when there is no such task.
pub fn command(task: i32) -> String {
    fs::read_to_string(format!("/proc/{task}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// The state of a task as one letter, such as `t` for one that its tracer holds; `None` when there is no such task.
pub fn state(task: i32) -> Option<char> {
    stat_fields(task)?.chars().next()
}

/// Whether a task exists and is no zombie.
pub fn lives(task: i32) -> bool {
    state(task).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// A field of `/proc/TASK/status`, such as `TracerPid`.
pub fn status(task: i32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{task}/status")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

/// The CPU time of a task, user and system together, in ticks of the kernel's clock.
pub fn ticks(task: i32) -> Option<u64> {
    let fields = stat_fields(task)?;
    Some(fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}

/// The CPU time of a task in nanoseconds.
pub fn run_time(task: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{task}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The threads of a process; none when there is no such process.
pub fn threads(process: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// The children of all threads of a process.
pub fn children(process: i32) -> Vec<i32> {
    let list = |thread| fs::read_to_string(format!("/proc/{process}/task/{thread}/children"));
    let lists: String = threads(process).into_iter().map(|thread| list(thread).unwrap_or_default()).collect();
    lists.split_whitespace().map(|pid| pid.parse().expect("a process number")).collect()
}

/// The processes whose environment has `NAME=VALUE` as one entry.
pub fn with_environment(entry: &str) -> Vec<i32> {
    let has_entry = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    };
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has_entry).collect()
}

/// The fields of `/proc/TASK/stat` from the state on. The command name before it may have blanks and brackets.
fn stat_fields(task: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{task}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.to_owned())
}
