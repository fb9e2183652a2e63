//! Classes on sockets: the marks that net_cls sets in the kernel, set on each socket from outside.
//!
//! The tracer gets a copy of the descriptor by `pidfd_getfd(2)`. An accepted socket has mark and DSCP of the listening
//! one, as the kernel copies them. The kernel does not copy the priority.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;

use libc::c_int;
use nix::errno::Errno;

use penfold_core::Tid;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::errno;
use crate::proc::{StatusFile, sockets_of};

/// The highest `SO_PRIORITY` that needs no privilege.
const HIGHEST_FREE_PRIORITY: u32 = 6;

/// The marks that this process can set on sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marking {
    /// `SO_MARK` and `SO_PRIORITY` are the class.
    Full,
    /// Without `CAP_NET_ADMIN`: `SO_PRIORITY` is the minor number, at most 6, and its low six bits are the DSCP.
    Weak,
}

impl Marking {
    /// The marks that this process may set, found by trying: a capability may be there and not count for this network.
    pub(crate) fn detect() -> Marking {
        let tried =
            UnixDatagram::unbound().is_ok_and(|socket| Marking::Full.mark(&socket.into(), 0x10001).is_ok());
        if tried { Marking::Full } else { Marking::Weak }
    }

    fn mark(self, socket: &OwnedFd, class: u32) -> Result<(), Errno> {
        match self {
            Marking::Full => {
                set(socket, libc::SOL_SOCKET, libc::SO_MARK, class)?;
                set(socket, libc::SOL_SOCKET, libc::SO_PRIORITY, class)
            }
            Marking::Weak => {
                let minor = class & 0xffff;
                // a socket is of one family; the options of the others fail
                let tos = (minor & 0x3f) << 2;
                let _ = set(socket, libc::IPPROTO_IP, libc::IP_TOS, tos);
                let _ = set(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, tos);
                // IP_TOS has set a priority of its own
                set(socket, libc::SOL_SOCKET, libc::SO_PRIORITY, minor.min(HIGHEST_FREE_PRIORITY))
            }
        }
    }
}

/// Whether sockets can be marked with a full class on this machine.
pub fn can_mark_sockets() -> bool {
    Marking::detect() == Marking::Full
}

fn set(socket: &OwnedFd, level: c_int, option: c_int, value: u32) -> Result<(), Errno> {
    let length = size_of::<u32>() as libc::socklen_t;
    // SAFETY: the kernel reads 4 bytes from value, which outlives the call.
    let rc =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    Errno::result(rc).map(drop)
}

/// A copy of a task's descriptor. A thread may have a descriptor table of its own, which only newer kernels can name.
///
/// # Errors
/// `EBADF` when the descriptor is closed; otherwise those of `pidfd_open(2)` and `pidfd_getfd(2)`.
fn fetch(task: Tid, descriptor: RawFd) -> Result<OwnedFd, Errno> {
    let open = |id: Tid, flags: c_int| {
        let pid = Pid::from_raw(id.0).ok_or(Errno::ESRCH)?;
        pidfd_open(pid, PidfdFlags::from_bits_retain(flags as u32)).map_err(errno)
    };
    let group = || StatusFile::read(task).and_then(|status| status.group()).unwrap_or(task);
    // PIDFD_THREAD, since Linux 6.9
    let process = open(task, libc::O_EXCL).or_else(|_| open(group(), 0))?;
    pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty()).map_err(errno)
}

/// Marks one socket of a task.
pub(crate) fn mark(task: Tid, descriptor: RawFd, class: u32, marking: Marking) -> Result<(), Errno> {
    marking.mark(&fetch(task, descriptor)?, class)
}

/// Marks all sockets that a task has open. A socket that is closed meanwhile needs no mark.
pub(crate) fn mark_all(task: Tid, class: u32, marking: Marking) -> Result<(), Errno> {
    for descriptor in sockets_of(task)? {
        match mark(task, descriptor, class, marking) {
            Ok(()) | Err(Errno::EBADF) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
