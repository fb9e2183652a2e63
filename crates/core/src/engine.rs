//! The engine: all state of the framework, behind `&mut self`.

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

/// A limit that has refused charges or forks: an answer of [`Engine::limits_hit`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitHit {
    /// The cgroup that has the limit. For a subsystem's own refusals: the cgroup in which the forks were tried.
    pub cgroup: CgroupId,
    /// The path of the cgroup from the root of its hierarchy.
    pub path: Vec<u8>,
    /// The control file that sets the limit, such as `pids.max`. The subsystem's name if it declares no file.
    pub file: String,
    /// The limit now; `None` for a subsystem's own, which only the control file shows.
    pub limit: Option<u64>,
    /// The number of charges or forks that the limit has refused.
    pub failures: u64,
}

/// The whole state of the framework: hierarchies, cgroups, subsystems, and the css_sets that tasks point to.
///
/// An engine is a deterministic state machine without locks, I/O, clock or randomness. An embedder keeps one behind a
/// lock of its own, and passes its host with every call, always the same host.
///
/// * [`Engine::load`] and [`Engine::unload`] add and remove subsystems.
/// * [`Engine::session`] gives the operations of a caller on cgroups and control files.
/// * [`Engine::forking`] or [`Engine::charge_fork`], [`Engine::adopt`], [`Engine::exit`] and [`Engine::charge_cpu`]
///   report births, deaths and CPU time of tasks.
/// * [`Engine::tree`] shows hierarchies and cgroups. [`Engine::take_event`] and [`Engine::take_release`] give
///   notifications.
#[derive(Default)]
pub struct Engine {
    pub(crate) tree: Tree,
    pub(crate) slots: Vec<Option<Slot>>,
    pub(crate) masks: Masks,
    /// The number of finite limits that can refuse a fork, plus the subsystems whose `can_fork` may refuse.
    pub(crate) limits: usize,
    /// Grows with every load and unload. A fork charge keeps the value, to know which subsystems it covers.
    pub(crate) epoch: u64,
    pub(crate) last_hierarchy_id: u32,
    pub(crate) releases: ReleaseQueue,
    pub(crate) events: EventQueue,
    /// How many cgroups one user may have made at a time.
    pub(crate) quota: Option<usize>,
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
    /// An engine with the dummy hierarchy and without subsystems.
    pub fn new() -> Engine {
        Engine::default()
    }

    /// The hierarchies, cgroups and css_sets.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The css_set of tasks that were never moved: it is linked to every root, and always exists.
    pub fn initial_css_set(&self) -> CssSetId {
        self.tree.initial_css_set()
    }

    /// The number of css_sets.
    pub fn css_set_count(&self) -> usize {
        self.tree.sets.len()
    }

    /// The kinds of events that the loaded subsystems use. A host reads the mask before it arranges for an event.
    ///
    /// The mask changes only at a load and at an unload.
    pub fn event_mask(&self) -> EventMask {
        self.masks.event_mask
    }

    /// True if some fork can be refused now, so that a host has to be able to refuse forks.
    ///
    /// That is while a finite limit on tasks or forks is set, or a subsystem has announced with
    /// [`Context::set_may_refuse_fork`](crate::subsystem::Context::set_may_refuse_fork) that its `can_fork` may refuse.
    pub fn can_refuse_fork(&self) -> bool {
        self.limits > 0
    }

