//! The boot and the namespaces of this process. Only within them do numbers of processes and mount points mean the
//! same.

use nix::time::{ClockId, clock_gettime};
use penfold_core::Tid;
use penfold_linux::proc::{Namespace, boot_id, load_average, namespace_of, own_namespace};
use serde::{Deserialize, Serialize};

/// The boot and the namespaces in which a journal was written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JournalOrigin {
    /// The boot, as `/proc/sys/kernel/random/boot_id` shows it.
    pub boot: String,
    /// The inode number of the pid namespace.
    pub pids: u64,
    /// The inode number of the mount namespace.
    pub mounts: u64,
}

impl JournalOrigin {
    /// The origin of a journal that this process writes.
    pub fn current() -> JournalOrigin {
        let namespace = |kind| own_namespace(kind).unwrap_or(0);
        JournalOrigin {
            boot: boot_id().unwrap_or_default(),
            pids: namespace(Namespace::Pid),
            mounts: namespace(Namespace::Mount),
        }
    }
}

/// The inode number of a process's mount namespace; 0 if it can't be read.
pub fn mount_namespace(pid: i32) -> u64 {
    namespace_of(Tid(pid), Namespace::Mount).unwrap_or(0)
}

/// A moment in the sequence of process births, which separates earlier births from later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcStamp {
    /// Ticks since boot, 100 a second, the unit of start times in `/proc/PID/stat`. 0: membership was never read.
    pub at: u64,
    /// The newest task number at that moment; 0 if not known.
    #[serde(default)]
    pub newest: i32,
}

impl ProcStamp {
    /// The present moment.
    pub(super) fn now() -> ProcStamp {
        ProcStamp { at: ticks(), newest: load_average().map_or(0, |load| load.last_pid) }
    }

    /// True if a process with this number and start time (in ticks since boot) was born later.
    ///
    /// Within one tick the numbers decide, because the kernel gives them in ascending order. A wrap of the numbers
    /// within that tick would deceive this.
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
    fn births_in_one_tick_are_ordered_by_number() {
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
