//! The engine: all of penfold's state, behind `&mut self`.

use core::fmt::Write as _;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::counter::{CpuTime, Resource};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::event::EventQueue;
use crate::event_mask::{EventMask, Masks};
use crate::host::Host;
use crate::ids::{CgroupId, Css, CssSetId};
use crate::instance::Instance;
use crate::release::ReleaseQueue;
use crate::services::Services;
use crate::slot::Slot;
use crate::task::Caller;
use crate::tree::Tree;

/// A limit that has refused something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitHit {
    /// The cgroup whose limit it is; where the subsystem itself refuses, the cgroup in which a fork was refused.
    pub cgroup: CgroupId,
    /// Its path from the root of its hierarchy.
    pub path: Vec<u8>,
    /// The control file that sets it, such as `pids.max`; the subsystem's name if it has not told.
    pub file: String,
    /// The limit now; `None` where it is the subsystem's own, which only the file tells.
    pub limit: Option<u64>,
    /// How often it has refused.
    pub failures: u64,
}

/// Hierarchies, cgroups, subsystems and the css_sets that tasks point to.
///
/// A deterministic state machine: no locks, no I/O, no clock, no randomness. Callers wrap it in their own lock.
#[derive(Default)]
pub struct Engine {
    pub(crate) tree: Tree,
    pub(crate) slots: Vec<Option<Slot>>,
    pub(crate) masks: Masks,
    /// How many counters have a finite limit that can refuse a fork, and subsystems a `can_fork` that may.
    pub(crate) limits: usize,
    /// Grows with every load and unload, so that a fork charge knows what it was taken for.
    pub(crate) epoch: u64,
    pub(crate) last_hierarchy_id: u32,
    pub(crate) releases: ReleaseQueue,
    pub(crate) events: EventQueue,
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let subsystems: Vec<&str> = self.subsystems().collect();
        f.debug_struct("Engine")
            .field("subsystems", &subsystems)
            .field("tree", &self.tree)
            .finish_non_exhaustive()
    }
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl Engine {
    /// An engine with the dummy hierarchy and no subsystem.
    pub fn new() -> Engine {
        Engine::default()
    }

    /// Everything that has a place.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The css_set of tasks that nothing was ever said about: every root. It always exists.
    pub fn initial_css_set(&self) -> CssSetId {
        self.tree.sets.initial()
    }

    /// How many css_sets exist.
    pub fn css_set_count(&self) -> usize {
        self.tree.sets.len()
    }

    /// What the loaded subsystems want to be told: a host asks before it arranges for any event.
    pub fn interest(&self) -> EventMask {
        self.masks.interest
    }

    /// Can a fork be refused now? True while a finite limit is set, or a subsystem has said with
    /// [`Context::set_may_refuse_fork`](crate::Context::set_may_refuse_fork) that its `can_fork` may.
    pub fn can_refuse_fork(&self) -> bool {
        self.limits > 0
    }

    /// The names of the loaded subsystems in the order of their slots.
    pub fn subsystems(&self) -> impl Iterator<Item = &str> + '_ {
        self.slots.iter().flatten().map(|slot| &*slot.name)
    }

    /// The number of the hierarchy that a subsystem is bound to (0: the dummy one); `None` if not loaded.
    pub fn hierarchy_of_subsystem(&self, name: &str) -> Option<u32> {
        let slot = self.slots.iter().flatten().find(|slot| slot.name == name)?;
        Some(self.tree.hierarchy(slot.hierarchy).id)
    }

    /// The root of the hierarchy of that number or of that name (`name=`), or that has that subsystem.
    pub fn find_hierarchy(&self, text: &str) -> Option<CgroupId> {
        let by_subsystem = self
            .slots
            .iter()
            .flatten()
            .find(|slot| slot.name == text && slot.hierarchy != 0)
            .map(|slot| slot.hierarchy);
        let by_name = || {
            self.tree.order.iter().copied().find(|&index| {
                let hierarchy = self.tree.hierarchy(index);
                // most hierarchies have no name: nothing is not theirs
                (hierarchy.name == text && !text.is_empty()) || format!("{}", hierarchy.id) == text
            })
        };
        by_subsystem.or_else(by_name).map(|index| self.tree.hierarchy(index).root)
    }

    /// The cgroup at `path` (`/a/b`, relative to `root`; empty components are skipped).
    ///
    /// # Errors
    /// `ENOENT` if there is none, `ENODEV` if `root` is gone.
    pub fn lookup(&self, root: CgroupId, path: &str) -> Result<CgroupId> {
        self.live(root, "lookup")?;
        path.split('/').filter(|name| !name.is_empty()).try_fold(root, |at, name| {
            self.tree
                .child(at, name.as_bytes())
                .ok_or_else(|| Error::NotFound { object: path.into(), what: "cgroup" })
        })
    }

    pub(crate) fn live(&self, cgroup: CgroupId, operation: &'static str) -> Result<()> {
        if self.tree.get(cgroup).is_some() { Ok(()) } else { Err(Error::Removed { operation }) }
    }

    pub(crate) fn slot_of(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.as_ref().is_some_and(|slot| slot.name == name))
    }

    pub(crate) fn slot(&self, slot: usize) -> &Slot {
        self.slots[slot].as_ref().expect("the number of a loaded subsystem")
    }

    pub(crate) fn slot_mut(&mut self, slot: usize) -> &mut Slot {
        self.slots[slot].as_mut().expect("the number of a loaded subsystem")
    }

    /// Calls into one subsystem, with its name put on what it refuses.
    pub(crate) fn call<R>(
        &mut self,
        slot: usize,
        host: &mut dyn Host,
        caller: Option<&Caller>,
        callback: impl FnOnce(&mut dyn Instance, &mut dyn Services) -> R,
    ) -> R {
        let Engine { tree, slots, limits, .. } = self;
        let loaded = slots[slot].as_mut().expect("the number of a loaded subsystem");
        loaded.call(tree, limits, slot, host, caller, callback)
    }

    pub(crate) fn try_call<R>(
        &mut self,
        slot: usize,
        host: &mut dyn Host,
        caller: Option<&Caller>,
        callback: impl FnOnce(&mut dyn Instance, &mut dyn Services) -> Result<R>,
    ) -> Result<R> {
        self.call(slot, host, caller, callback).map_err(|error| error.in_subsystem(&self.slot(slot).name))
    }

    /// The limits that have refused something, in the cgroup, below it and above it.
    pub fn limits_hit(&self, cgroup: CgroupId) -> Vec<LimitHit> {
        let Some(_) = self.tree.get(cgroup) else { return Vec::new() };
        let mut nodes: Vec<CgroupId> =
            core::iter::successors(self.tree[cgroup].parent, |&at| self.tree[at].parent).collect();
        nodes.push(cgroup);
        let mut next = nodes.len() - 1;
        while let Some(&at) = nodes.get(next) {
            nodes.extend(self.tree.children(at));
            next += 1;
        }
        let mut hits = Vec::new();
        for node in nodes {
            for (slot, css) in self.tree[node].all_css() {
                let loaded = self.slot(slot);
                for (rule, declared) in loaded.rules.iter().enumerate() {
                    let counter = &loaded.counters[css.0 as usize * loaded.rules.len() + rule];
                    if counter.failures > 0 {
                        let (limit, failures) = (Some(counter.limit), counter.failures);
                        let (path, file) = (self.tree.path(node), loaded.limit_file(&declared.limit_file));
                        hits.push(LimitHit { cgroup: node, path, file, limit, failures });
                    }
                }
                let failures = loaded.css[css.0 as usize].refused;
                if failures > 0 {
                    let (path, file) = (self.tree.path(node), loaded.limit_file(&loaded.refusal_file));
                    hits.push(LimitHit { cgroup: node, path, file, limit: None, failures });
                }
            }
        }
        hits
    }

    /// Charges CPU time to every interested css of a css_set and up the hierarchies.
    pub fn charge_cpu(&mut self, set: CssSetId, cpu: usize, time: CpuTime) {
        for slot in bits(self.masks.cpu_time) {
            let Some(css) = self.tree.css_set(set).and_then(|set| set.css(slot)) else { continue };
            let loaded = self.slot_mut(slot);
            let rule = loaded.rules.iter().position(|rule| rule.resource == Resource::CpuTime);
            loaded.charge(css, rule.expect("the mask says so"), time.total());
            let mut at = Some(css);
            while let Some(here) = at {
                loaded.cpu[here.0 as usize].charge(cpu, time);
                at = loaded.css[here.0 as usize].parent;
            }
        }
    }

    /// The CPU time charged to a cgroup and those below it, as last sampled; `None` where no subsystem of its hierarchy
    /// counts it.
    pub fn cpu_usage(&self, cgroup: CgroupId) -> Option<CpuTime> {
        let mut all = self.tree.get(cgroup)?.all_css();
        let (slot, css) = all.find(|(slot, _)| self.masks.cpu_time & (1 << slot) != 0)?;
        self.slot(slot).cpu.get(css.0 as usize).map(crate::counter::CpuUsage::total)
    }

    /// Reads the CPU time of living tasks from the host, so that what is read next is current.
    pub fn sample_cpu(&mut self, host: &mut dyn Host) {
        if self.masks.cpu_time != 0 {
            host.sample_cpu(&mut |set, cpu, time| self.charge_cpu(set, cpu, time));
        }
    }

    /// The text of `/proc/cgroups` (A8.1).
    pub fn proc_cgroups(&self) -> String {
        let mut text = String::from("#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
        for slot in self.slots.iter().flatten() {
            let hierarchy = self.tree.hierarchy(slot.hierarchy);
            let cgroups = if slot.hierarchy == 0 { 1 } else { hierarchy.cgroups };
            let _ = writeln!(text, "{}\t{}\t{}\t1", slot.name, hierarchy.id, cgroups);
        }
        text
    }

    /// The text of `/proc/PID/cgroup` for a task in that css_set, newest hierarchy first (A8.3). An exiting task,
    /// which points to none, is shown in every root as today's kernel does.
    ///
    /// # Errors
    /// `ESRCH` when the css_set is gone.
    pub fn proc_pid_cgroup(&self, set: Option<CssSetId>) -> Result<Vec<u8>> {
        let set = set.map(|set| self.tree.css_set(set).ok_or_else(gone)).transpose()?;
        let mut text = Vec::new();
        for &index in &self.tree.order {
            let hierarchy = self.tree.hierarchy(index);
            let mut labels: Vec<String> = self.names_of(hierarchy.subsystems).map(String::from).collect();
            if !hierarchy.name.is_empty() {
                labels.push(format!("name={}", hierarchy.name));
            }
            text.extend_from_slice(format!("{}:{}:", hierarchy.id, labels.join(",")).as_bytes());
            let cgroup = set.map_or(hierarchy.root, |set| set.cgroup(index));
            text.extend_from_slice(&self.tree.path(cgroup));
            text.push(b'\n');
        }
        Ok(text)
    }

    /// The text of `/proc/PID/cpuset` (A8: `/` when cpuset is not mounted, and for an exiting task, which points to
    /// no css_set).
    ///
    /// # Errors
    /// `ESRCH` when the css_set is gone.
    pub fn proc_pid_cpuset(&self, set: Option<CssSetId>) -> Result<Vec<u8>> {
        let set = set.map(|set| self.tree.css_set(set).ok_or_else(gone)).transpose()?;
        let hierarchy = self.slot_of("cpuset").map_or(0, |slot| self.slot(slot).hierarchy);
        let cgroup = set.map_or(self.tree.hierarchy(hierarchy).root, |set| set.cgroup(hierarchy));
        let mut text = self.tree.path(cgroup);
        text.push(b'\n');
        Ok(text)
    }

    pub(crate) fn names_of(&self, slots: u64) -> impl Iterator<Item = &str> + '_ {
        bits(slots).map(|slot| &*self.slot(slot).name)
    }

    /// The names of the subsystems bound to a cgroup's hierarchy, in the order of their slots.
    pub fn subsystems_of(&self, cgroup: CgroupId) -> impl Iterator<Item = &str> + '_ {
        self.names_of(self.tree.hierarchy_of(cgroup).subsystems)
    }

    pub(crate) fn css(&self, set: CssSetId, slot: usize) -> Option<Css> {
        self.tree.css_set(set).and_then(|set| set.css(slot))
    }
}

fn gone() -> Error {
    Error::Task { task: crate::task::Tid(0), errno: Errno::ESRCH, reason: "its css_set is gone" }
}

/// The numbers of the set bits, ascending.
pub(crate) fn bits(mask: u64) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    core::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let bit = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        Some(bit)
    })
}
