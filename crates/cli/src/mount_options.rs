//! The list of options from mount(8): it mixes options of every file system with those of a cgroup hierarchy.

use penfold_server::escape::escape;

/// One list of options: those of every file system as fields, those of the hierarchy as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SplitMountOptions {
    /// `remount`.
    pub(crate) remount: bool,
    /// `ro`.
    pub(crate) read_only: bool,
    /// `fs=`, which only the helper `mount.fuse.penfold` knows.
    pub(crate) filesystem: Option<String>,
    /// All other options, for the daemon: subsystems, `name=`, `release_agent=` and so on, escaped as the socket takes
    /// them.
    pub(crate) hierarchy: String,
}

/// Options that mount(8) handles itself, or that have no meaning here. They are dropped.
const OF_MOUNT: [&str; 35] = [
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "lazytime",
    "nolazytime",
    "sync",
    "async",
    "dirsync",
    "mand",
    "nomand",
    "silent",
    "loud",
    "defaults",
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "owner",
    "group",
    "_netdev",
    "nofail",
    "fuse",
];

impl SplitMountOptions {
    /// Splits a list as `-o` has it.
    pub(crate) fn parse(text: &[u8]) -> SplitMountOptions {
        let text = escape(text);
        let mut options = SplitMountOptions::default();
        let mut left = Vec::new();
        for word in text.split(',') {
            match word {
                "" => {}
                "remount" => options.remount = true,
                "ro" => options.read_only = true,
                word if OF_MOUNT.contains(&word) || word.starts_with("x-") || word.starts_with("X-") => {}
                word => match word.strip_prefix("fs=") {
                    Some(filesystem) => options.filesystem = Some(filesystem.to_owned()),
                    None => left.push(word),
                },
            }
        }
        options.hierarchy = left.join(",");
        options
    }

    /// The value of `name=`.
    pub(crate) fn name(&self) -> Option<&str> {
        self.hierarchy.split(',').find_map(|word| word.strip_prefix("name="))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_and_hierarchy_options_are_told_apart() {
        let options = SplitMountOptions::parse(
            b"rw,nosuid,nodev,noexec,relatime,cpu,cpuacct,name=x,release_agent=/a b\\\xff",
        );
        assert_eq!(options.hierarchy, "cpu,cpuacct,name=x,release_agent=/a b\\134\\377");
        assert_eq!((options.read_only, options.remount), (false, false));
        assert_eq!(options.name(), Some("x"));
        assert_eq!(SplitMountOptions::parse(b"rw"), SplitMountOptions::default());
        let proc = SplitMountOptions::parse(b"remount,ro,fs=proc,x-systemd.automount");
        assert_eq!((proc.remount, proc.read_only, proc.filesystem.as_deref()), (true, true, Some("proc")));
    }
}
