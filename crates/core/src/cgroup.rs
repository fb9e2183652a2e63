//! One cgroup: a node in the tree of one hierarchy.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ids::{CgroupId, Css, CssSetId, FileId};
use crate::task::Owner;

const NO_CSS: u32 = u32::MAX;

/// A cgroup: a directory in the tree of a hierarchy, with one css for each subsystem bound to the hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    pub(crate) name: Box<[u8]>,
    pub(crate) parent: Option<CgroupId>,
    pub(crate) first_child: Option<CgroupId>,
    pub(crate) last_child: Option<CgroupId>,
    pub(crate) next_sibling: Option<CgroupId>,
    pub(crate) previous_sibling: Option<CgroupId>,
    /// Head of the list of css_sets linked here. The list continues in each set's link for this hierarchy.
    pub(crate) first_set: Option<CssSetId>,
    /// The css numbers by slot. `NO_CSS`, or the end of the slice, stands for no css.
    css: Box<[u32]>,
    /// The owners and modes of single control files that were changed.
    pub(crate) file_owners: BTreeMap<FileId, Owner>,
    pub(crate) hierarchy: u16,
    /// Unique in all hierarchies and for ever.
    pub(crate) number: u64,
    /// The length of the path in bytes, as of `path_as_of`. See `Tree::path_length`.
    pub(crate) path_length: u32,
    /// The number of renames when `path_length` was true.
    pub(crate) path_as_of: u32,
    pub(crate) notify_on_release: bool,
    pub(crate) clone_children: bool,
    pub(crate) release_queued: bool,
    pub(crate) owner: Owner,
    /// The owner of the control files: the maker of the directory, also after a chown of the directory.
    pub(crate) creator: Owner,
    /// True if a child gets this directory's group where the set-group-ID bit is set.
    ///
    /// In Linux a child does not get the group of a directory that root made and that never got an owner or a mode
    /// since. kernfs keeps no attributes of such a directory.
    pub(crate) inherits_gid: bool,
    /// The number of children, without deeper directories.
    pub(crate) children: u32,
    /// The number of linked css_sets that have tasks.
    pub(crate) populated_sets: u32,
    /// The number of children that are populated.
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
            path_length: 0,
            path_as_of: 0,
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

    /// The name of the directory; empty for a root.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// A number that no other cgroup of this engine has or will have, not even one of the same name.
    ///
    /// Numbers begin at 1 and grow by age. A file system makes inode numbers from them.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The parent; `None` for the root of a hierarchy.
    pub fn parent(&self) -> Option<CgroupId> {
        self.parent
    }

    /// The number of children, without deeper directories.
    pub fn child_count(&self) -> usize {
        self.children as usize
    }

    /// True if a task is a member of this cgroup itself.
    pub fn has_tasks(&self) -> bool {
        self.populated_sets > 0
    }

    /// True if a task is a member of this cgroup or of one below.
    pub fn is_populated(&self) -> bool {
        self.populated_sets > 0 || self.populated_children > 0
    }

    /// True if the release agent runs when this cgroup becomes empty: the value of `notify_on_release`.
    pub fn notifies_on_release(&self) -> bool {
        self.notify_on_release
    }

    /// True if a new child starts with this cgroup's settings: the value of `cgroup.clone_children` (B7).
    pub fn clones_children(&self) -> bool {
        self.clone_children
    }

    /// The owner and mode of the directory.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The owner of every control file whose owner was not changed. The mode is 0 and means nothing.
    ///
    /// That is the maker of the directory, also after a chown of the directory.
    pub fn creator(&self) -> Owner {
        self.creator
    }

    /// The control files whose owner or mode was changed, with their owner and mode.
    pub fn changed_file_owners(&self) -> impl Iterator<Item = (FileId, Owner)> + '_ {
        self.file_owners.iter().map(|(&file, &owner)| (file, owner))
    }

    pub(crate) fn css(&self, slot: usize) -> Option<Css> {
        self.css.get(slot).copied().filter(|&css| css != NO_CSS).map(Css)
    }

    pub(crate) fn all_css(&self) -> impl Iterator<Item = (usize, Css)> + '_ {
        self.css.iter().enumerate().filter(|&(_, &css)| css != NO_CSS).map(|(slot, &css)| (slot, Css(css)))
    }

    /// Forgets the changed owners of a slot's files, which are gone: the next subsystem there starts with defaults.
    pub(crate) fn forget_file_owners(&mut self, gone: usize) {
        self.file_owners
            .retain(|file, _| !matches!(file, FileId::Subsystem { slot, .. } if usize::from(*slot) == gone));
    }

    /// Makes room for the slots of a mask at once. Otherwise the table would grow once for each slot.
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
