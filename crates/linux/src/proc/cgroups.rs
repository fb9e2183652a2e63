//! `/proc/PID/cgroup`: the kernel's own cgroups of a process.

use std::path::PathBuf;

use penfold_core::Tid;

/// A place in one hierarchy of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelCgroup {
    /// The controllers or `name=NAME`, separated by commas; empty for the hierarchy of cgroup v2.
    pub controllers: String,
    /// The path in the hierarchy, as this process sees it.
    pub path: String,
}

/// The kernel cgroups of a process, one for each hierarchy; `None` if it is gone. Empty where the kernel has none.
pub fn kernel_cgroups(process: Tid) -> Option<Vec<KernelCgroup>> {
    let path = format!("/proc/{process}/cgroup");
    match super::text(&path) {
        Some(text) => Some(text.lines().filter_map(KernelCgroup::parse).collect()),
        None => super::StatusFile::read(process).map(|_| Vec::new()),
    }
}

impl KernelCgroup {
    fn parse(line: &str) -> Option<KernelCgroup> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(KernelCgroup { controllers, path })
    }

    /// The directory of the cgroup, if its hierarchy is mounted where this process can reach the cgroup.
    pub fn directory(&self) -> Option<PathBuf> {
        let table = super::text("/proc/self/mountinfo")?;
        table.lines().rev().find_map(|line| self.directory_in(line))
    }

    /// The directory below the mount that a line of mountinfo describes.
    fn directory_in(&self, line: &str) -> Option<PathBuf> {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut kind = kind.split(' ');
        let (filesystem, options) = (kind.next()?, kind.nth(1)?);
        let is_this = if self.controllers.is_empty() {
            filesystem == "cgroup2"
        } else {
            let has = |wanted: &str| options.split(',').any(|option| option == wanted);
            filesystem == "cgroup" && self.controllers.split(',').all(has)
        };
        if !is_this || point.contains('\\') || root.contains('\\') {
            return None;
        }
        let below = if root == "/" { self.path.as_str() } else { self.path.strip_prefix(root)? };
        // a path above the root of a cgroup namespace, and the sibling of a bind mount's root
        if below.split('/').any(|name| name == "..") || !(below.is_empty() || below.starts_with('/')) {
            return None;
        }
        Some(PathBuf::from(format!("{}{below}", point.trim_end_matches('/'))))
    }
}

impl std::fmt::Display for KernelCgroup {
    /// As an address: `pids:/a`, and `:/a` for cgroup v2.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.controllers, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_found_by_its_hierarchy() {
        let pids = KernelCgroup::parse("8:pids:/a/b").expect("a line");
        assert_eq!((pids.controllers.as_str(), pids.path.as_str()), ("pids", "/a/b"));
        let at = |cgroup: &KernelCgroup, line: &str| cgroup.directory_in(line);
        let line = "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids";
        assert_eq!(at(&pids, line), Some(PathBuf::from("/sys/fs/cgroup/pids/a/b")));
        let bound = "39 31 0:36 /a /mnt rw shared:1 - cgroup cgroup rw,pids";
        assert_eq!(at(&pids, bound), Some(PathBuf::from("/mnt/b")));
        assert_eq!(at(&pids, "39 31 0:36 /aa /mnt rw - cgroup cgroup rw,pids"), None);
        assert_eq!(at(&pids, "39 31 0:36 / /mnt rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(at(&pids, "41 31 0:38 / /mnt rw - cgroup2 cgroup2 rw"), None);
        let unified = KernelCgroup::parse("0::/../x").expect("a line");
        assert_eq!(at(&unified, "41 31 0:38 / /mnt rw - cgroup2 cgroup2 rw"), None);
        let root = KernelCgroup::parse("0::/").expect("a line");
        let line = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        assert_eq!(at(&root, line), Some(PathBuf::from("/sys/fs/cgroup/unified/")));
        let named = KernelCgroup::parse("9:name=systemd:/x").expect("a line");
        let line = "40 31 0:37 / /c rw - cgroup cgroup rw,xattr,name=systemd";
        assert_eq!(at(&named, line), Some(PathBuf::from("/c/x")));
    }
}
