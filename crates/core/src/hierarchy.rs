//! One hierarchy: a tree of cgroups with the subsystems bound to it.

use alloc::string::String;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::ids::CgroupId;

bitflags! {
    /// Mount options that stay with a hierarchy and may not change at a remount (A5.2).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct HierarchyFlags: u32 {
        /// `noprefix`: control files carry no prefix.
        const NOPREFIX = 1;
        /// `xattr`: only shown.
        const XATTR = 1 << 1;
        /// `cpuset_v2_mode`: cpuset keeps what was configured apart from what is effective.
        const CPUSET_V2_MODE = 1 << 2;
        /// `favordynmods`: only shown, moves are always fast here.
        const FAVOR_DYNAMIC = 1 << 3;
    }
}

/// A hierarchy. The first one is the dummy hierarchy, where unbound subsystems live (A6).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Hierarchy {
    /// The number in `/proc/PID/cgroup` and `/proc/cgroups`; 0 for the dummy hierarchy.
    pub id: u32,
    /// The name given with `name=`; empty without.
    pub name: String,
    /// Its root.
    pub root: CgroupId,
    /// The bound subsystems, one bit for each slot.
    pub(crate) subsystems: u64,
    /// The options it was created with.
    pub flags: HierarchyFlags,
    /// The release agent's path, any bytes but NUL; empty for none.
    pub release_agent: Vec<u8>,
    /// How many times it is mounted. An unmounted hierarchy lives on while it has children (A5.8).
    pub mounts: usize,
    /// Number of cgroups, root included.
    pub cgroups: usize,
}
