//! The naive model: no css_set, no cache, no counter of usage. Every task holds a map from hierarchy to path, and
//! whatever can be counted is counted anew by walking all tasks.

use std::collections::{BTreeMap, BTreeSet};

use penfold_core::{
    Errno,
    subsystem::{Callbacks, Resource},
};

use crate::common::{CallCounts, Faults};

pub type ErrnoResult<T = ()> = Result<T, Errno>;
/// The cgroups of a task: hierarchy number to path. A missing entry is `/`.
pub type Membership = BTreeMap<u32, String>;

/// The subsystems that the model loads, in all shapes that matter.
pub struct SubsystemKind {
    pub name: &'static str,
    pub callbacks: Callbacks,
    pub rules: &'static [Resource],
}

pub const KINDS: [SubsystemKind; 6] = [
    SubsystemKind {
        name: "count",
        callbacks: Callbacks::empty(),
        rules: &[Resource::Tasks, Resource::Forks],
    },
    SubsystemKind { name: "cpu", callbacks: Callbacks::BIND, rules: &[Resource::CpuTime] },
    SubsystemKind { name: "all-calls", callbacks: Callbacks::all(), rules: &[] },
    SubsystemKind {
        name: "plain",
        callbacks: Callbacks::POST_CLONE.union(Callbacks::PRE_DESTROY),
        rules: &[Resource::Sockets],
    },
    SubsystemKind {
        name: "mixed",
        callbacks: Callbacks::CAN_ATTACH.union(Callbacks::ATTACH).union(Callbacks::CAN_FORK),
        rules: &[Resource::Forks, Resource::CpuTime, Resource::Tasks],
    },
    SubsystemKind {
        name: "cpuset",
        callbacks: Callbacks::FORK.union(Callbacks::EXIT),
        rules: &[Resource::Tasks],
    },
];

/// The part of a counter that depends on the past, so that it can't be recomputed.
#[derive(Debug, Clone, Default)]
pub struct CounterHistory {
    pub limit: Option<u64>,
    pub peak: u64,
    pub failures: u64,
    pub refused: u64,
    /// Forks that happened, or CPU time.
    pub past: u64,
}

#[derive(Debug, Clone, Default)]
pub struct ModelCss {
    pub value: u64,
    pub histories: Vec<CounterHistory>,
    pub cpu: [(u64, u64); 2],
}

#[derive(Debug)]
pub struct ModelSubsystem {
    pub kind: usize,
    /// A number that is never used twice, unlike a slot.
    pub serial: u64,
    /// 0 while unbound.
    pub hierarchy: u32,
    /// Whether its `can_fork` may refuse, as the file `refuse` was last written.
    pub refusing: bool,
    pub css: BTreeMap<String, ModelCss>,
}

impl ModelSubsystem {
    pub fn has(&self, callback: Callbacks) -> bool {
        KINDS[self.kind].callbacks.contains(callback)
    }

    pub fn only_attaches(&self) -> bool {
        self.has(Callbacks::ATTACH) && !self.has(Callbacks::FORK)
    }

    pub fn rules(&self) -> &'static [Resource] {
        KINDS[self.kind].rules
    }

    pub fn new_css(&self) -> ModelCss {
        ModelCss { histories: vec![CounterHistory::default(); self.rules().len()], ..ModelCss::default() }
    }

    pub fn counts_forks(&self) -> bool {
        self.rules().iter().any(|&rule| of_forks(rule))
    }
}

pub fn of_forks(rule: Resource) -> bool {
    matches!(rule, Resource::Tasks | Resource::Forks)
}

#[derive(Debug, Clone, Default)]
pub struct ModelCgroup {
    pub owner: u32,
    pub mode: u32,
    pub notify: bool,
    pub clone: bool,
    pub queued: bool,
    /// Order of creation.
    pub born: u64,
}

#[derive(Debug, Default)]
pub struct ModelHierarchy {
    pub name: String,
    pub flags: BTreeSet<&'static str>,
    pub agent: String,
    pub mounts: usize,
    pub groups: BTreeMap<String, ModelCgroup>,
}

