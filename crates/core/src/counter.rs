//! Counters and the charge rules that subsystems declare on them.

use alloc::borrow::Cow;
use alloc::boxed::Box;

use crate::errno::Errno;

/// No limit.
pub const UNLIMITED: u64 = u64::MAX;

/// What a rule counts. Who executes it is the host's choice: core does where the host has no better way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Living tasks: charged before a fork, moved by an attach (without a limit), given back at exit.
    Tasks,
    /// Forks ever made: charged before a fork, never given back but for a fork that fails.
    Forks,
    /// CPU time in nanoseconds, per CPU, user and system. Never refused.
    CpuTime,
    /// Sockets created. Only hosts that see socket(2) execute it.
    Sockets,
}

impl Resource {
    /// In words, such as `tasks`.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Tasks => "tasks",
            Resource::Forks => "forks",
            Resource::CpuTime => "CPU time",
            Resource::Sockets => "sockets",
        }
    }
}

/// A charge rule, declared by a subsystem: one counter per css, charged up the hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What is counted.
    pub resource: Resource,
    /// What the caller is told when a limit refuses.
    pub errno: Errno,
    /// The control file (without prefix) that sets the limit, to name it in messages; empty for none.
    pub limit_file: Cow<'static, str>,
}

impl Rule {
    /// A rule that refuses with `EAGAIN`, as fork(2) does.
    pub const fn new(resource: Resource) -> Rule {
        Rule { resource, errno: Errno::EAGAIN, limit_file: Cow::Borrowed("") }
    }

    /// The same, with its limit set by this control file.
    pub const fn limited_by(resource: Resource, file: &'static str) -> Rule {
        Rule { resource, errno: Errno::EAGAIN, limit_file: Cow::Borrowed(file) }
    }

    /// The same, refusing with another errno.
    #[must_use]
    pub const fn refused_with(mut self, errno: Errno) -> Rule {
        self.errno = errno;
        self
    }
}

/// A counter of one css (F8): usage against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// What is charged now, descendants included.
    pub usage: u64,
    /// The highest usage that may be reached by a charge; [`UNLIMITED`] for none.
    pub limit: u64,
    /// The highest usage ever seen.
    pub peak: u64,
    /// Charges refused because of *this* counter's limit.
    pub failures: u64,
    /// Charges refused that began *here*, whichever ancestor's limit refused them.
    pub refused: u64,
}

impl Default for Counter {
    fn default() -> Counter {
        Counter { usage: 0, limit: UNLIMITED, peak: 0, failures: 0, refused: 0 }
    }
}

impl Counter {
    /// Charges `amount` if the limit allows it.
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

    /// Charges whatever the limit says: a move may exceed it (F3.16).
    #[inline]
    pub fn charge(&mut self, amount: u64) {
        self.usage = self.usage.saturating_add(amount);
        self.peak = self.peak.max(self.usage);
    }

    /// Gives a charge back. More than is charged is a bug of the caller; the counter stays at 0.
    #[inline]
    pub fn uncharge(&mut self, amount: u64) {
        debug_assert!(self.usage >= amount, "uncharged {amount} of {}", self.usage);
        self.usage = self.usage.saturating_sub(amount);
    }
}

/// CPU time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
}

impl CpuTime {
    /// User and system together.
    pub const fn total(self) -> u64 {
        self.user + self.system
    }

    /// Adds another time to this one.
    pub fn add(&mut self, other: CpuTime) {
        self.user += other.user;
        self.system += other.system;
    }
}

/// CPU time of one css, per CPU. Holds no memory until something was charged.
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
    /// Time on one CPU.
    pub fn on(&self, cpu: usize) -> CpuTime {
        self.per_cpu.get(cpu).copied().unwrap_or_default()
    }

    /// Time on all CPUs.
    pub fn total(&self) -> CpuTime {
        let mut total = CpuTime::default();
        self.per_cpu.iter().for_each(|time| total.add(*time));
        total
    }

    /// Forgets everything charged so far.
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
