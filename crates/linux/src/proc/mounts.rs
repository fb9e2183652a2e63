//! `/proc/self/mountinfo`: the mounts of this mount namespace.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A mount. Names are bytes: any user who may mount chooses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// The mount point relative to the root of this process, as the kernel writes it. White space, backslash and `#`
    /// are a backslash with three octal digits.
    pub escaped_mount_point: Vec<u8>,
    /// The type, with the subtype behind a point: `fuse.cgroup.pids`. Not escaped.
    pub filesystem: Vec<u8>,
    /// The source, such as `penfold`. Not escaped.
    pub source: Vec<u8>,
    /// Whether the mount is read-only.
    pub read_only: bool,
}

/// All mounts that can be reached from the root of this process, the oldest first. Of several on one mount point the
/// last is visible. A line that can't be understood is left out.
///
/// # Errors
/// `ENOENT` where `/proc` is not mounted.
pub fn mounts() -> io::Result<Vec<MountEntry>> {
    let table = super::bytes("/proc/self/mountinfo")?;
    Ok(table.split(|byte| *byte == b'\n').filter_map(MountEntry::parse).collect())
}

impl MountEntry {
    /// A line of mountinfo, see proc(5).
    pub fn parse(line: &[u8]) -> Option<MountEntry> {
        let mut words = line.split(|byte| *byte == b' ');
        let mount_point = words.nth(4)?;
        let read_only = words.next()?.split(|byte| *byte == b',').any(|option| option == b"ro");
        // optional fields end with a dash; a mount point of that name is behind us
        let mut words = words.skip_while(|word| *word != b"-").skip(1);
        Some(MountEntry {
            escaped_mount_point: mount_point.to_vec(),
            filesystem: unescape(words.next()?),
            source: unescape(words.next()?),
            read_only,
        })
    }

    /// The mount point, relative to the root of this process.
    pub fn mount_point(&self) -> PathBuf {
        OsString::from_vec(unescape(&self.escaped_mount_point)).into()
    }

    /// The subtype of a FUSE file system; `None` for another one, and for a subtype that is no UTF-8.
    pub fn fuse_subtype(&self) -> Option<&str> {
        std::str::from_utf8(&self.filesystem).ok()?.strip_prefix("fuse.")
    }
}

/// A word of the table without its escapes: a backslash and three octal digits are a byte.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &rest[4..] } else { tail };
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const LINE: &[u8] =
        b"36 35 98:0 / /mnt/a\\040b\\134 ro,nosuid shared:1 master:2 - fuse.cgroup.pids a\\043b rw,user_id=0";

    #[test]
    fn line_is_read_and_unescaped() {
        let mount = MountEntry::parse(LINE).expect("a mount");
        assert_eq!(mount.mount_point(), Path::new("/mnt/a b\\"));
        assert_eq!(mount.escaped_mount_point, b"/mnt/a\\040b\\134");
        assert_eq!((mount.fuse_subtype(), mount.read_only), (Some("cgroup.pids"), true));
        assert_eq!(mount.source, b"a#b");
    }

    #[test]
    fn mount_point_may_be_a_dash_or_no_text() {
        let dash = MountEntry::parse(b"1 2 0:3 / - rw,relatime - ext4 /dev/ro rw").expect("a mount");
        assert_eq!((dash.mount_point(), dash.read_only), (PathBuf::from("-"), false));
        assert_eq!((dash.filesystem.as_slice(), dash.fuse_subtype()), (&b"ext4"[..], None));
        let bytes = MountEntry::parse(b"1 2 0:3 / /\xff\\777\\04 rw - fuse.\xff x rw").expect("a mount");
        assert_eq!(
            (bytes.escaped_mount_point.as_slice(), bytes.fuse_subtype()),
            (&b"/\xff\\777\\04"[..], None)
        );
        assert_eq!(bytes.mount_point().into_os_string().into_vec(), b"/\xff\\777\\04");
    }

    #[test]
    fn truncated_line_is_no_mount() {
        let source = LINE.len() - b"a\\043b rw,user_id=0".len();
        for length in 0..source - 1 {
            assert_eq!(MountEntry::parse(&LINE[..length]), None, "{length}");
        }
        assert!(MountEntry::parse(b"36 35 98:0 / /mnt ro shared:1 fuse.x y rw").is_none(), "no dash");
    }

    #[test]
    fn root_and_proc_are_mounted() {
        let mounts = mounts().expect("/proc is mounted");
        assert!(mounts.iter().any(|mount| mount.mount_point() == Path::new("/")));
        assert!(mounts.iter().any(|mount| mount.filesystem == b"proc"));
    }
}
