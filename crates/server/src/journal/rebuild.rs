//! From a snapshot to hierarchies, cgroups and settings in a fresh engine.
//!
//! The order ensures that the engine refuses nothing that was in force:
//!
//! - all cgroups come before any setting, so that no cgroup inherits one;
//! - parents come before children;
//! - exclusive flags of cpusets come after all cpusets have their CPUs;
//! - limits come before members, because no limit refuses an attach;
//! - `FROZEN` comes last.
//!
//! No release agent runs for the empty cgroups of a restore. An agent is due when a cgroup becomes empty, and these
//! never had a task.

use std::collections::HashMap;

use penfold_core::{Caller, CgroupId, Engine, Tid, host::Host};

use super::record::{CgroupRecord, HierarchyRecord, OwnerRecord};
use super::snapshot::Snapshot;
use crate::escape::escape;

/// The result of rebuilding a snapshot.
#[derive(Debug, Default)]
pub struct Rebuilt {
    /// The new ids by the old numbers.
    pub cgroups: HashMap<u64, CgroupId>,
    /// One sentence for each part that could not be rebuilt.
    pub failures: Vec<String>,
    /// The cgroups to freeze when their members are back.
    frozen: Vec<CgroupId>,
    /// Roots of hierarchies that have one mount too many, which keeps them while they are rebuilt.
    held: Vec<CgroupId>,
}

fn own() -> Caller {
    Caller { umask: 0, ..Caller::root(Tid(std::process::id().cast_signed())) }
}

/// Rebuilds a snapshot in a fresh engine whose subsystems are loaded. [`Rebuilt::freeze`] and [`Rebuilt::finish`]
/// complete the restore, after the members are back. Until then no hierarchy is unmounted.
pub fn rebuild(engine: &mut Engine, host: &mut dyn Host, snapshot: &Snapshot) -> Rebuilt {
    let mut rebuilt = Rebuilt::default();
    let mut hierarchies: Vec<&HierarchyRecord> = snapshot.hierarchies.values().collect();
    hierarchies.sort_unstable_by_key(|hierarchy| hierarchy.id);
    for hierarchy in hierarchies {
        engine.number_hierarchies_from(hierarchy.id);
        rebuilt.mount(engine, host, hierarchy);
    }
    engine.number_hierarchies_from(snapshot.last_hierarchy.saturating_add(1));
    let cgroups = snapshot.by_age();
    for cgroup in &cgroups {
        rebuilt.make(engine, host, snapshot, cgroup);
    }
    for late in [false, true] {
        for cgroup in &cgroups {
            rebuilt.set(engine, host, snapshot, cgroup, |file| is_exclusive(file) == late);
        }
    }
    for cgroup in &cgroups {
        rebuilt.own(engine, snapshot, cgroup);
    }
    rebuilt
}

/// True for the exclusive flags of a cpuset. They can be set only after the CPUs and memory nodes of the cpuset and its
/// siblings are.
fn is_exclusive(file: &str) -> bool {
    matches!(file.strip_prefix("cpuset.").unwrap_or(file), "cpu_exclusive" | "mem_exclusive")
}

impl Rebuilt {
    fn mount(&mut self, engine: &mut Engine, host: &mut dyn Host, hierarchy: &HierarchyRecord) {
        let (uid, gid) = hierarchy.mounter;
        let caller = Caller { uid, gid, ..own() };
        let mut mount = || engine.session(host, &caller).mount(&hierarchy.options);
        let mounted = mount()
            .and_then(|first| (0..hierarchy.mounts).try_for_each(|_| mount().map(drop)).map(|()| first));
        match mounted {
            Ok(mounted) => {
                self.cgroups.insert(hierarchy.root, mounted.root);
                self.held.push(mounted.root);
            }
            Err(error) => self.failures.push(format!(
                "hierarchy {} ({}) can't be mounted again: {error}; all that was in it is lost",
                hierarchy.id, hierarchy.options
            )),
        }
    }

