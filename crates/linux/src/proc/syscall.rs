//! `/proc/PID/task/TID/syscall`: the system call in which a thread waits.

use penfold_core::Tid;

/// The number of the system call in which a thread is blocked, as its own processor interface counts. It is -1 when the
/// thread is blocked outside of a call, as in a page fault.
///
/// `None` when the thread runs or is gone, and where this process may not trace it. A thread that is not traced can
/// have gone on since.
pub(crate) fn blocked_call(group: Tid, thread: Tid) -> Option<i64> {
    number_in(&super::text(&format!("/proc/{group}/task/{thread}/syscall"))?)
}

/// `running`, or the number, six arguments, stack pointer and program counter; outside of a call without arguments.
fn number_in(text: &str) -> Option<i64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::own;
    use super::*;

    #[test]
    fn number_stands_first() {
        assert_eq!(number_in("230 0x0 0x0 0x7ffc 0x0 0x0 0x0 0x7ffc 0x7f39\n"), Some(230));
        assert_eq!(number_in("-1 0x7ffc 0x7f39\n"), Some(-1));
        for none in ["running\n", "", "\n", "0x10 0x0"] {
            assert_eq!(number_in(none), None, "{none:?}");
        }
    }

    #[test]
    fn thread_that_reads_its_own_file_is_in_read() {
        let this = Tid(nix::unistd::gettid().as_raw());
        assert_eq!(blocked_call(own(), this), Some(libc::SYS_read));
        assert_eq!(blocked_call(own(), Tid(i32::MAX)), None);
    }
}
