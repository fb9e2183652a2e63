//! From an address, `[HIERARCHY:]/path`, to a cgroup. Each step checks the permission that the VFS checks.

use std::borrow::Cow;

use nix::errno::Errno;
use penfold_core::{Access, Caller, CgroupId, Engine, Error, ErrorKind, Owner};

use crate::escape::{escape, unescape};
use crate::failure::Failure;

/// The cgroup at an address.
///
/// # Errors
/// - `ENOENT` if there is no such cgroup;
/// - `ENOTDIR` for a control file;
/// - `EACCES` for a directory on the way that the caller may not search;
/// - `EINVAL` when the hierarchy is left out and there are several.
pub(super) fn cgroup(engine: &Engine, caller: &Caller, address: &str) -> Result<CgroupId, Failure> {
    let (mut at, path) = split(engine, address)?;
    for name in names(&path) {
        at = step(engine, caller, at, name, address)?;
    }
    Ok(at)
}

/// The directory and the last name of an address, for operations that make or rename an entry. `None` for an address
/// without a last name: a root, `.` and `..`.
///
/// # Errors
/// As [`cgroup`].
pub(super) fn parent(
    engine: &Engine,
    caller: &Caller,
    address: &str,
) -> Result<Option<(CgroupId, Vec<u8>)>, Failure> {
    let (mut at, path) = split(engine, address)?;
    let mut names: Vec<&[u8]> = names(&path).collect();
    let Some(last) = names.pop().filter(|last| !matches!(last, &b"." | &b"..")) else { return Ok(None) };
    for name in names {
        at = step(engine, caller, at, name, address)?;
    }
    must_search(engine, caller, at)?;
    Ok(Some((at, last.to_vec())))
}

/// Checks that the caller may search a directory, that is, use its entries by name.
///
/// # Errors
/// `EACCES`; `ENODEV` for a removed cgroup.
pub(super) fn must_search(engine: &Engine, caller: &Caller, cgroup: CgroupId) -> Result<(), Failure> {
    must(engine, caller, cgroup, Access::SEARCH, "search")
}

/// Checks that the caller may list a directory and search it.
///
/// # Errors
/// `EACCES`; `ENODEV` for a removed cgroup.
pub(super) fn must_list(engine: &Engine, caller: &Caller, cgroup: CgroupId) -> Result<(), Failure> {
    must(engine, caller, cgroup, Access::READ | Access::SEARCH, "list")
}

fn must(
    engine: &Engine,
    caller: &Caller,
    cgroup: CgroupId,
    access: Access,
    verb: &'static str,
) -> Result<(), Failure> {
    let Some(node) = engine.tree().get(cgroup) else {
        return Err(Error::Removed { operation: verb }.into());
    };
    let owner: Owner = node.owner();
    if caller.may(&owner, access) {
        return Ok(());
    }
    let path = name_of(engine, cgroup);
    let Owner { uid, gid, mode } = owner;
    let detail = format!(
        "uid {} may not {verb} this directory (owner {uid}, group {gid}, mode {mode:04o})",
        caller.uid
    );
    Err(Failure::new(ErrorKind::NotPermitted, Errno::EACCES, path, detail))
}

/// The address of a living cgroup: `HIERARCHY:/path`, the hierarchy by its number.
pub(super) fn name_of(engine: &Engine, cgroup: CgroupId) -> String {
    let tree = engine.tree();
    format!("{}:{}", tree.hierarchy_of(cgroup).id, escape(&tree.path(cgroup)))
}

/// The root of a hierarchy. `label` is its number, its name, with or without `name=`, or one of its subsystems. Several
/// labels of the same hierarchy may be joined with commas.
///
/// # Errors
/// `ENOENT`, with a message that lists the hierarchies.
pub(super) fn hierarchy(engine: &Engine, label: &str) -> Result<CgroupId, Failure> {
    let find = |word: &str| engine.find_hierarchy(word.strip_prefix("name=").unwrap_or(word));
    let mut found = label.split(',').map(find);
    let first = found.next().flatten();
    if let Some(root) = first.filter(|root| !label.is_empty() && found.all(|other| other == Some(*root))) {
        return Ok(root);
    }
    let detail = format!("no such hierarchy; {}", choices(engine));
    Err(Failure::new(ErrorKind::NotFound, Errno::ENOENT, label, detail))
}

fn choices(engine: &Engine) -> String {
    let all: Vec<String> = engine
        .tree()
        .hierarchies()
        .map(|one| format!("{} ({})", one.id, escape(&engine.show_options(one.root).unwrap_or_default())))
        .collect();
    if all.is_empty() { "none is mounted yet".to_owned() } else { format!("there are {}", all.join(", ")) }
}

fn split<'a>(engine: &Engine, address: &'a str) -> Result<(CgroupId, Cow<'a, [u8]>), Failure> {
    let (label, path) = match address.split_once(':') {
        Some((label, path)) if !label.contains('/') => (Some(label), path),
        _ => (None, address),
    };
    let root = match label {
        Some(label) => hierarchy(engine, label).map_err(|failure| failure.about(address))?,
        None => only_one(engine, address)?,
    };
    Ok((root, unescape(path)))
}

fn only_one(engine: &Engine, address: &str) -> Result<CgroupId, Failure> {
    let mut all = engine.tree().hierarchies();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.root),
        (None, _) => {
            let detail = "no hierarchy is mounted; mount one first";
            Err(Failure::new(ErrorKind::NotFound, Errno::ENOENT, address, detail))
        }
        _ => {
            let detail =
                format!("several hierarchies are mounted; give one as HIERARCHY:/path; {}", choices(engine));
            Err(Failure::new(ErrorKind::InvalidArgument, Errno::EINVAL, address, detail))
        }
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
}

/// The entry `name` of the directory `at`, on the way of `address`.
///
/// # Errors
/// As [`cgroup`].
pub(super) fn step(
    engine: &Engine,
    caller: &Caller,
    at: CgroupId,
    name: &[u8],
    address: &str,
) -> Result<CgroupId, Failure> {
    must_search(engine, caller, at)?;
    let tree = engine.tree();
    match name {
        b"." => return Ok(at),
        b".." => return Ok(tree.get(at).and_then(penfold_core::tree::Cgroup::parent).unwrap_or(at)),
        _ => {}
    }
    tree.child(at, name).ok_or_else(|| {
        if engine.exists(at, name) {
            let detail = "a control file is no cgroup";
            return Failure::new(ErrorKind::WrongType, Errno::ENOTDIR, address, detail);
        }
        let detail = format!("no such cgroup; the path ends at {}", name_of(engine, at));
        Failure::new(ErrorKind::NotFound, Errno::ENOENT, address, detail)
    })
}
