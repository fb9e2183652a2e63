//! `/proc/PID/limits`: the resource limits of another process, for a command that is started in its place.

use penfold_core::Tid;

/// A limit on a resource, as setrlimit(2) has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    /// The number of the resource, such as `libc::RLIMIT_NOFILE`.
    pub resource: u32,
    /// The limit in force, in the unit of the resource; `u64::MAX` for none.
    pub soft: u64,
    /// The ceiling up to which a process without `CAP_SYS_RESOURCE` may raise `soft`; `u64::MAX` for none.
    pub hard: u64,
}

/// How each line begins.
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

/// The sixteen resource limits of a process; `None` if it is gone, or one of them is missing.
pub fn limits_of(pid: Tid) -> Option<Vec<ResourceLimit>> {
    parse(&super::text(&format!("/proc/{pid}/limits"))?)
}

fn parse(text: &str) -> Option<Vec<ResourceLimit>> {
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

    use super::super::own;
    use super::*;

    #[test]
    fn limits_are_those_of_the_system_call() {
        let limits = limits_of(own()).expect("ours");
        for (resource, number) in [
            (Resource::RLIMIT_NOFILE, libc::RLIMIT_NOFILE),
            (Resource::RLIMIT_STACK, libc::RLIMIT_STACK),
            (Resource::RLIMIT_CORE, libc::RLIMIT_CORE),
        ] {
            let (soft, hard) = getrlimit(resource).expect("known");
            let expected = ResourceLimit { resource: number, soft, hard };
            assert!(limits.contains(&expected), "{expected:?} in {limits:?}");
        }
        assert_eq!(limits_of(Tid(-1)), None);
    }

    #[test]
    fn table_without_a_line_is_none() {
        let line =
            |(name, _): &(&str, _)| format!("{name:<26}10                   unlimited            units\n");
        let table: String = RESOURCES.iter().map(line).collect();
        let limits = parse(&table).expect("all sixteen");
        assert!(limits.iter().all(|limit| (limit.soft, limit.hard) == (10, u64::MAX)));
        for cut in [0, 1, 40, table.len() / 2, table.len() - 60] {
            assert_eq!(parse(&table[..cut]), None, "{cut}");
        }
        assert_eq!(parse(&table.replace("Max processes", "Max proc")), None);
        assert_eq!(parse(&table.replacen("unlimited", "-1", 1)), None);
    }
}
