//! The lines of the journal: each says how one thing is now, so that reading one twice does no harm.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::origin::{JournalOrigin, ProcStamp};
use crate::escape::{escape, unescape};

/// What this version writes. A journal of another number is not read.
pub(super) const FORMAT: u32 = 1;

/// Bytes as an escaped JSON string.
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

/// User, group and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct OwnerRecord(pub u32, pub u32, pub u32);

/// A hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HierarchyRecord {
    /// The number of its root cgroup.
    pub root: u64,
    /// Its own number.
    pub id: u32,
    /// Subsystems, flags and name as mount options, but `release_agent` and `clone_children`, which are files.
    pub options: String,
    /// How often it is mounted without a file view.
    pub mounts: usize,
    /// User and group of who mounted it first.
    pub mounter: (u32, u32),
}

/// Mount options that are no subsystem.
const FLAGS: [&str; 5] = ["none", "noprefix", "xattr", "cpuset_v2_mode", "favordynmods"];

fn is_subsystem(word: &str) -> bool {
    !word.is_empty() && !word.contains('=') && !FLAGS.contains(&word)
}

impl HierarchyRecord {
    /// Is this subsystem bound to it?
    pub(super) fn has(&self, subsystem: &str) -> bool {
        self.options.split(',').any(|word| word == subsystem && is_subsystem(word))
    }

    /// The hierarchy without one of its subsystems; `None` if it could not be mounted then.
    pub(super) fn without(&self, subsystem: &str) -> Option<HierarchyRecord> {
        let mut words: Vec<&str> = self.options.split(',').filter(|word| *word != subsystem).collect();
        if !words.iter().any(|word| is_subsystem(word)) {
            words.iter().find(|word| word.starts_with("name="))?;
            words.insert(0, "none");
        }
        Some(HierarchyRecord { options: words.join(","), ..self.clone() })
    }
}

/// A cgroup, with all that its files were set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupRecord {
    /// Its number, which no other one has in this journal.
    pub cgroup: u64,
    /// That of its parent; none for a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    /// Empty for a root.
    pub name: EscapedBytes,
    /// Of the directory.
    pub owner: OwnerRecord,
    /// Of its files, as user and group.
    pub creator: (u32, u32),
    /// What to write into which file, where it is not what a new cgroup has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, EscapedBytes)>,
    /// Files with an owner or a mode of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, OwnerRecord)>,
}

/// A thread that is elsewhere than its process's leader, or whose process has such a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadRecord {
    /// Its number.
    pub tid: i32,
    /// As of [`ProcessRecord::cgroups`].
    pub cgroups: Vec<u64>,
}

/// A process that outlives the daemon, in some other cgroup than roots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its number.
    pub pid: i32,
    /// When it was started, in ticks since boot: with the number, who it is.
    pub started: u64,
    /// What its system call filter stops, for `TraceHost::adopt_again`; 0 without one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub filter: u8,
    /// The leader's cgroups, but roots.
    pub cgroups: Vec<u64>,
    /// Every thread, unless all are where the leader is.
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
    /// The root of its hierarchy; none for `proc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<u64>,
    /// The mount namespace that the target is in.
    pub namespace: u64,
}

/// A subsystem that was loaded from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleRecord {
    /// The subsystem's name.
    pub name: String,
    /// The file, absolute.
    pub path: EscapedBytes,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Record {
    /// The first line.
    Begin {
        /// The format that this penfold writes
        format: u32,
        /// Where it was written.
        place: JournalOrigin,
        /// The number of the newest hierarchy that there ever was.
        last: u32,
    },
    /// A module is loaded.
    Module(ModuleRecord),
    /// A module is unloaded.
    ModuleGone {
        /// The subsystem's name.
        name: String,
    },
    /// A hierarchy is so now.
    Hierarchy(HierarchyRecord),
    /// A hierarchy is gone, with all its cgroups.
    Unmounted {
        /// The number of its root.
        root: u64,
    },
    /// A cgroup is so now.
    Cgroup(CgroupRecord),
    /// A cgroup is gone.
    Removed {
        /// Its number.
        cgroup: u64,
    },
    /// Membership, as looked at in one moment.
    Members {
        /// That moment.
        #[serde(flatten)]
        seen: ProcStamp,
        /// Those that are new, or elsewhere than before.
        present: Vec<ProcessRecord>,
        /// Those that are no members any more.
        gone: Vec<i32>,
    },
    /// A file view is mounted.
    View(ViewRecord),
    /// A file view is no more.
    ViewGone {
        /// Its mount point.
        target: EscapedBytes,
    },
}