    fn make(&mut self, engine: &mut Engine, host: &mut dyn Host, snapshot: &Snapshot, cgroup: &CgroupRecord) {
        // A cgroup without parent is a root, which came with its hierarchy. A parent that is missing now was removed
        // before the daemon died, or `failures` has it.
        let Some(parent) = cgroup.parent.and_then(|parent| self.cgroups.get(&parent)) else { return };
        let (uid, gid) = cgroup.creator;
        let caller = Caller { uid, gid, ..own() };
        match engine.session(host, &caller).mkdir(*parent, &cgroup.name.0, 0o755) {
            Ok(id) => drop(self.cgroups.insert(cgroup.cgroup, id)),
            Err(error) => {
                self.failures
                    .push(format!("cgroup {} can't be made again: {error}", address(snapshot, cgroup)));
            }
        }
    }

    fn set(
        &mut self,
        engine: &mut Engine,
        host: &mut dyn Host,
        snapshot: &Snapshot,
        cgroup: &CgroupRecord,
        now: impl Fn(&str) -> bool,
    ) {
        let Some(&id) = self.cgroups.get(&cgroup.cgroup) else { return };
        for (file, text) in cgroup.values.iter().filter(|(file, _)| now(file)) {
            if file == "freezer.state" {
                if text.0 == b"FROZEN" {
                    self.frozen.push(id);
                }
                continue;
            }
            if let Err(error) = write(engine, host, id, file, &text.0) {
                let (address, text) = (address(snapshot, cgroup), escape(text.0.trim_ascii_end()));
                self.failures.push(format!("{address}: {file} was {text:?}: {error}"));
            }
        }
    }

    fn own(&mut self, engine: &mut Engine, snapshot: &Snapshot, cgroup: &CgroupRecord) {
        let Some(&id) = self.cgroups.get(&cgroup.cgroup) else { return };
        let mut given = engine.set_owner(&own(), id, owner(cgroup.owner));
        for (file, changed) in &cgroup.files {
            if let Some(file) = engine.find_file(id, file) {
                given = given.and(engine.set_file_owner(&own(), id, file, owner(*changed)));
            }
        }
        if let Err(error) = given {
            self.failures.push(format!("the owner of {} can't be set: {error}", address(snapshot, cgroup)));
        }
    }

    /// Freezes the cgroups that were frozen, after the members are back.
    pub fn freeze(&mut self, engine: &mut Engine, host: &mut dyn Host) {
        for id in std::mem::take(&mut self.frozen) {
            if let Err(error) = write(engine, host, id, "freezer.state", b"FROZEN") {
                let path = escape(&engine.tree().path(id));
                self.failures.push(format!("{path} can't be frozen again: {error}"));
            }
        }
    }

    /// Takes away the mounts that have kept the hierarchies so far. A hierarchy without other mounts lives on by its
    /// cgroups, as it did before.
    pub fn finish(&mut self, engine: &mut Engine, host: &mut dyn Host) {
        for root in std::mem::take(&mut self.held) {
            // unmount fails only for a hierarchy that is not mounted, and this one is
            let _ = engine.unmount(host, root);
        }
    }
}

fn owner(OwnerRecord(uid, gid, mode): OwnerRecord) -> penfold_core::Owner {
    penfold_core::Owner { uid, gid, mode }
}

fn write(
    engine: &mut Engine,
    host: &mut dyn Host,
    id: CgroupId,
    file: &str,
    text: &[u8],
) -> Result<(), String> {
    let Some(file) = engine.find_file(id, file) else { return Err("there is no such file now".to_owned()) };
    // a file may have its value already and refuse a write: the CPUs of the root, for one
    if engine.session(host, &own()).read(id, file).is_ok_and(|now| now == text) {
        return Ok(());
    }
    engine.session(host, &own()).write(id, file, text).map_err(|error| error.to_string())
}

fn address(snapshot: &Snapshot, cgroup: &CgroupRecord) -> String {
    let root = snapshot.root_of(cgroup.cgroup).and_then(|root| snapshot.hierarchies.get(&root));
    let path = snapshot.path(cgroup.cgroup);
    let path = if path.is_empty() { "/" } else { &path };
    root.map_or_else(|| path.to_owned(), |hierarchy| format!("{}:{path}", hierarchy.id))
}
