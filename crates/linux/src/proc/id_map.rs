//! `/proc/PID/uid_map` and `/proc/PID/gid_map`.

use penfold_core::Tid;

/// A range of ids of a user namespace and the ids that they stand for outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdExtent {
    /// The first id in the namespace.
    pub inside: u32,
    /// The first id in the namespace of this process.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

/// The user ids of a task's user namespace, in the kernel's order. Empty until the namespace's maker has written them;
/// `None` when the task is gone.
pub fn uid_map(task: Tid) -> Option<Vec<IdExtent>> {
    Some(parse(&super::text(&format!("/proc/{task}/uid_map"))?))
}

/// The group ids, as [`uid_map`].
pub fn gid_map(task: Tid) -> Option<Vec<IdExtent>> {
    Some(parse(&super::text(&format!("/proc/{task}/gid_map"))?))
}

fn parse(text: &str) -> Vec<IdExtent> {
    let extents = text.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        Some(IdExtent { inside: next()?, outside: next()?, count: next()? })
    });
    extents.collect()
}

#[cfg(test)]
mod tests {
    use super::super::own;
    use super::*;

    #[test]
    fn each_line_is_an_extent() {
        let whole = IdExtent { inside: 0, outside: 0, count: u32::MAX };
        assert_eq!(parse("         0          0 4294967295\n"), [whole]);
        let container = parse("0 1000 1\n1 100000 65536\n");
        assert_eq!(container[0], IdExtent { inside: 0, outside: 1000, count: 1 });
        assert_eq!(container[1], IdExtent { inside: 1, outside: 100_000, count: 65536 });
        assert_eq!(container.len(), 2);
    }

    #[test]
    fn incomplete_lines_are_left_out() {
        assert_eq!(parse(""), []);
        assert_eq!(parse("0 1000\n0 x 1\n-1 0 1\n4294967296 0 1\n"), []);
        assert_eq!(parse("0 1000 1\n1 10"), [IdExtent { inside: 0, outside: 1000, count: 1 }]);
    }

    #[test]
    fn this_process_has_maps() {
        assert!(uid_map(own()).is_some_and(|map| !map.is_empty()));
        assert!(gid_map(own()).is_some_and(|map| !map.is_empty()));
        assert_eq!(uid_map(Tid(i32::MAX)), None);
    }
}
