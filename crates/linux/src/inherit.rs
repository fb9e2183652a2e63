//! What a child of a process inherits from it, besides its user: for a command that another process starts in its place.

use std::fs;

use crate::trace::ResourceLimit;

/// The lines of `/proc/PID/limits`.
const RESOURCES: [(&str, libc::__rlimit_resource_t); 16] = [
    ("Max cpu time", libc::RLIMIT_CPU),
    ("Max file size", libc::RLIMIT_FSIZE),
    ("Max data size", libc::RLIMIT_DATA),
    ("Max stack size", libc::RLIMIT_STACK),
    ("Max core file size", libc::RLIMIT_CORE),
    ("Max resident set", libc::RLIMIT_RSS),
    ("Max processes", libc::RLIMIT_NPROC),
    ("Max open files", libc::RLIMIT_NOFILE),
    ("Max locked memory", libc::RLIMIT_MEMLOCK),
    ("Max address space", libc::RLIMIT_AS),
    ("Max file locks", libc::RLIMIT_LOCKS),
    ("Max pending signals", libc::RLIMIT_SIGPENDING),
    ("Max msgqueue size", libc::RLIMIT_MSGQUEUE),
    ("Max nice priority", libc::RLIMIT_NICE),
    ("Max realtime priority", libc::RLIMIT_RTPRIO),
    ("Max realtime timeout", libc::RLIMIT_RTTIME),
];

/// The resource limits of a process; `None` if it is gone or not ours to look at.
pub fn limits_of(pid: i32) -> Option<Vec<ResourceLimit>> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let limit = |(name, resource): &(&str, libc::__rlimit_resource_t)| {
        let values = text.lines().find_map(|line| line.strip_prefix(name))?;
        let mut values = values.split_whitespace().map(|word| match word {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        });
        Some(ResourceLimit { resource: *resource, soft: values.next()??, hard: values.next()?? })
    };
    RESOURCES.iter().map(limit).collect()
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::{Resource, getrlimit};

    use super::*;

    #[test]
    fn the_limits_are_those_of_the_system_call() {
        let limits = limits_of(std::process::id().cast_signed()).expect("ours");
        for (resource, number) in [
            (Resource::RLIMIT_NOFILE, libc::RLIMIT_NOFILE),
            (Resource::RLIMIT_STACK, libc::RLIMIT_STACK),
            (Resource::RLIMIT_CORE, libc::RLIMIT_CORE),
        ] {
            let (soft, hard) = getrlimit(resource).expect("known");
            let expected = ResourceLimit { resource: number, soft, hard };
            assert!(limits.contains(&expected), "{expected:?} in {limits:?}");
        }
        assert_eq!(limits_of(-1), None);
    }
}
