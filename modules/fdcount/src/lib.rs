//! # fdcount: limits the open file descriptors of a cgroup
//!
//! Counts the open descriptors of all processes of a cgroup and of everything below it, and keeps them within a
//! limit. No kernel has such a controller: RLIMIT_NOFILE bounds each process alone, and a tree of processes can have
//! any number.
//!
//! * `fdcount.current`: the number of open descriptors, looked up at each read.
//! * `fdcount.max` (not in the root): the limit; `max` for none. Takes `max`, or a number in decimal, with `0x` or in
//!   octal. A limit below the present number is allowed: nothing is closed, and nothing more can be opened.
//! * `fdcount.peak`: the highest number that was seen. The controller counts at reads and, where there is a limit,
//!   whenever it shares the limit out. Descriptors that are opened and closed in between are not seen.
//! * `fdcount.events`: `max N`. N is the number of refused forks that were tried in this cgroup.
//!
//! The controller keeps a limit by the soft RLIMIT_NOFILE of the processes. It lowers the soft limit, and never raises
//! it above the process's own. open(2) and the like then fail with `EMFILE`. The rest of the limit is shared out evenly
//! among the processes, anew at
//! * every fork, exit and move;
//! * every write of a limit;
//! * every read of `fdcount.current`.
//!
//! A child starts with all descriptors of its parent. A fork for which the limit has not so many left is refused:
//! `EAGAIN`. A new thread needs the same number, because before the fork nothing distinguishes it from a process.
//!
//! **Limits of the method.**
//! * A process that raises its own soft limit escapes. The hard limit is left alone: without `CAP_SYS_RESOURCE`
//!   nobody could ever put it back.
//! * A process may meet `EMFILE` while another has some to spare, until the next sharing out.
//! * A table that several processes share (`CLONE_FILES`) counts once for each of them.
//! * A process counts in the cgroup of its main thread, and not at all once that thread has ended.
//! * With a limit, a fork costs a look at every process of the cgroup.

mod descriptors;
mod share;

use std::collections::HashMap;
use std::fmt::Write as _;

use penfold_module::{
    Callbacks, Capability, Context, ControlFile, Css, Errno, Error, Migration, Result, Subsystem, Tid,
    UNLIMITED, parse_u64,
};

pub use descriptors::{Descriptors, ProcDescriptors};
use share::{DescriptorHolder, limit_for, shares};

/// The state of one cgroup: its limit, the highest number seen, and the forks refused.
#[derive(Debug)]
pub struct FdcountState {
    max: u64,
    peak: u64,
    refused: u64,
}

/// The subsystem: the soft limits that it has changed, by the main thread of each process.
#[derive(Debug, Default)]
pub struct FdCount<D: Descriptors = ProcDescriptors> {
    descriptors: D,
    clamped: HashMap<Tid, Clamp>,
    /// The number of cgroups that have a limit. While it is 0, no callback looks at a process.
    limits: usize,
}

/// The soft limit of a process: its own, and the one that this controller has set.
#[derive(Debug, Clone, Copy)]
struct Clamp {
    own: u64,
    made: u64,
}

type Ctx<'a, D> = Context<'a, FdCount<D>>;

impl<D: Descriptors> FdCount<D> {
    /// A controller on another source of descriptors than the kernel's, for tests.
    pub fn new(descriptors: D) -> FdCount<D> {
        FdCount { descriptors, clamped: HashMap::new(), limits: 0 }
    }

    /// The processes of a cgroup and of everything below it, with their open descriptors.
    fn processes(&self, ctx: &mut Ctx<'_, D>, css: Css) -> Vec<DescriptorHolder> {
        let mut processes = Vec::new();
        for css in ctx.subtree_of(css) {
            for task in ctx.tasks_of(css) {
                if ctx.host().task(task).is_some_and(|facts| facts.group == task)
                    && let Some(open) = self.descriptors.open(task)
                {
                    processes.push(DescriptorHolder { task, css, open });
                }
            }
        }
        processes
    }

