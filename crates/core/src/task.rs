//! Tasks as core sees them: numbers, facts given by the host, and the caller of an operation.

use core::fmt;

use alloc::string::String;
use alloc::vec::Vec;

use crate::errno::Errno;
use crate::error::{Error, Result};

/// The number of a task (a thread), unique among living tasks of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tid(pub i32);

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a host knows of one living task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskFacts {
    /// The thread group (process) it belongs to: the number of its leader.
    pub group: Tid,
    /// Real user id.
    pub real_uid: u32,
    /// Saved user id.
    pub saved_uid: u32,
    /// False for tasks that may never move, such as a kernel's own bound threads (B4.8).
    pub movable: bool,
    /// It is exiting: permissions are still checked, but there is nothing to move (Linux 6.x answers success).
    pub exiting: bool,
    /// A fork of this task has been charged and is not yet known to have happened or failed. Moving it now
    /// would lose the charge or the child, so an attach answers `EAGAIN` and the host settles first.
    pub forking: bool,
}

/// What a move has to know of a task, of what [`TaskFacts`] has: a host may know these without reading anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveFacts {
    /// As [`TaskFacts::group`].
    pub group: Tid,
    /// As [`TaskFacts::movable`].
    pub movable: bool,
    /// As [`TaskFacts::exiting`].
    pub exiting: bool,
    /// As [`TaskFacts::forking`].
    pub forking: bool,
}

impl From<TaskFacts> for MoveFacts {
    fn from(facts: TaskFacts) -> MoveFacts {
        let TaskFacts { group, movable, exiting, forking, .. } = facts;
        MoveFacts { group, movable, exiting, forking }
    }
}

/// Who asks for an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The asking task; `0` written to `tasks` means it.
    pub task: Tid,
    /// Effective (file system) user id.
    pub uid: u32,
    /// Effective (file system) group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The permission bits that mkdir(2) clears.
    pub umask: u32,
    /// Holds the administrator's capabilities (on Linux `CAP_SYS_ADMIN` and `CAP_DAC_OVERRIDE`).
    pub privileged: bool,
}

impl Caller {
    /// The super-user acting as `task`, umask 022.
    pub fn root(task: Tid) -> Caller {
        Caller { task, uid: 0, gid: 0, groups: Vec::new(), umask: 0o022, privileged: true }
    }

    /// An ordinary user acting as `task`, umask 022.
    pub fn user(task: Tid, uid: u32, gid: u32) -> Caller {
        Caller { task, uid, gid, groups: Vec::new(), umask: 0o022, privileged: false }
    }

    /// May the caller read (`4`), write (`2`), or execute or search (`1`) an object, or all of a sum of these? The
    /// rule of every Unix file. A front end asks it for the steps of a path and before it lists a directory.
    pub fn may(&self, owner: &Owner, want: u32) -> bool {
        let shift = if self.uid == owner.uid {
            6
        } else if self.gid == owner.gid || self.groups.contains(&owner.gid) {
            3
        } else {
            0
        };
        self.privileged || (owner.mode >> shift) & want == want
    }

    pub(crate) fn must(&self, owner: &Owner, want: u32, operation: &'static str, object: &str) -> Result<()> {
        if self.may(owner, want) {
            return Ok(());
        }
        Err(Error::Permission {
            operation,
            object: String::from(object),
            errno: Errno::EACCES,
            reason: "owner and mode do not allow it to this user",
        })
    }

    /// `CAP_SYS_ADMIN`, where the kernel asks for it.
    ///
    /// # Errors
    /// `EPERM` without it.
    pub fn must_be_privileged(&self, operation: &'static str, object: &str) -> Result<()> {
        if self.privileged {
            return Ok(());
        }
        Err(Error::Permission {
            operation,
            object: String::from(object),
            errno: Errno::EPERM,
            reason: "that takes the administrator's rights",
        })
    }
}

/// Owner and mode of a directory or a control file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits, `0o000` to `0o7777`.
    pub mode: u32,
}
