//! The restore of modules.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use penfold_module::loader::inspect;

use super::snapshot::Snapshot;
use crate::service::Service;

/// Loads the modules of a snapshot in their order, except those whose subsystem is loaded already. State that depends
/// on a module that can't be loaded is taken out of the snapshot, so that the rest can be restored. Returns one
/// sentence for each loss.
pub(super) fn load_again(service: &Service, snapshot: &mut Snapshot) -> Vec<String> {
    let mut lost = Vec::new();
    for module in snapshot.modules.clone() {
        let name = &module.name;
        let there = service.with_snapshot(|engine, _| engine.hierarchy_of_subsystem(name).is_some());
        if there.unwrap_or(false) {
            continue;
        }
        match load(service, name, Path::new(OsStr::from_bytes(&module.path.0))) {
            Ok(()) => continue,
            Err(why) => lost.push(format!("the module {name} can't be loaded again: {why}")),
        }
        for hierarchy in snapshot.forget_subsystem(name) {
            lost.push(format!(
                "hierarchy {} ({}) had no other subsystem: all that was in it is lost",
                hierarchy.id, hierarchy.options
            ));
        }
    }
    lost
}

fn load(service: &Service, name: &str, path: &Path) -> Result<(), String> {
    // the file may have been replaced by another module, which nobody has asked to load
    let now = inspect(path).map_err(|error| error.to_string())?.name;
    if now != name {
        return Err(format!("{} is the module {now} now", path.display()));
    }
    service.load_file(path).map(drop).map_err(|failure| failure.line())
}