    fn count(&self, ctx: &mut Ctx<'_, D>, css: Css) -> u64 {
        let current = self.processes(ctx, css).iter().map(DescriptorHolder::count).sum();
        let state = ctx.state_of_mut(css);
        state.peak = state.peak.max(current);
        current
    }

    /// Shares the rest of every limit out among the processes. With `more`, a child of that process in that css is to
    /// get as many descriptors as its parent has.
    ///
    /// # Errors
    /// `EAGAIN` if a limit has not enough left for the child. No soft limit has changed then.
    fn share_out(&mut self, ctx: &mut Ctx<'_, D>, more: Option<(Css, Tid)>) -> Result<(), Errno> {
        let root = core::iter::successors(Some(ctx.css()), |&css| ctx.parent_of(css)).last();
        let root = root.unwrap_or(ctx.css());
        let processes = self.processes(ctx, root);
        let newborn = more.and_then(|(css, parent)| {
            let open = processes.iter().find(|process| process.task == parent)?.open.clone();
            Some(DescriptorHolder { task: Tid(0), css, open })
        });
        let everyone: Vec<&DescriptorHolder> = processes.iter().chain(&newborn).collect();
        let limited: Vec<(Css, u64)> = ctx
            .subtree_of(root)
            .into_iter()
            .map(|css| (css, ctx.state_of(css).max))
            .filter(|&(_, max)| max != UNLIMITED)
            .collect();
        let below = |css: Css, process: &DescriptorHolder| {
            core::iter::successors(Some(process.css), |&at| ctx.parent_of(at)).any(|at| at == css)
        };
        let used = limited.iter().map(|&(css, _)| {
            let members = processes.iter().filter(|process| below(css, process));
            (css, members.map(DescriptorHolder::count).sum())
        });
        let used: Vec<(Css, u64)> = used.collect();
        let shares = shares(&everyone, &limited, below);
        for (css, current) in used {
            let state = ctx.state_of_mut(css);
            state.peak = state.peak.max(current);
        }
        let shares = shares.ok_or(Errno::EAGAIN)?;
        // Lower limits first: descriptors have to be taken from one process before another gets them.
        let mut wanted: Vec<(Tid, Option<u64>)> = processes
            .iter()
            .zip(&shares)
            .map(|(process, share)| (process.task, share.map(|share| limit_for(&process.open, share))))
            .collect();
        wanted.sort_by_key(|&(_, limit)| limit.unwrap_or(u64::MAX));
        for (task, limit) in wanted {
            self.clamp(task, limit);
        }
        Ok(())
    }

    /// Lowers the soft limit of a process, or gives the process its own limit back.
    fn clamp(&mut self, task: Tid, limit: Option<u64>) {
        let Some(now) = self.descriptors.limit(task) else { return };
        let clamp = self.clamped.get(&task).copied();
        // a limit that the process has set itself since is its own from now on
        let own = clamp.filter(|clamp| clamp.made == now).map_or(now, |clamp| clamp.own);
        let made = limit.map_or(own, |limit| limit.min(own));
        if made != now && !self.descriptors.set_limit(task, made) {
            return;
        }
        if made == own {
            self.clamped.remove(&task);
        } else {
            self.clamped.insert(task, Clamp { own, made });
        }
    }
}

fn current_read<D: Descriptors>(fdcount: &mut FdCount<D>, ctx: &mut Ctx<'_, D>) -> Result<u64> {
    let current = fdcount.count(ctx, ctx.css());
    if fdcount.limits > 0 {
        let _ = fdcount.share_out(ctx, None);
    }
    Ok(current)
}

fn max_read<D: Descriptors>(_: &mut FdCount<D>, ctx: &mut Ctx<'_, D>, out: &mut String) -> Result<()> {
    match ctx.state().max {
        UNLIMITED => out.push_str("max\n"),
        max => drop(writeln!(out, "{max}")),
    }
    Ok(())
}

