//! One hierarchy: a tree of cgroups, with the subsystems that are bound to it.

use alloc::string::String;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::ids::CgroupId;

bitflags! {
    /// The mount options that stay with a hierarchy. A remount can't change them (A5.2).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct HierarchyFlags: u32 {
        /// `noprefix`: the names of control files have no prefix.
        const NOPREFIX = 1;
        /// `xattr`: shown in the options, without any other effect.
        const XATTR = 1 << 1;
        /// `cpuset_v2_mode`: cpuset keeps configured CPUs and nodes apart from effective ones.
        const CPUSET_V2_MODE = 1 << 2;
        /// `favordynmods`: shown in the options, without any other effect. Moves are always fast here.
        const FAVOR_DYNAMIC = 1 << 3;
    }
}

/// A hierarchy: a tree of cgroups with subsystems.
///
/// Every engine has the dummy hierarchy, with one cgroup, to which unbound subsystems belong (A6).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Hierarchy {
    /// The number in `/proc/PID/cgroup` and `/proc/cgroups`; 0 for the dummy hierarchy.
    pub id: u32,
    /// The name given with `name=`; empty for none.
    pub name: String,
    /// The root of the hierarchy.
    pub root: CgroupId,
    /// The bound subsystems, one bit for each slot.
    pub(crate) subsystems: u64,
    /// The options that the hierarchy was created with.
    pub flags: HierarchyFlags,
    /// The release agent's path, any bytes but NUL; empty for none.
    pub release_agent: Vec<u8>,
    /// The number of mounts. A hierarchy without mounts lives on while it has children (A5.8).
    pub mounts: usize,
    /// The number of cgroups, root included.
    pub cgroups: usize,
}
