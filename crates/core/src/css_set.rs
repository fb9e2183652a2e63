//! css_sets, the one thing that a task points to: one for each distinct tuple of cgroups, shared by its tasks.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashTable;
use slotmap::{Key as _, SlotMap};

use crate::cgroup::Cgroup;
use crate::ids::{CgroupId, Css, CssSetId};

const NO_CSS: u32 = u32::MAX;

/// The link between one css_set and one cgroup, with the place of the set in the cgroup's list.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    cgroup: CgroupId,
    next: Option<CssSetId>,
    previous: Option<CssSetId>,
}

/// A css_set: one css for every subsystem and one cgroup for every hierarchy, the dummy one included (C1.2, A6.2).
///
/// A task points to exactly one css_set, and so is in one cgroup of every hierarchy. All tasks with the same cgroups
/// share it.
#[derive(Debug)]
pub struct CssSet {
    links: Box<[Link]>,
    css: Box<[u32]>,
    hash: u64,
    pub(crate) tasks: u32,
    /// Tasks, forks in flight and pins, and one for ever in the initial set. At 0 the set is dropped.
    pub(crate) references: u32,
}

impl CssSet {
    /// The number of tasks that point to this css_set.
    pub fn tasks(&self) -> usize {
        self.tasks as usize
    }

    /// The number of tasks, forks in flight and pins that hold this css_set; one more for the initial css_set.
    pub fn references(&self) -> usize {
        self.references as usize
    }

    /// The cgroups that this css_set is linked to: one for each hierarchy, that of the dummy hierarchy first.
    pub fn cgroups(&self) -> impl Iterator<Item = CgroupId> + '_ {
        self.links.iter().map(|link| link.cgroup).filter(|cgroup| !cgroup.is_null())
    }

    pub(crate) fn cgroup(&self, hierarchy: usize) -> CgroupId {
        self.links[hierarchy].cgroup
    }

    #[inline]
    pub(crate) fn css(&self, slot: usize) -> Option<Css> {
        self.css.get(slot).copied().filter(|&css| css != NO_CSS).map(Css)
    }
}

/// All css_sets, found by the tuple of their cgroups.
///
/// The key is the tuple of cgroups, not the tuple of css pointers, since the cgroups decide the pointers. A load or
/// unload gives every set a new pointer and no set a new key: E2.4 proves that it neither splits nor merges sets. Named
/// hierarchies without subsystems count like all others, which a hash over pointers can't do (C1.5).
#[derive(Debug)]
pub(crate) struct CssSets {
    sets: SlotMap<CssSetId, CssSet>,
    index: HashTable<CssSetId>,
    initial: CssSetId,
}

type Cgroups = SlotMap<CgroupId, Cgroup>;

