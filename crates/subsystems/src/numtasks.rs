//! # numtasks: a share of all tasks for each cgroup, and a rate of forks
//!
//! The controller of `ResGroups` (2006), brought to today. A group divides its tasks into `child_shares_divisor`
//! parts. Each child may be guaranteed some parts (`min_shares`) and bounded by some (`max_shares`). A fork that
//! would take the group, or any group above it, beyond its bound is refused: fork(2) and clone(2) fail with `EAGAIN`.
//!
//! * `numtasks.shares`: reads `res=numtasks,min_shares=N,max_shares=N,child_shares_divisor=N`; a write takes any of
//!   these in any order. -3 is "don't care" (the default), -2 "unsupported" (never changes again), -1 "unchanged".
//!   `EINVAL` for
//!   * more `min_shares` than the parent has left to guarantee;
//!   * `max_shares` above the parent's divisor or below `min_shares`;
//!   * a divisor below the parts that the children hold.
//!
//!   `E2BIG` from 4096 bytes.
//! * `numtasks.stats`: four lines: current usage, successes, failures, forkrate failures. A task is taken from the
//!   group's own guarantee or *borrowed*. A task beyond the guarantee counts at the parent too. It is a success of
//!   the group that had a place for it, which is the root when nothing is guaranteed. Failures count in the group
//!   that forked, whichever bound refused. A write must contain `res=` (else `EINVAL`) and changes nothing: there is
//!   no reset.
//! * `numtasks.total_numtasks` (root only): the number of tasks that the root's shares stand for; 2147483647 for
//!   unlimited. **Shares bound no group before it is set.** A "don't care" in `max_shares` unbounds everything below
//!   too.
//! * `numtasks.forkrate`, `numtasks.forkrate_interval` (root only): at most so many forks (2147483647: unlimited) in
//!   so many seconds. The numbers are the same for each group; its children's forks do not count. A write of either
//!   starts all windows anew; the failure counts stay.
//!
//! The last three take 1 to 2147483647, and `total_numtasks` only more than there are tasks, else `EINVAL`. A bound
//! or a rate needs a host that can refuse forks. Without such a host the write fails with `EOPNOTSUPP`.
//!
//! **Other than in 2006**:
//! * A trailing newline is accepted.
//! * A refused fork fails with `EAGAIN`; in 2006 the errno was `ENOSPC`.
//! * Ancestors are checked, by all tasks below them. Guaranteed tasks count there too, although an ancestor's current
//!   usage leaves them out. So a guarantee is a part that no sibling can be given, and not a place beyond the
//!   parent's bound.
//! * The bounds are tried before the rate, so a fork that a bound refuses does not count in the window.
//!
//! As in 2006, an attach is never refused.
//!
//! F3 of docs/history.md.

mod shares;

use core::fmt::Write as _;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use penfold_core::{
    Errno, Error, Result, Tid,
    control_file::{ControlFile, PAGE_SIZE},
    host::Capability,
    subsystem::{Callbacks, Context, Css, Migration, Resource, Rule, Subsystem, UNLIMITED},
};

use shares::{ShareRequest, Shares, units};

const TASKS: usize = 0;
/// The highest value of a parameter, which limits nothing.
const NO_LIMIT: i32 = i32::MAX;
const NANOSECONDS: u64 = 1_000_000_000;

/// The controller `numtasks`: divides a total of tasks among cgroups by shares, and limits the rate of their forks.
///
/// This value holds the settings for all cgroups: the total, and the fork rate with its interval in seconds. The
/// default limits nothing. The page of this module is the manual of the control files.
#[derive(Debug)]
pub struct Numtasks {
    total: i32,
    forkrate: i32,
    /// The length of the window in seconds.
    interval: i32,
}

impl Default for Numtasks {
    fn default() -> Numtasks {
        Numtasks { total: NO_LIMIT, forkrate: NO_LIMIT, interval: 1 }
    }
}

/// The state of one group.
#[derive(Debug)]
pub struct ResGroup {
    shares: Shares,
    units: Units,
    /// The group's own tasks, and the tasks that its children have borrowed.
    usage: u32,
    /// The part of `usage` that counts at the parent too.
    borrowed: u32,
    /// Forks in the window that began at `window`, in nanoseconds of the host's clock.
    forks: i32,
    window: u64,
    successes: u64,
    forkrate_failures: u64,
}

// One of these is kept for every cgroup.
const _: () = assert!(size_of::<ResGroup>() <= 72);

/// Shares in numbers of tasks; `None` for any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Units {
    min: Option<u32>,
    max: Option<u32>,
}

type Ctx<'a> = Context<'a, Numtasks>;

impl ResGroup {
    /// The number of tasks that the group can hold without borrowing; `None` if it borrows for every task.
    fn own_capacity(&self) -> Option<u32> {
        units(self.shares.unused_min, self.units.min, self.shares.divisor)
    }
}

