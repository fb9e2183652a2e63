//! Ids of cgroups, css_sets, css and control files: small numbers, never valid again once their object is gone.

use slotmap::Key as _;

slotmap::new_key_type! {
    /// The id of a cgroup. The id of a removed cgroup is never valid again: operations on it answer `ENODEV`.
    pub struct CgroupId;

    /// The id of a [`CssSet`](crate::tree::CssSet): the cgroups that a task is in. A host keeps one in each task.
    ///
    /// The id is valid as long as a task, a fork in flight or an [`Engine::pin`](crate::Engine::pin) holds the css_set.
    pub struct CssSetId;
}

impl CgroupId {
    /// The id as a number for the outside, such as a protocol.
    ///
    /// The number is the same for the cgroup's whole life, and no other cgroup of this engine ever gets it.
    pub fn number(self) -> u64 {
        self.data().as_ffi()
    }

    /// The id of the number `number`. For a number that no cgroup has, the id is that of a removed cgroup.
    pub fn from_number(number: u64) -> CgroupId {
        slotmap::KeyData::from_ffi(number).into()
    }
}

impl CssSetId {
    /// The id as a number for people and logs.
    ///
    /// The number is the same for the css_set's whole life, and no other css_set of this engine ever gets it.
    pub fn number(self) -> u64 {
        self.data().as_ffi()
    }
}

impl FileId {
    /// The tasks that a write to this file moves; `None` for every file but `tasks` and `cgroup.procs`.
    pub fn move_scope(self) -> Option<MoveScope> {
        match self {
            FileId::Tasks => Some(MoveScope::Task),
            FileId::Procs => Some(MoveScope::ThreadGroup),
            _ => None,
        }
    }

    /// A number below 2^16 that no other file of the same directory has, to make inode numbers from.
    ///
    /// A file of a subsystem that was unloaded and loaded again into its old slot has its old number.
    pub fn number(self) -> u64 {
        match self {
            FileId::Procs => 1,
            FileId::Tasks => 2,
            FileId::NotifyOnRelease => 3,
            FileId::CloneChildren => 4,
            FileId::SaneBehavior => 5,
            FileId::ReleaseAgent => 6,
            // 64 slots of up to 1000 files
            FileId::Subsystem { slot, file, .. } => 16 + u64::from(slot) * 1000 + u64::from(file),
        }
    }
}

/// The id of one subsystem's state in one cgroup.
///
/// Only the subsystem that core gave it to can use it, and only until its
/// [`destroy`](crate::subsystem::Subsystem::destroy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Css(pub(crate) u32);

impl Css {
    /// The id as a number, to pass it over a binary interface.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The id of the number `number`. [`Services::is_alive`](crate::subsystem::Services::is_alive) says whether there
    /// is such a css.
    pub const fn from_number(number: u32) -> Css {
        Css(number)
    }
}

/// The id of a control file in any directory, for [`Session::read`](crate::Session::read) and
/// [`Session::write`](crate::Session::write).
///
/// [`Engine::open`](crate::Engine::open) and [`Engine::find_file`](crate::Engine::find_file) find it by name. Once its
/// subsystem is unbound or unloaded, operations on it answer `ENODEV`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FileId {
    /// `tasks`: the threads of the cgroup; a write moves one thread.
    Tasks,
    /// `cgroup.procs`: the thread groups of the cgroup; a write moves a whole one.
    Procs,
    /// `notify_on_release`: whether the release agent runs when the cgroup becomes empty.
    NotifyOnRelease,
    /// `cgroup.clone_children`: whether new children copy the cgroup's settings.
    CloneChildren,
    /// `cgroup.sane_behavior`: always 0, read only.
    SaneBehavior,
    /// `release_agent`: the program of the hierarchy that runs for empty cgroups.
    ReleaseAgent,
    /// A file of a bound subsystem.
    Subsystem {
        /// The slot of the subsystem.
        slot: u8,
        /// The place of the file in the subsystem's table, from 0.
        file: u16,
        /// The engine's count of loads and unloads at the subsystem's load: it tells the subsystem from earlier ones in
        /// the slot.
        loaded: u32,
    },
}

/// The tasks that an attach moves ([`Session::attach`](crate::Session::attach)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MoveScope {
    /// One thread, as by a write to `tasks`.
    Task,
    /// The whole thread group of a thread, as by a write to `cgroup.procs`.
    ThreadGroup,
}

impl MoveScope {
    /// The control file to which a write moves these tasks.
    pub fn file(self) -> FileId {
        match self {
            MoveScope::Task => FileId::Tasks,
            MoveScope::ThreadGroup => FileId::Procs,
        }
    }
}
