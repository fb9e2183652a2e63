//! What things are named by: small numbers that are never valid again once the thing is gone.

use slotmap::Key as _;

use crate::task::MoveScope;

slotmap::new_key_type! {
    /// A cgroup. The id of a removed cgroup is never valid again: everything answers `ENODEV`.
    pub struct CgroupId;

    /// A css_set. Valid as long as a task, or a fork in flight, points to it.
    pub struct CssSetId;
}

impl CgroupId {
    /// A number to keep outside: the same for the cgroup's whole life, and never given to another one of this engine.
    pub fn number(self) -> u64 {
        self.data().as_ffi()
    }

    /// The id of that number. Of a number that no cgroup has it is the id of one that is gone.
    pub fn from_number(number: u64) -> CgroupId {
        slotmap::KeyData::from_ffi(number).into()
    }
}

impl CssSetId {
    /// A number for people and logs: the same for the css_set's whole life, and never given to another one.
    pub fn number(self) -> u64 {
        self.data().as_ffi()
    }
}

impl FileId {
    /// What a write to this file moves: `None` for every file but `tasks` and `cgroup.procs`.
    pub fn move_scope(self) -> Option<MoveScope> {
        match self {
            FileId::Tasks => Some(MoveScope::Task),
            FileId::Procs => Some(MoveScope::ThreadGroup),
            _ => None,
        }
    }

    /// A number that no other file of the same directory has, below 2^16: for inode numbers. A file of a subsystem that
    /// was unloaded and loaded again has its old number.
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

/// One subsystem's state in one cgroup, by number. Only meaningful to the subsystem that was given it, and
/// only until its `destroy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Css(pub(crate) u32);

impl Css {
    /// Its number, to pass it over a binary interface.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The css of that number; [`Services::is_alive`](crate::Services::is_alive) tells whether there is one.
    pub const fn from_number(number: u32) -> Css {
        Css(number)
    }
}

/// A control file of a directory, to read and write by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FileId {
    /// `tasks`: threads.
    Tasks,
    /// `cgroup.procs`: thread groups.
    Procs,
    /// `notify_on_release`
    NotifyOnRelease,
    /// `cgroup.clone_children`
    CloneChildren,
    /// `cgroup.sane_behavior`
    SaneBehavior,
    /// `release_agent`
    ReleaseAgent,
    /// A file of a bound subsystem.
    Subsystem {
        /// The subsystem's slot.
        slot: u8,
        /// The number in its table.
        file: u16,
        /// Which of the subsystems that ever had the slot.
        loaded: u32,
    },
}
