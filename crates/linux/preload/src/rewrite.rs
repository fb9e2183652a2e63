//! The mount tables, with penfold's lines as those of the kernel's cgroup v1.

use crate::mapped_buffer::MappedBuffer;

/// The part of the type of penfold's mounts before the controllers. The source is the mounter's choice, as in the
/// kernel.
const TYPE: &[u8] = b"fuse.cgroup";

/// The type of penfold's `mount -t cpuset`, and the options that the kernel shows of its own.
const LEGACY: &[u8] = b"fuse.cpuset";
const LEGACY_OPTIONS: &[u8] = b"cpuset+noprefix+release_agent=/sbin/cpuset_release_agent";

/// The part of one of penfold's types behind the point, such as `cpuset+pids`; `None` for another type.
fn controllers(kind: &[u8]) -> Option<&[u8]> {
    if kind == LEGACY {
        return Some(LEGACY_OPTIONS);
    }
    match kind.strip_prefix(TYPE)? {
        [] => Some(b""),
        [b'.', list @ ..] => Some(list),
        _ => None,
    }
}

/// Whether an option is one that every mount can have. FUSE's own (`user_id=0`, …) do not exist for cgroup.
fn general(option: &[u8]) -> bool {
    let known: [&[u8]; 11] = [
        b"rw",
        b"ro",
        b"nosuid",
        b"nodev",
        b"noexec",
        b"relatime",
        b"noatime",
        b"nodiratime",
        b"sync",
        b"dirsync",
        b"mand",
    ];
    known.contains(&option)
}

/// Copies the options that cgroup has too, and then the controllers.
fn options(options: &[u8], controllers: &[u8], output: &mut MappedBuffer) -> Option<()> {
    let general = options.split(|byte| *byte == b',').filter(|option| general(option));
    let controllers = controllers.split(|byte| *byte == b'+').filter(|controller| !controller.is_empty());
    for (number, option) in general.chain(controllers).enumerate() {
        if number > 0 {
            output.push(b",")?;
        }
        output.push(option)?;
    }
    Some(())
}

fn is_kernels(kind: &[u8]) -> bool {
    kind == b"cgroup" || kind == b"cgroup2"
}

/// Whether a line is penfold's, or is to be hidden. If not, the kernel's own file can stay.
pub(crate) fn concerns(table: &[u8], hide: bool) -> bool {
    let contains = |part: &[u8]| table.windows(part.len()).any(|window| window == part);
    contains(b" fuse.cgroup") || contains(b" fuse.cpuset ") || (hide && contains(b" cgroup"))
}

/// Rewrites `/proc/PID/mounts`: source, mount point, type, options, and two numbers.
pub(crate) fn mounts(table: &[u8], hide: bool, output: &mut MappedBuffer) -> Option<()> {
    for line in table.split_inclusive(|byte| *byte == b'\n') {
        let mut fields = line.splitn(5, |byte| *byte == b' ');
        let mut field = || fields.next().unwrap_or_default();
        let (source, point, kind, flags, rest) = (field(), field(), field(), field(), field());
        if hide && is_kernels(kind) {
            continue;
        }
        let Some(controllers) = controllers(kind) else {
            output.push(line)?;
            continue;
        };
        for part in [source, b" ", point, b" cgroup "] {
            output.push(part)?;
        }
        options(flags, controllers, output)?;
        output.push(b" ")?;
        output.push(rest)?;
    }
    Some(())
}

/// The parts of one line of `/proc/PID/mountinfo`.
struct MountLine<'a> {
    /// Everything up to the ` - `.
    head: &'a [u8],
    kind: &'a [u8],
    source: &'a [u8],
    /// The options of the file system.
    flags: &'a [u8],
}

/// Splits a line at its separator, which is searched behind the sixth field: a mount point may be named `-`.
fn parse(line: &[u8]) -> Option<MountLine<'_>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let sixth = line.iter().enumerate().filter(|(_, byte)| **byte == b' ').nth(5)?.0;
    let separator = sixth + line[sixth..].windows(3).position(|part| part == b" - ")?;
    let mut fields = line[separator + 3..].splitn(3, |byte| *byte == b' ');
    let (kind, source, flags) = (fields.next()?, fields.next()?, fields.next()?);
    Some(MountLine { head: &line[..separator], kind, source, flags })
}

/// Rewrites `/proc/PID/mountinfo`. The root of a mount, its device and everything before the ` - ` stay.
pub(crate) fn mountinfo(table: &[u8], hide: bool, output: &mut MappedBuffer) -> Option<()> {
    for line in table.split_inclusive(|byte| *byte == b'\n') {
        let Some(mount) = parse(line) else {
            output.push(line)?;
            continue;
        };
        if hide && is_kernels(mount.kind) {
            continue;
        }
        let Some(controllers) = controllers(mount.kind) else {
            output.push(line)?;
            continue;
        };
        output.push(mount.head)?;
        for part in [b" - cgroup ", mount.source, b" "] {
            output.push(part)?;
        }
        options(mount.flags, controllers, output)?;
        output.push(b"\n")?;
    }
    Some(())
}

