//! The methods on the daemon, hierarchies and subsystems.

use nix::errno::Errno;
use nix::unistd::geteuid;
use penfold_core::{CgroupId, ErrorKind};

use super::context::{CallContext, about, or_about};
use super::path;
use crate::describe::describe;
use crate::escape::{escape, unescape};
use crate::failure::Failure;
use crate::mounts::Filesystem;
use crate::protocol::{
    HierarchiesCall, HierarchiesReply, HierarchyInfo, InfoCall, InfoReply, MountCall, MountReply,
    RemountCall, RemountReply, SubsystemInfo, SubsystemsCall, SubsystemsReply, UnmountCall, UnmountReply,
    ViewCall, ViewReply,
};

pub(super) fn info(context: &CallContext<'_>, _: InfoCall) -> Result<InfoReply, Failure> {
    Ok(InfoReply {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: i64::from(std::process::id()),
        uid: i64::from(geteuid().as_raw()),
        host: context.service().host_name().to_owned(),
        embedded: context.service().host().is_err(),
        not_restored: context.server.not_restored(),
    })
}

pub(super) fn mount(context: &CallContext<'_>, call: MountCall) -> Result<MountReply, Failure> {
    let filesystem = match call.filesystem.as_deref() {
        None | Some("cgroup") => Filesystem::Cgroup,
        Some("cpuset") => Filesystem::Cpuset,
        Some(other) => {
            let detail = "no such file system; only cgroup and cpuset can be mounted to a name";
            return Err(Failure::new(ErrorKind::InvalidArgument, Errno::ENODEV, other, detail));
        }
    };
    let mounted = context.service().mount(context.client, unescape(&call.options), filesystem)?;
    Ok(MountReply { hierarchy: described(context, mounted.root)?, created: mounted.created })
}

pub(super) fn view(context: &CallContext<'_>, call: ViewCall) -> Result<ViewReply, Failure> {
    let viewer = context.server.viewer.as_ref().ok_or_else(|| {
        let detail = "this daemon serves no files; mount the hierarchy to its name instead";
        Failure::new(ErrorKind::Unsupported, Errno::EOPNOTSUPP, &call.target, detail)
    })?;
    let device = context.passed(call.device)?;
    let device =
        device.try_clone().map_err(|error| Failure::io(format!("descriptor {}", call.device), error))?;
    viewer.view(context.client, call, device)
}

pub(super) fn remount(context: &CallContext<'_>, call: RemountCall) -> Result<RemountReply, Failure> {
    let label = call.hierarchy.clone();
    let root = find(context, call.hierarchy)?;
    context.service().remount(context.client, root, unescape(&call.options)).map_err(or_about(label))?;
    Ok(RemountReply { hierarchy: described(context, root)? })
}

pub(super) fn unmount(context: &CallContext<'_>, call: UnmountCall) -> Result<UnmountReply, Failure> {
    let label = call.hierarchy.clone();
    let root = find(context, call.hierarchy)?;
    let views = context.server.viewer.as_ref().map_or(0, |viewer| viewer.views_of(root));
    let mounts = context.service().with_snapshot(|engine, _| {
        engine.tree().get(root).map_or(0, |_| engine.tree().hierarchy_of(root).mounts)
    })?;
    if views > 0 && mounts <= views {
        let detail = "mounted as files only; use umount(8) on the mount point";
        return Err(Failure::new(ErrorKind::Busy, Errno::EBUSY, label, detail));
    }
    context.service().unmount(context.client, root).map_err(about(label))?;
    Ok(UnmountReply {})
}

pub(super) fn hierarchies(
    context: &CallContext<'_>,
    _: HierarchiesCall,
) -> Result<HierarchiesReply, Failure> {
    let hierarchies = context.service().with_snapshot(|engine, _| {
        let roots: Vec<CgroupId> = engine.tree().hierarchies().map(|hierarchy| hierarchy.root).collect();
        roots.into_iter().map(|root| describe(engine, root)).collect()
    })?;
    Ok(HierarchiesReply { hierarchies })
}

pub(super) fn subsystems(context: &CallContext<'_>, _: SubsystemsCall) -> Result<SubsystemsReply, Failure> {
    let files = context.service().module_files();
    let subsystems = context.service().with_snapshot(|engine, _| {
        let of = |name: &str| {
            let file = files.iter().find(|(module, _)| module == name);
            let module = file.map(|(_, path)| escape(path.as_os_str().as_encoded_bytes()));
            let hierarchy = engine.hierarchy_of_subsystem(name).unwrap_or(0);
            let cgroups =
                engine.tree().hierarchies().find(|one| one.id == hierarchy).map_or(1, |one| one.cgroups);
            SubsystemInfo {
                name: name.to_owned(),
                hierarchy: i64::from(hierarchy),
                cgroups: cgroups as i64,
                module,
            }
        };
        engine.subsystems().map(of).collect()
    })?;
    Ok(SubsystemsReply { subsystems, disabled: context.service().disabled().to_vec() })
}

fn find(context: &CallContext<'_>, label: String) -> Result<CgroupId, Failure> {
    // the address of the root is accepted too
    context
        .service()
        .with_snapshot(|engine, _| path::hierarchy(engine, label.trim_end_matches(['/', ':'])))?
}

/// The description of the hierarchy with this root, for a reply.
///
/// # Errors
/// `ENODEV` if the hierarchy was unmounted meanwhile.
fn described(context: &CallContext<'_>, root: CgroupId) -> Result<HierarchyInfo, Failure> {
    context.service().with_snapshot(|engine, _| {
        let alive = engine.tree().get(root).is_some();
        alive.then(|| describe(engine, root)).ok_or_else(|| {
            Failure::new(ErrorKind::Removed, Errno::ENODEV, "hierarchy", "was unmounted meanwhile")
        })
    })?
}
