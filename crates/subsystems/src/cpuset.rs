//! # cpuset: binds the tasks of a cgroup to CPUs and memory nodes
//!
//! A new cpuset is empty and takes no task (`ENOSPC`) until both `cpus` and `mems` are set. A cpuset must fit into
//! its parent. Tasks get its CPUs and nodes when they move in and when the cpuset changes. An affinity that a task
//! has set for itself with `sched_setaffinity(2)` stays in force where it fits. Where it does not fit, it is kept for
//! later.
//!
//! * `cpuset.cpus`, `cpuset.mems`: lists such as `0-3,7`, `0-15:2/4`, `all`, `N` (the last one); a blank line
//!   empties. A write of the present content does nothing. The errors:
//!   * `EACCES` in the root, and for CPUs or nodes that the parent does not have;
//!   * `EINVAL` for anything that is not a list, not online, or taken by an exclusive sibling;
//!   * `ERANGE` and `EOVERFLOW` for numbers that are too large;
//!   * `EBUSY` for CPUs or nodes that a child still holds;
//!   * `ENOSPC` for an empty list where the cpuset has tasks.
//! * `cpuset.effective_cpus`, `cpuset.effective_mems`: the CPUs and nodes that tasks really get. They differ from the
//!   configured ones only with the mount option `cpuset_v2_mode`. There a cpuset may name CPUs and nodes that its
//!   parent does not have. It gets the part that the parent has; where there is no such part, it gets all that the
//!   parent has.
//! * `cpuset.cpu_exclusive`, `cpuset.mem_exclusive`: 1 keeps siblings (not children) off. The parent must have it too.
//! * `cpuset.memory_migrate`: 1 lets a task's memory follow the task, when it moves in and when `mems` changes.
//! * `cpuset.memory_spread_page`, `cpuset.memory_spread_slab`: a new child has its parent's values.
//! * `cpuset.mem_hardwall`, `cpuset.sched_load_balance`, `cpuset.sched_relax_domain_level` (-1 to 2).
//! * `cpuset.memory_pressure`: 0. `cpuset.memory_pressure_enabled` (root only): 0 or 1, one value for all.
//!
//! With `cgroup.clone_children` a new child starts with its parent's `cpus` and `mems`, unless a sibling is exclusive.
//!
//! **Kept and shown, without effect**: `mem_hardwall`, the spread flags, the load balance and relax domain files, and
//! `memory_pressure_enabled`. No user space can bring their effects about. No host feeds the filter of direct reclaims
//! (F1.15), so `memory_pressure` is always 0.
//!
//! A cpuset that leaves out CPUs or nodes that are online needs a host that can bind tasks. Without such a host the
//! write fails with `EOPNOTSUPP`. If the system refuses to bind a member, the write fails with the system's errno,
//! and members that were bound before are bound back. A move is past that point and goes on.
//!
//! The root has the CPUs and nodes that were online when the subsystem was last loaded, mounted or unmounted. CPUs
//! that come or go later are not followed (F1.13).
//!
//! The rules are those of Linux 6.x cgroup v1 (`kernel/cgroup/cpuset.c`, `cpuset-v1.c`); F1 of docs/history.md.

mod validate;

use core::fmt::Write as _;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use penfold_core::{
    Errno, Error, Result, Tid,
    control_file::ControlFile,
    host::{Capability, ExistingPages, IndexSet},
    subsystem::{Callbacks, Context, Css, Migration, Subsystem},
    tree::HierarchyFlags,
};

use validate::{CpusetFamily, CpusetFlags, CpusetState, MaskKind, validate};

/// The longest write to `cpus`: 100 + 6 for each of 256 CPUs, inclusive.
const MAX_CPUS_WRITE: usize = 100 + 6 * 256;
/// The longest write to `mems`: 100 + 6 for each of 1024 nodes, inclusive.
const MAX_MEMS_WRITE: usize = 100 + 6 * 1024;
/// The highest `sched_relax_domain_level`. The kernel's own depends on the machine's levels of scheduling domains.
const MAX_RELAX_DOMAIN_LEVEL: i64 = 2;

const CPUS: usize = 0;
const MEMS: usize = 1;

/// The controller `cpuset`: restricts the tasks of a cgroup to some CPUs and memory nodes.
///
/// This value holds what is the same for all cgroups: the switch `memory_pressure_enabled` and the number of exclusive
/// cpusets. The page of this module is the manual of the control files.
#[derive(Debug, Default)]
pub struct Cpuset {
    /// `memory_pressure_enabled`, one value for all cpusets.
    memory_pressure_enabled: bool,
    /// The number of exclusive cpusets other than roots. While there is none, a mkdir need not look at the siblings.
    exclusive: usize,
}

