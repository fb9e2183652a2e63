//! # cpuacct: counts the CPU time of a cgroup
//!
//! Counts the CPU time of the tasks of a cgroup and of everything below it, per CPU. A task that moves leaves the
//! time that it has used behind. A cgroup keeps its time when its tasks leave. All times but those of `stat` are in
//! nanoseconds.
//!
//! * `cpuacct.usage`: the whole time. Takes only `0`, which sets this cgroup back to zero in every file but `stat`;
//!   its parents and children keep their time. `EINVAL` for another number, `ERANGE` above 64 bits.
//! * `cpuacct.usage_user`, `cpuacct.usage_sys`: the part in user mode, and the part in the kernel.
//! * `cpuacct.usage_percpu`, `cpuacct.usage_percpu_user`, `cpuacct.usage_percpu_sys`: the same for each CPU, on one
//!   line. A blank follows each number, the last one too.
//! * `cpuacct.usage_all`: a table with one line for each CPU: `cpu user system`.
//! * `cpuacct.stat`: `user` and `system` in ticks of 1/100 s. These numbers never go back. After a reset of `usage`
//!   they show the values that they showed last, and grow again once more time than that has been used anew. The
//!   reset forgets a value that was never read.
//!
//! All files are in the root too. A root that lists every task of the machine has the times of the machine since
//! boot. A write of `0` changes nothing there, as in Linux. There is a number for every CPU that can exist (`nr_cpu_ids`), used or not.
//!
//! The rules are those of Linux 6.x cgroup v1 (`kernel/sched/cpuacct.c`); F2 of docs/history.md. One thing
//! differs on purpose. Linux takes user and system time from the timer tick and the total from the scheduler, so its
//! parts do not quite add up. Here `usage_user` and `usage_sys` always add up to `usage`.

use core::fmt::Write as _;

use alloc::string::String;

use penfold_core::{
    Errno, Error, Result,
    control_file::ControlFile,
    subsystem::{Context, CpuTime, CpuUsage, Resource, Rule, Subsystem},
};

/// Nanoseconds of a tick of `USER_HZ`, which is 100 on every Linux that penfold runs on.
const TICK: u64 = 10_000_000;

/// The controller `cpuacct`: counts the CPU time of a cgroup in nanoseconds, per CPU, in user mode and in the kernel.
///
/// Core keeps the times. The state of a cgroup is only the pair of times that a read of `cpuacct.stat` showed last.
/// The page of this module is the manual of the control files.
#[derive(Debug, Default)]
pub struct CpuAcct;

type Ctx<'a> = Context<'a, CpuAcct>;
type Part = fn(CpuTime) -> u64;

const ALL: Part = CpuTime::total;
const USER: Part = |time| time.user;
const SYSTEM: Part = |time| time.system;
const PARTS: [Part; 3] = [ALL, USER, SYSTEM];

fn part(ctx: &Ctx<'_>) -> Part {
    PARTS[ctx.private()]
}

/// The machine's time, for a root that lists every task of the machine.
fn machine(ctx: &mut Ctx<'_>) -> Option<CpuUsage> {
    if ctx.is_root() { ctx.host().machine_cpu_usage() } else { None }
}

/// The time of a cgroup, which is never less than that counted for its tasks.
fn used(ctx: &mut Ctx<'_>) -> CpuUsage {
    let counted = ctx.cpu_usage(ctx.css());
    let Some(machine) = machine(ctx) else { return counted };
    let at_least = |cpu| {
        let (all, own): (CpuTime, CpuTime) = (machine.on(cpu), counted.on(cpu));
        CpuTime { user: all.user.max(own.user), system: all.system.max(own.system) }
    };
    (0..ctx.host().cpu_limit()).map(at_least).collect()
}

fn usage_read(_: &mut CpuAcct, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(part(ctx)(used(ctx).total()))
}

fn usage_write(_: &mut CpuAcct, ctx: &mut Ctx<'_>, value: u64) -> Result<()> {
    if value != 0 {
        return Err(Error::value(Errno::EINVAL, "takes only 0, which resets it"));
    }
    if machine(ctx).is_none() {
        ctx.reset_cpu_usage(ctx.css());
    }
    Ok(())
}

fn percpu_read(_: &mut CpuAcct, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let part = part(ctx);
    let used = used(ctx);
    for cpu in 0..ctx.host().cpu_limit() {
        let _ = write!(out, "{} ", part(used.on(cpu)));
    }
    out.push('\n');
    Ok(())
}

fn all_read(_: &mut CpuAcct, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    out.push_str("cpu user system\n");
    let used = used(ctx);
    for cpu in 0..ctx.host().cpu_limit() {
        let time = used.on(cpu);
        let _ = writeln!(out, "{cpu} {} {}", time.user, time.system);
    }
    Ok(())
}

/// The pair that `stat` shows after it has shown `shown`: neither number goes back. As soon as `now` is more than was
/// shown, the pair adds up to `now` (the kernel's `cputime_adjust`).
fn advance(shown: CpuTime, now: CpuTime) -> CpuTime {
    if shown.total() >= now.total() {
        return shown;
    }
    let system = now.system.max(shown.system);
    let user = (now.total() - system).max(shown.user);
    CpuTime { user, system: now.total() - user }
}

fn stat_read(_: &mut CpuAcct, ctx: &mut Ctx<'_>, line: &mut dyn FnMut(&str, u64)) -> Result<()> {
    let shown = advance(*ctx.state(), used(ctx).total());
    *ctx.state_mut() = shown;
    line("user", shown.user / TICK);
    line("system", shown.system / TICK);
    Ok(())
}

impl Subsystem for CpuAcct {
    type State = CpuTime;

    const NAME: &'static str = "cpuacct";
    const RULES: &'static [Rule] = &[Rule::new(Resource::CpuTime)];
    const FILES: &'static [ControlFile<Self>] = &[
        ControlFile::new("usage").private(0).not_a_setting().read_u64(usage_read).write_u64(usage_write),
        ControlFile::new("usage_user").private(1).read_u64(usage_read),
        ControlFile::new("usage_sys").private(2).read_u64(usage_read),
        ControlFile::new("usage_percpu").private(0).read_text(percpu_read),
        ControlFile::new("usage_percpu_user").private(1).read_text(percpu_read),
        ControlFile::new("usage_percpu_sys").private(2).read_text(percpu_read),
        ControlFile::new("usage_all").read_text(all_read),
        ControlFile::new("stat").read_map(stat_read),
    ];

    fn create(&mut self, _: &mut Ctx<'_>) -> Result<CpuTime> {
        Ok(CpuTime::default())
    }

    fn destroy(&mut self, _: &mut Ctx<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_never_goes_back_nor_beyond_the_used_time() {
        let time = |user, system| CpuTime { user, system };
        assert_eq!(advance(time(0, 0), time(5, 3)), time(5, 3));
        assert_eq!(advance(time(5, 3), time(4, 4)), time(5, 3), "not more than was shown");
        assert_eq!(advance(time(5, 3), time(9, 1)), time(7, 3), "system stays, user takes the rest");
        assert_eq!(advance(time(5, 3), time(1, 9)), time(5, 5), "user stays, system takes the rest");
    }
}
