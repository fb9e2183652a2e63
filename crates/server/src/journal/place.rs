//! Where this process is, so that numbers of processes and mount points mean something.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::time::{ClockId, clock_gettime};

use super::record::Place;

/// This boot, this pid namespace, this mount namespace.
pub fn here() -> Place {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Place { boot: boot.trim().to_owned(), pids: namespace("self", "pid"), mounts: namespace("self", "mnt") }
}

/// The mount namespace of a process; 0 if that can't be known.
pub fn mount_namespace(pid: i32) -> u64 {
    namespace(&pid.to_string(), "mnt")
}

fn namespace(pid: &str, kind: &str) -> u64 {
    fs::metadata(format!("/proc/{pid}/ns/{kind}")).map_or(0, |namespace| namespace.ino())
}

/// The time since boot in the ticks that start times are in, 100 a second.
pub(super) fn ticks() -> u64 {
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or(0, |time| time.tv_sec().cast_unsigned() * 100 + time.tv_nsec().cast_unsigned() / 10_000_000);
    // 0 says that nothing was seen yet
    since_boot.max(1)
}
