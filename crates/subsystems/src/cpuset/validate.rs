//! The state of a cpuset, and the rules that keep it consistent with its family (F1.7). Pure: no tree, no host.

use alloc::vec::Vec;

use bitflags::bitflags;
use penfold_core::{Errno, Error, Result, host::IndexSet};

bitflags! {
    /// The flag files of a cpuset.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct CpusetFlags: u16 {
        const CPU_EXCLUSIVE = 1;
        const MEM_EXCLUSIVE = 1 << 1;
        const MEM_HARDWALL = 1 << 2;
        const MEMORY_MIGRATE = 1 << 3;
        const SCHED_LOAD_BALANCE = 1 << 4;
        const SPREAD_PAGE = 1 << 5;
        const SPREAD_SLAB = 1 << 6;
    }
}

/// One of the two things that a cpuset restricts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MaskKind {
    Cpus,
    Mems,
}

/// One cpuset as configured.
#[derive(Debug, Clone)]
pub struct CpusetState {
    pub(super) cpus: IndexSet,
    pub(super) mems: IndexSet,
    pub(super) flags: CpusetFlags,
    pub(super) relax_domain_level: i8,
}

// One of these is kept for every cgroup.
const _: () = assert!(size_of::<CpusetState>() <= 56);

impl CpusetState {
    pub(super) fn mask(&self, kind: MaskKind) -> &IndexSet {
        match kind {
            MaskKind::Cpus => &self.cpus,
            MaskKind::Mems => &self.mems,
        }
    }

    pub(super) fn mask_mut(&mut self, kind: MaskKind) -> &mut IndexSet {
        match kind {
            MaskKind::Cpus => &mut self.cpus,
            MaskKind::Mems => &mut self.mems,
        }
    }

    pub(super) fn is_exclusive(&self) -> bool {
        self.flags.intersects(EXCLUSIVE)
    }

    /// True if the cpuset fits into `outer`, exclusive flags included.
    fn is_subset(&self, outer: &CpusetState) -> bool {
        self.cpus.is_subset(&outer.cpus)
            && self.mems.is_subset(&outer.mems)
            && (outer.flags & EXCLUSIVE).contains(self.flags & EXCLUSIVE)
    }

    /// True if one of the two is exclusive and they share a CPU or node.
    fn conflicts(&self, other: &CpusetState) -> bool {
        let either = self.flags | other.flags;
        (either.contains(CpusetFlags::CPU_EXCLUSIVE) && self.cpus.intersects(&other.cpus))
            || (either.contains(CpusetFlags::MEM_EXCLUSIVE) && self.mems.intersects(&other.mems))
    }
}

const EXCLUSIVE: CpusetFlags = CpusetFlags::CPU_EXCLUSIVE.union(CpusetFlags::MEM_EXCLUSIVE);

/// The cpusets around a cpuset that is about to change.
pub(super) struct CpusetFamily<'a> {
    /// `None` for a root.
    pub(super) parent: Option<&'a CpusetState>,
    pub(super) children: Vec<&'a CpusetState>,
    pub(super) siblings: Vec<&'a CpusetState>,
    /// True if the cpuset itself has any member.
    pub(super) has_tasks: bool,
    /// Mounted with `cpuset_v2_mode`: neither children nor parent restrict what may be configured.
    pub(super) v2_mode: bool,
}

/// Checks that `current` may become `trial`. The checks have the kernel's order, which decides the errno.
///
/// # Errors
/// * `EBUSY` if a child would not fit any more;
/// * `EACCES` if the cpuset would not fit into its parent;
/// * `ENOSPC` to empty a cpuset that has tasks;
/// * `EBUSY` to empty an exclusive, load-balanced cpuset;
/// * `EINVAL` for an overlap with a sibling where either is exclusive.
pub(super) fn validate(current: &CpusetState, trial: &CpusetState, family: &CpusetFamily<'_>) -> Result<()> {
    let refuse = |errno, reason: &'static str| Err(Error::value(errno, reason));
    if !family.v2_mode && family.children.iter().any(|child| !child.is_subset(trial)) {
        return refuse(Errno::EBUSY, "a child holds what this would take away; shrink the children first");
    }
    let Some(parent) = family.parent else { return Ok(()) };
    if !family.v2_mode && !trial.is_subset(parent) {
        return refuse(Errno::EACCES, "the parent has not got that; widen it, or make it exclusive, first");
    }
    let empties = |kind| !current.mask(kind).is_empty() && trial.mask(kind).is_empty();
    if family.has_tasks && (empties(MaskKind::Cpus) || empties(MaskKind::Mems)) {
        return refuse(Errno::ENOSPC, "it has tasks, which need a CPU and a memory node");
    }
    // The kernel checks whether the deadline tasks of the root domain still fit. Its own deadline server always has
    // bandwidth there, so an empty set of CPUs never fits.
    let own_domain = CpusetFlags::CPU_EXCLUSIVE | CpusetFlags::SCHED_LOAD_BALANCE;
    if current.flags.contains(own_domain) && empties(MaskKind::Cpus) {
        return refuse(Errno::EBUSY, "an exclusive cpuset keeps a CPU; clear cpu_exclusive first");
    }
    if family.siblings.iter().any(|sibling| trial.conflicts(sibling)) {
        return refuse(Errno::EINVAL, "it overlaps with a sibling, and one of the two is exclusive");
    }
    Ok(())
}