type Ctx<'a> = Context<'a, Cpuset>;

impl MaskKind {
    fn of_file(private: usize) -> MaskKind {
        if private == CPUS { MaskKind::Cpus } else { MaskKind::Mems }
    }

    fn online(self, ctx: &mut Ctx<'_>) -> IndexSet {
        match self {
            MaskKind::Cpus => ctx.host().cpus(),
            MaskKind::Mems => ctx.host().memory_nodes(),
        }
    }

    /// One more than the highest number that a list may name.
    fn limit(self, ctx: &mut Ctx<'_>) -> usize {
        match self {
            MaskKind::Cpus => ctx.host().cpu_limit(),
            MaskKind::Mems => ctx.host().node_limit(),
        }
    }

    fn need(self) -> Capability {
        match self {
            MaskKind::Cpus => Capability::Affinity,
            MaskKind::Mems => Capability::MemoryNodes,
        }
    }
}

fn v2_mode(ctx: &Ctx<'_>) -> bool {
    ctx.hierarchy_flags().contains(HierarchyFlags::CPUSET_V2_MODE)
}

/// The css at the top of the hierarchy of `css`.
fn root_of(ctx: &Ctx<'_>, css: Css) -> Css {
    core::iter::successors(Some(css), |&at| ctx.parent_of(at)).last().unwrap_or(css)
}

/// The CPUs or nodes that the tasks of a cpuset may use.
fn effective(ctx: &Ctx<'_>, css: Css, kind: MaskKind) -> IndexSet {
    let own = ctx.state_of(css).mask(kind);
    let Some(parent) = ctx.parent_of(css).filter(|_| v2_mode(ctx)) else { return own.clone() };
    let above = effective(ctx, parent, kind);
    let shared = own.intersection(&above);
    if shared.is_empty() { above } else { shared }
}

/// Checks that the cpuset of the call may become `trial`.
fn check(ctx: &Ctx<'_>, trial: &CpusetState) -> Result<()> {
    let css = ctx.css();
    let parent = ctx.parent();
    let sets = |all: Vec<Css>| -> Vec<&CpusetState> {
        all.into_iter().filter(|&other| other != css).map(|other| ctx.state_of(other)).collect()
    };
    let family = CpusetFamily {
        parent: parent.map(|parent| ctx.state_of(parent)),
        children: sets(ctx.children_of(css)),
        siblings: parent.map(|parent| sets(ctx.children_of(parent))).unwrap_or_default(),
        has_tasks: ctx.has_tasks(css),
        v2_mode: v2_mode(ctx),
    };
    validate(ctx.state(), trial, &family)
}

fn existing_pages(flags: CpusetFlags) -> ExistingPages {
    if flags.contains(CpusetFlags::MEMORY_MIGRATE) { ExistingPages::Move } else { ExistingPages::Leave }
}

fn bind_task(
    ctx: &mut Ctx<'_>,
    task: Tid,
    kind: MaskKind,
    from: &IndexSet,
    to: &IndexSet,
    existing: ExistingPages,
) -> Result<(), Errno> {
    match kind {
        MaskKind::Cpus => ctx.host().set_affinity(task, to),
        MaskKind::Mems => ctx.host().set_memory_nodes(task, from, to, existing),
    }
}

/// Puts `trial` in force and binds the members to it. On an error everything is as before.
fn commit(ctx: &mut Ctx<'_>, kind: MaskKind, trial: CpusetState) -> Result<()> {
    let css = ctx.css();
    let affected = if v2_mode(ctx) { ctx.subtree_of(css) } else { vec![css] };
    let before: Vec<IndexSet> = affected.iter().map(|&css| effective(ctx, css, kind)).collect();
    let old = core::mem::replace(ctx.state_mut(), trial);
    let mut bound: Vec<(Tid, Css, IndexSet, IndexSet)> = Vec::new();
    for (css, from) in affected.into_iter().zip(before) {
        let to = effective(ctx, css, kind);
        if from == to {
            continue;
        }
        let existing = existing_pages(ctx.state_of(css).flags);
        for task in ctx.tasks_of(css) {
            match bind_task(ctx, task, kind, &from, &to, existing) {
                Ok(()) => bound.push((task, css, from.clone(), to.clone())),
                // The task has died since it was listed.
                Err(Errno::ESRCH) => {}
                Err(errno) => {
                    for (task, css, from, to) in bound.into_iter().rev() {
                        let existing = existing_pages(ctx.state_of(css).flags);
                        // If this fails too, there is no better state to go to.
                        let _ = bind_task(ctx, task, kind, &to, &from, existing);
                    }
                    *ctx.state_mut() = old;
                    let reason = format!("task {task}, a member, can't be bound to {to}: {}", errno.text());
                    return Err(Error::refused(errno, reason));
                }
            }
        }
    }
    Ok(())
}

