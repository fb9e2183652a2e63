//! The tree: hierarchies, their cgroups, and the css_sets that tasks point to.
//!
//! [`Engine::tree`](crate::Engine::tree) gives the [`Tree`]; front ends and subsystems read it, and only core changes
//! it. Begin with [`Tree::hierarchies`] and [`Tree::children`] to walk down, or index the tree by a [`CgroupId`] to see
//! one [`Cgroup`]. The host knows which tasks are members, so [`Tree::tasks`] takes a [`HostView`].

use core::ops::{Index, IndexMut};

use alloc::collections::BTreeMap;
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
pub use crate::walk::{ChildCursor, DepthFirst};

/// All hierarchies, cgroups and css_sets of one engine.
///
/// An id may be stale. [`Tree::get`] and [`Tree::css_set`] answer `None` then, [`Tree::child`] finds nothing. Every
/// other method, and indexing, panics for a cgroup that was removed.
#[derive(Debug)]
pub struct Tree {
    pub(crate) cgroups: SlotMap<CgroupId, Cgroup>,
    pub(crate) sets: CssSets,
    /// The hierarchies by index. The dummy hierarchy has index 0, a free index is `None`.
    pub(crate) hierarchies: Vec<Option<Hierarchy>>,
    /// The indexes of the living hierarchies except the dummy one, newest first.
    pub(crate) order: Vec<usize>,
    /// The children of all directories by parent and name. One table costs less memory than one in every directory.
    names: HashTable<CgroupId>,
    last_number: u64,
    /// The number of renames, which make the stored lengths of paths out of date.
    renames: u32,
    /// The number of cgroups that each user has made. A user without any has no entry.
    made: BTreeMap<u32, usize>,
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
            renames: 0,
            made: BTreeMap::new(),
        }
    }

    /// Stores a new cgroup and gives it a number of its own. No lookup finds the cgroup until [`Tree::publish`].
    pub(crate) fn insert(&mut self, mut cgroup: Cgroup) -> CgroupId {
        self.last_number += 1;
        cgroup.number = self.last_number;
        self.cgroups.insert(cgroup)
    }

    /// The cgroup of that id; `None` if it was removed.
    pub fn get(&self, cgroup: CgroupId) -> Option<&Cgroup> {
        self.cgroups.get(cgroup)
    }

    /// The css_set of that id; `None` if it is gone.
    pub fn css_set(&self, set: CssSetId) -> Option<&CssSet> {
        self.sets.get(set)
    }

    /// The css_set of tasks that were never moved: it is linked to every root, and always exists.
    pub fn initial_css_set(&self) -> CssSetId {
        self.sets.initial()
    }

    /// The ids of all css_sets, in no order.
    pub fn css_sets(&self) -> impl Iterator<Item = CssSetId> + '_ {
        self.sets.ids()
    }

    /// The css_sets linked to a cgroup: their tasks are the cgroup's own members.
    pub fn css_sets_of(&self, cgroup: CgroupId) -> impl Iterator<Item = CssSetId> + '_ {
        self.sets.linked_to(&self.cgroups[cgroup])
    }

    /// The hierarchy that a cgroup is in.
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

    /// The child of `parent` with the name `name`; `None` if there is none.
    pub fn child(&self, parent: CgroupId, name: &[u8]) -> Option<CgroupId> {
        self.names
            .find(name_hash(parent, name), |&other| {
                let other = &self.cgroups[other];
                other.parent == Some(parent) && *other.name == *name
            })
            .copied()
    }

    /// The path of a cgroup from the root of its hierarchy: `/` for the root itself, `/a/b` below it.
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

    /// The length of a cgroup's path in bytes: 0 for a root, whose slash is no part of longer paths.
    ///
    /// The length is stored, so that a deep tree costs no more for each cgroup than a flat one. A rename changes the
    /// paths of all cgroups below. Each is then measured anew when it is next needed, by one walk up.
    pub(crate) fn path_length(&mut self, cgroup: CgroupId) -> usize {
        let renames = self.renames;
        let node = &self.cgroups[cgroup];
        if node.parent.is_none() || node.path_as_of == renames {
            return node.path_length as usize;
        }
        let line = core::iter::successors(Some(cgroup), |&at| self.cgroups[at].parent);
        let below_root = line.filter(|&at| self.cgroups[at].parent.is_some());
        let length = below_root.map(|at| self.cgroups[at].name.len() + 1).sum();
        self.set_path_length(cgroup, length);
        length
    }

    pub(crate) fn set_path_length(&mut self, cgroup: CgroupId, length: usize) {
        let node = &mut self.cgroups[cgroup];
        // no path is as long: each is checked before
        node.path_length = u32::try_from(length).unwrap_or(u32::MAX);
        node.path_as_of = self.renames;
    }

    /// Makes all stored lengths of paths out of date.
    pub(crate) fn note_rename(&mut self) {
        self.renames = self.renames.wrapping_add(1);
    }

    /// The number of cgroups in all hierarchies that a user has made, without roots.
    ///
    /// The maker of a cgroup counts until the cgroup is removed, also when the directory has another owner by then.
    pub fn made_by(&self, uid: u32) -> usize {
        self.made.get(&uid).copied().unwrap_or(0)
    }

    /// The tasks that are members of the cgroup itself, by ascending number. Tasks below are not listed.
    pub fn tasks(&self, host: &dyn HostView, cgroup: CgroupId) -> Vec<Tid> {
        let mut tasks = Vec::new();
        for set in self.css_sets_of(cgroup) {
            host.for_each_task(set, &mut |task| tasks.push(task));
        }
        tasks.sort_unstable();
        tasks
    }

    /// The number of tasks that are members of the cgroup itself. No host is needed: css_sets count their tasks.
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

    /// Publishes a complete cgroup as the last child of its parent.
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
        *self.made.entry(self.cgroups[cgroup].creator.uid).or_default() += 1;
    }

    /// Removes a cgroup from the children of its parent. The cgroup itself stays until core drops it.
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
        let maker = self.cgroups[cgroup].creator.uid;
        if let Some(made) = self.made.get_mut(&maker) {
            *made -= 1;
            if *made == 0 {
                self.made.remove(&maker);
            }
        }
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
