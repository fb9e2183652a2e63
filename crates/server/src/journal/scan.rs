//! From changes of the engine to records: reads the present state of changed objects.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use penfold_core::tree::{ChildCursor, Tree};
use penfold_core::{CgroupId, Engine, control_file::FileId, host::Host};

use super::EscapedBytes;
use super::describe::{self, Defaults};
use super::origin::JournalOrigin;
use super::record::{CgroupRecord, HierarchyRecord, ModuleRecord, Record, ViewRecord};
use super::snapshot::Snapshot;
use crate::change::EngineChange;
use crate::failure::Failure;
use crate::service::Service;
use crate::slices::{Counts, Slice};

/// How many cgroups are read in one request, during which the engine serves no client.
const AT_ONCE: usize = 64;
/// How many ids are checked in one request for whether their cgroups live.
const LOOKS_AT_ONCE: usize = 4096;

/// The parts of the engine whose state must be read again.
#[derive(Default)]
pub(super) struct PendingScan {
    pub(super) all: bool,
    pub(super) members: bool,
    pub(super) views: bool,
    modules: bool,
    roots: BTreeSet<CgroupId>,
    cgroups: Vec<CgroupId>,
    known: HashSet<CgroupId>,
}

impl PendingScan {
    pub(super) fn everything() -> PendingScan {
        PendingScan { all: true, members: true, views: true, modules: true, ..PendingScan::default() }
    }

    fn cgroup(&mut self, cgroup: CgroupId) {
        if self.known.insert(cgroup) {
            self.cgroups.push(cgroup);
        }
    }

    fn root(&mut self, root: CgroupId) {
        self.roots.insert(root);
        self.cgroup(root);
    }

    pub(super) fn note(&mut self, what: &EngineChange) {
        match *what {
            EngineChange::Mounted(root) | EngineChange::Remounted(root) | EngineChange::Unmounted(root) => {
                self.root(root);
            }
            EngineChange::Loaded(_) | EngineChange::Unloaded(_) => self.modules = true,
            EngineChange::Written { file: FileId::Tasks | FileId::Procs, .. } => self.members = true,
            EngineChange::Made { cgroup, .. }
            | EngineChange::Removed { cgroup, .. }
            | EngineChange::Renamed { cgroup, .. }
            | EngineChange::Owner { cgroup, .. }
            | EngineChange::Written { cgroup, .. } => self.cgroup(cgroup),
        }
    }
}

/// Compares the engine with a snapshot of the recorded state, and brings the snapshot up to date.
pub(super) struct Scanner {
    pub(super) service: Service,
    /// The state that has been recorded.
    pub(super) snapshot: Snapshot,
    pub(super) defaults: Defaults,
}

/// The mounted file views by mount point.
pub(super) type ViewTable = BTreeMap<EscapedBytes, ViewRecord>;

impl Scanner {
    /// Reads everything pending except members, and returns records of the changes.
    ///
    /// # Errors
    /// `ESHUTDOWN` when the daemon is ending.
    pub(super) fn scan(
        &mut self,
        mut pending: PendingScan,
        views: &ViewTable,
    ) -> Result<Vec<Record>, Failure> {
        let mut records = Vec::new();
        if pending.all {
            let (roots, last) =
                self.service.with_snapshot(|engine, _| (roots(engine), engine.last_hierarchy_number()))?;
            self.snapshot.last_hierarchy = last;
            let mut walk = BreadthFirst::new(&roots);
            for root in roots {
                pending.root(root);
            }
            // a cgroup that is made or removed meanwhile is announced, and looked at again
            self.service.in_slices(Counts::Any, |engine, _| {
                let mut slice = Slice::begin();
                while slice.step() {
                    let Some(at) = walk.next(engine.tree()) else { return Ok(false) };
                    pending.cgroup(at);
                }
                Ok(true)
            })?;
            // those that are gone meanwhile have to be looked at too
            let recorded = self.snapshot.hierarchies.keys().chain(self.snapshot.cgroups.keys());
            for cgroup in recorded.map(|&number| CgroupId::from_number(number)) {
                pending.cgroup(cgroup);
            }
        }
        if pending.modules {
            self.scan_modules(&mut records);
        }
        if pending.views {
            self.scan_views(views, &mut pending, &mut records);
        }
        let cgroups = std::mem::take(&mut pending.cgroups);
        self.scan_cgroups(cgroups, &mut pending, &mut records)?;
        self.scan_hierarchies(&pending.roots, &mut records)?;
        Ok(records)
    }

