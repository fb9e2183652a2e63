//! Who may have a command run or a module loaded by the daemon: only one who is confined no more than that would be.
//!
//! A command that the daemon starts is a child of the daemon. It has the caller's user and groups, but what else holds the
//! caller back would not hold it: namespaces, a changed root, *no new privileges*, system call filters, dropped
//! capabilities. So a caller that is held back by one of these is refused; it can attach itself and run the command. The
//! code of a module is part of the daemon, so nothing that holds its caller back would hold it either.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::unistd::geteuid;
use penfold_core::ErrorKind;
use penfold_linux::process::namespace_of;

use crate::failure::Failure;

const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// What `/proc/PID/status` says of how a process is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Restrictions {
    no_new_privileges: bool,
    filters: u32,
    /// What execve(2) can give at most.
    bounding: u64,
    permitted: u64,
}

impl Restrictions {
    fn read(pid: i32) -> Option<Restrictions> {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let mask = |name| u64::from_str_radix(field(name)?, 16).ok();
        Some(Restrictions {
            no_new_privileges: field("NoNewPrivs")? == "1",
            // kernels before 5.9 have only the mode
            filters: field("Seccomp_filters").or(field("Seccomp"))?.parse().ok()?,
            bounding: mask("CapBnd")?,
            permitted: mask("CapPrm")?,
        })
    }

    /// What holds a caller back that would not hold its command.
    fn exceeds(
        self,
        daemon: Restrictions,
        root_daemon: bool,
        root: bool,
        supervised: bool,
    ) -> Option<&'static str> {
        // who was launched here has the filter that its command will have, and without root the same bit
        let filters = daemon.filters + u32::from(supervised);
        if self.filters > filters {
            return Some("a system call filter");
        }
        if root_daemon && self.no_new_privileges && !daemon.no_new_privileges {
            return Some("no new privileges");
        }
        if root_daemon && daemon.bounding & !self.bounding != 0 {
            return Some("a smaller bounding set of capabilities");
        }
        (root && daemon.permitted & !self.permitted != 0).then_some("dropped capabilities")
    }
}

/// What a caller wants the daemon to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Execution {
    /// A command.
    Command,
    /// A module's code, in the daemon itself.
    Module,
}

/// May this process have code run by the daemon?
///
/// # Errors
/// `EPERM`, with what confines it; `ESRCH` if it is gone.
pub(super) fn must_not_exceed_ours(
    what: Execution,
    pid: i32,
    uid: u32,
    supervised: bool,
) -> Result<(), Failure> {
    let own = std::process::id().cast_signed();
    let confined = match what {
        Execution::Command => "the command; attach the caller (task 0) and let it run the command",
        Execution::Module => "the module",
    };
    let refuse = |what: &str| {
        let detail = format!("is confined by {what}, which would not confine {confined}");
        Err(Failure::new(ErrorKind::NotPermitted, Errno::EPERM, "caller", detail))
    };
    let gone = || Failure::new(ErrorKind::NoTask, Errno::ESRCH, "caller", "has ended");
    for kind in NAMESPACES {
        if namespace_of(pid, kind) != namespace_of(own, kind) {
            return refuse(&format!("a {kind} namespace"));
        }
    }
    if root_of(pid) != root_of(own) {
        return refuse("another root directory");
    }
    let theirs = Restrictions::read(pid).ok_or_else(gone)?;
    let ours = Restrictions::read(own).ok_or_else(gone)?;
    match theirs.exceeds(ours, geteuid().is_root(), uid == 0, supervised) {
        Some(restriction) => refuse(restriction),
        None => Ok(()),
    }
}

fn root_of(pid: i32) -> Option<(u64, u64)> {
    fs::metadata(format!("/proc/{pid}/root/")).ok().map(|root| (root.dev(), root.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_is_confined_more_than_the_daemon_is_told_by_what() {
        let free = Restrictions { no_new_privileges: false, filters: 0, bounding: 0xff, permitted: 0xff };
        assert_eq!(free.exceeds(free, true, true, false), None);
        let filtered = Restrictions { filters: 1, ..free };
        assert_eq!(filtered.exceeds(free, true, false, false), Some("a system call filter"));
        assert_eq!(filtered.exceeds(free, true, false, true), None);
        assert_eq!(free.exceeds(filtered, true, false, false), None);
        let bit = Restrictions { no_new_privileges: true, ..free };
        assert_eq!(bit.exceeds(free, true, false, false), Some("no new privileges"));
        assert_eq!(bit.exceeds(free, false, false, false), None);
        let bounded = Restrictions { bounding: 0x7f, ..free };
        assert!(bounded.exceeds(free, true, false, false).is_some());
        let dropped = Restrictions { permitted: 0, ..free };
        assert_eq!(dropped.exceeds(free, true, false, false), None);
        assert_eq!(dropped.exceeds(free, true, true, false), Some("dropped capabilities"));
        assert!(must_not_exceed_ours(Execution::Command, std::process::id().cast_signed(), 1, false).is_ok());
    }
}