fn list_read(_: &mut Cpuset, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let _ = writeln!(out, "{}", ctx.state().mask(MaskKind::of_file(ctx.private())));
    Ok(())
}

fn effective_read(_: &mut Cpuset, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let _ = writeln!(out, "{}", effective(ctx, ctx.css(), MaskKind::of_file(ctx.private())));
    Ok(())
}

fn list_write(_: &mut Cpuset, ctx: &mut Ctx<'_>, text: &str) -> Result<()> {
    if ctx.is_root() {
        return Err(Error::value(Errno::EACCES, "the root always has everything; make a child and set that"));
    }
    let kind = MaskKind::of_file(ctx.private());
    let (limit, online) = (kind.limit(ctx), kind.online(ctx));
    let mask = IndexSet::parse_list(text, limit).map_err(|errno| {
        Error::value(errno, format!("takes a list such as 0-3,7 of numbers below {limit}"))
    })?;
    if !mask.is_subset(&online) {
        return Err(Error::value(Errno::EINVAL, format!("only {online} is online")));
    }
    if mask == *ctx.state().mask(kind) {
        return Ok(());
    }
    let mut trial = ctx.state().clone();
    *trial.mask_mut(kind) = mask;
    check(ctx, &trial)?;
    if !trial.mask(kind).is_empty() && !online.is_subset(trial.mask(kind)) {
        ctx.require(kind.need())?;
    }
    commit(ctx, kind, trial)
}

fn flag_of_file(ctx: &Ctx<'_>) -> CpusetFlags {
    CpusetFlags::from_bits_truncate(ctx.private() as u16)
}

fn flag_read(_: &mut Cpuset, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(ctx.state().flags.contains(flag_of_file(ctx)).into())
}

fn flag_write(cpuset: &mut Cpuset, ctx: &mut Ctx<'_>, value: u64) -> Result<()> {
    let mut trial = ctx.state().clone();
    // the kernel passes the value on as an int: the upper half is lost
    trial.flags.set(flag_of_file(ctx), value as u32 != 0);
    check(ctx, &trial)?;
    cpuset.exclusive -= usize::from(counts_as_exclusive(ctx));
    *ctx.state_mut() = trial;
    cpuset.exclusive += usize::from(counts_as_exclusive(ctx));
    Ok(())
}

fn counts_as_exclusive(ctx: &Ctx<'_>) -> bool {
    !ctx.is_root() && ctx.state().is_exclusive()
}

fn relax_read(_: &mut Cpuset, ctx: &mut Ctx<'_>) -> Result<i64> {
    Ok(ctx.state().relax_domain_level.into())
}

fn relax_write(_: &mut Cpuset, ctx: &mut Ctx<'_>, value: i64) -> Result<()> {
    if !(-1..=MAX_RELAX_DOMAIN_LEVEL).contains(&value) {
        let reason = format!("takes a number from -1 to {MAX_RELAX_DOMAIN_LEVEL}");
        return Err(Error::value(Errno::EINVAL, reason));
    }
    ctx.state_mut().relax_domain_level = value as i8;
    Ok(())
}

fn pressure_read(_: &mut Cpuset, _: &mut Ctx<'_>) -> Result<u64> {
    Ok(0)
}

fn pressure_enabled_read(cpuset: &mut Cpuset, _: &mut Ctx<'_>) -> Result<u64> {
    Ok(cpuset.memory_pressure_enabled.into())
}

fn pressure_enabled_write(cpuset: &mut Cpuset, _: &mut Ctx<'_>, value: u64) -> Result<()> {
    cpuset.memory_pressure_enabled = value != 0;
    Ok(())
}

const fn flag(name: &'static str, flag: CpusetFlags) -> ControlFile<Cpuset> {
    ControlFile::new(name).private(flag.bits() as usize).read_u64(flag_read).write_u64(flag_write)
}

const fn list(name: &'static str, private: usize, max_write: usize) -> ControlFile<Cpuset> {
    ControlFile::new(name).private(private).max_write(max_write).read_text(list_read).write_text(list_write)
}

const fn effective_list(name: &'static str, private: usize) -> ControlFile<Cpuset> {
    ControlFile::new(name).private(private).read_text(effective_read)
}

impl Subsystem for Cpuset {
    type State = CpusetState;