/// Counts one more task. Borrows from as many ancestors as the task needs (F3.11).
fn take(ctx: &mut Ctx<'_>, css: Css) {
    let mut at = css;
    loop {
        let parent = ctx.parent_of(at);
        let group = ctx.state_of_mut(at);
        group.usage += 1;
        match parent {
            Some(parent) if group.own_capacity().is_none_or(|capacity| group.usage > capacity) => {
                group.borrowed += 1;
                at = parent;
            }
            _ => {
                group.successes += 1;
                return;
            }
        }
    }
}

/// Counts one task less. A borrowed task is given back first.
fn give_back(ctx: &mut Ctx<'_>, css: Css) {
    let mut at = Some(css);
    while let Some(here) = at {
        let parent = ctx.parent_of(here);
        let group = ctx.state_of_mut(here);
        group.usage = group.usage.saturating_sub(1);
        at = parent.filter(|_| group.borrowed > 0);
        group.borrowed = group.borrowed.saturating_sub(1);
    }
}

impl Numtasks {
    /// Derives the units of a group and of all groups below it from the shares, and bounds the groups (F3.8).
    ///
    /// # Errors
    /// `EOPNOTSUPP` if there is a bound and the host can't refuse forks. All units are as before then.
    fn derive_units(&self, ctx: &mut Ctx<'_>, css: Css) -> Result<()> {
        let groups = ctx.subtree_of(css);
        let before: Vec<Units> = groups.iter().map(|&css| ctx.state_of(css).units).collect();
        for &css in &groups {
            ctx.state_of_mut(css).units = self.units_of(ctx, css);
        }
        if groups.iter().any(|&css| ctx.state_of(css).units.max.is_some())
            && let Err(error) = ctx.require(Capability::ForkVeto)
        {
            for (&css, units) in groups.iter().zip(before) {
                ctx.state_of_mut(css).units = units;
            }
            return Err(error);
        }
        for css in groups {
            let limit = ctx.state_of(css).units.max.map_or(UNLIMITED, u64::from);
            ctx.set_limit(css, TASKS, limit)?;
        }
        Ok(())
    }

    /// The units of a group whose parent has its units already.
    fn units_of(&self, ctx: &Ctx<'_>, css: Css) -> Units {
        let Some(parent) = ctx.parent_of(css).map(|parent| ctx.state_of(parent)) else {
            let total = (self.total != NO_LIMIT).then_some(self.total.unsigned_abs());
            return Units { min: total, max: total };
        };
        let Shares { min, max, .. } = ctx.state_of(css).shares;
        let divisor = parent.shares.divisor;
        Units { min: units(min, parent.units.min, divisor), max: units(max, parent.units.max, divisor) }
    }
}

/// Updates a parent's shares after a child's guarantee went from `old` to `new`.
fn update_parent(ctx: &mut Ctx<'_>, parent: Css, old: i32, new: i32) {
    let children: Vec<i32> =
        ctx.children_of(parent).into_iter().map(|child| ctx.state_of(child).shares.max).collect();
    ctx.state_of_mut(parent).shares.child_changed(old, new, children.into_iter());
}

fn shares_read(_: &mut Numtasks, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let Shares { min, max, divisor, .. } = ctx.state().shares;
    let _ = writeln!(out, "res=numtasks,min_shares={min},max_shares={max},child_shares_divisor={divisor}");
    Ok(())
}

fn shares_write(numtasks: &mut Numtasks, ctx: &mut Ctx<'_>, text: &str) -> Result<()> {
    let request = ShareRequest::parse(text)?;
    let (css, parent) = (ctx.css(), ctx.parent());
    let above = parent.map(|parent| ctx.state_of(parent).shares);
    let old = ctx.state().shares;
    let new = old.changed(&request, above.as_ref())?;
    ctx.state_mut().shares = new;
    if let Some(parent) = parent {
        update_parent(ctx, parent, old.min, new.min);
    }
    numtasks.derive_units(ctx, css).inspect_err(|_| {
        ctx.state_mut().shares = old;
        if let (Some(parent), Some(above)) = (parent, above) {
            ctx.state_of_mut(parent).shares = above;
        }
    })
}

fn stats_read(_: &mut Numtasks, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let failures = ctx.counter(ctx.css(), TASKS).refused;
    let ResGroup { usage, successes, forkrate_failures, .. } = ctx.state();
    let _ = writeln!(out, "numtasks: Current usage {usage}");
    let _ = writeln!(out, "numtasks: Number of successes {successes}");
    let _ = writeln!(out, "numtasks: Number of failures {failures}");
    let _ = writeln!(out, "numtasks: Number of forkrate failures {forkrate_failures}");
    Ok(())
}

fn stats_write(_: &mut Numtasks, _: &mut Ctx<'_>, text: &str) -> Result<()> {
    if text.contains("res=") {
        return Ok(());
    }
    Err(Error::value(Errno::EINVAL, "takes res=NAME, and has nothing to reset"))
}

/// Checks the value of a parameter.
fn parameter(value: i64) -> Result<i32> {
    i32::try_from(value)
        .ok()
        .filter(|&value| value >= 1)
        .ok_or_else(|| Error::value(Errno::EINVAL, format!("takes a number from 1 to {NO_LIMIT}")))
}

