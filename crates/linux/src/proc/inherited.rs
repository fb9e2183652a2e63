//! `/proc/PID/oom_score_adj`, `timerslack_ns` and `personality`: state that a child inherits.

use std::ffi::CStr;

use penfold_core::Tid;

/// The file of this process's own OOM score, for a child that may not allocate.
pub(crate) const OWN_OOM_SCORE: &CStr = c"/proc/self/oom_score_adj";

/// How much sooner or later than others a process is killed when memory is short, -1000 to 1000.
pub(crate) fn oom_score_adj(pid: Tid) -> Option<i32> {
    super::text(&format!("/proc/{pid}/oom_score_adj"))?.trim().parse().ok()
}

/// The timer slack of a process in nanoseconds; `None` also without `PTRACE_MODE_ATTACH`.
pub(crate) fn timer_slack_of(pid: Tid) -> Option<u64> {
    super::text(&format!("/proc/{pid}/timerslack_ns"))?.trim().parse().ok()
}

/// The personality of a process, as personality(2) has it; `None` also without `PTRACE_MODE_ATTACH`.
pub(crate) fn personality_of(pid: Tid) -> Option<u64> {
    u64::from_str_radix(super::text(&format!("/proc/{pid}/personality"))?.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::own;
    use super::*;

    #[test]
    fn own_attributes_are_readable() {
        assert!(oom_score_adj(own()).is_some_and(|score| (-1000..=1000).contains(&score)));
        assert!(timer_slack_of(own()).is_some_and(|slack| slack > 0) && personality_of(own()).is_some());
        assert_eq!(oom_score_adj(Tid(i32::MAX)), None);
    }
}
