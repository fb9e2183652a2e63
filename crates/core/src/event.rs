//! Events for an observer: cgroups that became populated or empty, and limits that refused a fork.
//!
//! The engine records events only while it is watched. The queue is bounded: events beyond it are counted, not kept.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::engine::Engine;
use crate::ids::{CgroupId, CssSetId};

/// The most events that wait to be taken, and the most bytes of their paths.
const MOST: usize = 1 << 14;
const MOST_BYTES: usize = 8 << 20;

/// A change that the engine recorded: [`Engine::watch`] starts the record, [`Engine::take_event`] reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A cgroup and the cgroups below it together got their first task, or lost their last by a move or a death.
    Populated {
        /// The number of the hierarchy.
        hierarchy: u32,
        /// The cgroup, which may be removed by the time the event is taken.
        cgroup: CgroupId,
        /// The path of the cgroup from the root of its hierarchy, at the time of the event.
        path: Vec<u8>,
        /// True if the cgroup or one below it had tasks after the event.
        populated: bool,
    },
    /// A limit refused one fork, or several without another event between them.
    LimitHit {
        /// The number of the hierarchy.
        hierarchy: u32,
        /// The cgroup that has the limit. For a subsystem's own refusal: the cgroup in which the fork was tried.
        cgroup: CgroupId,
        /// The path of the cgroup from the root of its hierarchy, at the time of the event.
        path: Vec<u8>,
        /// The control file that sets the limit, such as `pids.max`. The subsystem's name if it declares no file.
        file: String,
        /// The number of refused forks.
        count: u64,
    },
    /// This many events were not recorded, because 16,384 events or 8 MiB of their paths were waiting already.
    Lost(u64),
}

/// The events that were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    pub(crate) watched: bool,
    waiting: VecDeque<Event>,
    /// The bytes of the paths of all that wait.
    bytes: usize,
    lost: u64,
}

impl EventQueue {
    fn push(&mut self, event: Event) {
        if self.is_full() {
            self.lost += 1;
        } else {
            self.bytes += path_length(&event);
            self.waiting.push_back(event);
        }
    }

    /// Whether the next event is lost. Its path then need not be made.
    fn is_full(&self) -> bool {
        self.waiting.len() == MOST || self.bytes >= MOST_BYTES
    }
}

fn path_length(event: &Event) -> usize {
    match event {
        Event::Populated { path, .. } | Event::LimitHit { path, .. } => path.len(),
        Event::Lost(_) => 0,
    }
}

impl Engine {
    /// Starts the record of events with `true`, ends it with `false`. Either drops the events that wait.
    ///
    /// A new engine records none. An engine that is watched has to be read with [`Engine::take_event`].
    pub fn watch(&mut self, watched: bool) {
        self.events = EventQueue { watched, ..EventQueue::default() };
    }

    /// Takes the oldest event that waits; `None` if there is none. [`Event::Lost`] comes after the events before it.
    pub fn take_event(&mut self) -> Option<Event> {
        let lost = core::mem::take(&mut self.events.lost);
        if lost > 0 && self.events.waiting.is_empty() {
            return Some(Event::Lost(lost));
        }
        self.events.lost = lost;
        let event = self.events.waiting.pop_front()?;
        self.events.bytes -= path_length(&event);
        Some(event)
    }

    /// True if [`Engine::take_event`] or [`Engine::take_release`] has something to return.
    ///
    /// A host checks this at the end of each turn, since any operation can make an event.
    pub fn has_notifications(&self) -> bool {
        !self.releases.is_empty() || !self.events.waiting.is_empty() || self.events.lost > 0
    }

    #[cold]
    pub(crate) fn note_populated(&mut self, cgroup: CgroupId, populated: bool) {
        let hierarchy = self.tree.hierarchy_of(cgroup).id;
        // No user can look at the dummy hierarchy.
        if usize::from(self.tree[cgroup].hierarchy) != 0 {
            if self.events.is_full() {
                self.events.lost += 1;
                return;
            }
            let path = self.tree.path(cgroup);
            self.events.push(Event::Populated { hierarchy, cgroup, path, populated });
        }
    }

    /// Records that charge rule `rule` of a subsystem refused a fork in `set`. Called before any counter changes again,
    /// so that the level that refused can be found.
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

    /// Counts, and records for an observer, that the `can_fork` of a subsystem refused a fork in `set`.
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
