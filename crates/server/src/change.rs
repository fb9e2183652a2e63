//! What has changed in the engine, for those who show it or keep it: file views, journal, events.

use penfold_core::{CgroupId, control_file::FileId};

/// Which file view an operation came through: it need not be told of its own changes, and telling it while its request
/// is under way would deadlock with the kernel's locks on the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ViewId(pub u64);

/// A change, after it has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The view it came through; `None` for the control socket and the engine's own doing.
    pub origin: Option<ViewId>,
    /// What it was.
    pub change: EngineChange,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineChange {
    /// A hierarchy was mounted, newly or once more.
    Mounted(CgroupId),
    /// The subsystems or the release agent of a hierarchy have changed: its files with them.
    Remounted(CgroupId),
    /// A mount was taken away; the root is gone if it was the last and the hierarchy had no children.
    Unmounted(CgroupId),
    /// A cgroup was made.
    Made {
        /// Its parent.
        parent: CgroupId,
        /// The new one.
        cgroup: CgroupId,
    },
    /// A cgroup was removed.
    Removed {
        /// Its parent, which may be gone with it if its hierarchy is no longer mounted.
        parent: CgroupId,
        /// The dead id.
        cgroup: CgroupId,
        /// Its last name.
        name: Vec<u8>,
    },
    /// A cgroup was renamed.
    Renamed {
        /// Its parent.
        parent: CgroupId,
        /// The cgroup.
        cgroup: CgroupId,
        /// Its former name.
        from: Vec<u8>,
        /// Its name now.
        to: Vec<u8>,
    },
    /// Owner or mode of a directory, or of one of its control files, have changed.
    Owner {
        /// The directory.
        cgroup: CgroupId,
        /// The control file; `None` for the directory itself.
        file: Option<FileId>,
    },
    /// A module was loaded: a subsystem of this name can be mounted.
    Loaded(String),
    /// A module was unloaded.
    Unloaded(String),
    /// A control file was written; for `tasks` and `cgroup.procs`: tasks have moved.
    Written {
        /// The directory.
        cgroup: CgroupId,
        /// The control file.
        file: FileId,
    },
}