    pub(super) fn take(&mut self, record: Record, records: &mut Vec<Record>) {
        self.snapshot.apply(&record);
        records.push(record);
    }

    /// Records modules. Their records come before those of the hierarchies that they can be bound to.
    fn scan_modules(&mut self, records: &mut Vec<Record>) {
        let module = |(name, path): (String, std::path::PathBuf)| ModuleRecord {
            name,
            path: EscapedBytes(path.into_os_string().into_encoded_bytes()),
        };
        let loaded: Vec<ModuleRecord> = self.service.module_files().into_iter().map(module).collect();
        let gone: Vec<String> = self
            .snapshot
            .modules
            .iter()
            .filter(|known| !loaded.contains(known))
            .map(|known| known.name.clone())
            .collect();
        for name in gone {
            self.take(Record::ModuleGone { name }, records);
        }
        for module in loaded {
            if !self.snapshot.modules.contains(&module) {
                self.take(Record::Module(module), records);
            }
        }
    }

    fn scan_views(&mut self, views: &ViewTable, pending: &mut PendingScan, records: &mut Vec<Record>) {
        let gone: Vec<ViewRecord> =
            self.snapshot.views.values().filter(|view| !views.contains_key(&view.target)).cloned().collect();
        let is_new = |view: &&ViewRecord| self.snapshot.views.get(&view.target) != Some(*view);
        let present: Vec<ViewRecord> = views.values().filter(is_new).cloned().collect();
        // a hierarchy's record counts its mounts without a view, so a view that comes or goes changes it
        for root in gone.iter().chain(&present).filter_map(|view| view.root) {
            pending.roots.insert(CgroupId::from_number(root));
        }
        for view in gone {
            self.take(Record::ViewGone { target: view.target }, records);
        }
        for view in present {
            self.take(Record::View(view), records);
        }
    }

    fn scan_cgroups(
        &mut self,
        mut cgroups: Vec<CgroupId>,
        pending: &mut PendingScan,
        records: &mut Vec<Record>,
    ) -> Result<(), Failure> {
        // The order of the announcements is that of birth among siblings, except where threads race.
        let mut found: Vec<(usize, CgroupRecord)> = Vec::new();
        let mut seen: HashSet<u64> = HashSet::new();
        while !cgroups.is_empty() {
            let mut parents = Vec::new();
            for (id, described) in self.describe(&cgroups)? {
                let Some((depth, cgroup)) = described else {
                    self.note_gone(id, pending, records);
                    continue;
                };
                parents.extend(cgroup.parent);
                if cgroup.parent.is_none() {
                    pending.roots.insert(id);
                }
                seen.insert(cgroup.cgroup);
                found.push((depth, cgroup));
            }
            // the parent's announcement may come a moment later, from another thread
            let unknown =
                |parent: &u64| !self.snapshot.cgroups.contains_key(parent) && !seen.contains(parent);
            let parents: BTreeSet<u64> = parents.into_iter().filter(unknown).collect();
            cgroups = parents.into_iter().map(CgroupId::from_number).collect();
        }
        found.sort_by_key(|(depth, _)| *depth);
        for (_, cgroup) in found {
            if self.snapshot.cgroups.get(&cgroup.cgroup).is_none_or(|known| known.cgroup != cgroup) {
                self.take(Record::Cgroup(cgroup), records);
            }
        }
        Ok(())
    }

    /// Each cgroup with its depth and record, or `None` if it is gone.
    #[allow(clippy::type_complexity)]
    fn describe(
        &self,
        cgroups: &[CgroupId],
    ) -> Result<Vec<(CgroupId, Option<(usize, CgroupRecord)>)>, Failure> {
        // many cgroups live so shortly that they are gone by now: one look finds all of these
        let (mut living, mut gone): (Vec<CgroupId>, Vec<CgroupId>) = Default::default();
        for chunk in cgroups.chunks(LOOKS_AT_ONCE) {
            self.service.with_snapshot(|engine, _| {
                for &id in chunk {
                    if engine.tree().get(id).is_some() { &mut living } else { &mut gone }.push(id);
                }
            })?;
        }
        let mut described: Vec<_> = gone.into_iter().map(|id| (id, None)).collect();
        for chunk in living.chunks(AT_ONCE) {
            // a request that is not exact will do: no fork in flight changes a setting
            described.extend(self.service.request(|engine, host| {
                let scan = |&id: &CgroupId| (id, describe_with_depth(engine, host, id, &self.defaults));
                Ok(chunk.iter().map(scan).collect::<Vec<_>>())
            })?);
        }
        Ok(described)
    }

