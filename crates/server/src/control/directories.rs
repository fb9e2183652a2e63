//! The methods on directories: making, removing, renaming and listing cgroups, and their owners.

use nix::errno::Errno;
use penfold_core::{Caller, CgroupId, Engine, Error, ErrorKind, host::Host};

use super::context::{CallContext, about, file_address, number, or_about};
use super::path::{must_list, must_search, name_of, step};
use crate::directories::owner_of;
use crate::escape::{escape, unescape};
use crate::failure::Failure;
use crate::protocol::{
    CgroupInfo, ControlFileInfo, FilesCall, FilesReply, ListCall, ListReply, MkdirCall, MkdirReply,
    OwnerInfo, RenameCall, RenameReply, RmdirCall, RmdirReply, SetOwnerCall, SetOwnerReply, StatCall,
    StatReply,
};
use crate::slices::{Below, Counts};

/// The mode of a new cgroup when the call has none.
const MODE: i64 = 0o755;

pub(super) fn mkdir(context: &CallContext<'_>, call: MkdirCall) -> Result<MkdirReply, Failure> {
    let mode: u32 = number("mode", call.mode.unwrap_or(MODE))?;
    if call.parents.unwrap_or(false) {
        return make_all(context, &call.cgroup, mode);
    }
    let place = context.parent(&call.cgroup)?;
    let (parent, name) = place
        .ok_or_else(|| a_root(ErrorKind::AlreadyExists, Errno::EEXIST, &call.cgroup, "is always there"))?;
    context.service().mkdir(context.client, None, parent, &name, mode).map_err(about(call.cgroup))?;
    Ok(MkdirReply {})
}

/// Makes a cgroup and its missing parents, as `mkdir -p` does. After a failure the parents stay that were made. Each step
/// begins where the last one has ended, so that a deep path takes no more for each name than a flat one.
fn make_all(context: &CallContext<'_>, address: &str, mode: u32) -> Result<MkdirReply, Failure> {
    let mut made = address.find(':').filter(|colon| !address[..*colon].contains('/')).map_or(0, |at| at + 1);
    let mut at = context.cgroup(&address[..made]).map_err(about(address))?;
    loop {
        let rest = &address[made..];
        let skipped = rest.len() - rest.trim_start_matches('/').len();
        if skipped == rest.len() {
            return Ok(MkdirReply {});
        }
        let length = rest[skipped..].find('/').unwrap_or(rest.len() - skipped);
        let name = unescape(&rest[skipped..skipped + length]);
        made += skipped + length;
        for name in name.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            at = make_one(context, (at, name), &address[..made], mode)?;
        }
    }
}

/// Makes a cgroup unless it is there, and returns it.
fn make_one(
    context: &CallContext<'_>,
    (parent, name): (CgroupId, &[u8]),
    address: &str,
    mode: u32,
) -> Result<CgroupId, Failure> {
    let caller = &context.client.caller;
    let existing = context.service().with_snapshot(|engine, _| {
        must_search(engine, caller, parent)?;
        let there = matches!(name, b"." | b"..") || engine.exists(parent, name);
        // a control file is there too, but no cgroup
        there.then(|| step(engine, caller, parent, name, address)).transpose()
    })?;
    if let Some(existing) = existing.map_err(or_about(address))? {
        return Ok(existing);
    }
    match context.service().mkdir(context.client, None, parent, name, mode) {
        // another client has made it meanwhile
        Err(failure) if failure.kind == ErrorKind::AlreadyExists => {
            context.service().with_snapshot(|engine, _| step(engine, caller, parent, name, address))?
        }
        made => made.map_err(about(address)),
    }
}

pub(super) fn rmdir(context: &CallContext<'_>, call: RmdirCall) -> Result<RmdirReply, Failure> {
    let recursive = call.recursive.unwrap_or(false);
    let address = &call.cgroup;
    let top = context.cgroup(address)?;
    let mut targets = vec![(top, address.clone())];
    if recursive {
        targets.clear();
        let caller = &context.client.caller;
        let walked = context.service().walk(top, Counts::Any, |engine, _, at, depth| {
            must_list(engine, caller, at)?;
            targets.push((at, if depth == 0 { address.clone() } else { name_of(engine, at) }));
            Ok(Below::Visit)
        });
        walked.map_err(or_about(address))?;
    }
    for (cgroup, name) in targets.into_iter().rev() {
        context.service().rmdir(context.client, None, cgroup).map_err(about(name))?;
    }
    Ok(RmdirReply {})
}

pub(super) fn rename(context: &CallContext<'_>, call: RenameCall) -> Result<RenameReply, Failure> {
    let place = context.parent(&call.cgroup)?;
    let (parent, name) =
        place.ok_or_else(|| a_root(ErrorKind::Busy, Errno::EBUSY, &call.cgroup, "has no name to change"))?;
    let new = unescape(&call.name);
    let renamed = context.service().rename(context.client, None, (parent, &name), (parent, &new));
    renamed.map_err(about(call.cgroup))?;
    Ok(RenameReply {})
}

