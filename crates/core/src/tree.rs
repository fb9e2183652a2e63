//! Everything that has a place: hierarchies, cgroups, css_sets. Subsystems may look at it, only core changes it.

use core::ops::{Index, IndexMut};

use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashTable;
use slotmap::{Key as _, SlotMap};

use crate::css_set::CssSets;
use crate::host::HostView;
use crate::ids::{CgroupId, CssSetId};
use crate::task::{Owner, Tid};

pub use crate::cgroup::Cgroup;
pub use crate::css_set::CssSet;
pub use crate::hierarchy::{Hierarchy, HierarchyFlags};

/// Hierarchies, cgroups and css_sets.
#[derive(Debug)]
pub struct Tree {
    pub(crate) cgroups: SlotMap<CgroupId, Cgroup>,
    pub(crate) sets: CssSets,
    /// By index; the dummy hierarchy is number 0, a free index is `None`.
    pub(crate) hierarchies: Vec<Option<Hierarchy>>,
    /// Indexes of the living hierarchies except the dummy one, newest first.
    pub(crate) order: Vec<usize>,
    /// Children by parent and name, for all directories together: a directory costs four bytes here.
    names: HashTable<CgroupId>,
    last_number: u64,
}

fn name_hash(parent: CgroupId, name: &[u8]) -> u64 {
    name.iter().fold(parent.data().as_ffi().wrapping_mul(0x9e37_79b9_7f4a_7c15), |hash, &byte| {
        let mixed = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        mixed ^ (mixed >> 29)
    })
}

impl Tree {
    pub(crate) fn new() -> Tree {
        let mut cgroups = SlotMap::with_key();
        let top = cgroups.insert(Cgroup::new(b"", 0, None, Owner { uid: 0, gid: 0, mode: 0o755 }));
        let sets = CssSets::new(top, &mut cgroups);
        let dummy = Hierarchy {
            id: 0,
            name: String::new(),
            root: top,
            subsystems: 0,
            flags: HierarchyFlags::empty(),
            release_agent: Vec::new(),
            mounts: 0,
            cgroups: 1,
        };
        Tree {
            cgroups,
            sets,
            hierarchies: alloc::vec![Some(dummy)],
            order: Vec::new(),
            names: HashTable::new(),
            last_number: 0,
        }
    }

    /// Takes a new cgroup in, with a number of its own. Nobody finds it yet.
    pub(crate) fn insert(&mut self, mut cgroup: Cgroup) -> CgroupId {
        self.last_number += 1;
        cgroup.number = self.last_number;
        self.cgroups.insert(cgroup)
    }

    /// The cgroup, unless it has been removed.
    pub fn get(&self, cgroup: CgroupId) -> Option<&Cgroup> {
        self.cgroups.get(cgroup)
    }

    /// A css_set, if it still exists.
    pub fn css_set(&self, set: CssSetId) -> Option<&CssSet> {
        self.sets.get(set)
    }