    /// The names of the loaded subsystems in the order of their slots.
    pub fn subsystems(&self) -> impl Iterator<Item = &str> + '_ {
        self.slots.iter().flatten().map(|slot| &*slot.name)
    }

    /// The number of the hierarchy that a subsystem is bound to, 0 for the dummy one; `None` if it is not loaded.
    pub fn hierarchy_of_subsystem(&self, name: &str) -> Option<u32> {
        let slot = self.slots.iter().flatten().find(|slot| slot.name == name)?;
        Some(self.tree.hierarchy(slot.hierarchy).id)
    }

    /// The root of the hierarchy that `text` names: a subsystem bound to it, the name that `name=` gave it, or its
    /// number in decimal.
    ///
    /// `None` if there is no such hierarchy. The dummy hierarchy is never found.
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
                // most hierarchies have no name: an empty text must not find them
                (hierarchy.name == text && !text.is_empty()) || format!("{}", hierarchy.id) == text
            })
        };
        by_subsystem.or_else(by_name).map(|index| self.tree.hierarchy(index).root)
    }

    /// The cgroup at `path` below `root`, such as `/a/b`. Empty components are skipped, so `/` is `root` itself.
    ///
    /// # Errors
    /// * `ENODEV`: `root` was removed.
    /// * `ENOENT`: there is no such cgroup.
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

    /// Calls into one subsystem.
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

    /// Calls into one subsystem, and puts its name into the error if there is one.
    pub(crate) fn try_call<R>(
        &mut self,
        slot: usize,
        host: &mut dyn Host,
        caller: Option<&Caller>,
        callback: impl FnOnce(&mut dyn Instance, &mut dyn Services) -> Result<R>,
    ) -> Result<R> {
        self.call(slot, host, caller, callback).map_err(|error| error.in_subsystem(&self.slot(slot).name))
    }

    /// The limits that have refused charges or forks: those of the cgroup, of its ancestors and of everything below it.
    ///
    /// Ancestors come first, the nearest first, then the cgroup and the cgroups below. Empty for a removed cgroup.
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

    /// Charges time on CPU number `cpu` to the cgroups of a css_set, in every hierarchy with a rule on CPU time.
    ///
    /// A host calls this for time that its tasks have used, on every tick or in larger steps. No limit refuses it. A
    /// css_set that is gone is ignored.
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

    /// The CPU time charged to a cgroup and everything below it. [`Engine::sample_cpu`] makes it current.
    ///
    /// `None` for a removed cgroup, and where no subsystem of the hierarchy counts CPU time.
    pub fn cpu_usage(&self, cgroup: CgroupId) -> Option<CpuTime> {
        let mut all = self.tree.get(cgroup)?.all_css();
        let (slot, css) = all.find(|(slot, _)| self.masks.cpu_time & (1 << slot) != 0)?;
        self.slot(slot).cpu.get(css.0 as usize).map(crate::counter::CpuUsage::total)
    }

    /// Charges the CPU time of living tasks that the host has not reported yet, so that the next read is current.
    ///
    /// Reads and writes of control files do this by themselves. The call is for [`Engine::cpu_usage`].
    pub fn sample_cpu(&mut self, host: &mut dyn Host) {
        if self.masks.cpu_time != 0 {
            host.sample_cpu(&mut |set, cpu, time| self.charge_cpu(set, cpu, time));
        }
    }

    /// The text of `/proc/cgroups`: one line for each loaded subsystem (A8.1).
    pub fn proc_cgroups(&self) -> String {
        let mut text = String::from("#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
        for slot in self.slots.iter().flatten() {
            let hierarchy = self.tree.hierarchy(slot.hierarchy);
            let cgroups = if slot.hierarchy == 0 { 1 } else { hierarchy.cgroups };
            let _ = writeln!(text, "{}\t{}\t{}\t1", slot.name, hierarchy.id, cgroups);
        }
        text
    }

    /// The text of `/proc/PID/cgroup` for a task that points to `set`, the newest hierarchy first (A8.3).
    ///
    /// `None` stands for an exiting task, which points to no css_set. As in today's kernel it is in every root.
    ///
    /// # Errors
    /// `ESRCH`: the css_set is gone.
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

    /// The text of `/proc/PID/cpuset` for a task that points to `set`: the path of its cgroup for `cpuset` (A7.4).
    ///
    /// The path is `/` where `cpuset` is not mounted, and with `None`, for an exiting task.
    ///
    /// # Errors
    /// `ESRCH`: the css_set is gone.
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
    ///
    /// The cgroup must not have been removed: the method panics.
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

/// The numbers of the bits that are set, ascending.
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
