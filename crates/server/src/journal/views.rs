//! File views that an earlier daemon has left behind: "Transport endpoint is not connected".

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statfs::statfs;
use penfold_linux::fuse_mount::{FuseMount, Unmounting, unmount};

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
    let text = std::fs::read("/proc/self/mountinfo").ok()?;
    text.split(|&byte| byte == b'\n').rev().find_map(|line| of_line(line, target))
}

/// Reads a line of mountinfo, see proc(5), if it is of this mount point.
fn of_line(line: &[u8], target: &Path) -> Option<FuseMount> {
    let mut words = line.split(|&byte| byte == b' ');
    let at = words.nth(4)?;
    if unescape(at) != target.as_os_str().as_bytes() {
        return None;
    }
    let options = words.next()?;
    // optional fields end with a dash
    let mut words = words.skip_while(|word| *word != b"-").skip(1);
    let kind = String::from_utf8(unescape(words.next()?)).ok()?;
    let source = String::from_utf8(unescape(words.next()?)).ok()?;
    let has = |option: &[u8]| options.split(|&byte| byte == b',').any(|word| word == option);
    Some(FuseMount { subtype: kind.strip_prefix("fuse.")?.to_owned(), source, read_only: has(b"ro") })
}

/// `/proc` writes white space and backslashes of names as the control socket does.
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
    fn a_line_of_mountinfo_tells_how_it_was_mounted() {
        let line = b"36 35 98:0 / /mnt/a\\040b ro,nosuid,noexec shared:1 master:2 - fuse.cgroup.pids penfold rw,user_id=0";
        let expected =
            FuseMount { subtype: "cgroup.pids".to_owned(), source: "penfold".to_owned(), read_only: true };
        assert_eq!(of_line(line, Path::new("/mnt/a b")), Some(expected));
        assert_eq!(of_line(line, Path::new("/mnt/a")), None);
        assert_eq!(of_line(b"36 35 98:0 / / rw - ext4 /dev/x rw", Path::new("/")), None);
    }
}
