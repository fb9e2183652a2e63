//! The check that keeps a confined caller from running code with less confinement, by `Exec` or `LoadModule`.
//!
//! A command that the daemon starts is a child of the daemon. It has the caller's user and groups. The caller's other
//! restrictions would not apply to it: namespaces, a changed root, *no new privileges*, system call filters, dropped
//! capabilities. So a caller with one of these is refused. It can attach itself and run the command.
//!
//! The code of a module is part of the daemon, so no restriction of the caller would apply to it either.

use nix::errno::Errno;
use nix::unistd::geteuid;
use penfold_core::{ErrorKind, Tid};
use penfold_linux::proc::{Namespace, SeccompMode, StatusFile, namespace_of, root_of};

use crate::client::Client;
use crate::failure::Failure;

/// Restrictions of a process, from `/proc/PID/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Restrictions {
    no_new_privileges: bool,
    filters: u32,
    /// The bounding set: the capabilities that execve(2) can give at most.
    bounding: u64,
    permitted: u64,
}

impl Restrictions {
    fn read(pid: Tid) -> Option<Restrictions> {
        let status = StatusFile::read(pid)?;
        // kernels before 5.9 have only the mode, which counts as that many filters
        let by_mode = || {
            Some(match status.seccomp()? {
                SeccompMode::Disabled => 0,
                SeccompMode::Strict => 1,
                SeccompMode::Filter => 2,
                SeccompMode::Other(mode) => mode,
            })
        };
        Some(Restrictions {
            no_new_privileges: status.no_new_privileges()?,
            filters: status.filters().or_else(by_mode)?,
            bounding: status.bounding_capabilities()?,
            permitted: status.permitted_capabilities()?,
        })
    }

    /// A restriction of a caller that its command would not have; `None` without one. `supervised` says that the caller
    /// is a member of one of the daemon's cgroups, `root_daemon` and `root` that daemon and caller are root.
    fn exceeds(
        self,
        daemon: Restrictions,
        root_daemon: bool,
        root: bool,
        supervised: bool,
    ) -> Option<&'static str> {
        // A supervised caller may have been launched here. Then it has the filter that its command will have.
        let filters = daemon.filters + u32::from(supervised);
        if self.filters > filters {
            return Some("a system call filter");
        }
        // Landlock shows nowhere, but without root's rights it takes this bit. A command of a user's daemon got the bit
        // with penfold's filter. It may have taken Landlock on since, so it is refused as well.
        if self.no_new_privileges && !daemon.no_new_privileges {
            return Some("no new privileges");
        }
        if root_daemon && daemon.bounding & !self.bounding != 0 {
            return Some("a smaller bounding set of capabilities");
        }
        (root && daemon.permitted & !self.permitted != 0).then_some("dropped capabilities")
    }
}

/// The code that a caller wants the daemon to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Execution {
    /// A command.
    Command,
    /// A module's code, in the daemon itself.
    Module,
}

/// Checks that the daemon may run code for this client.
///
/// # Errors
/// `EPERM` with the restriction in the message; `ESRCH` if the process is gone.
pub(super) fn must_not_exceed_ours(
    what: Execution,
    client: &Client,
    supervised: bool,
) -> Result<(), Failure> {
    let (pid, own) = (client.caller.task, Tid(std::process::id().cast_signed()));
    client.must_live()?;
    let confined = match what {
        Execution::Command => "the command; attach the caller (task 0) and let it run the command",
        Execution::Module => "the module",
    };
    let refuse = |what: &str| {
        let detail = format!("is confined by {what}, which would not confine {confined}");
        Err(Failure::new(ErrorKind::NotPermitted, Errno::EPERM, "caller", detail))
    };
    let gone = || Failure::new(ErrorKind::NoTask, Errno::ESRCH, "caller", "has ended");
    for kind in Namespace::ALL {
        if namespace_of(pid, kind) != namespace_of(own, kind) {
            return refuse(&format!("a {kind} namespace"));
        }
    }
    if root_of(pid) != root_of(own) {
        return refuse("another root directory");
    }
    let theirs = Restrictions::read(pid).ok_or_else(gone)?;
    // all that was read is the client's if it lives still
    client.must_live()?;
    let ours = Restrictions::read(own).ok_or_else(gone)?;
    match theirs.exceeds(ours, geteuid().is_root(), client.caller.uid == 0, supervised) {
        Some(restriction) => refuse(restriction),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restriction_of_the_caller_alone_is_named() {
        let free = Restrictions { no_new_privileges: false, filters: 0, bounding: 0xff, permitted: 0xff };
        assert_eq!(free.exceeds(free, true, true, false), None);
        let filtered = Restrictions { filters: 1, ..free };
        assert_eq!(filtered.exceeds(free, true, false, false), Some("a system call filter"));
        assert_eq!(filtered.exceeds(free, true, false, true), None);
        assert_eq!(free.exceeds(filtered, true, false, false), None);
        let bit = Restrictions { no_new_privileges: true, ..free };
        assert_eq!(bit.exceeds(free, true, false, false), Some("no new privileges"));
        assert_eq!(bit.exceeds(free, false, false, false), Some("no new privileges"));
        assert_eq!(bit.exceeds(free, false, false, true), Some("no new privileges"));
        assert_eq!(bit.exceeds(bit, false, false, true), None);
        let bounded = Restrictions { bounding: 0x7f, ..free };
        assert!(bounded.exceeds(free, true, false, false).is_some());
        let dropped = Restrictions { permitted: 0, ..free };
        assert_eq!(dropped.exceeds(free, true, false, false), None);
        assert_eq!(dropped.exceeds(free, true, true, false), Some("dropped capabilities"));
        assert!(must_not_exceed_ours(Execution::Command, &Client::own(), false).is_ok());
    }
}
