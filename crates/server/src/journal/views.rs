//! File views that an earlier daemon has left behind: "Transport endpoint is not connected".

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::stat;

/// More than this many dead mounts on top of each other is no accident.
const STACKED: usize = 64;

/// Unmounts whatever has lost its daemon at a mount point. What is alive there stays. True if there was something.
///
/// # Errors
/// Why it could not be unmounted, in words.
pub(super) fn clear(target: &Path) -> Result<bool, String> {
    for round in 0..STACKED {
        // a dead one answers this, and nothing else does
        if stat(target) != Err(Errno::ENOTCONN) {
            return Ok(round > 0);
        }
        unmount(target)?;
    }
    Err("there are too many dead mounts on top of each other".to_owned())
}

fn unmount(target: &Path) -> Result<(), String> {
    let errno = match umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => return Ok(()),
        Err(errno) => errno,
    };
    // who mounted with fusermount has to unmount with it
    for helper in ["fusermount3", "fusermount"] {
        let status = Command::new(helper)
            .args(["-u", "-z", "--"])
            .arg(target)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    Err(format!("{errno}; neither does fusermount3"))
}

/// The bytes of a record as a path.
pub(super) fn path(target: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(target))
}
