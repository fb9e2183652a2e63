//! Where this process is, so that numbers of processes and mount points mean something.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Where numbers of processes mean something: one boot, one pid namespace, one mount namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JournalOrigin {
    /// `/proc/sys/kernel/random/boot_id`
    pub boot: String,
    /// The pid namespace's number.
    pub pids: u64,
    /// The mount namespace's number.
    pub mounts: u64,
}

impl JournalOrigin {
    /// The origin of a journal that this process writes.
    pub fn current() -> JournalOrigin {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        JournalOrigin {
            boot: boot.trim().to_owned(),
            pids: namespace("self", "pid"),
            mounts: namespace("self", "mnt"),
        }
    }
}

/// The mount namespace of a process; 0 if that can't be known.
pub fn mount_namespace(pid: i32) -> u64 {
    namespace(&pid.to_string(), "mnt")
}

fn namespace(pid: &str, kind: &str) -> u64 {
    fs::metadata(format!("/proc/{pid}/ns/{kind}")).map_or(0, |namespace| namespace.ino())
}

/// A moment among the births of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcStamp {
    /// In the ticks since boot that start times are in, 100 a second; 0 says that nothing was seen yet.
    pub at: u64,
    /// The number that was given to a task last; 0 if that is not known.
    #[serde(default)]
    pub newest: i32,
}

impl ProcStamp {
    /// The present one.
    pub(super) fn now() -> ProcStamp {
        let average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let newest = average.split_whitespace().last().and_then(|number| number.parse().ok());
        ProcStamp { at: ticks(), newest: newest.unwrap_or(0) }
    }

    /// Whether a process was born later. In one and the same tick numbers tell, which are given in ascending order; that
    /// they begin anew in that very tick is left out of account.
    pub(super) fn is_before(self, pid: i32, started: u64) -> bool {
        started > self.at || started == self.at && pid > self.newest
    }
}

fn ticks() -> u64 {
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or(0, |time| time.tv_sec().cast_unsigned() * 100 + time.tv_nsec().cast_unsigned() / 10_000_000);
    since_boot.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn births_in_the_tick_of_a_moment_are_told_apart_by_number() {
        let moment = ProcStamp { at: 500, newest: 70 };
        assert!(moment.is_before(3, 501) && moment.is_before(71, 500));
        assert!(!moment.is_before(71, 499) && !moment.is_before(70, 500) && !moment.is_before(69, 500));
        let child = std::process::Command::new("true").spawn().expect("a child");
        let now = ProcStamp::now();
        assert!(now.at > 0 && now.newest >= child.id().cast_signed(), "{now:?}");
        let later = std::process::Command::new("true").spawn().expect("a child");
        assert!(later.id().cast_signed() > now.newest || ProcStamp::now().newest < now.newest, "{now:?}");
        for mut child in [child, later] {
            child.wait().expect("it is ours");
        }
    }
}