pub(super) fn list(context: &CallContext<'_>, call: ListCall) -> Result<ListReply, Failure> {
    let recursive = call.recursive.unwrap_or(false);
    let depth: usize = match call.depth {
        Some(depth) => number("depth", depth)?,
        None => usize::from(recursive) * usize::MAX,
    };
    let top = context.look_at(&call.cgroup, |engine, caller, top| {
        if depth > 0 {
            must_list(engine, caller, top)?;
        }
        Ok(top)
    })?;
    let mut cgroups = Vec::new();
    walk_visible(context, (top, depth), Counts::Any, |engine, _, at| {
        cgroups.push(describe(engine, at));
        Ok(())
    })
    .map_err(or_about(&call.cgroup))?;
    if cgroups.is_empty() {
        return Err(Failure::from(Error::Removed { operation: "list" }).about(call.cgroup));
    }
    Ok(ListReply { cgroups })
}

/// Calls `visit` with a cgroup and the cgroups up to `depth` levels below, each before its children, in slices. Left
/// out are those in directories that the caller may not list.
///
/// # Errors
/// As [`Service::walk`](crate::service::Service::walk).
pub(super) fn walk_visible(
    context: &CallContext<'_>,
    (top, deepest): (CgroupId, usize),
    counts: Counts,
    mut visit: impl FnMut(&mut Engine, &mut dyn Host, CgroupId) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let caller = &context.client.caller;
    context.service().walk(top, counts, |engine, host, at, depth| {
        visit(engine, host, at)?;
        let lists = depth < deepest && must_list(engine, caller, at).is_ok();
        Ok(if lists { Below::Visit } else { Below::Skip })
    })
}

fn describe(engine: &Engine, cgroup: CgroupId) -> CgroupInfo {
    let tree = engine.tree();
    let node = tree.get(cgroup).expect("found in this very request");
    let path = escape(&tree.path(cgroup));
    let hierarchy = tree.hierarchy_of(cgroup).id;
    CgroupInfo {
        cgroup: format!("{hierarchy}:{path}"),
        path,
        hierarchy: i64::from(hierarchy),
        owner: owner(node.owner()),
        children: node.child_count() as i64,
        tasks: tree.task_count(cgroup) as i64,
        populated: node.is_populated(),
    }
}

fn owner(owner: penfold_core::Owner) -> OwnerInfo {
    OwnerInfo { uid: i64::from(owner.uid), gid: i64::from(owner.gid), mode: i64::from(owner.mode) }
}

pub(super) fn files(context: &CallContext<'_>, call: FilesCall) -> Result<FilesReply, Failure> {
    let files = context.look_at(&call.cgroup, |engine, caller, cgroup| {
        must_list(engine, caller, cgroup)?;
        let files = engine.files(cgroup)?;
        Ok(files
            .into_iter()
            .map(|file| ControlFileInfo { name: file.name, owner: owner(file.owner) })
            .collect())
    })?;
    Ok(FilesReply { files })
}

pub(super) fn stat(context: &CallContext<'_>, call: StatCall) -> Result<StatReply, Failure> {
    let address = &call.cgroup;
    context.look_at(address, |engine, caller, cgroup| {
        let file =
            call.file.as_deref().map(|name| find(engine, caller, (cgroup, address), name)).transpose()?;
        Ok(StatReply { owner: owner(owner_of(engine, cgroup, file)?) })
    })
}

pub(super) fn set_owner(context: &CallContext<'_>, call: SetOwnerCall) -> Result<SetOwnerReply, Failure> {
    let given = |what, value: Option<i64>| value.map(|value| number::<u32>(what, value)).transpose();
    let (uid, gid, mode) = (given("uid", call.uid)?, given("gid", call.gid)?, given("mode", call.mode)?);
    let address = call.cgroup;
    let (cgroup, file) = context.look_at(&address, |engine, caller, cgroup| {
        let file = call.file.as_deref();
        let file = file.map(|name| find(engine, caller, (cgroup, &address), name)).transpose()?;
        Ok((cgroup, file))
    })?;
    let changed =
        context.service().set_owner(context.client, None, cgroup, file, move |old| penfold_core::Owner {
            uid: uid.unwrap_or(old.uid),
            gid: gid.unwrap_or(old.gid),
            mode: mode.map_or(old.mode, |mode| mode & 0o7777),
        });
    let object = call.file.map_or_else(|| address.clone(), |name| file_address(&address, &name));
    changed.map_err(about(object))?;
    Ok(SetOwnerReply {})
}

/// A control file by its name, for operations that need no permission on the file itself.
fn find(
    engine: &Engine,
    caller: &Caller,
    (cgroup, address): (CgroupId, &str),
    name: &str,
) -> Result<penfold_core::control_file::FileId, Failure> {
    must_search(engine, caller, cgroup)?;
    engine.find_file(cgroup, name).ok_or_else(|| {
        let subject = file_address(address, name);
        Failure::new(ErrorKind::NotFound, Errno::ENOENT, subject, "no such control file")
    })
}

fn a_root(kind: ErrorKind, errno: Errno, address: &str, how: &str) -> Failure {
    Failure::new(kind, errno, address, format!("the root of a hierarchy {how}"))
}
