//! Who serves, hierarchies and subsystems.

use nix::errno::Errno;
use nix::unistd::geteuid;
use penfold_core::CgroupId;

use super::ask::Ask;
use super::path;
use crate::describe;
use crate::desk::Filesystem;
use crate::escape::unescape;
use crate::failure::Failure;
use crate::protocol::{
    HierarchiesCall, HierarchiesReply, Hierarchy, InfoCall, InfoReply, MountCall, MountReply, RemountCall,
    RemountReply, Subsystem, SubsystemsCall, SubsystemsReply, UnmountCall, UnmountReply, ViewCall, ViewReply,
};

pub(super) fn info(ask: &Ask<'_>, _: InfoCall) -> Result<InfoReply, Failure> {
    Ok(InfoReply {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: i64::from(std::process::id()),
        uid: i64::from(geteuid().as_raw()),
        host: "trace".to_owned(),
        embedded: ask.desk().host().is_err(),
        not_restored: ask.service.not_restored(),
    })
}

pub(super) fn mount(ask: &Ask<'_>, call: MountCall) -> Result<MountReply, Failure> {
    let filesystem = match call.filesystem.as_deref() {
        None | Some("cgroup") => Filesystem::Cgroup,
        Some("cpuset") => Filesystem::Cpuset,
        Some(other) => {
            let message = format!("file system {other:?}: only cgroup and cpuset can be mounted to a name");
            return Err(Failure::new(Errno::ENODEV, message));
        }
    };
    let mounted = ask.desk().mount(ask.client, unescape(&call.options), filesystem)?;
    Ok(MountReply { hierarchy: described(ask, mounted.root)?, created: mounted.created })
}

pub(super) fn view(ask: &Ask<'_>, call: ViewCall) -> Result<ViewReply, Failure> {
    let viewer = ask.service.viewer.as_ref().ok_or_else(|| {
        Failure::new(
            Errno::EOPNOTSUPP,
            "this daemon serves no files; mount the hierarchy to its name instead",
        )
    })?;
    let device = ask.passed(call.device)?;
    let device = device.try_clone().map_err(|error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Failure::new(errno, format!("descriptor {}: {error}", call.device))
    })?;
    viewer.view(ask.client, call, device)
}

pub(super) fn remount(ask: &Ask<'_>, call: RemountCall) -> Result<RemountReply, Failure> {
    let root = find(ask, call.hierarchy)?;
    ask.desk().remount(ask.client, root, unescape(&call.options))?;
    Ok(RemountReply { hierarchy: described(ask, root)? })
}

pub(super) fn unmount(ask: &Ask<'_>, call: UnmountCall) -> Result<UnmountReply, Failure> {
    let label = call.hierarchy.clone();
    let root = find(ask, call.hierarchy)?;
    let views = ask.service.viewer.as_ref().map_or(0, |viewer| viewer.views_of(root));
    let mounts = ask
        .desk()
        .glance(|engine, _| engine.tree().get(root).map_or(0, |_| engine.tree().hierarchy_of(root).mounts))?;
    if views > 0 && mounts <= views {
        let message =
            format!("hierarchy {label}: it is mounted as files only; use umount(8) on the mount point");
        return Err(Failure::new(Errno::EBUSY, message));
    }
    ask.desk().unmount(ask.client, root)?;
    Ok(UnmountReply {})
}

pub(super) fn hierarchies(ask: &Ask<'_>, _: HierarchiesCall) -> Result<HierarchiesReply, Failure> {
    let hierarchies = ask.desk().glance(|engine, _| {
        let roots: Vec<CgroupId> = engine.tree().hierarchies().map(|hierarchy| hierarchy.root).collect();
        roots.into_iter().map(|root| describe::hierarchy(engine, root)).collect()
    })?;
    Ok(HierarchiesReply { hierarchies })
}

pub(super) fn subsystems(ask: &Ask<'_>, _: SubsystemsCall) -> Result<SubsystemsReply, Failure> {
    let subsystems = ask.desk().glance(|engine, _| {
        let of = |name: &str| {
            let hierarchy = engine.hierarchy_of_subsystem(name).unwrap_or(0);
            let cgroups =
                engine.tree().hierarchies().find(|one| one.id == hierarchy).map_or(1, |one| one.cgroups);
            Subsystem { name: name.to_owned(), hierarchy: i64::from(hierarchy), cgroups: cgroups as i64 }
        };
        engine.subsystems().map(of).collect()
    })?;
    Ok(SubsystemsReply { subsystems })
}

fn find(ask: &Ask<'_>, label: String) -> Result<CgroupId, Failure> {
    // an address will do as well
    ask.desk().glance(|engine, _| path::hierarchy(engine, label.trim_end_matches(['/', ':'])))?
}

/// The description of a hierarchy for who will describe it to others: the file views.
fn described(ask: &Ask<'_>, root: CgroupId) -> Result<Hierarchy, Failure> {
    ask.desk().glance(|engine, _| {
        let alive = engine.tree().get(root).is_some();
        alive
            .then(|| describe::hierarchy(engine, root))
            .ok_or_else(|| Failure::new(Errno::ENODEV, "the hierarchy was unmounted meanwhile"))
    })?
}
