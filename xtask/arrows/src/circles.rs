//! Circles: strongly connected components of more than one file.

use std::collections::{BTreeMap, BTreeSet};

use super::Arrow;

/// The files of each circle in order, the largest circle first.
pub(crate) fn circles(arrows: &BTreeSet<Arrow>) -> Vec<Vec<String>> {
    let reach = reachable(arrows);
    let mut left: BTreeSet<&str> = reach.keys().copied().collect();
    let mut circles = Vec::new();
    while let Some(first) = left.first().copied() {
        let mutual = |other: &&str| reach[first].contains(other) && reach[other].contains(first);
        let circle: Vec<&str> = left.iter().copied().filter(mutual).collect();
        left.remove(first);
        left.retain(|file| !circle.contains(file));
        // a file reaches itself only through others, because no arrow ends where it begins
        if !circle.is_empty() {
            circles.push(circle.into_iter().map(str::to_owned).collect());
        }
    }
    circles.sort_by_key(|circle: &Vec<String>| std::cmp::Reverse(circle.len()));
    circles
}

/// The files that each file reaches over any number of arrows.
fn reachable(arrows: &BTreeSet<Arrow>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut direct: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows {
        direct.entry(from).or_default().push(to);
        direct.entry(to).or_default();
    }
    let walk = |from: &&str| {
        let mut reached = BTreeSet::new();
        let mut next = direct[from].clone();
        while let Some(file) = next.pop() {
            if reached.insert(file) {
                next.extend(&direct[file]);
            }
        }
        reached
    };
    direct.keys().map(|from| (*from, walk(from))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arrows: &[(&str, &str)]) -> Vec<Vec<String>> {
        circles(&arrows.iter().map(|&(from, to)| (from.to_owned(), to.to_owned())).collect())
    }

    #[test]
    fn chain_has_no_circle() {
        assert!(found(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
    }

    #[test]
    fn two_files_that_use_each_other_are_a_circle() {
        assert_eq!(found(&[("a", "b"), ("b", "a"), ("b", "c")]), [["a", "b"]]);
    }

    #[test]
    fn circles_that_share_a_file_are_one() {
        let both = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")];
        assert_eq!(found(&both), [["a", "b", "c"]]);
    }

    #[test]
    fn circles_joined_by_one_arrow_stay_two_largest_first() {
        let joined = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "c")];
        assert_eq!(found(&joined), [vec!["c", "d", "e"], vec!["a", "b"]]);
    }
}
