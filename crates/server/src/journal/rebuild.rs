//! From an snapshot to hierarchies, cgroups and values in a fresh engine.
//!
//! The order is such that nothing is refused that was in force: all cgroups before any value, so that none is inherited;
//! parents before children; exclusive flags of cpusets when every cpuset has its CPUs; limits before members, since no
//! attach is refused by one; `FROZEN` last. No release agent is due for what is empty meanwhile: that is told of a
//! cgroup that becomes empty, and none here ever had a task.

use std::collections::HashMap;

use penfold_core::{Caller, CgroupId, Engine, Tid, host::Host};

use super::record::{CgroupRecord, HierarchyRecord, OwnerRecord};
use super::snapshot::Snapshot;
use crate::escape::escape;

/// What became of an snapshot.
#[derive(Debug, Default)]
pub struct Rebuilt {
    /// The new ids by the old numbers.
    pub cgroups: HashMap<u64, CgroupId>,
    /// What could not be done, a sentence each.
    pub failures: Vec<String>,
    /// To be written when the members are back: file `freezer.state`.
    frozen: Vec<CgroupId>,
    /// Mounted once more than is meant to be, so that it stays while it is being filled.
    held: Vec<CgroupId>,
}

fn own() -> Caller {
    Caller { umask: 0, ..Caller::root(Tid(std::process::id().cast_signed())) }
}

/// Builds everything but `FROZEN`, in a fresh engine whose subsystems are loaded. Every hierarchy stays mounted until
/// [`Rebuilt::finish`].
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

/// A cpuset can be exclusive only when what it and its siblings have is settled.
fn is_exclusive(file: &str) -> bool {
    matches!(file.strip_prefix("cpuset.").unwrap_or(file), "cpu_exclusive" | "mem_exclusive")
}

impl Rebuilt {
    fn mount(&mut self, engine: &mut Engine, host: &mut dyn Host, hierarchy: &HierarchyRecord) {
        let (uid, gid) = hierarchy.mounter;
        let caller = Caller { uid, gid, ..own() };
        let mut mount = || engine.mount(host, &caller, &hierarchy.options);
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
        // without a parent it is a root, which came with its hierarchy; below what is not there nothing can be made,
        // and what that was has been said, or was removed before the daemon died
        let Some(parent) = cgroup.parent.and_then(|parent| self.cgroups.get(&parent)) else { return };
        let (uid, gid) = cgroup.creator;
        let caller = Caller { uid, gid, ..own() };
        match engine.mkdir(host, &caller, *parent, &cgroup.name.0, 0o755) {
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

    /// Freezes what was frozen. To be done when the members are back.
    pub fn freeze(&mut self, engine: &mut Engine, host: &mut dyn Host) {
        for id in std::mem::take(&mut self.frozen) {
            if let Err(error) = write(engine, host, id, "freezer.state", b"FROZEN") {
                let path = escape(&engine.tree().path(id));
                self.failures.push(format!("{path} can't be frozen again: {error}"));
            }
        }
    }

    /// Takes away the mounts that held the hierarchies so far: one that nobody else has mounted lives on by its cgroups,
    /// as it did before.
    pub fn finish(&mut self, engine: &mut Engine, host: &mut dyn Host) {
        for root in std::mem::take(&mut self.held) {
            // its one failure is that the hierarchy is not mounted, which it is
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
    // what is there already need not be possible to write: the CPUs of the root, for one
    if engine.read(host, &own(), id, file).is_ok_and(|now| now == text) {
        return Ok(());
    }
    engine.write(host, &own(), id, file, text).map_err(|error| error.to_string())
}

fn address(snapshot: &Snapshot, cgroup: &CgroupRecord) -> String {
    let root = snapshot.root_of(cgroup.cgroup).and_then(|root| snapshot.hierarchies.get(&root));
    let path = snapshot.path(cgroup.cgroup);
    let path = if path.is_empty() { "/" } else { &path };
    root.map_or_else(|| path.to_owned(), |hierarchy| format!("{}:{path}", hierarchy.id))
}
