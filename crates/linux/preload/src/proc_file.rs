//! The files of `/proc` that can be replaced, recognized by their paths.

/// A file of `/proc` that can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcFile<'a> {
    /// `/proc/PID/mounts`, as fstab(5) has it.
    Mounts,
    /// `/proc/PID/mountinfo`.
    MountInfo,
    /// A text about cgroups: `cgroups`, `PID/cgroup` or `PID/cpuset`, with a thread's number for `task/TID/…`.
    Text(&'a [u8], &'a [u8]),
}

/// Whether a path that a program opens may lead to one of those files. Looks at its last part only, for a cheap no at
/// nearly every open.
pub(crate) fn may_be_proc_file(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    matches!(name, b"mounts" | b"mountinfo" | b"mtab" | b"cgroup" | b"cgroups" | b"cpuset")
}

/// The file of this path, which is free of links; `None` for any other.
pub(crate) fn proc_file(path: &[u8]) -> Option<ProcFile<'_>> {
    let path = path.strip_prefix(b"/proc/")?;
    if path == b"cgroups" {
        return Some(ProcFile::Text(b"", path));
    }
    let (mut number, mut rest) = split(path)?;
    if let Some(thread) = rest.strip_prefix(b"task/") {
        (number, rest) = split(thread)?;
    }
    if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match rest {
        b"mounts" => Some(ProcFile::Mounts),
        b"mountinfo" => Some(ProcFile::MountInfo),
        b"cgroup" | b"cpuset" => Some(ProcFile::Text(number, rest)),
        _ => None,
    }
}

fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().position(|byte| *byte == b'/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_part_makes_a_path_interesting() {
        for path in
            ["/proc/self/mounts", "/etc/mtab", "mounts", "../proc/cgroups", "/proc/thread-self/cgroup"]
        {
            assert!(may_be_proc_file(path.as_bytes()), "{path}");
        }
        for path in ["", "/", "/proc/self/maps", "/etc/mtab/", "/proc/mounts.old", "xmounts", "/cgroup/tasks"]
        {
            assert!(!may_be_proc_file(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn files_of_processes_and_threads_are_known() {
        assert_eq!(proc_file(b"/proc/12/mounts"), Some(ProcFile::Mounts));
        assert_eq!(proc_file(b"/proc/12/task/13/mounts"), Some(ProcFile::Mounts));
        assert_eq!(proc_file(b"/proc/12/mountinfo"), Some(ProcFile::MountInfo));
        assert_eq!(proc_file(b"/proc/12/cgroup"), Some(ProcFile::Text(b"12", b"cgroup")));
        assert_eq!(proc_file(b"/proc/12/task/13/cpuset"), Some(ProcFile::Text(b"13", b"cpuset")));
        assert_eq!(proc_file(b"/proc/cgroups"), Some(ProcFile::Text(b"", b"cgroups")));
        for other in ["/proc/self/mounts", "/proc/12/task/13/14/cgroup", "/proc/mounts", "/srv/proc/1/mounts"]
        {
            assert_eq!(proc_file(other.as_bytes()), None, "{other}");
        }
        for other in
            ["/proc/12/root/proc/12/mounts", "/proc//cgroup", "/proc/12/cgroups", "/proc/12/mounts (deleted)"]
        {
            assert_eq!(proc_file(other.as_bytes()), None, "{other}");
        }
    }
}
