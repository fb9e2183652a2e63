//! The tasks that exist: the numbers below `/proc` and `/proc/PID/task`, and `/proc/PID/task/TID/children`.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use penfold_core::Tid;

use super::stat::parent_of;
use super::{numbers, text};

/// Every process of this pid namespace that this process may see, zombies too, ascending. A process that is born or
/// reaped during the call may be in it or not.
pub fn processes() -> Vec<Tid> {
    let mut processes: Vec<Tid> = numbers("/proc").into_iter().flatten().map(Tid).collect();
    processes.sort_unstable();
    processes
}

/// Every task, that is thread, of [`processes`], ascending.
pub fn all_tasks() -> Vec<Tid> {
    let threads = |pid: Tid| numbers(&format!("/proc/{pid}/task")).into_iter().flatten().map(Tid);
    let mut tasks: Vec<Tid> = processes().into_iter().flat_map(threads).collect();
    tasks.sort_unstable();
    tasks
}

/// The threads of a process, the leader first; `None` when the process has been reaped. The number of another thread
/// gives the threads of its process too, that one first. A thread can be left out while another one ends.
pub fn threads_of(pid: Tid) -> Option<Vec<Tid>> {
    let mut threads: Vec<Tid> = numbers(&format!("/proc/{pid}/task")).ok()?.map(Tid).collect();
    threads.sort_by_key(|thread| *thread != pid);
    (threads.first() == Some(&pid)).then_some(threads)
}

/// How many threads a process has, read in one step: a list of [`threads_of`] with fewer has left some out.
pub(crate) fn thread_count(pid: Tid) -> Option<u64> {
    // the links of a directory are itself, its entry above, and one for each directory in it
    fs::metadata(format!("/proc/{pid}/task")).ok()?.nlink().checked_sub(2)
}

/// The children that a thread has made and that are not reaped. A leader has all children of its process where the
/// kernel lacks `CONFIG_PROC_CHILDREN`, other threads then have none.
pub(crate) fn children_of(pid: Tid, thread: Tid) -> Vec<Tid> {
    listed_children(pid, thread).unwrap_or_else(|| {
        let leads = thread == pid;
        if leads { children_by_parent(pid) } else { Vec::new() }
    })
}

/// The children of all threads of a process that are not reaped.
pub fn children_of_process(pid: Tid) -> Vec<Tid> {
    let threads = threads_of(pid).unwrap_or_default();
    let lists: Option<Vec<Vec<Tid>>> = threads.iter().map(|thread| listed_children(pid, *thread)).collect();
    // no lists in this kernel, or a thread that has just ended: its children are on another list, which may have been
    // read before
    lists.map_or_else(|| children_by_parent(pid), |lists| lists.concat())
}

/// The children of all threads of this process that are not reaped, also where `/proc` is that of another pid namespace;
/// none without `CONFIG_PROC_CHILDREN`.
pub(crate) fn own_children() -> Vec<Tid> {
    let threads = numbers("/proc/self/task").into_iter().flatten().map(Tid);
    threads.filter_map(|thread| listed_children("self", thread)).flatten().collect()
}

/// A thread's list of children; `None` without `CONFIG_PROC_CHILDREN`, and when the thread is gone.
///
/// The kernel can leave a child out while another one is reaped, so the list is read until it is the same twice.
fn listed_children(process: impl Display, thread: Tid) -> Option<Vec<Tid>> {
    let path = format!("/proc/{process}/task/{thread}/children");
    let mut last = None;
    loop {
        let list = text(&path)?;
        if list.is_empty() || last.as_ref() == Some(&list) {
            return Some(tasks_in(&list));
        }
        last = Some(list);
    }
}

fn tasks_in(list: &str) -> Vec<Tid> {
    list.split_whitespace().filter_map(|number| number.parse().ok().map(Tid)).collect()
}

fn children_by_parent(pid: Tid) -> Vec<Tid> {
    processes().into_iter().filter(|child| parent_of(*child) == Some(pid)).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::super::own;
    use super::*;

    #[test]
    fn child_is_found_by_every_way() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let (pid, thread) = (Tid(child.id().cast_signed()), Tid(nix::unistd::gettid().as_raw()));
        assert!(children_of(own(), thread).contains(&pid));
        assert!(children_of_process(own()).contains(&pid));
        assert!(children_by_parent(own()).contains(&pid) && own_children().contains(&pid));
        assert!(processes().contains(&pid) && all_tasks().contains(&pid));
        assert_eq!((threads_of(pid), thread_count(pid)), (Some(vec![pid]), Some(1)));
        drop(child.stdin.take());
        child.wait().expect("it ends");
        assert!(!children_of_process(own()).contains(&pid));
        assert_eq!((threads_of(pid), thread_count(pid), children_of_process(pid)), (None, None, Vec::new()));
    }

    #[test]
    fn thread_is_a_task_but_no_process() {
        let thread = std::thread::spawn(|| Tid(nix::unistd::gettid().as_raw()));
        let gone = thread.join().expect("it ends");
        let (leader, this) = (own(), Tid(nix::unistd::gettid().as_raw()));
        let threads = threads_of(leader).expect("we live");
        assert_eq!(threads.first(), Some(&leader));
        assert!(threads.contains(&this) && this != leader && gone != this);
        assert!(all_tasks().contains(&this) && !processes().contains(&this));
        assert_eq!(threads_of(this).expect("we live").first(), Some(&this));
    }

    #[test]
    fn list_of_children_is_numbers() {
        assert_eq!(tasks_in("1 22 333 "), [Tid(1), Tid(22), Tid(333)]);
        assert_eq!(tasks_in(""), []);
        assert_eq!(tasks_in("12 x\n3"), [Tid(12), Tid(3)]);
    }
}