#[derive(Debug, Clone)]
pub struct ModelTask {
    pub group: i32,
    pub uid: u32,
    pub place: Membership,
    /// Forks in flight that were marked on the task.
    pub forking: usize,
}

/// A fork that was begun and neither committed nor cancelled.
#[derive(Debug)]
pub struct ForkInFlight {
    pub parent: i32,
    pub group: i32,
    pub uid: u32,
    pub place: Membership,
    pub marked: bool,
    /// Serials of the subsystems that charged it or agreed to it.
    pub covered: BTreeSet<u64>,
}

#[derive(Debug, Default)]
pub struct CoreModel {
    pub slots: Vec<Option<ModelSubsystem>>,
    pub hierarchies: BTreeMap<u32, ModelHierarchy>,
    pub tasks: BTreeMap<i32, ModelTask>,
    pub flights: Vec<ForkInFlight>,
    /// Memberships that are kept without a task.
    pub pins: Vec<Membership>,
    pub releases: Vec<(String, String, u32)>,
    pub counts: Vec<CallCounts>,
    pub faults: Vec<Faults>,
    pub last_hierarchy: u32,
    pub ticks: u64,
}

pub fn is_below(path: &str, ancestor: &str) -> bool {
    ancestor == "/"
        || path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub fn parent_of(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        ("", "") => None,
        ("", _) => Some("/"),
        (parent, _) => Some(parent),
    }
}

