//! `/proc/PID/stat` and `/proc/PID/task/TID/schedstat`.

use penfold_core::Tid;

/// Of the flags: part of the kernel.
const PF_KTHREAD: u64 = 0x0020_0000;
/// Of the flags: an io worker (`PF_IO_WORKER`), or another thread that the kernel has made in a process and that never
/// runs its program (`PF_USER_WORKER`).
const PF_WORKER: u64 = 0x0000_0010 | 0x0000_4000;
/// Of the flags: on its way out.
const PF_EXITING: u64 = 0x0000_0004;
/// Of the flags: writes a core dump, or waits for the end of one. Neither returns to the program (`PF_DUMPCORE`,
/// `PF_POSTCOREDUMP`).
const PF_DUMPS: u64 = 0x0000_0200 | 0x0000_0008;

/// The fields of a `stat` behind the command name, numbered as in proc(5).
struct StatFile(String);

impl StatFile {
    fn read(path: &str) -> Option<StatFile> {
        StatFile::parse(&super::text(path)?)
    }

    fn of(task: Tid) -> Option<StatFile> {
        StatFile::read(&format!("/proc/{task}/stat"))
    }

    /// The command name, field 2, may hold anything: parentheses, spaces and newlines. Behind it are numbers only.
    fn parse(text: &str) -> Option<StatFile> {
        Some(StatFile(text.rsplit_once(") ")?.1.to_owned()))
    }

    /// Field 3 and above.
    fn field(&self, number: usize) -> Option<&str> {
        self.0.split_whitespace().nth(number.checked_sub(3)?)
    }

    fn number(&self, field: usize) -> Option<u64> {
        self.field(field)?.parse().ok()
    }

    fn state(&self) -> Option<char> {
        self.field(3)?.chars().next()
    }

    fn parent(&self) -> Option<Tid> {
        self.field(4)?.parse().ok().map(Tid)
    }

    fn flags(&self) -> Option<u64> {
        self.number(9)
    }

    fn cpu_ticks(&self) -> Option<(u64, u64)> {
        Some((self.number(14)?, self.number(15)?))
    }

    fn start_time(&self) -> Option<u64> {
        self.number(22)
    }

    fn last_cpu(&self) -> Option<usize> {
        self.field(39)?.parse().ok()
    }
}

/// The state letter of proc(5), such as `Z`; `None` when the task is gone.
pub(crate) fn state(task: Tid) -> Option<char> {
    StatFile::of(task)?.state()
}

/// The parent process of a process.
pub fn parent_of(pid: Tid) -> Option<Tid> {
    StatFile::of(pid)?.parent()
}

/// When a task was started, in ticks of 1/100 s since boot. Together with its number this names a task for ever.
pub fn start_time(task: Tid) -> Option<u64> {
    StatFile::of(task)?.start_time()
}

/// The CPU on which a task was last seen.
pub(crate) fn last_cpu(task: Tid) -> Option<usize> {
    StatFile::of(task)?.last_cpu()
}

/// Whether a task is part of the kernel; `None` when it is gone.
pub(crate) fn is_kernel_thread(task: Tid) -> Option<bool> {
    StatFile::of(task)?.flags().map(|flags| flags & PF_KTHREAD != 0)
}

/// Whether a process has this living thread, and the thread never runs the program. Such a thread can't make a system
/// call for the tracer, and its wait may never end.
pub(crate) fn is_worker(group: Tid, thread: Tid) -> bool {
    let flags = StatFile::read(&format!("/proc/{group}/task/{thread}/stat")).and_then(|stat| stat.flags());
    flags.is_some_and(|flags| flags & PF_WORKER != 0 && flags & PF_EXITING == 0)
}

/// Whether a task has ended, or runs no instruction of its program any more.
pub(crate) fn is_exiting(task: Tid) -> bool {
    StatFile::of(task).is_none_or(|stat| {
        matches!(stat.state(), None | Some('Z' | 'X'))
            || stat.flags().is_none_or(|flags| flags & PF_EXITING != 0)
    })
}