fn total_read(numtasks: &mut Numtasks, _: &mut Ctx<'_>) -> Result<i64> {
    Ok(numtasks.total.into())
}

fn total_write(numtasks: &mut Numtasks, ctx: &mut Ctx<'_>, value: i64) -> Result<()> {
    let total = parameter(value)?;
    let usage = ctx.counter(ctx.css(), TASKS).usage;
    if u64::from(total.unsigned_abs()) <= usage {
        return Err(Error::value(Errno::EINVAL, format!("there are {usage} tasks: takes more than these")));
    }
    let old = core::mem::replace(&mut numtasks.total, total);
    numtasks.derive_units(ctx, ctx.css()).inspect_err(|_| numtasks.total = old)
}

fn forkrate_read(numtasks: &mut Numtasks, _: &mut Ctx<'_>) -> Result<i64> {
    Ok(numtasks.forkrate.into())
}

fn forkrate_write(numtasks: &mut Numtasks, ctx: &mut Ctx<'_>, value: i64) -> Result<()> {
    let forkrate = parameter(value)?;
    ctx.set_may_refuse_fork(forkrate != NO_LIMIT)?;
    numtasks.forkrate = forkrate;
    restart_windows(ctx);
    Ok(())
}

fn interval_read(numtasks: &mut Numtasks, _: &mut Ctx<'_>) -> Result<i64> {
    Ok(numtasks.interval.into())
}

fn interval_write(numtasks: &mut Numtasks, ctx: &mut Ctx<'_>, value: i64) -> Result<()> {
    numtasks.interval = parameter(value)?;
    restart_windows(ctx);
    Ok(())
}

fn restart_windows(ctx: &mut Ctx<'_>) {
    let now = ctx.host().now();
    for css in ctx.subtree_of(ctx.css()) {
        let group = ctx.state_of_mut(css);
        (group.window, group.forks) = (now, 0);
    }
}

impl Subsystem for Numtasks {
    type State = ResGroup;

    const NAME: &'static str = "numtasks";
    const CALLBACKS: Callbacks =
        Callbacks::ATTACH.union(Callbacks::CAN_FORK).union(Callbacks::FORK).union(Callbacks::EXIT);
    const RULES: &'static [Rule] = &[Rule::limited_by(Resource::Tasks, "shares")];
    const REFUSAL_FILE: &'static str = "forkrate";
    const FILES: &'static [ControlFile<Self>] = &[
        ControlFile::new("shares").max_write(PAGE_SIZE - 1).read_text(shares_read).write_text(shares_write),
        ControlFile::new("stats")
            .not_a_setting()
            .max_write(PAGE_SIZE - 1)
            .read_text(stats_read)
            .write_text(stats_write),
        ControlFile::new("total_numtasks").root_only().read_s64(total_read).write_s64(total_write),
        ControlFile::new("forkrate").root_only().read_s64(forkrate_read).write_s64(forkrate_write),
        ControlFile::new("forkrate_interval").root_only().read_s64(interval_read).write_s64(interval_write),
    ];

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<ResGroup> {
        Ok(ResGroup {
            shares: Shares::default(),
            units: Units::default(),
            usage: 0,
            borrowed: 0,
            forks: 0,
            window: ctx.host().now(),
            successes: 0,
            forkrate_failures: 0,
        })
    }

    fn destroy(&mut self, ctx: &mut Ctx<'_>) {
        let Shares { min, max, .. } = ctx.state().shares;
        // Without min or max the parent's sums stay as they are. Then the siblings need no look, however many they are.
        let concerns_parent = min > 0 || max > 0;
        if let Some(parent) = ctx.parent().filter(|_| concerns_parent) {
            update_parent(ctx, parent, min, Shares::NOTHING);
        }
    }

    fn attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        for moved in tasks {
            give_back(ctx, moved.from);
            take(ctx, moved.to);
        }
    }

    /// Checks the rate of forks. The bounds are charge rules and were tried before.
    fn can_fork(&mut self, ctx: &mut Ctx<'_>, _: Tid) -> Result<()> {
        if self.forkrate == NO_LIMIT {
            return Ok(());
        }
        let now = ctx.host().now();
        let interval = u64::from(self.interval.unsigned_abs()) * NANOSECONDS;
        let group = ctx.state_mut();
        if now.saturating_sub(group.window) > interval {
            (group.window, group.forks) = (now, 0);
        }
        if group.forks >= self.forkrate {
            group.forkrate_failures += 1;
            return Err(Error::refused(Errno::EAGAIN, "the group has made its forks of this interval"));
        }
        group.forks += 1;
        Ok(())
    }

    fn fork(&mut self, ctx: &mut Ctx<'_>, _: Tid) {
        take(ctx, ctx.css());
    }

    fn exit(&mut self, ctx: &mut Ctx<'_>, _: Tid) {
        give_back(ctx, ctx.css());
    }
}
