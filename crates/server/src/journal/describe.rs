//! From the engine to records.

use std::collections::{BTreeMap, HashMap};

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Tid, control_file::FileId, host::Host, tree::HierarchyFlags};

use super::record::{CgroupRecord, EscapedBytes, HierarchyRecord, OwnerRecord};

/// The contents of control files in a new cgroup whose parent is new too. Every cgroup has these values while a restore
/// makes it, so the journal leaves them out.
#[derive(Debug, Clone, Default)]
pub struct Defaults(HashMap<String, Vec<u8>>);

impl Defaults {
    /// The defaults of the controllers that penfold has built in. For a module's controller the journal has every
    /// value.
    pub fn new() -> Defaults {
        let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(1));
        let caller = Caller::root(Tid(1));
        let mut all = HashMap::new();
        if penfold_subsystems::load_all(&mut engine, &mut host).is_err() {
            return Defaults(all);
        }
        let Ok(mounted) = engine.session(&mut host, &caller).mount("all") else { return Defaults(all) };
        let Ok(fresh) = engine.session(&mut host, &caller).mkdir(mounted.root, b"fresh", 0o755) else {
            return Defaults(all);
        };
        for (name, text) in settings(&mut engine, &mut host, fresh) {
            // the name without prefix too, as in a hierarchy of type cpuset
            if let Some(bare) = name.strip_prefix("cpuset.") {
                all.insert(bare.to_owned(), text.clone());
            }
            all.insert(name, text);
        }
        Defaults(all)
    }

    fn is_default(&self, name: &str, text: &[u8]) -> bool {
        self.0.get(name).is_some_and(|default| default == text)
    }
}

/// The record of the hierarchy with this root; `None` if it is gone. `views` is how many of its mounts are file views.
pub(super) fn hierarchy(engine: &Engine, root: CgroupId, views: usize) -> Option<HierarchyRecord> {
    let node = engine.tree().get(root)?;
    let hierarchy = engine.tree().hierarchy_of(root);
    let mut words: Vec<String> = engine.subsystems_of(root).map(str::to_owned).collect();
    if words.is_empty() {
        words.push("none".to_owned());
    }
    let flags = [
        (HierarchyFlags::NOPREFIX, "noprefix"),
        (HierarchyFlags::XATTR, "xattr"),
        (HierarchyFlags::CPUSET_V2_MODE, "cpuset_v2_mode"),
        (HierarchyFlags::FAVOR_DYNAMIC, "favordynmods"),
    ];
    words.extend(
        flags.iter().filter(|(flag, _)| hierarchy.flags.contains(*flag)).map(|(_, word)| (*word).to_owned()),
    );
    if !hierarchy.name.is_empty() {
        words.push(format!("name={}", hierarchy.name));
    }
    let creator = node.creator();
    Some(HierarchyRecord {
        root: root.number(),
        id: hierarchy.id,
        options: words.join(","),
        mounts: hierarchy.mounts.saturating_sub(views),
        mounter: (creator.uid, creator.gid),
    })
}

/// The record of a cgroup with its settings; `None` if it is gone.
pub(super) fn cgroup(
    engine: &mut Engine,
    host: &mut dyn Host,
    id: CgroupId,
    defaults: &Defaults,
) -> Option<CgroupRecord> {
    let node = engine.tree().get(id)?;
    let (owner, creator) = (node.owner(), node.creator());
    let (parent, name) = (node.parent(), EscapedBytes(node.name().to_vec()));
    let changed: Vec<(FileId, penfold_core::Owner)> = node.changed_file_owners().collect();
    let mut files: Vec<(String, OwnerRecord)> = changed
        .into_iter()
        .filter(|&(file, _)| engine.file_owner(id, file).is_ok())
        .map(|(file, owner)| (engine.file_name(id, file).into_owned(), record_owner(owner)))
        .collect();
    files.sort_unstable();
    let values = settings(engine, host, id)
        .into_iter()
        .filter(|(name, text)| match parent {
            Some(_) => !defaults.is_default(name, text),
            None => !is_the_machines(name),
        })
        .map(|(name, text)| (name, EscapedBytes(text)))
        .collect();
    Some(CgroupRecord {
        cgroup: id.number(),
        parent: parent.map(CgroupId::number),
        name,
        owner: record_owner(owner),
        creator: (creator.uid, creator.gid),
        values,
        files,
    })
}

/// True for a file that shows in a root the CPUs or memory nodes of the machine, which a restore must not set.
fn is_the_machines(file: &str) -> bool {
    matches!(file.strip_prefix("cpuset.").unwrap_or(file), "cpus" | "mems")
}

fn record_owner(owner: penfold_core::Owner) -> OwnerRecord {
    OwnerRecord(owner.uid, owner.gid, owner.mode)
}

/// The files of a cgroup that are settings, each with the bytes that set its present value.
fn settings(engine: &mut Engine, host: &mut dyn Host, cgroup: CgroupId) -> Vec<(String, Vec<u8>)> {
    let caller = Caller::root(Tid(std::process::id().cast_signed()));
    let Ok(entries) = engine.files(cgroup) else { return Vec::new() };
    let mut settings = Vec::new();
    for entry in entries {
        if engine.is_setting(entry.id) {
            if let Ok(text) = engine.session(host, &caller).read(cgroup, entry.id) {
                settings.push((entry.name, text));
            }
        } else if entry.name == "freezer.self_freezing" {
            // freezer.state also shows a freeze by an ancestor; this file shows only the cgroup's own setting
            let frozen =
                engine.session(host, &caller).read(cgroup, entry.id).is_ok_and(|text| text == b"1\n");
            let state: &[u8] = if frozen { b"FROZEN" } else { b"THAWED" };
            settings.push(("freezer.state".to_owned(), state.to_owned()));
        }
    }
    settings
}

/// The numbers of the cgroups of a css_set, without roots, ordered by hierarchy.
pub(super) fn cgroups_of(engine: &Engine, set: penfold_core::CssSetId) -> Vec<u64> {
    let tree = engine.tree();
    let Some(set) = tree.css_set(set) else { return Vec::new() };
    let places: BTreeMap<u32, u64> = set
        .cgroups()
        .filter_map(|id| {
            let below_a_root = tree.get(id)?.parent().is_some();
            below_a_root.then(|| (tree.hierarchy_of(id).id, id.number()))
        })
        .collect();
    places.into_values().collect()
}
