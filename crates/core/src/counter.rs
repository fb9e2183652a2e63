//! Counters, and the charge rules that subsystems declare on them.

use alloc::borrow::Cow;
use alloc::boxed::Box;

use crate::errno::Errno;

/// The value of [`Counter::limit`] that stands for no limit.
pub const UNLIMITED: u64 = u64::MAX;

/// The resource that a [`Rule`] counts.
///
/// A rule is data, so that a host can execute it where it has a better way, such as in its kernel. Core executes rules
/// on tasks, forks and CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Living tasks. Charged before a fork and uncharged at exit; an attach moves the charge and ignores limits.
    Tasks,
    /// Forks since the cgroup was made. Charged before a fork, and uncharged only if that fork fails.
    Forks,
    /// CPU time in nanoseconds, by CPU, user and system. A charge is never refused.
    CpuTime,
    /// Sockets created. Core does not charge them: only a host that sees socket(2) can.
    Sockets,
}

impl Resource {
    /// The name in words: `tasks`, `forks`, `CPU time` or `sockets`.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Tasks => "tasks",
            Resource::Forks => "forks",
            Resource::CpuTime => "CPU time",
            Resource::Sockets => "sockets",
        }
    }
}

/// A charge rule that a subsystem declares in [`Subsystem::RULES`](crate::subsystem::Subsystem::RULES).
///
/// The rule gives every css a [`Counter`]. A charge to a css also goes to every css above it, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The resource that is counted.
    pub resource: Resource,
    /// The errno of a charge that a limit refuses, such as the answer of fork(2).
    pub errno: Errno,
    /// The control file that sets the limit, without prefix, for messages and [`LimitState`](crate::LimitState); empty
    /// for none.
    pub limit_file: Cow<'static, str>,
}

impl Rule {
    /// A rule without a control file for its limit. A refusal is `EAGAIN`, as from fork(2).
    pub const fn new(resource: Resource) -> Rule {
        Rule { resource, errno: Errno::EAGAIN, limit_file: Cow::Borrowed("") }
    }

    /// A rule whose limit the control file `file` sets, named without prefix. A refusal is `EAGAIN`.
    ///
    /// The name is for messages only: the write handler of the file sets the limit with
    /// [`Context::set_limit`](crate::subsystem::Context::set_limit).
    pub const fn limited_by(resource: Resource, file: &'static str) -> Rule {
        Rule { resource, errno: Errno::EAGAIN, limit_file: Cow::Borrowed(file) }
    }

    /// The rule with another errno for refusals.
    #[must_use]
    pub const fn refused_with(mut self, errno: Errno) -> Rule {
        self.errno = errno;
        self
    }
}

/// The counter of one css for one rule: a usage and its limit (F8). The unit is that of the [`Resource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// The amount charged now, descendants included.
    pub usage: u64,
    /// The highest usage that a charge with a limit may reach; [`UNLIMITED`] for none.
    pub limit: u64,
    /// The highest usage since the cgroup was made, or since the peak was reset.
    pub peak: u64,
    /// The number of charges that *this* counter's limit has refused, wherever they began.
    pub failures: u64,
    /// The number of refused charges that began *here*, whichever limit above refused them.
    pub refused: u64,
}

impl Default for Counter {
    fn default() -> Counter {
        Counter { usage: 0, limit: UNLIMITED, peak: 0, failures: 0, refused: 0 }
    }
}

impl Counter {
    /// Charges `amount` if the limit allows that, and returns true. Otherwise counts a failure and returns false.
    #[inline]
    #[must_use]
    pub fn try_charge(&mut self, amount: u64) -> bool {
        let usage = self.usage.saturating_add(amount);
        if usage > self.limit {
            self.failures += 1;
            return false;
        }
        self.usage = usage;
        self.peak = self.peak.max(usage);
        true
    }

    /// Charges `amount` without regard to the limit, which a move may exceed (F3.16).
    #[inline]
    pub fn charge(&mut self, amount: u64) {
        self.usage = self.usage.saturating_add(amount);
        self.peak = self.peak.max(self.usage);
    }

    /// Takes a charge back: lowers the usage by `amount`. The peak and the numbers of refusals stay.
    ///
    /// The caller must have charged `amount` before. With debug assertions an amount above the usage panics; without
    /// them the usage becomes 0.
    #[inline]
    pub fn uncharge(&mut self, amount: u64) {
        debug_assert!(self.usage >= amount, "uncharged {amount} of {}", self.usage);
        self.usage = self.usage.saturating_sub(amount);
    }
}

/// A CPU time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// The nanoseconds in user mode.
    pub user: u64,
    /// The nanoseconds in the kernel.
    pub system: u64,
}

impl CpuTime {
    /// The sum of user and system time, in nanoseconds.
    pub const fn total(self) -> u64 {
        self.user + self.system
    }

    /// Adds another time to this one.
    pub fn add(&mut self, other: CpuTime) {
        self.user += other.user;
        self.system += other.system;
    }
}

/// The CPU time of one css, by CPU. Takes no memory on the heap until time is charged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuUsage {
    per_cpu: Box<[CpuTime]>,
}

impl FromIterator<CpuTime> for CpuUsage {
    /// The times of CPU 0, 1 and so on.
    fn from_iter<T: IntoIterator<Item = CpuTime>>(times: T) -> CpuUsage {
        CpuUsage { per_cpu: times.into_iter().collect() }
    }
}

impl CpuUsage {
    /// The time on CPU number `cpu`; zero for a CPU that was never charged.
    pub fn on(&self, cpu: usize) -> CpuTime {
        self.per_cpu.get(cpu).copied().unwrap_or_default()
    }

    /// The sum of the times on all CPUs.
    pub fn total(&self) -> CpuTime {
        let mut total = CpuTime::default();
        self.per_cpu.iter().for_each(|time| total.add(*time));
        total
    }

    /// Sets the time on every CPU to zero.
    pub fn reset(&mut self) {
        self.per_cpu = Box::default();
    }

    pub(crate) fn charge(&mut self, cpu: usize, time: CpuTime) {
        if cpu >= self.per_cpu.len() {
            let mut grown = alloc::vec![CpuTime::default(); cpu + 1];
            grown[..self.per_cpu.len()].copy_from_slice(&self.per_cpu);
            self.per_cpu = grown.into_boxed_slice();
        }
        self.per_cpu[cpu].add(time);
    }
}
