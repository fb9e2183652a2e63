//! The dead mounts of an earlier daemon's file views, where every access answers `ENOTCONN`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statfs::statfs;
use penfold_linux::fuse_mount::{FuseMount, Unmounting, unmount};
use penfold_linux::proc::{MountEntry, mounts};

/// How many dead mounts on top of each other are unmounted. More of them are no accident.
const STACKED: usize = 64;

/// Unmounts the dead mounts at a mount point, down to a living one, and returns how the uppermost was mounted. `None`
/// if there was no dead mount.
///
/// # Errors
/// One sentence on the mount that could not be unmounted.
pub(super) fn clear(target: &Path) -> Result<Option<FuseMount>, String> {
    let mut cleared = None;
    for _ in 0..STACKED {
        // statfs(2) on a dead mount always answers ENOTCONN; the kernel may answer stat(2) from its cache
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

/// How the uppermost file system at a mount point of this mount namespace was mounted; `None` if its type is not FUSE.
pub fn mounted_at(target: &Path) -> Option<FuseMount> {
    mounts().ok()?.iter().rev().find_map(|mount| of_mount(mount, target))
}

/// The FUSE mount at this mount point; `None` for another mount point or type.
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
    fn mountinfo_shows_subtype_source_and_read_only() {
        let line = b"36 35 98:0 / /mnt/a\\040b ro,nosuid,noexec shared:1 master:2 - fuse.cgroup.pids penfold rw,user_id=0";
        let expected =
            FuseMount { subtype: "cgroup.pids".to_owned(), source: "penfold".to_owned(), read_only: true };
        let of_line = |line: &[u8], at: &str| of_mount(&MountEntry::parse(line)?, Path::new(at));
        assert_eq!(of_line(line, "/mnt/a b"), Some(expected));
        assert_eq!(of_line(line, "/mnt/a"), None);
        assert_eq!(of_line(b"36 35 98:0 / / rw - ext4 /dev/x rw", "/"), None);
    }
}