    fn note_gone(&mut self, id: CgroupId, pending: &mut PendingScan, records: &mut Vec<Record>) {
        let number = id.number();
        // a hierarchy without mounts ends with its last cgroup
        pending.roots.extend(self.snapshot.root_of(number).map(CgroupId::from_number));
        // the record of the hierarchy's end includes its root
        if !self.snapshot.hierarchies.contains_key(&number) && self.snapshot.cgroups.contains_key(&number) {
            self.take(Record::Removed { cgroup: number }, records);
        }
    }

    fn scan_hierarchies(
        &mut self,
        roots: &BTreeSet<CgroupId>,
        records: &mut Vec<Record>,
    ) -> Result<(), Failure> {
        if roots.is_empty() {
            return Ok(());
        }
        let with_views = |root: &CgroupId| {
            let number = Some(root.number());
            (*root, self.snapshot.views.values().filter(|view| view.root == number).count())
        };
        let roots: Vec<(CgroupId, usize)> = roots.iter().map(with_views).collect();
        let described: Vec<(u64, Option<HierarchyRecord>)> = self.service.with_snapshot(|engine, _| {
            let scan =
                |(root, views): (CgroupId, usize)| (root.number(), describe::hierarchy(engine, root, views));
            roots.into_iter().map(scan).collect()
        })?;
        for (root, hierarchy) in described {
            match (hierarchy, self.snapshot.hierarchies.get(&root)) {
                (Some(now), before) if before != Some(&now) => self.take(Record::Hierarchy(now), records),
                (None, Some(_)) => self.take(Record::Unmounted { root }, records),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The roots of all hierarchies, oldest first.
fn roots(engine: &Engine) -> Vec<CgroupId> {
    let mut roots: Vec<CgroupId> = engine.tree().hierarchies().map(|hierarchy| hierarchy.root).collect();
    roots.reverse();
    roots
}

/// A walk over everything below some roots, parents before children, siblings in the order of their birth. The tree may
/// change between two steps.
struct BreadthFirst(VecDeque<ChildCursor>);

impl BreadthFirst {
    fn new(roots: &[CgroupId]) -> BreadthFirst {
        BreadthFirst(roots.iter().copied().map(ChildCursor::new).collect())
    }

    fn next(&mut self, tree: &Tree) -> Option<CgroupId> {
        loop {
            if let Some(at) = self.0.front_mut()?.next(tree) {
                self.0.push_back(ChildCursor::new(at));
                return Some(at);
            }
            self.0.pop_front();
        }
    }
}

fn describe_with_depth(
    engine: &mut Engine,
    host: &mut dyn Host,
    id: CgroupId,
    defaults: &Defaults,
) -> Option<(usize, CgroupRecord)> {
    let cgroup = describe::cgroup(engine, host, id, defaults)?;
    let depth = std::iter::successors(engine.tree()[id].parent(), |&at| engine.tree()[at].parent()).count();
    Some((depth, cgroup))
}

/// A snapshot of an engine, without members and views, as the first scan of a new journal would read it.
pub fn describe_all(engine: &mut Engine, host: &mut dyn Host, defaults: &Defaults) -> Snapshot {
    let mut snapshot = Snapshot::new(JournalOrigin::current());
    let mut all = roots(engine);
    for &root in &all {
        if let Some(hierarchy) = describe::hierarchy(engine, root, 0) {
            snapshot.apply(&Record::Hierarchy(hierarchy));
        }
    }
    let mut walk = BreadthFirst::new(&all);
    all.extend(std::iter::from_fn(|| walk.next(engine.tree())));
    for id in all {
        if let Some(cgroup) = describe::cgroup(engine, host, id, defaults) {
            snapshot.apply(&Record::Cgroup(cgroup));
        }
    }
    snapshot.last_hierarchy = snapshot.last_hierarchy.max(engine.last_hierarchy_number());
    snapshot
}
