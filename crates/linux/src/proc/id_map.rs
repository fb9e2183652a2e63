//! `/proc/PID/uid_map` and `/proc/PID/gid_map`.

use penfold_core::Tid;

use super::namespaces::{Namespace, namespace_of, own_namespace};

/// A range of ids of a user namespace and the ids that they stand for outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdExtent {
    /// The first id in the namespace.
    pub inside: u32,
    /// The same id in the namespace of this process.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

/// The user ids of a task's user namespace, in the kernel's order. Empty until the namespace's maker has written them;
/// `None` when the task is gone.
///
/// Ids without a number in the namespace of this process are left out. The initial namespace is taken for the parent of
/// this process's: the kernel shows no more to a process further inside.
pub fn uid_map(task: Tid) -> Option<Vec<IdExtent>> {
    id_map(task, "uid_map")
}

/// The group ids, as [`uid_map`].
pub fn gid_map(task: Tid) -> Option<Vec<IdExtent>> {
    id_map(task, "gid_map")
}

/// Whether a task is in the initial user namespace, or in one with all its numbers. False when the task is gone.
pub fn has_all_user_ids(task: Tid) -> bool {
    super::text(&format!("/proc/{task}/uid_map")).is_some_and(|text| is_whole(&parse(&text)))
}

fn id_map(task: Tid, file: &str) -> Option<Vec<IdExtent>> {
    let theirs = parse(&super::text(&format!("/proc/{task}/{file}"))?);
    let own = parse(&super::text(&format!("/proc/self/{file}"))?);
    let namespace = namespace_of(task, Namespace::User);
    // A process without rights over the task can't look at its namespace. The same text is a sign of the same one.
    let same = namespace.map_or(theirs == own, |theirs| Some(theirs) == own_namespace(Namespace::User));
    Some(as_seen_by(&own, theirs, same))
}

/// The map of a namespace in the numbers of this process, whose own map is `own`.
///
/// The kernel shows a map in the numbers of its reader. A reader in that very namespace sees the parent's instead.
fn as_seen_by(own: &[IdExtent], theirs: Vec<IdExtent>, same: bool) -> Vec<IdExtent> {
    if same {
        return vec![ALL];
    }
    if own == [ALL] {
        return theirs;
    }
    if is_whole(&theirs) {
        let turned =
            |extent: &IdExtent| IdExtent { inside: extent.outside, outside: extent.inside, ..*extent };
        return own.iter().map(turned).collect();
    }
    // The kernel translates the first id of each extent. The ids after it run on to the end of an extent of our own.
    let run_on = |extent: IdExtent| {
        let left = own.iter().find_map(|own| {
            let offset = extent.outside.checked_sub(own.inside)?;
            own.count.checked_sub(offset).filter(|left| *left > 0)
        });
        left.map(|left| IdExtent { count: extent.count.min(left), ..extent })
    };
    theirs.into_iter().filter_map(run_on).collect()
}

/// The map of the initial user namespace.
const ALL: IdExtent = IdExtent { inside: 0, outside: 0, count: u32::MAX };

/// The first id of the initial namespace may have no number here, so only the size counts.
fn is_whole(map: &[IdExtent]) -> bool {
    matches!(map, [IdExtent { inside: 0, count: u32::MAX, .. }])
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

    fn map(extents: &[(u32, u32, u32)]) -> Vec<IdExtent> {
        extents.iter().map(|&(inside, outside, count)| IdExtent { inside, outside, count }).collect()
    }

    #[test]
    fn same_namespace_has_the_same_ids() {
        let container = map(&[(0, 1000, 1), (1, 100_000, 65536)]);
        assert_eq!(as_seen_by(&container, container.clone(), true), [ALL]);
        assert_eq!(as_seen_by(&[ALL], vec![ALL], true), [ALL]);
    }

    #[test]
    fn map_of_a_namespace_inside_is_taken_as_it_is() {
        let inner = map(&[(0, 1000, 1), (1, 100_000, 65536)]);
        assert_eq!(as_seen_by(&[ALL], inner.clone(), false), inner);
        let container = map(&[(0, 1000, 1), (1, 100_000, 65536)]);
        let nested = map(&[(0, 5, 10), (10, 0, 1)]);
        assert_eq!(as_seen_by(&container, nested.clone(), false), nested);
    }

    #[test]
    fn initial_namespace_outside_turns_the_own_map() {
        let container = map(&[(0, 1000, 1), (1, 100_000, 65536)]);
        let turned = map(&[(1000, 0, 1), (100_000, 1, 65536)]);
        // seen from a namespace without a number for root, and with one
        for first in [u32::MAX, 0] {
            assert_eq!(as_seen_by(&container, map(&[(0, first, u32::MAX)]), false), turned);
        }
    }

    #[test]
    fn namespace_beside_shares_only_the_ids_of_both() {
        let container = map(&[(0, 1000, 1), (1, 100_000, 10)]);
        let beside = map(&[(0, 5, 100), (100, u32::MAX, 7), (200, 0, 9)]);
        assert_eq!(as_seen_by(&container, beside, false), map(&[(0, 5, 6), (200, 0, 1)]));
    }

    #[test]
    fn this_process_has_maps() {
        assert!(uid_map(own()).is_some_and(|map| !map.is_empty()));
        assert!(gid_map(own()).is_some_and(|map| !map.is_empty()));
        assert_eq!(uid_map(Tid(i32::MAX)), None);
    }
}