pub fn join(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

/// The path itself and all above it, upwards.
pub fn upwards(path: &str) -> Vec<String> {
    std::iter::successors(Some(path), |at| parent_of(at)).map(String::from).collect()
}

pub fn at(place: &Membership, hierarchy: u32) -> &str {
    place.get(&hierarchy).map_or("/", String::as_str)
}

impl CoreModel {
    pub fn new() -> CoreModel {
        let counts = vec![CallCounts::default(); KINDS.len()];
        CoreModel { counts, faults: vec![Faults::default(); KINDS.len()], ..CoreModel::default() }
    }

    pub fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    pub fn subs(&self) -> impl Iterator<Item = &ModelSubsystem> {
        self.slots.iter().flatten()
    }

    pub fn sub_mut(&mut self, slot: usize) -> &mut ModelSubsystem {
        self.slots[slot].as_mut().unwrap()
    }

    /// The slots with a property, ascending.
    pub fn slots_where(&self, wanted: impl Fn(&ModelSubsystem) -> bool) -> Vec<usize> {
        (0..self.slots.len()).filter(|&slot| self.slots[slot].as_ref().is_some_and(&wanted)).collect()
    }

    pub fn bound_to(&self, hierarchy: u32) -> Vec<usize> {
        self.slots_where(|sub| sub.hierarchy == hierarchy)
    }

    pub fn slot_of(&self, name: &str) -> Option<usize> {
        self.slots_where(|sub| KINDS[sub.kind].name == name).first().copied()
    }

    pub fn counts_of(&mut self, slot: usize) -> &mut CallCounts {
        let kind = self.slots[slot].as_ref().unwrap().kind;
        &mut self.counts[kind]
    }

    pub fn faults_of(&mut self, slot: usize) -> &mut Faults {
        let kind = self.slots[slot].as_ref().unwrap().kind;
        &mut self.faults[kind]
    }

    pub fn group(&self, hierarchy: u32, path: &str) -> &ModelCgroup {
        &self.hierarchies[&hierarchy].groups[path]
    }

    pub fn group_mut(&mut self, hierarchy: u32, path: &str) -> &mut ModelCgroup {
        self.hierarchies.get_mut(&hierarchy).unwrap().groups.get_mut(path).unwrap()
    }

    /// All cgroups of all hierarchies.
    pub fn cgroups(&self) -> Vec<(u32, String)> {
        let of = |(&id, hierarchy): (&u32, &ModelHierarchy)| {
            hierarchy.groups.keys().map(|path| (id, path.clone())).collect::<Vec<_>>()
        };
        self.hierarchies.iter().flat_map(of).collect()
    }

    /// The names of the children, in the order of their creation.
    pub fn children(&self, hierarchy: u32, path: &str) -> Vec<String> {
        let groups = &self.hierarchies[&hierarchy].groups;
        let mut children: Vec<_> =
            groups.iter().filter(|(child, _)| parent_of(child) == Some(path)).collect();
        children.sort_by_key(|(_, group)| group.born);
        children.into_iter().map(|(child, _)| child.rsplit_once('/').unwrap().1.into()).collect()
    }

    /// The tasks of one cgroup itself.
    pub fn members(&self, hierarchy: u32, path: &str) -> Vec<i32> {
        let inside = self.tasks.iter().filter(|(_, task)| at(&task.place, hierarchy) == path);
        inside.map(|(&tid, _)| tid).collect()
    }

    pub fn populated(&self, hierarchy: u32, path: &str) -> bool {
        self.tasks.values().any(|task| is_below(at(&task.place, hierarchy), path))
    }

    /// The usage of a counter, from nothing but the tasks, the forks in flight and the past.
    pub fn usage(&self, sub: &ModelSubsystem, path: &str, rule: usize) -> u64 {
        let inside = |place: &Membership| is_below(at(place, sub.hierarchy), path);
        let covers = |flight: &&ForkInFlight| flight.covered.contains(&sub.serial) && inside(&flight.place);
        let flights = self.flights.iter().filter(covers).count() as u64;
        let past = sub.css[path].histories[rule].past;
        match sub.rules()[rule] {
            Resource::Tasks => {
                self.tasks.values().filter(|task| inside(&task.place)).count() as u64 + flights
            }
            Resource::Forks => past + flights,
            _ => past,
        }
    }

    /// The paths of a membership in every hierarchy that exists.
    pub fn paths(&self, place: &Membership) -> Vec<String> {
        self.hierarchies.keys().map(|&id| at(place, id).to_owned()).collect()
    }

    /// The number of css_sets that there must be: one for each distinct membership, and the initial one.
    pub fn distinct_places(&self) -> usize {
        let tuple = |place: &Membership| self.paths(place);
        let tasks = self.tasks.values().map(|task| tuple(&task.place));
        let flights = self.flights.iter().map(|flight| tuple(&flight.place));
        let initial = self.pins.iter().map(tuple).chain(std::iter::once(tuple(&Membership::new())));
        tasks.chain(flights).chain(initial).collect::<BTreeSet<_>>().len()
    }

    /// Every membership that is held: by tasks, by forks in flight, by pins.
    pub fn places_mut(&mut self) -> impl Iterator<Item = &mut Membership> {
        let tasks = self.tasks.values_mut().map(|task| &mut task.place);
        tasks.chain(self.flights.iter_mut().map(|flight| &mut flight.place)).chain(&mut self.pins)
    }

    /// Queues a release for a cgroup that became empty or lost a child, if its release is due.
    pub fn check_release(&mut self, hierarchy: u32, path: &str) {
        let group = self.group(hierarchy, path);
        let due = path != "/" && group.notify && !group.queued && !self.populated(hierarchy, path);
        let agent = self.hierarchies[&hierarchy].agent.clone();
        if due && !agent.is_empty() && self.children(hierarchy, path).is_empty() {
            self.releases.push((agent, path.into(), hierarchy));
            self.group_mut(hierarchy, path).queued = true;
        }
    }

    /// A task has left this path of a hierarchy.
    pub fn left(&mut self, hierarchy: u32, path: &str) {
        for above in upwards(path) {
            if !self.populated(hierarchy, &above) {
                self.check_release(hierarchy, &above);
            }
        }
    }

    pub fn take_releases(&mut self) -> Vec<(String, String, u32)> {
        for hierarchy in self.hierarchies.values_mut() {
            hierarchy.groups.values_mut().for_each(|group| group.queued = false);
        }
        std::mem::take(&mut self.releases)
    }
}
