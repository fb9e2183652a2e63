//! File views that an earlier daemon has left behind: "Transport endpoint is not connected".

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statfs::statfs;
use penfold_linux::fuse_mount::{FuseMount, Unmounting, unmount};
use penfold_linux::proc::{MountEntry, mounts};

/// More than this many dead mounts on top of each other is no accident.
const STACKED: usize = 64;

/// Unmounts whatever has lost its daemon at a mount point and tells how the uppermost was mounted. What is alive there
/// stays. `None` if nothing was dead.
///
/// # Errors
/// Why it could not be unmounted, in words.
pub(super) fn clear(target: &Path) -> Result<Option<FuseMount>, String> {
    let mut cleared = None;
    for _ in 0..STACKED {
        // a dead one answers this, and nothing else does; stat(2) may be answered from what the kernel remembers
        if !is_dead(target) {
            return Ok(cleared);
        }
        cleared = cleared.or_else(|| mounted_at(target));
        unmount(target, Unmounting { lazy: true }).map_err(|error| error.to_string())?;
    }
    Err("there are too many dead mounts on top of each other".to_owned())
}

fn is_dead(target: &Path) -> bool {
    statfs(target).err() == Some(Errno::ENOTCONN)
}

/// How the uppermost file system at a mount point of this mount namespace was mounted; `None` if it is not a FUSE one.
pub fn mounted_at(target: &Path) -> Option<FuseMount> {
    mounts().ok()?.iter().rev().find_map(|mount| of_mount(mount, target))
}

/// How a file system was mounted, if it is a FUSE one at this mount point.
fn of_mount(mount: &MountEntry, target: &Path) -> Option<FuseMount> {
    if mount.mount_point() != target {
        return None;
    }
    let source = String::from_utf8(mount.source.clone()).ok()?;
    Some(FuseMount { subtype: mount.fuse_subtype()?.to_owned(), source, read_only: mount.read_only })
}

/// The bytes of a record as a path.
pub(super) fn path(target: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_tells_how_it_was_mounted() {
        let line = b"36 35 98:0 / /mnt/a\\040b ro,nosuid,noexec shared:1 master:2 - fuse.cgroup.pids penfold rw,user_id=0";
        let expected =
            FuseMount { subtype: "cgroup.pids".to_owned(), source: "penfold".to_owned(), read_only: true };
        let of_line = |line: &[u8], at: &str| of_mount(&MountEntry::parse(line)?, Path::new(at));
        assert_eq!(of_line(line, "/mnt/a b"), Some(expected));
        assert_eq!(of_line(line, "/mnt/a"), None);
        assert_eq!(of_line(b"36 35 98:0 / / rw - ext4 /dev/x rw", "/"), None);
    }
}