fn hash_of(cgroups: impl Iterator<Item = CgroupId>) -> u64 {
    cgroups.fold(0xcbf2_9ce4_8422_2325, |hash, cgroup| {
        let mixed = (hash ^ cgroup.data().as_ffi()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    })
}

impl CssSets {
    /// Starts with the initial set, linked to the root of the dummy hierarchy.
    pub(crate) fn new(dummy_top: CgroupId, cgroups: &mut Cgroups) -> CssSets {
        let mut sets = SlotMap::with_key();
        let link = Link { cgroup: dummy_top, next: None, previous: None };
        let hash = hash_of([dummy_top].into_iter());
        let initial = sets.insert(CssSet {
            links: Box::new([link]),
            css: Box::default(),
            hash,
            tasks: 0,
            references: 1,
        });
        cgroups[dummy_top].first_set = Some(initial);
        let mut index = HashTable::new();
        index.insert_unique(hash, initial, |_| hash);
        CssSets { sets, index, initial }
    }

    pub(crate) fn initial(&self) -> CssSetId {
        self.initial
    }

    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }

    pub(crate) fn get(&self, id: CssSetId) -> Option<&CssSet> {
        self.sets.get(id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = CssSetId> + '_ {
        self.sets.keys()
    }

    /// The sets linked to a cgroup.
    pub(crate) fn linked_to<'a>(&'a self, cgroup: &Cgroup) -> impl Iterator<Item = CssSetId> + 'a {
        let hierarchy = usize::from(cgroup.hierarchy);
        core::iter::successors(cgroup.first_set, move |&set| self.sets[set].links[hierarchy].next)
    }

    /// The set that differs from `old` only in the hierarchy of `to`, where it is linked to `to` (C2).
    ///
    /// The set is made if there is none. The caller takes a reference before anything else can free the set.
    pub(crate) fn find_or_create(&mut self, cgroups: &mut Cgroups, old: CssSetId, to: CgroupId) -> CssSetId {
        let hierarchy = usize::from(cgroups[to].hierarchy);
        let template = &self.sets[old];
        if template.links[hierarchy].cgroup == to {
            return old;
        }
        let wanted = |(index, link): (usize, &Link)| if index == hierarchy { to } else { link.cgroup };
        let hash = hash_of(template.links.iter().enumerate().map(wanted));
        let same = |candidate: &CssSetId| {
            let candidate = &self.sets[*candidate].links;
            template.links.iter().enumerate().map(wanted).eq(candidate.iter().map(|link| link.cgroup))
        };
        if let Some(&found) = self.index.find(hash, same) {
            return found;
        }
        let links: Box<[Link]> = template
            .links
            .iter()
            .enumerate()
            .map(|link| Link { cgroup: wanted(link), ..Link::default() })
            .collect();
        let mut css = template.css.clone();
        for (slot, pointer) in cgroups[to].all_css() {
            css[slot] = pointer.0;
        }
        let id = self.sets.insert(CssSet { links, css, hash, tasks: 0, references: 0 });
        self.index.insert_unique(hash, id, |other| self.sets[*other].hash);
        for hierarchy in 0..self.sets[id].links.len() {
            self.link(cgroups, id, hierarchy);
        }
        id
    }

    fn link(&mut self, cgroups: &mut Cgroups, id: CssSetId, hierarchy: usize) {
        let Some(cgroup) = cgroups.get_mut(self.sets[id].links[hierarchy].cgroup) else { return };
        let next = cgroup.first_set.replace(id);
        let link = &mut self.sets[id].links[hierarchy];
        (link.next, link.previous) = (next, None);
        if let Some(next) = next {
            self.sets[next].links[hierarchy].previous = Some(id);
        }
    }

    fn unlink(&mut self, cgroups: &mut Cgroups, id: CssSetId, hierarchy: usize) {
        let Link { cgroup, next, previous } = self.sets[id].links[hierarchy];
        if cgroup.is_null() {
            return;
        }
        match previous {
            Some(previous) => self.sets[previous].links[hierarchy].next = next,
            None => cgroups[cgroup].first_set = next,
        }
        if let Some(next) = next {
            self.sets[next].links[hierarchy].previous = previous;
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: CssSetId) -> &mut CssSet {
        &mut self.sets[id]
    }

    /// Drops one reference; the last one drops the set.
    pub(crate) fn release_ref(&mut self, cgroups: &mut Cgroups, id: CssSetId) {
        let set = &mut self.sets[id];
        set.references -= 1;
        if set.references > 0 {
            return;
        }
        for hierarchy in 0..self.sets[id].links.len() {
            self.unlink(cgroups, id, hierarchy);
        }
        let hash = self.sets[id].hash;
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.sets.remove(id);
    }

    /// Links every set to the root of a new hierarchy (A4.7).
    pub(crate) fn add_hierarchy(&mut self, cgroups: &mut Cgroups, hierarchy: usize, root: CgroupId) {
        let ids: Vec<CssSetId> = self.sets.keys().collect();
        for &id in &ids {
            let set = &mut self.sets[id];
            if set.links.len() <= hierarchy {
                let mut grown = set.links.to_vec();
                grown.resize(hierarchy + 1, Link::default());
                set.links = grown.into_boxed_slice();
            }
            set.links[hierarchy].cgroup = root;
            self.link(cgroups, id, hierarchy);
        }
        self.rehash(&ids);
    }

    /// Clears the links of a hierarchy that is being destroyed. Every set is linked to its root, so none become equal.
    pub(crate) fn remove_hierarchy(&mut self, hierarchy: usize) {
        let ids: Vec<CssSetId> = self.sets.keys().collect();
        for &id in &ids {
            self.sets[id].links[hierarchy] = Link::default();
        }
        self.rehash(&ids);
    }

    fn rehash(&mut self, ids: &[CssSetId]) {
        self.index.clear();
        for &id in ids {
            let hash = hash_of(self.sets[id].links.iter().map(|link| link.cgroup));
            self.sets[id].hash = hash;
            self.index.insert_unique(hash, id, |other| self.sets[*other].hash);
        }
    }

    /// Gives every set its pointer for a slot, after a load (`Some`) or at an unload (`None`).
    pub(crate) fn set_pointer(&mut self, slot: usize, css: Option<Css>) {
        let css = css.map_or(NO_CSS, |css| css.0);
        for set in self.sets.values_mut() {
            if set.css.len() <= slot {
                // one allocation: there may be a hundred thousand sets
                let mut grown = Vec::with_capacity(slot + 1);
                grown.extend_from_slice(&set.css);
                grown.resize(slot + 1, NO_CSS);
                set.css = grown.into_boxed_slice();
            }
            set.css[slot] = css;
        }
    }
}