/// Whether a living task can't run an instruction of its program before it stops for its tracer. Such a task waits
/// uninterruptibly, or takes part in a core dump.
pub(crate) fn stops_before_program(task: Tid) -> bool {
    StatFile::of(task).is_some_and(|stat| {
        matches!(stat.state(), Some('D' | 'I')) || stat.flags().is_some_and(|flags| flags & PF_DUMPS != 0)
    })
}

/// The CPU time of a thread in user mode and in the kernel, in ticks of 1/100 s. Ticks are sampled: for a short time
/// only their proportion means something.
pub(crate) fn cpu_ticks(group: Tid, thread: Tid) -> Option<(u64, u64)> {
    StatFile::read(&format!("/proc/{group}/task/{thread}/stat"))?.cpu_ticks()
}

/// How long a thread has run on a CPU, in nanoseconds, exact. `None` also without `CONFIG_SCHED_INFO`.
pub(crate) fn run_time(group: Tid, thread: Tid) -> Option<u64> {
    run_time_in(&super::text(&format!("/proc/{group}/task/{thread}/schedstat"))?)
}

/// The first of three numbers: run time, wait time, timeslices.
fn run_time_in(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::own;
    use super::*;

    /// The fields 3 to 52.
    const REST: &str = "S 7 70 70 0 -1 2130240 1 2 3 4 140 15 16 17 20 0 1 0 220 1000 200 18446744073709551615 1 1 0 0 0 0 \
        0 0 0 0 0 0 17 39 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    fn with_name(name: &str) -> StatFile {
        StatFile::parse(&format!("70 ({name}) {REST}")).expect("a stat")
    }

    #[test]
    fn fields_are_counted_behind_any_name() {
        for name in ["sh", "", "a b", "a) S 1 (b", ") ", "((", "))", "a\nb", "1) R 5", "\u{fffd}"] {
            let stat = with_name(name);
            assert_eq!((stat.state(), stat.parent()), (Some('S'), Some(Tid(7))), "{name:?}");
            assert_eq!((stat.cpu_ticks(), stat.start_time()), (Some((140, 15)), Some(220)), "{name:?}");
            assert_eq!((stat.flags(), stat.last_cpu()), (Some(2_130_240), Some(39)), "{name:?}");
        }
    }

    #[test]
    fn truncated_stat_has_no_late_fields() {
        let whole = format!("70 (a b) {REST}");
        for length in 0..whole.len() {
            let Some(stat) = StatFile::parse(&whole[..length]) else {
                assert!(length < "70 (a b) ".len(), "{length}");
                continue;
            };
            assert!(stat.state().is_none_or(|state| state == 'S'), "{length}");
            assert!(stat.parent().is_none_or(|parent| parent == Tid(7)), "{length}");
        }
        assert_eq!(StatFile::parse("70 (a) S 7").unwrap().start_time(), None);
        assert!(StatFile::parse("").is_none() && StatFile::parse("70").is_none());
    }

    #[test]
    fn run_time_is_the_first_number() {
        assert_eq!(run_time_in("123 45 6\n"), Some(123));
        assert_eq!(run_time_in(""), None);
        assert_eq!(run_time_in("x 1 2"), None);
    }

    #[test]
    fn this_process_has_all_facts() {
        let (pid, thread) = (own(), Tid(nix::unistd::gettid().as_raw()));
        assert_eq!(parent_of(pid), Some(Tid(nix::unistd::getppid().as_raw())));
        assert!(start_time(pid).is_some_and(|time| time > 0 && Some(time) <= start_time(thread)));
        assert_eq!(
            (is_kernel_thread(pid), is_worker(pid, thread), state(thread)),
            (Some(false), false, Some('R'))
        );
        assert!(cpu_ticks(pid, thread).is_some() && run_time(pid, thread).is_some_and(|time| time > 0));
        assert!(last_cpu(thread).is_some() && !is_exiting(thread) && !stops_before_program(thread));
        assert!(is_exiting(Tid(i32::MAX)) && !stops_before_program(Tid(i32::MAX)));
        assert_eq!((start_time(Tid(i32::MAX)), state(Tid(-1))), (None, None));
    }
}
