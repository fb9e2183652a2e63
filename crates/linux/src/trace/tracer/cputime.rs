//! CPU time: exact at exit, sampled while alive.
//!
//! It is read from the process's own CPU clocks, which the zombie still has and which include its dead threads. The
//! scheduler's clock is exact. Its split into user and system time is estimated from ticks by the rule of the kernel's
//! `cputime_adjust`, so it agrees with times(2) and ps(1).

use nix::errno::Errno;
use penfold_core::Tid;

use super::table::{ChargedTime, TaskTable};
use crate::proc::{cpu_ticks, last_cpu, run_time};
use crate::trace::os::task;

/// Nanoseconds. A shorter step is charged to the CPU where the process was last seen: to read its CPU would cost more.
const WORTH_LOOKING_NS: u64 = 1_000_000;

impl ChargedTime {
    fn total(self) -> u64 {
        self.user + self.system
    }

    /// `total`, split in the proportion of the ticks; without ticks all of it is user time.
    fn split(total: u64, user_ticks: u64, system_ticks: u64) -> Self {
        let user = if system_ticks == 0 {
            total
        } else {
            (u128::from(total) * u128::from(user_ticks) / u128::from(user_ticks + system_ticks)) as u64
        };
        Self { user, system: total - user }
    }

    /// Advances to `now` and returns the difference, whose total is exact.
    ///
    /// Both parts only grow. A new proportion that would take back charged time is bent, as the kernel bends it.
    fn advance(&mut self, now: Self) -> Self {
        let grown = now.total().saturating_sub(self.total());
        let user = now.user.clamp(self.user, self.user + grown) - self.user;
        let step = Self { user, system: grown - user };
        self.user += step.user;
        self.system += step.system;
        step
    }
}

/// Adds both parts.
fn add(to: &mut ChargedTime, step: ChargedTime) {
    to.user += step.user;
    to.system += step.system;
}

fn of_process(tgid: Tid) -> Result<ChargedTime, Errno> {
    let total = task::process_clock(tgid, 2)?;
    // most short-lived processes have no tick at all: one call less for them
    let ticks = task::process_clock(tgid, 0)?;
    let user = if ticks == 0 { 0 } else { task::process_clock(tgid, 1)?.min(ticks) };
    Ok(ChargedTime::split(total, user, ticks - user))
}

/// The run time is exact; the ticks give the proportion.
fn of_thread(tgid: Tid, tid: Tid) -> Option<ChargedTime> {
    let total = run_time(tgid, tid)?;
    let (user, system) = cpu_ticks(tgid, tid)?;
    Some(ChargedTime::split(total, user, system))
}

/// Takes a step of CPU time: the task, the policy's part of it, the CPU where it was last seen, and the time.
pub(crate) type ChargeFn<'a, T> = dyn FnMut(Tid, Option<&T>, usize, ChargedTime) + 'a;

impl<T, C> TaskTable<T, C> {
    /// Charges all living processes for their CPU time since the last charge.
    pub(crate) fn sample(&mut self, charge: &mut ChargeFn<'_, T>) {
        let processes: Vec<Tid> = self.processes.keys().copied().collect();
        for tgid in processes {
            self.charge_process(tgid, charge);
        }
    }

    /// Accounts the threads of a process by themselves from now on: they are no longer all in the same group. The
    /// process was charged just before.
    pub fn account_by_thread(&mut self, tgid: Tid) {
        let Some(process) = self.processes.get_mut(&tgid) else { return };
        if process.per_thread || process.threads.len() == 1 {
            return;
        }
        process.per_thread = true;
        for tid in &process.threads {
            if let (Some(entry), Some(now)) = (self.entries.get_mut(tid), of_thread(tgid, *tid)) {
                entry.charged = now;
            }
        }
    }