/// Whether the mount on this device is penfold's, by a table in the form of `mountinfo`.
pub(crate) fn is_penfolds(mountinfo: &[u8], major: u32, minor: u32) -> bool {
    mountinfo.split(|byte| *byte == b'\n').filter_map(parse).any(|mount| {
        let device = mount.head.split(|byte| *byte == b' ').nth(2).unwrap_or_default();
        let mut numbers = device.split(|byte| *byte == b':').map(number);
        numbers.next() == Some(Some(major))
            && numbers.next() == Some(Some(minor))
            && controllers(mount.kind).is_some()
    })
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rewrite = fn(&[u8], bool, &mut MappedBuffer) -> Option<()>;

    fn text(rewrite: Rewrite, table: &str, hide: bool) -> String {
        let mut output = MappedBuffer::new();
        rewrite(table.as_bytes(), hide, &mut output).expect("memory");
        String::from_utf8(output.bytes().to_vec()).expect("text")
    }

    const MOUNTS: &str = "\
proc /proc proc rw,relatime 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
penfold /srv/a\\040b fuse.cgroup.cpuset+pids rw,nosuid,nodev,relatime,user_id=0,group_id=0,allow_other 0 0
hier1 /srv/n fuse.cgroup.name=jobs ro,user_id=0,group_id=0 0 0
penfold /srv/e fuse.cgroup user_id=0 0 0
X /srv/c fuse.cpuset rw,nosuid,user_id=0 0 0
penfold /srv/p fuse.cgroups rw 0 0
penfold /srv/q fuse.sshfs rw 0 0
";

    #[test]
    fn mounts_of_penfold_have_type_and_options_of_the_kernels() {
        let expected = "\
proc /proc proc rw,relatime 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
penfold /srv/a\\040b cgroup rw,nosuid,nodev,relatime,cpuset,pids 0 0
hier1 /srv/n cgroup ro,name=jobs 0 0
penfold /srv/e cgroup  0 0
X /srv/c cgroup rw,nosuid,cpuset,noprefix,release_agent=/sbin/cpuset_release_agent 0 0
penfold /srv/p fuse.cgroups rw 0 0
penfold /srv/q fuse.sshfs rw 0 0
";
        assert_eq!(text(mounts, MOUNTS, false), expected);
        let visible: Vec<_> = expected.lines().filter(|line| !line.contains("/sys/fs/cgroup")).collect();
        assert_eq!(text(mounts, MOUNTS, true).lines().collect::<Vec<_>>(), visible);
    }

    const MOUNTINFO: &str = "\
22 1 0:5 / /proc rw,relatime - proc proc rw
30 22 0:31 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
31 22 0:32 / /srv/- rw,nosuid,relatime shared:7 - fuse.cgroup.cpuset+pids penfold rw,user_id=0,group_id=0
32 22 0:33 / - rw - fuse.sshfs fuse.cgroup.pids rw
33 22 8:1 /x /y rw
";

    #[test]
    fn mountinfo_keeps_everything_before_the_dash() {
        let expected = "\
22 1 0:5 / /proc rw,relatime - proc proc rw
30 22 0:31 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
31 22 0:32 / /srv/- rw,nosuid,relatime shared:7 - cgroup penfold rw,cpuset,pids
32 22 0:33 / - rw - fuse.sshfs fuse.cgroup.pids rw
33 22 8:1 /x /y rw
";
        assert_eq!(text(mountinfo, MOUNTINFO, false), expected);
        assert!(!text(mountinfo, MOUNTINFO, true).contains("/sys/fs/cgroup"));
    }

    #[test]
    fn lines_that_are_not_understood_stay() {
        for table in
            ["", "\n", "x", "penfold", "penfold /a fuse.cgroup.", "1 2 0:3 / /a rw - ", " - - - - - - - -\n"]
        {
            assert_eq!(text(mountinfo, table, false), table, "{table:?}");
        }
        assert_eq!(text(mounts, "penfold\n\nx y z", false), "penfold\n\nx y z");
    }

    #[test]
    fn table_without_penfolds_mounts_is_no_concern() {
        assert!(concerns(MOUNTS.as_bytes(), false));
        assert!(concerns(MOUNTINFO.as_bytes(), false));
        let kernels = "cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0\n";
        assert!(!concerns(kernels.as_bytes(), false));
        assert!(concerns(kernels.as_bytes(), true));
        assert!(!concerns(b"proc /proc proc rw 0 0\n", true));
    }

    #[test]
    fn mount_is_recognized_by_its_device() {
        assert!(is_penfolds(MOUNTINFO.as_bytes(), 0, 32));
        for (major, minor) in [(0, 31), (0, 33), (8, 1), (0, 3)] {
            assert!(!is_penfolds(MOUNTINFO.as_bytes(), major, minor), "{major}:{minor}");
        }
    }
}
