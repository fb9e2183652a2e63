//! The dead mounts of an earlier daemon's file views, where every access answers `ENOTCONN`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statfs::statfs;
use penfold_linux::fuse_mount::{FuseMount, Unmounting, unmount};

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
    let text = std::fs::read("/proc/self/mountinfo").ok()?;
    text.split(|&byte| byte == b'\n').rev().find_map(|line| of_line(line, target))
}

/// The FUSE mount that a line of mountinfo describes, see proc(5); `None` for another mount point or type.
fn of_line(line: &[u8], target: &Path) -> Option<FuseMount> {
    let mut words = line.split(|&byte| byte == b' ');
    let at = words.nth(4)?;
    if unescape(at) != target.as_os_str().as_bytes() {
        return None;
    }
    let options = words.next()?;
    // a dash ends the optional fields
    let mut words = words.skip_while(|word| *word != b"-").skip(1);
    let kind = String::from_utf8(unescape(words.next()?)).ok()?;
    let source = String::from_utf8(unescape(words.next()?)).ok()?;
    let has = |option: &[u8]| options.split(|&byte| byte == b',').any(|word| word == option);
    Some(FuseMount { subtype: kind.strip_prefix("fuse.")?.to_owned(), source, read_only: has(b"ro") })
}

/// The bytes of a name in `/proc`, which escapes white space and backslashes as the control socket does.
fn unescape(word: &[u8]) -> Vec<u8> {
    std::str::from_utf8(word)
        .map_or_else(|_| word.to_vec(), |text| crate::escape::unescape(text).into_owned())
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
        assert_eq!(of_line(line, Path::new("/mnt/a b")), Some(expected));
        assert_eq!(of_line(line, Path::new("/mnt/a")), None);
        assert_eq!(of_line(b"36 35 98:0 / / rw - ext4 /dev/x rw", Path::new("/")), None);
    }
}
