//! CPU time: exact at exit, sampled while alive.
//!
//! Read from the process's own CPU clocks, which the zombie still has and which include its dead threads.
//! The scheduler's clock is exact; how it splits into user and system is estimated from ticks, by the rule
//! of the kernel's `cputime_adjust`, so it agrees with what times(2) and ps(1) show.

use nix::errno::Errno;
use penfold_core::Tid;

use super::table::{ChargedTime, TaskTable};
use crate::process::text_of;
use crate::trace::os::{proc, task};

/// Below this a process is charged to the CPU it was last seen on: looking costs more than it tells.
const WORTH_LOOKING_NS: u64 = 1_000_000;

impl ChargedTime {
    fn total(self) -> u64 {
        self.user + self.system
    }

    /// `total` split in the proportion of the ticks, without ticks to user.
    fn split(total: u64, user_ticks: u64, system_ticks: u64) -> Self {
        let user = if system_ticks == 0 {
            total
        } else {
            (u128::from(total) * u128::from(user_ticks) / u128::from(user_ticks + system_ticks)) as u64
        };
        Self { user, system: total - user }
    }

    /// Moves on to `now` and returns the difference, whose total is exact. Both parts only grow: a new
    /// proportion that would take back what was charged is bent, as the kernel bends it.
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
    // no tick at all hit most short-lived processes: one call less for them
    let ticks = task::process_clock(tgid, 0)?;
    let user = if ticks == 0 { 0 } else { task::process_clock(tgid, 1)?.min(ticks) };
    Ok(ChargedTime::split(total, user, ticks - user))
}

/// The first field of schedstat is exact; utime and stime of stat give the proportion.
fn of_thread(tgid: Tid, tid: Tid) -> Option<ChargedTime> {
    let text = text_of(&format!("/proc/{tgid}/task/{tid}/schedstat"))?;
    let total = text.split_whitespace().next()?.parse().ok()?;
    let stat = text_of(&format!("/proc/{tgid}/task/{tid}/stat"))?;
    let mut fields = stat.rsplit_once(") ")?.1.split_whitespace().skip(11);
    let user = fields.next()?.parse().ok()?;
    let system = fields.next()?.parse().ok()?;
    Some(ChargedTime::split(total, user, system))
}

/// Takes a step of CPU time: of which task, what the policy keeps of it, and the CPU it was last seen on.
pub(crate) type ChargeFn<'a, T> = dyn FnMut(Tid, Option<&T>, usize, ChargedTime) + 'a;

impl<T, C> TaskTable<T, C> {
    /// Charges all living processes for what they have used since they were last charged.
    pub(crate) fn sample(&mut self, charge: &mut ChargeFn<'_, T>) {
        let processes: Vec<Tid> = self.processes.keys().copied().collect();
        for tgid in processes {
            self.charge_process(tgid, charge);
        }
    }

    /// The threads of a process, which was just charged, are accounted apart from now on: they are no longer all in
    /// the same group.
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

    /// Charges a living process for what it has used since it was last charged.
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

    /// What a process used before it was adopted is nobody's.
    pub(crate) fn skip_charges(&mut self, tgid: Tid) {
        let (Some(process), Ok(now)) = (self.processes.get_mut(&tgid), of_process(tgid)) else {
            return;
        };
        process.charged = now;
        process.cpu = proc::last_cpu(tgid).unwrap_or(0);
    }

    /// Charges a dead task before it is reaped.
    pub(crate) fn charge_dead(&mut self, tgid: Tid, tid: Tid, charge: &mut ChargeFn<'_, T>) {
        let Some(process) = self.processes.get(&tgid) else { return };
        if process.per_thread {
            self.charge_thread(tgid, tid, charge);
        }
        if tid == tgid {
            // also what threads used after they were last read, so that the sum stays exact
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
        let cpu = proc::last_cpu(tid).unwrap_or(process.cpu);
        if step.total() > 0 {
            charge(tid, Some(&task.data), cpu, step);
        }
    }

    /// Charges a process for what it has used that was charged to no thread of it.
    fn charge_rest(&mut self, tgid: Tid, charge: &mut ChargeFn<'_, T>) {
        let (Some(process), Ok(now)) = (self.processes.get_mut(&tgid), of_process(tgid)) else {
            return;
        };
        let step = process.charged.advance(now);
        if step.total() >= WORTH_LOOKING_NS
            && let Some(cpu) = proc::last_cpu(tgid)
        {
            process.cpu = cpu;
        }
        if step.total() > 0 {
            let data = self.entries.get(&tgid).map(|task| &task.data);
            charge(tgid, data, process.cpu, step);
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
