//! The state that the records of a journal describe together.

use std::collections::BTreeMap;

use super::origin::JournalOrigin;
use super::origin::ProcStamp;
use super::record::{
    CgroupRecord, EscapedBytes, FORMAT, HierarchyRecord, ModuleRecord, ProcessRecord, Record, ViewRecord,
};

/// The state of a daemon, as far as it can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The boot and the namespaces in which the journal was written.
    pub place: JournalOrigin,
    /// The number of the newest hierarchy ever.
    pub last_hierarchy: u32,
    /// The modules in the order of their loading.
    pub modules: Vec<ModuleRecord>,
    /// The hierarchies by the numbers of their roots.
    pub hierarchies: BTreeMap<u64, HierarchyRecord>,
    /// The cgroups by their numbers.
    pub cgroups: BTreeMap<u64, KnownCgroup>,
    /// The members by process id.
    pub processes: BTreeMap<i32, ProcessRecord>,
    /// The moment up to which changes of membership are known.
    pub seen: ProcStamp,
    /// The file views by mount point.
    pub views: BTreeMap<EscapedBytes, ViewRecord>,
    /// The number of the last record of a cgroup, from which [`KnownCgroup::created_seq`] comes.
    created_seq: u64,
}

/// A cgroup with its place in the order of creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCgroup {
    /// The latest record of the cgroup.
    pub cgroup: CgroupRecord,
    /// Ascending in the order of creation: lower for a parent than for its children, and for an older sibling.
    pub created_seq: u64,
}

impl Snapshot {
    /// A snapshot without modules, hierarchies, members and views.
    pub fn new(place: JournalOrigin) -> Snapshot {
        Snapshot { place, ..Snapshot::default() }
    }

    /// Brings the snapshot up to date with a record.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Begin { place, last, .. } => {
                self.place = place.clone();
                self.last_hierarchy = self.last_hierarchy.max(*last);
            }
            Record::Module(module) => {
                self.modules.retain(|other| other.name != module.name);
                self.modules.push(module.clone());
            }
            Record::ModuleGone { name } => self.modules.retain(|module| module.name != *name),
            Record::Hierarchy(hierarchy) => {
                self.last_hierarchy = self.last_hierarchy.max(hierarchy.id);
                self.hierarchies.insert(hierarchy.root, hierarchy.clone());
            }
            Record::Unmounted { root } => self.forget_hierarchy(*root),
            Record::Cgroup(cgroup) => {
                self.created_seq += 1;
                let created_seq =
                    self.cgroups.get(&cgroup.cgroup).map_or(self.created_seq, |known| known.created_seq);
                self.cgroups.insert(cgroup.cgroup, KnownCgroup { cgroup: cgroup.clone(), created_seq });
            }
            Record::Removed { cgroup } => drop(self.cgroups.remove(cgroup)),
            Record::Members { seen, present, gone } => {
                self.seen = *seen;
                for pid in gone {
                    self.processes.remove(pid);
                }
                self.processes.extend(present.iter().map(|process| (process.pid, process.clone())));
            }
            Record::View(view) => drop(self.views.insert(view.target.clone(), view.clone())),
            Record::ViewGone { target } => drop(self.views.remove(target)),
        }
    }

    /// Removes the state that depends on a subsystem: the settings of its files, and hierarchies with no other
    /// subsystem and no name. Returns these hierarchies.
    pub fn forget_subsystem(&mut self, name: &str) -> Vec<HierarchyRecord> {
        let concerned: Vec<u64> =
            self.hierarchies.values().filter(|one| one.has(name)).map(|one| one.root).collect();
        let mut lost = Vec::new();
        for root in concerned {
            let cgroups: Vec<u64> =
                self.cgroups.keys().copied().filter(|&cgroup| self.root_of(cgroup) == Some(root)).collect();
            let remaining = self.hierarchies.get(&root).and_then(|hierarchy| hierarchy.without(name));
            if let Some(hierarchy) = remaining {
                let prefix = format!("{name}.");
                for number in cgroups {
                    let Some(KnownCgroup { cgroup, .. }) = self.cgroups.get_mut(&number) else { continue };
                    cgroup.values.retain(|(file, _)| !file.starts_with(&prefix));
                    cgroup.files.retain(|(file, _)| !file.starts_with(&prefix));
                }
                self.hierarchies.insert(root, hierarchy);
            } else {
                lost.extend(self.hierarchies.get(&root).cloned());
                self.forget_hierarchy(root);
            }
        }
        lost
    }

    fn forget_hierarchy(&mut self, root: u64) {
        self.hierarchies.remove(&root);
        let gone: Vec<u64> =
            self.cgroups.keys().copied().filter(|&cgroup| self.root_of(cgroup) == Some(root)).collect();
        for cgroup in gone {
            self.cgroups.remove(&cgroup);
        }
    }

    /// The number of the root above a cgroup; `None` if the snapshot lacks a cgroup between them.
    pub fn root_of(&self, cgroup: u64) -> Option<u64> {
        let mut at = cgroup;
        // the parents in a damaged journal may form a circle
        for _ in 0..=self.cgroups.len() {
            match self.cgroups.get(&at)?.cgroup.parent {
                Some(parent) => at = parent,
                None => return Some(at),
            }
        }
        None
    }

    /// The path of a cgroup from its root, for messages.
    pub fn path(&self, cgroup: u64) -> String {
        let mut names = Vec::new();
        let mut at = self.cgroups.get(&cgroup);
        while let Some(KnownCgroup { cgroup: CgroupRecord { parent: Some(parent), name, .. }, .. }) = at
            && names.len() <= self.cgroups.len()
        {
            names.push(crate::escape::escape(&name.0));
            at = self.cgroups.get(parent);
        }
        names.iter().rev().fold(String::new(), |path, name| path + "/" + name)
    }

    /// The cgroups in the order of creation: parents before children, older siblings first.
    pub fn by_age(&self) -> Vec<&CgroupRecord> {
        let mut all: Vec<&KnownCgroup> = self.cgroups.values().collect();
        all.sort_unstable_by_key(|known| known.created_seq);
        all.into_iter().map(|known| &known.cgroup).collect()
    }

    /// The records from which [`Snapshot::apply`] makes the same snapshot.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let begin = Record::Begin { format: FORMAT, place: self.place.clone(), last: self.last_hierarchy };
        let present: Vec<ProcessRecord> = self.processes.values().cloned().collect();
        let seen = self.seen;
        let members = (seen.at != 0).then_some(Record::Members { seen, present, gone: Vec::new() });
        std::iter::once(begin)
            .chain(self.modules.iter().cloned().map(Record::Module))
            .chain(self.hierarchies.values().cloned().map(Record::Hierarchy))
            .chain(self.by_age().into_iter().cloned().map(Record::Cgroup))
            .chain(members)
            .chain(self.views.values().cloned().map(Record::View))
    }
}
