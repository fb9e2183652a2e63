//! Tasks as core sees them: their numbers, the host's facts about them, and the caller of an operation.

use core::fmt;

use alloc::string::String;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::errno::Errno;
use crate::error::{Error, Result};

/// The number of a task (a thread), unique among the living tasks of one host. Core makes no numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tid(pub i32);

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The facts about one task that a host gives to core and subsystems ([`HostView::task`](crate::host::HostView::task)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskFacts {
    /// The thread group (process) of the task, as the number of its leader.
    pub group: Tid,
    /// The real user id.
    pub real_uid: u32,
    /// The saved user id.
    pub saved_uid: u32,
    /// False for a task that may never move, such as a kernel's own thread that is bound to a CPU (B4.8).
    pub movable: bool,
    /// True for a task that is exiting. An attach checks permissions, moves nothing and succeeds, as in Linux 6.x.
    pub exiting: bool,
    /// True while a fork of the task is charged, and not yet known to have happened or failed.
    ///
    /// A move now would lose the charge or the child. So an attach answers `EAGAIN`; the host settles the fork first.
    pub forking: bool,
}

impl TaskFacts {
    /// The facts of a living, movable task of `group`. `uid` is its real and saved user. The fields can be changed.
    pub const fn new(group: Tid, uid: u32) -> TaskFacts {
        TaskFacts { group, real_uid: uid, saved_uid: uid, movable: true, exiting: false, forking: false }
    }
}

/// The part of [`TaskFacts`] that every move needs. A host can often give it from memory
/// ([`HostView::move_facts`](crate::host::HostView::move_facts)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MoveFacts {
    /// The thread group of the task, see [`TaskFacts::group`].
    pub group: Tid,
    /// False for a task that may never move, see [`TaskFacts::movable`].
    pub movable: bool,
    /// True for a task that is exiting, see [`TaskFacts::exiting`].
    pub exiting: bool,
    /// True while a fork of the task is in flight, see [`TaskFacts::forking`].
    pub forking: bool,
}

impl MoveFacts {
    /// The facts of a living, movable task of `group`. The fields can be changed.
    pub const fn new(group: Tid) -> MoveFacts {
        MoveFacts { group, movable: true, exiting: false, forking: false }
    }
}

impl From<TaskFacts> for MoveFacts {
    fn from(facts: TaskFacts) -> MoveFacts {
        let TaskFacts { group, movable, exiting, forking, .. } = facts;
        MoveFacts { group, movable, exiting, forking }
    }
}

bitflags! {
    /// The access that a caller wants to a file or directory: permission bits of one class, as in access(2).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Access: u32 {
        /// Reads a file or lists a directory.
        const READ = 4;
        /// Writes a file or changes the entries of a directory.
        const WRITE = 2;
        /// Goes through a directory on a path.
        const SEARCH = 1;
    }
}

/// The user and the group on whose behalf a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
}

/// The task that requests an operation, with its rights. A front end fills it in from the client or the system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The number of the task. `0` written to `tasks` or `cgroup.procs` stands for this task.
    pub task: Tid,
    /// The effective user id, on Linux that for file systems.
    pub uid: u32,
    /// The effective group id, on Linux that for file systems.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
    /// The permission bits that mkdir(2) clears.
    pub umask: u32,
    /// True if the caller has the administrator's capabilities, on Linux `CAP_SYS_ADMIN` and `CAP_DAC_OVERRIDE`.
    pub privileged: bool,
}

impl Caller {
    /// The super-user acting as `task`: uid 0, privileged, umask 022.
    pub fn root(task: Tid) -> Caller {
        Caller { task, uid: 0, gid: 0, groups: Vec::new(), umask: 0o022, privileged: true }
    }

    /// An ordinary user acting as `task`: not privileged, no supplementary groups, umask 022.
    pub fn user(task: Tid, uid: u32, gid: u32) -> Caller {
        Caller { task, uid, gid, groups: Vec::new(), umask: 0o022, privileged: false }
    }

    /// True if `owner` grants the caller all of `access`, by the rule of Unix: user, else group, else others.
    ///
    /// Always true for a privileged caller. Core's operations check by themselves. A front end checks each step of a
    /// path with this method, and a directory before it lists the directory.
    pub fn may(&self, owner: &Owner, access: Access) -> bool {
        let shift = if self.uid == owner.uid {
            6
        } else if self.gid == owner.gid || self.groups.contains(&owner.gid) {
            3
        } else {
            0
        };
        self.privileged || (owner.mode >> shift) & access.bits() == access.bits()
    }

    pub(crate) fn must(
        &self,
        owner: &Owner,
        access: Access,
        operation: &'static str,
        object: &str,
    ) -> Result<()> {
        if self.may(owner, access) {
            return Ok(());
        }
        Err(Error::Permission {
            operation,
            object: String::from(object),
            errno: Errno::EACCES,
            reason: "owner and mode do not allow it to this user",
        })
    }

    /// Checks that the caller is privileged, where the kernel requires `CAP_SYS_ADMIN`.
    ///
    /// `operation` and `object` are for the message of the error, such as `mount` and the options.
    ///
    /// # Errors
    /// `EPERM`: the caller is not privileged.
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

/// The owner and mode of a directory or a control file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The permission bits, `0o000` to `0o7777`.
    pub mode: u32,
}
