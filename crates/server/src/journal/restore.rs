//! The restore of an earlier daemon's state, which comes before the first client.

use std::path::Path;

use super::file::Store;
use super::members::{self, Readopt};
use super::origin::JournalOrigin;
use super::rebuild::rebuild;
use super::record::ViewRecord;
use super::snapshot::Snapshot;
use super::{modules, views};
use crate::failure::Failure;
use crate::service::Service;
use penfold_core::CgroupId;
use penfold_linux::fuse_mount::FuseMount;

/// Mounts a file view again at its free mount point, as the dead mount was. The root is that of its hierarchy; `None`
/// for `proc`.
pub type MountAgain<'a> = &'a mut dyn FnMut(&ViewRecord, &FuseMount, Option<CgroupId>) -> Result<(), Failure>;

/// The parts of a daemon that a restore needs and the journal does not depend on.
pub struct RestoreHooks<'a> {
    /// Adopts a process again, into the roots.
    pub readopt: Readopt<'a>,
    /// Mounts a file view again.
    pub mount: MountAgain<'a>,
}

/// Restores the journal's state in a fresh engine, before any client may use it. The engine has the built-in subsystems
/// and may have modules loaded already. Returns one sentence for each loss; the log has them too.
///
/// The journal stays as it is until [`Journal::start`](super::Journal::start) rewrites it. So nothing is lost if the
/// daemon is killed meanwhile.
///
/// # Errors
/// `ESHUTDOWN` when the daemon is ending.
pub fn restore(service: &Service, store: &Store, helpers: RestoreHooks<'_>) -> Result<Vec<String>, Failure> {
    let mut not_restored = Vec::new();
    match store.read() {
        Ok(found) => {
            not_restored.extend(found.damage);
            if let Some(snapshot) = found.snapshot {
                not_restored.extend(restore_snapshot(service, snapshot, helpers)?);
            }
        }
        Err(error) => {
            not_restored.push(format!("the journal can't be read: {error}; nothing of it is restored"));
        }
    }
    for sentence in &not_restored {
        tracing::warn!("not restored: {sentence}");
    }
    Ok(not_restored)
}

fn restore_snapshot(
    service: &Service,
    mut snapshot: Snapshot,
    helpers: RestoreHooks<'_>,
) -> Result<Vec<String>, Failure> {
    let here = JournalOrigin::current();
    let mut not_restored = Vec::new();
    if snapshot.place.boot != here.boot || snapshot.place.pids != here.pids {
        let (what, members, mounted) = (
            if snapshot.place.boot == here.boot { "pid namespace" } else { "boot" },
            snapshot.processes.len(),
            snapshot.views.len(),
        );
        if members + mounted > 0 {
            not_restored.push(format!(
                "the journal is of another {what}: {members} member processes and {mounted} file views of it are not restored"
            ));
        }
        snapshot.processes.clear();
        snapshot.views.clear();
    }
    not_restored.extend(modules::load_again(service, &mut snapshot));
    let mut rebuilt = service.with_exact(|engine, host| rebuild(engine, host, &snapshot))?;
    not_restored.extend(members::put_back(service, &snapshot, &rebuilt, helpers.readopt)?);
    service.with_exact(|engine, host| rebuilt.freeze(engine, host))?;
    for view in snapshot.views.values() {
        let root = view.root.and_then(|root| rebuilt.cgroups.get(&root).copied());
        not_restored.extend(mount_again(view, root, here.mounts, helpers.mount).err());
    }
    service.with_exact(|engine, host| rebuilt.finish(engine, host))?;
    not_restored.append(&mut rebuilt.failures);
    Ok(not_restored)
}

fn mount_again(
    view: &ViewRecord,
    root: Option<CgroupId>,
    namespace: u64,
    mount: MountAgain<'_>,
) -> Result<(), String> {
    let target: &Path = views::path(&view.target.0);
    let shown = target.display();
    if view.namespace != namespace {
        return Err(format!(
            "the mount at {shown} is in another mount namespace: unmount and mount it there"
        ));
    }
    let dead = views::clear(target)
        .map_err(|error| format!("the dead mount at {shown} can't be unmounted: {error}"))?;
    let Some(dead) = dead else {
        return Err(format!("there is no dead mount at {shown} any more: it was unmounted meanwhile"));
    };
    if view.root.is_some() && root.is_none() {
        return Err(format!("{shown} is not mounted again: its hierarchy could not be restored"));
    }
    mount(view, &dead, root).map_err(|error| format!("{shown} can't be mounted again: {error}"))
}
