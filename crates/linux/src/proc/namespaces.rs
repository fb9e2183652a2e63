//! `/proc/PID/ns`: which tasks share a namespace.

use std::fmt;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use penfold_core::Tid;

/// A kind of namespace, as in namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// The root of `/proc/PID/cgroup`.
    Cgroup,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Mounts.
    Mount,
    /// Network devices and addresses.
    Network,
    /// Process numbers.
    Pid,
    /// User and group ids, and capabilities.
    User,
    /// Host and domain name.
    Uts,
}

impl Namespace {
    /// All kinds but time, which confines nothing.
    pub const ALL: [Namespace; 7] = [
        Namespace::Cgroup,
        Namespace::Ipc,
        Namespace::Mount,
        Namespace::Network,
        Namespace::Pid,
        Namespace::User,
        Namespace::Uts,
    ];

    /// The name of the link in `/proc/PID/ns`.
    fn link(self) -> &'static str {
        match self {
            Namespace::Cgroup => "cgroup",
            Namespace::Ipc => "ipc",
            Namespace::Mount => "mnt",
            Namespace::Network => "net",
            Namespace::Pid => "pid",
            Namespace::User => "user",
            Namespace::Uts => "uts",
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.link())
    }
}

/// The namespace that a task is in: an inode number, equal for the same namespace while any task is in it. `None` when
/// the task is gone, and where this process may not look at it (`PTRACE_MODE_READ`).
pub fn namespace_of(task: Tid, kind: Namespace) -> Option<u64> {
    number(&format!("/proc/{task}/ns/{kind}"))
}

/// The namespace that this process is in, as [`namespace_of`].
pub fn own_namespace(kind: Namespace) -> Option<u64> {
    number(&format!("/proc/self/ns/{kind}"))
}

/// Whether this process is in the initial user namespace, where user 0 is the root of the machine. Also true without
/// user namespaces, and without `/proc`.
pub fn in_initial_user_namespace() -> bool {
    /// `PROC_USER_INIT_INO` of the kernel, the same since Linux 3.8.
    const INITIAL: u64 = 0xEFFF_FFFD;
    own_namespace(Namespace::User).is_none_or(|own| own == INITIAL)
}

/// The user that has made this process's user namespace, in the numbers of the namespace; 65534 without a number there.
/// `None` if the kernel does not say.
///
/// A process of that user in the parent namespace has every capability in this one (`user_namespaces(7)`).
pub fn user_namespace_owner() -> Option<u32> {
    /// `NS_GET_OWNER_UID` of `ioctl_ns(2)`.
    const GET_OWNER_UID: libc::Ioctl = 0xB704;
    let namespace = File::open("/proc/self/ns/user").ok()?;
    let mut owner: libc::uid_t = 0;
    // SAFETY: the kernel writes one uid_t through the pointer, which is valid for the call.
    let result = unsafe { libc::ioctl(namespace.as_raw_fd(), GET_OWNER_UID, &raw mut owner) };
    (result == 0).then_some(owner)
}

/// Whether a task uses the process numbers of this process. Also true where this process may not look: no other
/// namespace can be named then, and none is likely.
pub(crate) fn in_own_pid_namespace(task: Tid) -> bool {
    let own = own_namespace(Namespace::Pid);
    namespace_of(task, Namespace::Pid).is_none_or(|theirs| Some(theirs) == own)
}

fn number(link: &str) -> Option<u64> {
    fs::metadata(link).ok().map(|namespace| namespace.ino())
}

#[cfg(test)]
mod tests {
    use super::super::own;
    use super::*;

    #[test]
    fn every_kind_has_a_number_of_its_own() {
        let mut numbers: Vec<u64> = Namespace::ALL.iter().filter_map(|kind| own_namespace(*kind)).collect();
        assert!(Namespace::ALL.iter().all(|kind| namespace_of(own(), *kind) == own_namespace(*kind)));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Namespace::ALL.len());
    }

    #[test]
    fn maker_of_the_namespace_is_known() {
        // the kernel says that root has made the initial one
        if in_initial_user_namespace() {
            assert_eq!(user_namespace_owner(), Some(0));
        } else {
            assert!(user_namespace_owner().is_some());
        }
    }

    #[test]
    fn task_that_is_gone_has_no_namespace() {
        assert_eq!(namespace_of(Tid(i32::MAX), Namespace::User), None);
        assert!(in_own_pid_namespace(own()) && in_own_pid_namespace(Tid(i32::MAX)));
    }
}