    /// Charges a living process for its CPU time since the last charge.
    pub(crate) fn charge_process(&mut self, tgid: Tid, charge: &mut ChargeFn<'_, T>) {
        let Some(process) = self.processes.get(&tgid) else { return };
        if process.per_thread {
            for tid in process.threads.clone() {
                self.charge_thread(tgid, tid, charge);
            }
        } else {
            self.charge_rest(tgid, charge);
        }
    }

    /// Skips the CPU time of a process before its adoption, which is charged to no cgroup.
    pub(crate) fn skip_charges(&mut self, tgid: Tid) {
        let (Some(process), Ok(now)) = (self.processes.get_mut(&tgid), of_process(tgid)) else {
            return;
        };
        process.charged = now;
        process.cpu = last_cpu(tgid).unwrap_or(0);
    }

    /// Charges a dead task before it is reaped.
    pub(crate) fn charge_dead(&mut self, tgid: Tid, tid: Tid, charge: &mut ChargeFn<'_, T>) {
        let Some(process) = self.processes.get(&tgid) else { return };
        let speaks = |other: &Tid| self.get(*other).is_some_and(|task| !task.worker && !task.ended);
        let others = || process.threads.iter().filter(|other| **other != tid);
        let alone = process.threads.len() <= 2 && !others().any(speaks);
        if process.per_thread {
            self.charge_thread(tgid, tid, charge);
        }
        if tid == tgid || alone {
            // also the time that threads used after they were last read, so that the sum is exact
            self.charge_rest(tgid, charge);
        }
    }

    fn charge_thread(&mut self, tgid: Tid, tid: Tid, charge: &mut ChargeFn<'_, T>) {
        let (Some(task), Some(process)) = (self.entries.get_mut(&tid), self.processes.get_mut(&tgid)) else {
            return;
        };
        let Some(now) = of_thread(tgid, tid) else { return };
        let step = task.charged.advance(now);
        add(&mut process.charged, step);
        let cpu = last_cpu(tid).unwrap_or(process.cpu);
        if step.total() > 0 {
            charge(tid, Some(&task.data), cpu, step);
        }
    }

    /// Charges a process for its CPU time that no thread of it was charged for.
    fn charge_rest(&mut self, tgid: Tid, charge: &mut ChargeFn<'_, T>) {
        let (Some(process), Ok(now)) = (self.processes.get_mut(&tgid), of_process(tgid)) else {
            return;
        };
        let step = process.charged.advance(now);
        if step.total() >= WORTH_LOOKING_NS
            && let Some(cpu) = last_cpu(tgid)
        {
            process.cpu = cpu;
        }
        if step.total() > 0 {
            let cpu = process.cpu;
            let named = self.speaker(tgid).unwrap_or(tgid);
            let data = self.entries.get(&named).map(|task| &task.data);
            charge(named, data, cpu, step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ChargedTime;

    #[test]
    fn split_follows_the_kernel() {
        assert_eq!(ChargedTime::split(100, 0, 0), ChargedTime { user: 100, system: 0 });
        assert_eq!(ChargedTime::split(100, 7, 0), ChargedTime { user: 100, system: 0 });
        assert_eq!(ChargedTime::split(100, 0, 7), ChargedTime { user: 0, system: 100 });
        assert_eq!(ChargedTime::split(100, 1, 3), ChargedTime { user: 25, system: 75 });
        assert_eq!(ChargedTime::split(u64::MAX, u64::MAX / 2, u64::MAX / 2).user, u64::MAX / 2);
    }

    #[test]
    fn neither_part_goes_back() {
        let mut charged = ChargedTime { user: 50, system: 50 };
        let step = charged.advance(ChargedTime { user: 10, system: 110 });
        assert_eq!(step, ChargedTime { user: 0, system: 20 });
        assert_eq!(charged.advance(ChargedTime { user: 10, system: 60 }), ChargedTime::default());
        let step = charged.advance(ChargedTime { user: 200, system: 20 });
        assert_eq!(step, ChargedTime { user: 100, system: 0 });
    }
}