    /// All css_sets.
    pub fn css_sets(&self) -> impl Iterator<Item = CssSetId> + '_ {
        self.sets.ids()
    }

    /// The css_sets linked to a cgroup.
    pub fn css_sets_of(&self, cgroup: CgroupId) -> impl Iterator<Item = CssSetId> + '_ {
        self.sets.linked_to(&self.cgroups[cgroup])
    }

    /// The hierarchy of a cgroup.
    pub fn hierarchy_of(&self, cgroup: CgroupId) -> &Hierarchy {
        self.hierarchy(usize::from(self.cgroups[cgroup].hierarchy))
    }

    /// The living hierarchies except the dummy one, newest first.
    pub fn hierarchies(&self) -> impl Iterator<Item = &Hierarchy> + '_ {
        self.order.iter().map(|&index| self.hierarchy(index))
    }

    pub(crate) fn hierarchy(&self, index: usize) -> &Hierarchy {
        self.hierarchies[index].as_ref().expect("the index of a living hierarchy")
    }

    pub(crate) fn hierarchy_mut(&mut self, index: usize) -> &mut Hierarchy {
        self.hierarchies[index].as_mut().expect("the index of a living hierarchy")
    }

    /// The children of a cgroup, in the order of their creation.
    pub fn children(&self, cgroup: CgroupId) -> impl Iterator<Item = CgroupId> + '_ {
        core::iter::successors(self.cgroups[cgroup].first_child, |&child| self.cgroups[child].next_sibling)
    }

    /// The child of that name.
    pub fn child(&self, parent: CgroupId, name: &[u8]) -> Option<CgroupId> {
        self.names
            .find(name_hash(parent, name), |&other| {
                let other = &self.cgroups[other];
                other.parent == Some(parent) && *other.name == *name
            })
            .copied()
    }

    /// The path from the root of the hierarchy, `/` for the root itself, no trailing slash.
    pub fn path(&self, cgroup: CgroupId) -> Vec<u8> {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = &self.cgroups[cgroup];
        while let Some(parent) = at.parent {
            names.push(&at.name);
            at = &self.cgroups[parent];
        }
        if names.is_empty() {
            return b"/".to_vec();
        }
        names.iter().rev().flat_map(|name| core::iter::once(&b'/').chain(name.iter())).copied().collect()
    }

    /// The tasks that are members of the cgroup itself, ascending.
    pub fn tasks(&self, host: &dyn HostView, cgroup: CgroupId) -> Vec<Tid> {
        let mut tasks = Vec::new();
        for set in self.css_sets_of(cgroup) {
            host.for_each_task(set, &mut |task| tasks.push(task));
        }
        tasks.sort_unstable();
        tasks
    }

    /// The number of tasks that are members of the cgroup itself.
    pub fn task_count(&self, cgroup: CgroupId) -> usize {
        self.css_sets_of(cgroup).map(|set| self.sets.get(set).map_or(0, CssSet::tasks)).sum()
    }

    pub(crate) fn index_name(&mut self, cgroup: CgroupId) {
        let cgroups = &self.cgroups;
        let hash = |id: CgroupId| {
            let node = &cgroups[id];
            name_hash(node.parent.expect("only children are indexed"), &node.name)
        };
        self.names.insert_unique(hash(cgroup), cgroup, |&other| hash(other));
    }

    pub(crate) fn forget_name(&mut self, cgroup: CgroupId) {
        let node = &self.cgroups[cgroup];
        let hash = name_hash(node.parent.expect("only children are indexed"), &node.name);
        if let Ok(entry) = self.names.find_entry(hash, |&other| other == cgroup) {
            entry.remove();
        }
    }

    /// Publishes a complete cgroup among its parent's children.
    pub(crate) fn publish(&mut self, cgroup: CgroupId) {
        let parent = self.cgroups[cgroup].parent.expect("a root is not published");
        let last = self.cgroups[parent].last_child.replace(cgroup);
        match last {
            Some(last) => self.cgroups[last].next_sibling = Some(cgroup),
            None => self.cgroups[parent].first_child = Some(cgroup),
        }
        self.cgroups[cgroup].previous_sibling = last;
        self.cgroups[parent].children += 1;
        self.index_name(cgroup);
        let hierarchy = usize::from(self.cgroups[cgroup].hierarchy);
        self.hierarchy_mut(hierarchy).cgroups += 1;
    }

    /// Takes a cgroup out of its parent's children.
    pub(crate) fn withdraw(&mut self, cgroup: CgroupId) {
        self.forget_name(cgroup);
        let node = &self.cgroups[cgroup];
        let (parent, next, previous) =
            (node.parent.expect("a root is not withdrawn"), node.next_sibling, node.previous_sibling);
        match previous {
            Some(previous) => self.cgroups[previous].next_sibling = next,
            None => self.cgroups[parent].first_child = next,
        }
        match next {
            Some(next) => self.cgroups[next].previous_sibling = previous,
            None => self.cgroups[parent].last_child = previous,
        }
        self.cgroups[parent].children -= 1;
        let hierarchy = usize::from(self.cgroups[cgroup].hierarchy);
        self.hierarchy_mut(hierarchy).cgroups -= 1;
    }
}

impl Index<CgroupId> for Tree {
    type Output = Cgroup;

    fn index(&self, cgroup: CgroupId) -> &Cgroup {
        &self.cgroups[cgroup]
    }
}

impl IndexMut<CgroupId> for Tree {
    fn index_mut(&mut self, cgroup: CgroupId) -> &mut Cgroup {
        &mut self.cgroups[cgroup]
    }
}
