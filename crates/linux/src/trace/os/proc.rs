//! What `/proc` shows of a task.

use std::fs;
use std::os::unix::fs::MetadataExt;

use penfold_core::Tid;

use super::arch::{ABIS, Abi};
use crate::process::text_of;

/// Of the flags in `/proc/PID/stat`: part of the kernel.
const PF_KTHREAD: u64 = 0x0020_0000;
/// An io worker, or another thread that the kernel has made in a process and that never runs its program.
const PF_WORKER: u64 = 0x0000_0010 | 0x0000_4000;

/// A field of `/proc/PID/status`, such as `PPid`.
pub(crate) fn status_field(task: Tid, name: &str) -> Option<String> {
    let text = text_of(&format!("/proc/{task}/status"))?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

/// A field of `/proc/PID/status` that is the number of a task, 0 for none.
pub(crate) fn status_task(task: Tid, name: &str) -> Option<Tid> {
    status_field(task, name)?.parse().ok().map(Tid)
}

/// The fields of `/proc/PID/stat` after the command name: the first is the state, field 3 of proc(5).
fn stat_fields(task: Tid) -> Option<Vec<String>> {
    let text = text_of(&format!("/proc/{task}/stat"))?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn stat_number(task: Tid, field: usize) -> Option<u64> {
    stat_fields(task)?.get(field - 3)?.parse().ok()
}

/// The command name of a process, for messages.
pub(crate) fn comm(task: Tid) -> String {
    fs::read_to_string(format!("/proc/{task}/comm"))
        .map(|text| text.trim_end().to_owned())
        .unwrap_or_default()
}

/// The state letter of proc(5); `None` when it is gone.
pub(crate) fn state(task: Tid) -> Option<char> {
    stat_fields(task)?.first()?.chars().next()
}

/// When a task was started, in ticks since boot.
pub(crate) fn started(task: Tid) -> Option<u64> {
    stat_number(task, 22)
}

/// The CPU on which a task was last seen.
pub(crate) fn last_cpu(task: Tid) -> Option<usize> {
    stat_number(task, 39).map(|cpu| cpu as usize)
}

/// Whether a task is part of the kernel; `None` when it is gone.
pub(crate) fn is_kernel_thread(task: Tid) -> Option<bool> {
    stat_number(task, 9).map(|flags| flags & PF_KTHREAD != 0)
}

/// Whether a thread never runs its program: it can make no call for anybody, and what it waits for may have no end.
pub(crate) fn is_worker(task: Tid) -> bool {
    stat_number(task, 9).is_some_and(|flags| flags & PF_WORKER != 0)
}

/// The task that traces another.
pub(crate) fn tracer_of(task: Tid) -> Option<Tid> {
    status_task(task, "TracerPid").filter(|tracer| tracer.0 != 0)
}

/// How many seccomp filters a task has. `None` when it is gone, and on kernels before 5.9, which do not say.
pub(crate) fn filters_of(task: Tid) -> Option<u32> {
    status_field(task, "Seccomp_filters")?.parse().ok()
}

/// The threads of a process, the leader first; `None` when it has none any more.
pub(crate) fn threads_of(tgid: Tid) -> Option<Vec<Tid>> {
    let entries = fs::read_dir(format!("/proc/{tgid}/task")).ok()?;
    let mut threads: Vec<Tid> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Tid)).collect();
    threads.sort_by_key(|tid| *tid != tgid);
    (threads.first() == Some(&tgid)).then_some(threads)
}

/// How many threads a process has.
pub(crate) fn count_threads(tgid: Tid) -> Option<u64> {
    // the links of a directory are itself, its entry above, and one for each directory in it
    fs::metadata(format!("/proc/{tgid}/task")).ok()?.nlink().checked_sub(2)
}

/// Whether a thread is seen to wait, and not for a fork of its own.
pub(crate) fn waits_outside_fork(tgid: Tid, tid: Tid) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{tgid}/task/{tid}/syscall")) else { return false };
    // the number of the call it waits in; -1 for a page fault; "running" otherwise
    let number = text.split_whitespace().next().and_then(|number| number.parse::<i64>().ok());
    let forks = |number: i64| {
        let calls = |abi: &Abi| [Some(abi.clone), Some(abi.clone3), abi.fork, abi.vfork];
        ABIS.iter().flat_map(calls).flatten().any(|fork| i64::from(fork) == number)
    };
    number.is_some_and(|number| !forks(number))
}

/// The children that a thread has made. One can be left out while another is reaped: the list is read until it is the
/// same twice.
pub(crate) fn children_of(tgid: Tid, tid: Tid) -> Vec<Tid> {
    let path = format!("/proc/{tgid}/task/{tid}/children");
    let mut last = None;
    loop {
        let Ok(text) = fs::read_to_string(&path) else {
            // a kernel without CONFIG_PROC_CHILDREN, or it is gone
            return if tid == tgid { children_by_parent(tgid) } else { Vec::new() };
        };
        if text.is_empty() || last.as_ref() == Some(&text) {
            return text.split_whitespace().filter_map(|pid| pid.parse().ok().map(Tid)).collect();
        }
        last = Some(text);
    }
}

/// The children of all threads of a process.
pub(crate) fn children_of_process(tgid: Tid) -> Vec<Tid> {
    let threads = threads_of(tgid).unwrap_or_default().into_iter();
    threads.flat_map(|tid| children_of(tgid, tid)).collect()
}

fn children_by_parent(tgid: Tid) -> Vec<Tid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Tid));
    pids.filter(|pid| stat_number(*pid, 4) == Some(tgid.0 as u64)).collect()
}

/// Whether a task's numbers are those of this process's pid namespace.
pub(crate) fn same_pid_namespace(tid: Tid) -> bool {
    let inode = |path: String| fs::metadata(path).map(|metadata| metadata.ino()).ok();
    let ours = inode("/proc/self/ns/pid".to_owned());
    // unreadable: no other namespace can be told, and none is likely
    inode(format!("/proc/{tid}/ns/pid")).is_none_or(|theirs| Some(theirs) == ours)
}
