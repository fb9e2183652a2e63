//! The lines of the journal. Each has the whole present state of one object, so a line that is read twice does no harm.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::origin::{JournalOrigin, ProcStamp};
use crate::escape::{escape, unescape};

/// The format that this version writes. A journal of another format is not read.
pub(super) const FORMAT: u32 = 1;

/// Bytes that JSON has as an escaped string, see [`escape`](crate::escape::escape).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EscapedBytes(pub Vec<u8>);

impl Serialize for EscapedBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(&self.0))
    }
}

impl<'de> Deserialize<'de> for EscapedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EscapedBytes, D::Error> {
        String::deserialize(deserializer).map(|text| EscapedBytes(unescape(&text).into_owned()))
    }
}

/// User id, group id and permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct OwnerRecord(pub u32, pub u32, pub u32);

/// A hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HierarchyRecord {
    /// The number of the root cgroup.
    pub root: u64,
    /// The number of the hierarchy.
    pub id: u32,
    /// Subsystems, flags and name as mount options. `release_agent` and `clone_children` are left out: they are files.
    pub options: String,
    /// The number of mounts without a file view.
    pub mounts: usize,
    /// User and group of the client that mounted it first.
    pub mounter: (u32, u32),
}

/// Mount options that name no subsystem.
const FLAGS: [&str; 5] = ["none", "noprefix", "xattr", "cpuset_v2_mode", "favordynmods"];

fn is_subsystem(word: &str) -> bool {
    !word.is_empty() && !word.contains('=') && !FLAGS.contains(&word)
}

impl HierarchyRecord {
    /// True if this subsystem is bound to the hierarchy.
    pub(super) fn has(&self, subsystem: &str) -> bool {
        self.options.split(',').any(|word| word == subsystem && is_subsystem(word))
    }

    /// The hierarchy without one of its subsystems; `None` if the rest could not be mounted, for want of subsystem and
    /// name.
    pub(super) fn without(&self, subsystem: &str) -> Option<HierarchyRecord> {
        let mut words: Vec<&str> = self.options.split(',').filter(|word| *word != subsystem).collect();
        if !words.iter().any(|word| is_subsystem(word)) {
            words.iter().find(|word| word.starts_with("name="))?;
            words.insert(0, "none");
        }
        Some(HierarchyRecord { options: words.join(","), ..self.clone() })
    }
}

/// A cgroup, with the settings of its control files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupRecord {
    /// The number of the cgroup, unique in this journal.
    pub cgroup: u64,
    /// The number of the parent; `None` for a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    /// The name of the directory; empty for a root.
    pub name: EscapedBytes,
    /// Owner and mode of the directory.
    pub owner: OwnerRecord,
    /// User and group of the client that made it, which own its files.
    pub creator: (u32, u32),
    /// Files and the bytes to write into them, where these are not the default of a new cgroup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, EscapedBytes)>,
    /// Files with an owner or a mode of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, OwnerRecord)>,
}

/// A thread of a process whose threads are in different cgroups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadRecord {
    /// The number of the thread.
    pub tid: i32,
    /// The numbers of its cgroups, without roots.
    pub cgroups: Vec<u64>,
}

/// A process that outlives the daemon and is in a cgroup that is no root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// The number of the process.
    pub pid: i32,
    /// The start time in ticks since boot. Number and start time together identify a process.
    pub started: u64,
    /// The classes of system calls that its filter stops, for
    /// [`HostHandle::readopt`](penfold_linux::host::HostHandle::readopt); 0 without a filter.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub filter: u8,
    /// The numbers of the leader's cgroups, without roots.
    pub cgroups: Vec<u64>,
    /// Every thread; empty if all are in the cgroups of the leader.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<ThreadRecord>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// A mount of a file view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRecord {
    /// The mount point, absolute.
    pub target: EscapedBytes,
    /// `cgroup`, `cpuset` or `proc`.
    pub filesystem: String,
    /// The number of its hierarchy's root; `None` for `proc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<u64>,
    /// The inode number of the mount namespace that the target is in.
    pub namespace: u64,
}

/// A subsystem that was loaded from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleRecord {
    /// The name of the subsystem.
    pub name: String,
    /// The file that it was loaded from, absolute.
    pub path: EscapedBytes,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Record {
    /// The first line.
    Begin {
        /// The format of the journal.
        format: u32,
        /// The boot and the namespaces in which it was written.
        place: JournalOrigin,
        /// The number of the newest hierarchy ever, so that none is used twice.
        last: u32,
    },
    /// A loaded module.
    Module(ModuleRecord),
    /// A module was unloaded.
    ModuleGone {
        /// The name of the subsystem.
        name: String,
    },
    /// The present state of a hierarchy.
    Hierarchy(HierarchyRecord),
    /// A hierarchy is gone, with all its cgroups.
    Unmounted {
        /// The number of the root.
        root: u64,
    },
    /// The present state of a cgroup.
    Cgroup(CgroupRecord),
    /// A cgroup was removed.
    Removed {
        /// The number of the cgroup.
        cgroup: u64,
    },
    /// Changes of membership up to one moment.
    Members {
        /// The moment.
        #[serde(flatten)]
        seen: ProcStamp,
        /// The members that are new or have moved.
        present: Vec<ProcessRecord>,
        /// The processes that are no longer members.
        gone: Vec<i32>,
    },
    /// A mounted file view.
    View(ViewRecord),
    /// A file view was unmounted.
    ViewGone {
        /// The mount point.
        target: EscapedBytes,
    },
}
