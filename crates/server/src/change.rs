//! Changes of the engine, for the observers of a service: file views, the journal, watchers of events.

use penfold_core::{CgroupId, control_file::FileId};

/// The file view that an operation came through.
///
/// The kernel knows the changes of its own requests. A report during such a request would deadlock with the kernel's
/// lock on the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ViewId(pub u64);

/// A change, after it has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The view that the operation came through; `None` for the control socket and for the daemon's own operations.
    pub origin: Option<ViewId>,
    /// The change.
    pub change: EngineChange,
}

/// A change of the engine's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineChange {
    /// A hierarchy was mounted, for the first time or once more. The id is its root's.
    Mounted(CgroupId),
    /// The subsystems or the release agent of the hierarchy with this root have changed, and so its control files.
    Remounted(CgroupId),
    /// A mount of the hierarchy with this root was taken away. The root is gone after the last mount, unless the
    /// hierarchy has children.
    Unmounted(CgroupId),
    /// A cgroup was made.
    Made {
        /// The parent.
        parent: CgroupId,
        /// The new cgroup.
        cgroup: CgroupId,
        /// The name of the new cgroup: an observer may look when the cgroup is gone already.
        name: Vec<u8>,
    },
    /// A cgroup was removed.
    Removed {
        /// The parent. A hierarchy without mounts ends with its last child: then the parent is gone too.
        parent: CgroupId,
        /// The former id of the removed cgroup.
        cgroup: CgroupId,
        /// The last name of the removed cgroup.
        name: Vec<u8>,
    },
    /// A cgroup was renamed.
    Renamed {
        /// The parent.
        parent: CgroupId,
        /// The renamed cgroup.
        cgroup: CgroupId,
        /// The former name.
        from: Vec<u8>,
        /// The new name.
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
    /// A control file was written. For `tasks` and `cgroup.procs` this means that tasks have moved.
    Written {
        /// The directory.
        cgroup: CgroupId,
        /// The control file.
        file: FileId,
    },
}