fn max_write<D: Descriptors>(fdcount: &mut FdCount<D>, ctx: &mut Ctx<'_, D>, text: &str) -> Result<()> {
    let max = match text {
        "max" => UNLIMITED,
        number => parse_u64(number)
            .map_err(|error| Error::value(error.errno(), "takes 'max' or a number of descriptors"))?,
    };
    let limited = |max| usize::from(max != UNLIMITED);
    let limits = fdcount.limits + limited(max) - limited(ctx.state().max);
    if limits > 0 {
        ctx.require(Capability::ForkVeto)?;
    }
    ctx.set_may_refuse_fork(limits > 0)?;
    fdcount.limits = limits;
    ctx.state_mut().max = max;
    let _ = fdcount.share_out(ctx, None);
    Ok(())
}

fn peak_read<D: Descriptors>(fdcount: &mut FdCount<D>, ctx: &mut Ctx<'_, D>) -> Result<u64> {
    fdcount.count(ctx, ctx.css());
    Ok(ctx.state().peak)
}

fn events_read<D: Descriptors>(
    _: &mut FdCount<D>,
    ctx: &mut Ctx<'_, D>,
    line: &mut dyn FnMut(&str, u64),
) -> Result<()> {
    line("max", ctx.state().refused);
    Ok(())
}

impl<D: Descriptors> Subsystem for FdCount<D> {
    type State = FdcountState;

    const NAME: &'static str = "fdcount";
    const CALLBACKS: Callbacks =
        Callbacks::ATTACH.union(Callbacks::CAN_FORK).union(Callbacks::FORK).union(Callbacks::EXIT);
    const REFUSAL_FILE: &'static str = "max";
    const FILES: &'static [ControlFile<Self>] = &[
        ControlFile::new("current").read_u64(current_read),
        ControlFile::new("max").not_on_root().read_text(max_read).write_text(max_write),
        ControlFile::new("peak").read_u64(peak_read),
        ControlFile::new("events").not_on_root().read_map(events_read),
    ];

    fn create(&mut self, _: &mut Ctx<'_, D>) -> Result<FdcountState> {
        Ok(FdcountState { max: UNLIMITED, peak: 0, refused: 0 })
    }

    /// A cgroup that is removed has no processes. The root has processes at unload, and they get their own limits back.
    fn destroy(&mut self, ctx: &mut Ctx<'_, D>) {
        if ctx.state().max != UNLIMITED {
            self.limits -= 1;
            let _ = ctx.set_may_refuse_fork(self.limits > 0);
        }
        if ctx.is_root() {
            let clamped: Vec<Tid> = self.clamped.keys().copied().collect();
            clamped.into_iter().for_each(|task| self.clamp(task, None));
        }
    }

    fn attach(&mut self, ctx: &mut Ctx<'_, D>, _: &[Migration]) {
        if self.limits > 0 {
            let _ = self.share_out(ctx, None);
        }
    }

    fn can_fork(&mut self, ctx: &mut Ctx<'_, D>, parent: Tid) -> Result<()> {
        if self.limits == 0 {
            return Ok(());
        }
        let group = ctx.host().task(parent).map_or(parent, |facts| facts.group);
        let css = ctx.css();
        self.share_out(ctx, Some((css, group))).map_err(|errno| {
            ctx.state_mut().refused += 1;
            Error::refused(errno, "no room for the descriptors of another process")
        })
    }

    /// A child inherits the soft limit of its parent. A lowered one is not the child's own.
    fn fork(&mut self, ctx: &mut Ctx<'_, D>, child: Tid) {
        if self.limits == 0 {
            return;
        }
        let is_process = ctx.host().task(child).is_some_and(|facts| facts.group == child);
        if is_process
            && let Some(now) = self.descriptors.limit(child)
            && let Some(parent) = self.descriptors.parent(child)
            && let Some(&clamp) = self.clamped.get(&parent).filter(|clamp| clamp.made == now)
        {
            self.clamped.insert(child, clamp);
        }
        let _ = self.share_out(ctx, None);
    }

    fn exit(&mut self, ctx: &mut Ctx<'_, D>, task: Tid) {
        self.clamped.remove(&task);
        if self.limits > 0 {
            let _ = self.share_out(ctx, None);
        }
    }
}

#[cfg(feature = "module")]
penfold_module::export!(FdCount);
