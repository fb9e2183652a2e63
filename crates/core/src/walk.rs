//! Walks over the tree in pieces. The tree may change between any two steps.
//!
//! A walk over many cgroups must not keep others from the engine, so a caller takes some steps, lets others work, and
//! goes on. Nothing is borrowed between two steps. What a walk promises:
//!
//! - A cgroup that is there during the whole walk is visited exactly once, a rename notwithstanding.
//! - A cgroup that is removed before its turn is not visited.
//! - A cgroup that is made during the walk is visited if its parent's children are not through yet.

use alloc::vec;
use alloc::vec::Vec;

use crate::ids::CgroupId;
use crate::tree::Tree;

/// A place among the children of one cgroup, which survives any change of the tree.
///
/// Children are in the order of their creation, so whatever comes after a visited child has not been visited.
#[derive(Debug)]
pub struct ChildCursor {
    parent: CgroupId,
    /// The visited children, except for those found to be removed. The last one that lives tells where to go on: a
    /// single cursor would be lost with its cgroup.
    visited: Vec<CgroupId>,
}

impl ChildCursor {
    /// A place before the first child of `parent`.
    pub fn new(parent: CgroupId) -> ChildCursor {
        ChildCursor { parent, visited: Vec::new() }
    }

    /// The next child; `None` after the last one, and when the parent was removed.
    pub fn next(&mut self, tree: &Tree) -> Option<CgroupId> {
        let parent = tree.get(self.parent)?;
        while self.visited.pop_if(|last| tree.get(*last).is_none()).is_some() {}
        let next = match self.visited.last() {
            Some(&last) => tree[last].next_sibling,
            None => parent.first_child,
        }?;
        self.visited.push(next);
        Some(next)
    }
}

/// A walk over a cgroup and everything below it, each cgroup before its children.
#[derive(Debug)]
pub struct DepthFirst {
    top: Option<CgroupId>,
    levels: Vec<ChildCursor>,
}

impl DepthFirst {
    /// A walk that begins with `top`.
    pub fn new(top: CgroupId) -> DepthFirst {
        DepthFirst { top: Some(top), levels: Vec::new() }
    }

    /// The next cgroup and its depth below the top, which has depth 0. `None` at the end.
    pub fn next(&mut self, tree: &Tree) -> Option<(CgroupId, usize)> {
        if let Some(top) = self.top.take() {
            tree.get(top)?;
            self.levels = vec![ChildCursor::new(top)];
            return Some((top, 0));
        }
        loop {
            let depth = self.levels.len();
            if let Some(next) = self.levels.last_mut()?.next(tree) {
                self.levels.push(ChildCursor::new(next));
                return Some((next, depth));
            }
            self.levels.pop();
        }
    }

    /// Leaves out everything below the cgroup that came last.
    pub fn skip_below(&mut self) {
        self.levels.pop();
    }
}