    const NAME: &'static str = "cpuset";
    const CALLBACKS: Callbacks =
        Callbacks::CAN_ATTACH.union(Callbacks::ATTACH).union(Callbacks::POST_CLONE).union(Callbacks::BIND);
    const FILES: &'static [ControlFile<Self>] = &[
        list("cpus", CPUS, MAX_CPUS_WRITE),
        list("mems", MEMS, MAX_MEMS_WRITE),
        effective_list("effective_cpus", CPUS),
        effective_list("effective_mems", MEMS),
        flag("cpu_exclusive", CpusetFlags::CPU_EXCLUSIVE),
        flag("mem_exclusive", CpusetFlags::MEM_EXCLUSIVE),
        flag("mem_hardwall", CpusetFlags::MEM_HARDWALL),
        flag("sched_load_balance", CpusetFlags::SCHED_LOAD_BALANCE),
        ControlFile::new("sched_relax_domain_level").read_s64(relax_read).write_s64(relax_write),
        flag("memory_migrate", CpusetFlags::MEMORY_MIGRATE),
        ControlFile::new("memory_pressure").read_u64(pressure_read),
        flag("memory_spread_page", CpusetFlags::SPREAD_PAGE),
        flag("memory_spread_slab", CpusetFlags::SPREAD_SLAB),
        ControlFile::new("memory_pressure_enabled")
            .root_only()
            .read_u64(pressure_enabled_read)
            .write_u64(pressure_enabled_write),
    ];

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<CpusetState> {
        let Some(parent) = ctx.parent() else {
            let flags =
                CpusetFlags::CPU_EXCLUSIVE | CpusetFlags::MEM_EXCLUSIVE | CpusetFlags::SCHED_LOAD_BALANCE;
            let (cpus, mems) = (MaskKind::Cpus.online(ctx), MaskKind::Mems.online(ctx));
            return Ok(CpusetState { cpus, mems, flags, relax_domain_level: -1 });
        };
        let inherited = ctx.state_of(parent).flags & (CpusetFlags::SPREAD_PAGE | CpusetFlags::SPREAD_SLAB);
        Ok(CpusetState {
            cpus: IndexSet::new(),
            mems: IndexSet::new(),
            flags: inherited | CpusetFlags::SCHED_LOAD_BALANCE,
            relax_domain_level: -1,
        })
    }

    fn destroy(&mut self, ctx: &mut Ctx<'_>) {
        self.exclusive -= usize::from(counts_as_exclusive(ctx));
    }

    /// Copies `cpus` and `mems` of the parent, unless that would overlap with an exclusive sibling (F1.11).
    fn post_clone(&mut self, ctx: &mut Ctx<'_>) {
        let css = ctx.css();
        let Some(parent) = ctx.parent() else { return };
        if self.exclusive > 0 {
            let mut siblings = ctx.children_of(parent).into_iter().filter(|&other| other != css);
            if siblings.any(|sibling| ctx.state_of(sibling).is_exclusive()) {
                return;
            }
        }
        let CpusetState { cpus, mems, .. } = ctx.state_of(parent).clone();
        let state = ctx.state_mut();
        (state.cpus, state.mems) = (cpus, mems);
    }

    /// A root has everything that is online. All tasks are in the root now, so no task has to be bound.
    fn bind(&mut self, ctx: &mut Ctx<'_>) {
        let (cpus, mems) = (MaskKind::Cpus.online(ctx), MaskKind::Mems.online(ctx));
        let state = ctx.state_mut();
        (state.cpus, state.mems) = (cpus, mems);
    }

    fn can_attach(&mut self, ctx: &mut Ctx<'_>, _: &[Migration]) -> Result<()> {
        let empty = |kind| effective(ctx, ctx.css(), kind).is_empty();
        if empty(MaskKind::Cpus) || empty(MaskKind::Mems) {
            let reason = "its cpus or mems are empty; set both before tasks move in";
            return Err(Error::refused(Errno::ENOSPC, reason));
        }
        Ok(())
    }

    fn attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        let css = ctx.css();
        let existing = existing_pages(ctx.state().flags);
        let root = root_of(ctx, css);
        for kind in [MaskKind::Cpus, MaskKind::Mems] {
            let to = effective(ctx, css, kind);
            for moved in tasks {
                // a task that was in no cgroup could use what the root has
                let from = if moved.is_first_place() { root } else { moved.from };
                let from = effective(ctx, from, kind);
                if from == to {
                    continue;
                }
                // Memory belongs to the process: it follows the leader, not each thread.
                let leader = ctx.host().task(moved.task).is_some_and(|facts| facts.group == moved.task);
                // Past the commit point: a refusal of the system is no reason to undo the move.
                let _ = bind_task(
                    ctx,
                    moved.task,
                    kind,
                    &from,
                    &to,
                    if leader { existing } else { ExistingPages::Leave },
                );
            }
        }
    }
}
