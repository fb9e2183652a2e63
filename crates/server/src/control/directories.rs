//! The methods on directories: making, removing, renaming and listing cgroups, and their owners.

use nix::errno::Errno;
use penfold_core::{Caller, CgroupId, Engine, ErrorKind};

use super::context::{CallContext, about, file_address, number};
use super::path::{must_list, must_search, name_of};
use crate::directories::owner_of;
use crate::escape::{escape, unescape};
use crate::failure::Failure;
use crate::protocol::{
    CgroupInfo, ControlFileInfo, FilesCall, FilesReply, ListCall, ListReply, MkdirCall, MkdirReply,
    OwnerInfo, RenameCall, RenameReply, RmdirCall, RmdirReply, SetOwnerCall, SetOwnerReply, StatCall,
    StatReply,
};

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

/// Makes a cgroup and its missing parents, as `mkdir -p` does. After a failure the parents stay that were made.
fn make_all(context: &CallContext<'_>, address: &str, mode: u32) -> Result<MkdirReply, Failure> {
    let mut made = address.find(':').filter(|colon| !address[..*colon].contains('/')).map_or(0, |at| at + 1);
    loop {
        let rest = &address[made..];
        let skipped = rest.len() - rest.trim_start_matches('/').len();
        if skipped == rest.len() {
            return Ok(MkdirReply {});
        }
        made += skipped + rest[skipped..].find('/').unwrap_or(rest.len() - skipped);
        let call =
            MkdirCall { cgroup: address[..made].to_owned(), mode: Some(i64::from(mode)), parents: None };
        match mkdir(context, call) {
            // that is fine for a cgroup, but not for a control file
            Err(failure) if failure.kind == ErrorKind::AlreadyExists => {
                context.cgroup(&address[..made])?;
            }
            Err(failure) => return Err(failure),
            Ok(_) => {}
        }
    }
}

pub(super) fn rmdir(context: &CallContext<'_>, call: RmdirCall) -> Result<RmdirReply, Failure> {
    let recursive = call.recursive.unwrap_or(false);
    let address = &call.cgroup;
    let targets = context.look_at(address, move |engine, caller, cgroup| {
        let mut targets = vec![(cgroup, address.clone())];
        let mut next = 0;
        while let Some(&(at, _)) = targets.get(next).filter(|_| recursive) {
            must_list(engine, caller, at)?;
            targets.extend(engine.tree().children(at).map(|child| (child, name_of(engine, child))));
            next += 1;
        }
        Ok(targets)
    })?;
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
    let cgroups = context.look_at(&call.cgroup, move |engine, caller, cgroup| {
        if depth > 0 {
            must_list(engine, caller, cgroup)?;
        }
        let visible = subtree(engine, caller, cgroup, depth);
        Ok(visible.into_iter().map(|cgroup| describe(engine, cgroup)).collect())
    })?;
    Ok(ListReply { cgroups })
}

/// A cgroup and the cgroups up to `depth` levels below, each before its children. Left out are those in directories
/// that the caller may not list.
pub(super) fn subtree(engine: &Engine, caller: &Caller, top: CgroupId, depth: usize) -> Vec<CgroupId> {
    let mut found = Vec::new();
    let mut waiting = vec![(top, depth)];
    while let Some((at, depth)) = waiting.pop() {
        found.push(at);
        if depth > 0 && must_list(engine, caller, at).is_ok() {
            let children: Vec<CgroupId> = engine.tree().children(at).collect();
            waiting.extend(children.into_iter().rev().map(|child| (child, depth - 1)));
        }
    }
    found
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
