//! One cgroup: a node of one hierarchy.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ids::{CgroupId, Css, CssSetId, FileId};
use crate::task::Owner;

const NO_CSS: u32 = u32::MAX;

/// A cgroup: a name in a tree, with one css for each subsystem bound to its hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    pub(crate) name: Box<[u8]>,
    pub(crate) parent: Option<CgroupId>,
    pub(crate) first_child: Option<CgroupId>,
    pub(crate) last_child: Option<CgroupId>,
    pub(crate) next_sibling: Option<CgroupId>,
    pub(crate) previous_sibling: Option<CgroupId>,
    /// Head of the list of css_sets linked here; it goes on in each set's link for this hierarchy.
    pub(crate) first_set: Option<CssSetId>,
    /// css numbers by slot; shorter than the slots, or `NO_CSS`, where none.
    css: Box<[u32]>,
    /// Owner or mode of single control files, where they were changed.
    pub(crate) file_owners: BTreeMap<FileId, Owner>,
    pub(crate) hierarchy: u16,
    /// Never given again, in no hierarchy.
    pub(crate) number: u64,
    pub(crate) notify_on_release: bool,
    pub(crate) clone_children: bool,
    pub(crate) release_queued: bool,
    pub(crate) owner: Owner,
    /// Owner of the control files: who made the directory, also after a chown of it.
    pub(crate) creator: Owner,
    /// With the set-group-ID bit a directory gives its group to what is made in it; in Linux not one that is root's
    /// since it was made and was never given an owner or a mode: kernfs keeps no attributes of it.
    pub(crate) inherits_gid: bool,
    /// Directories below, not counting deeper ones.
    pub(crate) children: u32,
    /// Linked css_sets that have tasks.
    pub(crate) populated_sets: u32,
    /// Children that are populated.
    pub(crate) populated_children: u32,
}

impl Cgroup {
    pub(crate) fn new(name: &[u8], hierarchy: usize, parent: Option<CgroupId>, owner: Owner) -> Cgroup {
        Cgroup {
            name: name.into(),
            parent,
            first_child: None,
            last_child: None,
            next_sibling: None,
            previous_sibling: None,
            first_set: None,
            css: Box::default(),
            file_owners: BTreeMap::new(),
            hierarchy: hierarchy as u16,
            number: 0,
            notify_on_release: false,
            clone_children: false,
            release_queued: false,
            owner,
            creator: Owner { mode: 0, ..owner },
            inherits_gid: (owner.uid, owner.gid) != (0, 0),
            children: 0,
            populated_sets: 0,
            populated_children: 0,
        }
    }

    /// The directory's name; empty for a root.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// A number that no other cgroup of this engine has or will have, not even one of the same name: what a file
    /// system makes inode numbers of. At least 1, ascending by age.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The parent; `None` for a root.
    pub fn parent(&self) -> Option<CgroupId> {
        self.parent
    }

    /// The number of directories directly below.
    pub fn child_count(&self) -> usize {
        self.children as usize
    }

    /// Is any task a member of this cgroup itself?
    pub fn has_tasks(&self) -> bool {
        self.populated_sets > 0
    }

    /// Is any task a member of this cgroup or of one below?
    pub fn is_populated(&self) -> bool {
        self.populated_sets > 0 || self.populated_children > 0
    }

    /// Does the release agent want to know when this cgroup becomes empty?
    pub fn notifies_on_release(&self) -> bool {
        self.notify_on_release
    }

    /// Does a new child start as a copy of this cgroup (B7)?
    pub fn clones_children(&self) -> bool {
        self.clone_children
    }

    /// Owner and mode of the directory.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Owner of the control files whose own was not changed: who made the directory, also after a chown of it.
    pub fn creator(&self) -> Owner {
        self.creator
    }

    /// Owner and mode of the control files where they were changed.
    pub fn changed_file_owners(&self) -> impl Iterator<Item = (FileId, Owner)> + '_ {
        self.file_owners.iter().map(|(&file, &owner)| (file, owner))
    }

    pub(crate) fn css(&self, slot: usize) -> Option<Css> {
        self.css.get(slot).copied().filter(|&css| css != NO_CSS).map(Css)
    }

    pub(crate) fn all_css(&self) -> impl Iterator<Item = (usize, Css)> + '_ {
        self.css.iter().enumerate().filter(|&(_, &css)| css != NO_CSS).map(|(slot, &css)| (slot, Css(css)))
    }

    /// The files of a slot are gone: what comes there next belongs to whom it belongs by default.
    pub(crate) fn forget_file_owners(&mut self, gone: usize) {
        self.file_owners
            .retain(|file, _| !matches!(file, FileId::Subsystem { slot, .. } if usize::from(*slot) == gone));
    }

    /// Makes room for the slots of a mask at once: set one by one they would grow the table each time.
    pub(crate) fn reserve_css(&mut self, slots: u64) {
        let wanted = (u64::BITS - slots.leading_zeros()) as usize;
        if wanted > self.css.len() {
            let mut grown = Vec::with_capacity(wanted);
            grown.extend_from_slice(&self.css);
            grown.resize(wanted, NO_CSS);
            self.css = grown.into_boxed_slice();
        }
    }

    pub(crate) fn set_css(&mut self, slot: usize, css: Option<Css>) {
        self.reserve_css(1 << slot);
        self.css[slot] = css.map_or(NO_CSS, |css| css.0);
    }
}
