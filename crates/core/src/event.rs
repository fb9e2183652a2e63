//! Events for whoever watches: cgroups that got their first task or lost their last, and limits that refused a fork.
//!
//! Recorded only while somebody watches. Then the queue holds some ten thousand; what comes on top is counted.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::engine::Engine;
use crate::ids::{CgroupId, CssSetId};

/// The most events that wait to be taken.
const MOST: usize = 1 << 14;

/// Something that happened, see [`Engine::watch`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A cgroup or one below it has got its first task, or the last has left or died.
    Populated {
        /// The number of the hierarchy.
        hierarchy: u32,
        /// The cgroup, which may be gone when this is read.
        cgroup: CgroupId,
        /// Its path from the root of its hierarchy, at that time.
        path: Vec<u8>,
        /// Has it tasks now?
        populated: bool,
    },
    /// A limit has refused forks.
    LimitHit {
        /// The number of the hierarchy.
        hierarchy: u32,
        /// The cgroup whose limit it is.
        cgroup: CgroupId,
        /// Its path from the root of its hierarchy.
        path: Vec<u8>,
        /// The control file that sets the limit, such as `pids.max`; the subsystem's name if it has not told.
        file: String,
        /// How many forks in a row.
        count: u64,
    },
    /// Events that were not recorded, since nobody took those before.
    Lost(u64),
}

/// Events not yet taken.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    pub(crate) watched: bool,
    waiting: VecDeque<Event>,
    lost: u64,
}

impl EventQueue {
    fn push(&mut self, event: Event) {
        if self.waiting.len() == MOST {
            self.lost += 1;
        } else {
            self.waiting.push_back(event);
        }
    }
}

impl Engine {
    /// Begins to record events, or ends it and drops those that wait. Off at first.
    pub fn watch(&mut self, watched: bool) {
        self.events = EventQueue { watched, ..EventQueue::default() };
    }

    /// The next event, oldest first.
    pub fn take_event(&mut self) -> Option<Event> {
        let lost = core::mem::take(&mut self.events.lost);
        if lost > 0 && self.events.waiting.is_empty() {
            return Some(Event::Lost(lost));
        }
        self.events.lost = lost;
        self.events.waiting.pop_front()
    }

    /// Is there an event or a release to be taken?
    pub fn has_news(&self) -> bool {
        !self.releases.is_empty() || !self.events.waiting.is_empty() || self.events.lost > 0
    }

    #[cold]
    pub(crate) fn note_populated(&mut self, cgroup: CgroupId, populated: bool) {
        let hierarchy = self.tree.hierarchy_of(cgroup).id;
        // the dummy hierarchy is nobody's to look at
        if usize::from(self.tree[cgroup].hierarchy) != 0 {
            let path = self.tree.path(cgroup);
            self.events.push(Event::Populated { hierarchy, cgroup, path, populated });
        }
    }

    /// A fork in `set` was refused by charge rule `rule` of a subsystem; nothing has changed since.
    #[cold]
    pub(crate) fn note_rule_hit(&mut self, set: CssSetId, slot: usize, rule: usize) {
        let Some(first) = self.css(set, slot) else { return };
        let loaded = self.slot(slot);
        let mut levels = core::iter::successors(Some(first), |&at| loaded.css[at.0 as usize].parent);
        let full = levels.find(|&at| !loaded.level_would_pass(at, rule, 1));
        let cgroup = loaded.css[full.unwrap_or(first).0 as usize].cgroup;
        let file = loaded.rules[rule].limit_file.clone();
        self.note_hit(cgroup, slot, &file);
    }

    /// A fork in `set` was refused by a subsystem's `can_fork`.
    #[cold]
    pub(crate) fn note_refusal(&mut self, set: CssSetId, slot: usize) {
        let Some(css) = self.css(set, slot) else { return };
        let entry = &mut self.slot_mut(slot).css[css.0 as usize];
        entry.refused += 1;
        let cgroup = entry.cgroup;
        if self.events.watched {
            let file = self.slot(slot).refusal_file.clone();
            self.note_hit(cgroup, slot, &file);
        }
    }

    fn note_hit(&mut self, cgroup: CgroupId, slot: usize, bare: &str) {
        let file = self.slot(slot).limit_file(bare);
        if let Some(Event::LimitHit { cgroup: last, file: last_file, count, .. }) =
            self.events.waiting.back_mut()
            && *last == cgroup
            && *last_file == file
        {
            *count += 1;
            return;
        }
        let hierarchy = self.tree.hierarchy_of(cgroup).id;
        let path = self.tree.path(cgroup);
        self.events.push(Event::LimitHit { hierarchy, cgroup, path, file, count: 1 });
    }
}
