//! The open descriptors and the RLIMIT_NOFILE of real processes, from /proc.

use std::fs;

use penfold_module::Tid;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// The descriptors and soft limits of processes. Each function returns `None` or false for a process that has ended.
pub trait Descriptors: Send + 'static {
    /// The numbers of the open descriptors, ascending.
    fn open(&self, process: Tid) -> Option<Vec<u32>>;
    /// The soft limit on the number of open descriptors.
    fn limit(&self, process: Tid) -> Option<u64>;
    /// Sets the soft limit; false if that failed.
    fn set_limit(&mut self, process: Tid, limit: u64) -> bool;
    /// The parent of the process.
    fn parent(&self, process: Tid) -> Option<Tid>;
}

/// The descriptors of the kernel's processes.
#[derive(Debug, Default)]
pub struct ProcDescriptors;

impl Descriptors for ProcDescriptors {
    fn open(&self, process: Tid) -> Option<Vec<u32>> {
        let entries = fs::read_dir(format!("/proc/{process}/fd")).ok()?;
        let mut numbers: Vec<u32> =
            entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        Some(numbers)
    }

    fn limit(&self, process: Tid) -> Option<u64> {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let soft = line.split_whitespace().next()?;
        if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
    }

    fn set_limit(&mut self, process: Tid, limit: u64) -> bool {
        let Some(hard) = hard_limit(process) else { return false };
        let new = Rlimit { current: Some(limit).filter(|&limit| limit != u64::MAX), maximum: hard };
        prlimit(Pid::from_raw(process.0), Resource::Nofile, new).is_ok()
    }

    fn parent(&self, process: Tid) -> Option<Tid> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        parent.trim().parse().ok().map(Tid)
    }
}

/// The hard limit of a process; `Some(None)` for no limit.
fn hard_limit(process: Tid) -> Option<Option<u64>> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let hard = line.split_whitespace().nth(1)?;
    if hard == "unlimited" { Some(None) } else { hard.parse().ok().map(Some) }
}
