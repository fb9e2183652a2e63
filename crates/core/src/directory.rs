//! mkdir, rmdir and rename, with the errors of Linux 6.x in the order of Linux (B1).

use alloc::string::String;

use crate::cgroup::Cgroup;
use crate::engine::{Engine, bits};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ids::{CgroupId, Css};
use crate::subsystem::Callbacks;
use crate::task::{Access, Caller, Owner};

/// The longest name of a cgroup in bytes. kernfs has no limit of its own, so this is the limit of a path.
pub const MAX_NAME_LENGTH: usize = 4095;

/// The longest path of a cgroup in bytes, from the root of its hierarchy and without a slash at its beginning. That is
/// `PATH_MAX` of Linux without the NUL: a longer path can be passed to no system call, from whichever directory above.
pub(crate) const MAX_PATH_LENGTH: usize = 4095;

const WRITE_AND_SEARCH: Access = Access::WRITE.union(Access::SEARCH);
const SET_GROUP: u32 = 0o2000;

fn refuse(operation: &'static str, name: &[u8], errno: Errno, reason: &'static str) -> Error {
    Error::Directory { operation, object: String::from_utf8_lossy(name).into_owned(), errno, reason }
}

/// True if an entry of a directory can have this name.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&b'/') && !name.contains(&0)
}

impl Engine {
    /// [`Session::mkdir`](crate::Session::mkdir)
    pub(crate) fn mkdir(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        parent: CgroupId,
        name: &[u8],
        mode: u32,
    ) -> Result<CgroupId> {
        let refuse = |errno, reason| refuse("mkdir", name, errno, reason);
        let Some(directory) = self.tree.get(parent) else {
            return Err(refuse(Errno::ENOENT, "the parent has been removed"));
        };
        if directory.hierarchy == 0 {
            return Err(refuse(Errno::EPERM, "the dummy hierarchy has one cgroup for ever"));
        }
        if name.len() > MAX_NAME_LENGTH {
            return Err(refuse(Errno::ENAMETOOLONG, "the name is too long"));
        }
        if !is_name(name) {
            return Err(refuse(Errno::ENOENT, "not a name"));
        }
        if self.exists(parent, name) {
            return Err(refuse(Errno::EEXIST, "the name is taken"));
        }
        caller.must(&directory.owner, WRITE_AND_SEARCH, "mkdir", &String::from_utf8_lossy(name))?;
        if name.contains(&b'\n') {
            // Programs could not read /proc/PID/cgroup with such a name.
            return Err(refuse(Errno::EINVAL, "a name can't contain a newline"));
        }
        let length = self.tree.path_length(parent) + 1 + name.len();
        if length - 1 > MAX_PATH_LENGTH {
            return Err(refuse(
                Errno::ENAMETOOLONG,
                "the path would be longer than 4095 bytes; use shorter names",
            ));
        }
        self.must_have_quota(caller, name)?;
        let directory = &self.tree[parent];
        let mut owner = Owner { uid: caller.uid, gid: caller.gid, mode: mode & 0o1777 & !caller.umask };
        if directory.owner.mode & SET_GROUP != 0 {
            owner.mode |= SET_GROUP;
            if directory.inherits_gid {
                owner.gid = directory.owner.gid;
            }
        }
        let mut cgroup = Cgroup::new(name, usize::from(directory.hierarchy), Some(parent), owner);
        cgroup.notify_on_release = directory.notify_on_release;
        cgroup.clone_children = directory.clone_children;
        cgroup.reserve_css(self.tree.hierarchy_of(parent).subsystems);
        let cgroup = self.tree.insert(cgroup);
        self.tree.set_path_length(cgroup, length);
        self.create_states(host, caller, cgroup, parent)?;
        self.tree.publish(cgroup);
        Ok(cgroup)
    }

    /// Sets how many cgroups one user may have made at a time, in all hierarchies; `None` for any number. Beyond it a
    /// mkdir fails with `EDQUOT`. Neither root nor a privileged caller is bound by it. Those that are there already
    /// stay, and count.
    pub fn set_quota(&mut self, cgroups_of_user: Option<usize>) {
        self.quota = cgroups_of_user;
    }

    fn must_have_quota(&self, caller: &Caller, name: &[u8]) -> Result<()> {
        let full = |quota| self.tree.made_by(caller.uid) >= quota;
        if caller.privileged || caller.uid == 0 || !self.quota.is_some_and(full) {
            return Ok(());
        }
        let reason = "this user has made as many cgroups as one user may have; remove some";
        Err(refuse("mkdir", name, Errno::EDQUOT, reason))
    }

    /// Creates the state of every bound subsystem, or of none: a failure destroys those made so far.
    fn create_states(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        parent: CgroupId,
    ) -> Result<()> {
        let cloning = self.tree[parent].clone_children;
        for slot in bits(self.tree.hierarchy_of(cgroup).subsystems) {
            let above = self.tree[parent].css(slot);
            let css = self.slot_mut(slot).allocate(cgroup, above);
            if let Err(error) =
                self.try_call(slot, host, Some(caller), |instance, services| instance.create(services, css))
            {
                self.free_css(slot, css);
                self.destroy_states(host, cgroup);
                self.tree.cgroups.remove(cgroup);
                return Err(error);
            }
            self.tree[cgroup].set_css(slot, Some(css));
            if cloning && self.slot(slot).callbacks.contains(Callbacks::POST_CLONE) {
                self.call(slot, host, Some(caller), |instance, services| instance.post_clone(services, css));
            }
        }
        Ok(())
    }

    pub(crate) fn free_css(&mut self, slot: usize, css: Css) {
        let Engine { slots, limits, .. } = self;
        slots[slot].as_mut().expect("the number of a loaded subsystem").release(css, limits);
    }

    fn destroy_states(&mut self, host: &mut dyn Host, cgroup: CgroupId) {
        for slot in bits(self.tree.hierarchy_of(cgroup).subsystems) {
            if let Some(css) = self.tree[cgroup].css(slot) {
                self.call(slot, host, None, |instance, services| instance.destroy(services, css));
                self.tree[cgroup].set_css(slot, None);
                self.free_css(slot, css);
            }
        }
    }

    /// True if the directory of `parent` has a child or a control file of the name `name`. True for `.` and `..`.
    pub fn exists(&self, parent: CgroupId, name: &[u8]) -> bool {
        let file = core::str::from_utf8(name).ok().and_then(|name| self.find_file(parent, name));
        matches!(name, b"." | b"..") || self.tree.child(parent, name).is_some() || file.is_some()
    }

    /// [`Session::rmdir`](crate::Session::rmdir)
    pub(crate) fn rmdir(&mut self, host: &mut dyn Host, caller: &Caller, cgroup: CgroupId) -> Result<()> {
        self.live(cgroup, "rmdir")?;
        let node = &self.tree[cgroup];
        let refuse = |errno, reason| refuse("rmdir", &node.name, errno, reason);
        let Some(parent) = node.parent else {
            return Err(refuse(Errno::EBUSY, "the root of a hierarchy goes with its last mount"));
        };
        self.may_delete(caller, parent, &node.name, "rmdir")?;
        if node.children > 0 {
            return Err(refuse(Errno::EBUSY, "has child cgroups; remove them first"));
        }
        if node.first_set.is_some() {
            return Err(refuse(Errno::EBUSY, "has tasks; move or end them first"));
        }
        for slot in bits(self.tree.hierarchy_of(cgroup).subsystems) {
            if self.slot(slot).callbacks.contains(Callbacks::PRE_DESTROY)
                && let Some(css) = self.tree[cgroup].css(slot)
            {
                self.try_call(slot, host, Some(caller), |instance, services| {
                    instance.pre_destroy(services, css)
                })?;
            }
        }
        let hierarchy = usize::from(self.tree[cgroup].hierarchy);
        self.tree.withdraw(cgroup);
        self.destroy_states(host, cgroup);
        self.tree.cgroups.remove(cgroup);
        self.check_release(parent);
        self.destroy_if_unused(host, hierarchy);
        Ok(())
    }

    /// Checks that the caller may remove or rename an entry of a directory.
    ///
    /// The caller needs write permission on the directory. In a sticky directory the caller must also own the directory
    /// or the entry.
    fn may_delete(
        &self,
        caller: &Caller,
        parent: CgroupId,
        name: &[u8],
        operation: &'static str,
    ) -> Result<()> {
        let directory = self.tree[parent].owner;
        let object = String::from_utf8_lossy(name);
        caller.must(&directory, WRITE_AND_SEARCH, operation, &object)?;
        let sticky = directory.mode & 0o1000 != 0;
        let owns = |owner: Option<Owner>| owner.is_some_and(|owner| owner.uid == caller.uid);
        if sticky && !caller.privileged && !owns(Some(directory)) && !owns(self.entry_owner(parent, name)) {
            let reason = "the directory is sticky and neither it nor the entry is the caller's";
            let object = object.into_owned();
            return Err(Error::Permission { operation, object, errno: Errno::EPERM, reason });
        }
        Ok(())
    }

    /// The owner and mode of the child or control file of that name.
    fn entry_owner(&self, parent: CgroupId, name: &[u8]) -> Option<Owner> {
        if let Some(child) = self.tree.child(parent, name) {
            return Some(self.tree[child].owner);
        }
        let file = self.find_file(parent, core::str::from_utf8(name).ok()?)?;
        self.file_owner(parent, file).ok()
    }

    /// Gives the child `name` of `parent` the new name `new_name` (B1.8).
    ///
    /// A cgroup can't move, so the new parent must be the old one. The caller needs write and search permission. A
    /// rename to the same name does nothing.
    ///
    /// # Errors
    /// In this order:
    /// * `ENOENT`: a parent was removed, or there is no entry `name`.
    /// * `ENAMETOOLONG`: `new_name` has more than 4095 bytes.
    /// * `ENOENT`: `new_name` is empty or has a `/` or NUL.
    /// * `EINVAL`: the new parent is the child itself or below it.
    /// * `ENOTEMPTY`: the new name is that of a directory that the child is in.
    /// * `EACCES`, `EPERM`: the caller may not rename here, `EPERM` in a sticky directory.
    /// * `ENOTDIR`: the entry is a cgroup, and the new name is that of a control file.
    /// * `EISDIR`: the entry is a control file, and the new name is that of a cgroup.
    /// * `EINVAL`: `new_name` has a newline.
    /// * `ENOTDIR`: the entry is a control file.
    /// * `EIO`: the new parent is another one.
    /// * `EEXIST`: the new name is taken.
    /// * `ENAMETOOLONG`: the path would have more than 4095 bytes. Paths below may become longer than that.
    pub fn rename(
        &mut self,
        caller: &Caller,
        parent: CgroupId,
        name: &[u8],
        new_parent: CgroupId,
        new_name: &[u8],
    ) -> Result<()> {
        let refuse = |errno, reason| refuse("rename", name, errno, reason);
        if self.tree.get(parent).is_none()
            || self.tree.get(new_parent).is_none()
            || !self.exists(parent, name)
        {
            return Err(refuse(Errno::ENOENT, "no such entry"));
        }
        if new_name.len() > MAX_NAME_LENGTH {
            return Err(refuse(Errno::ENAMETOOLONG, "the new name is too long"));
        }
        if !is_name(new_name) {
            return Err(refuse(Errno::ENOENT, "the new name is not a name"));
        }
        let source = self.tree.child(parent, name);
        let target = self.tree.child(new_parent, new_name);
        if source.is_some_and(|source| self.is_below(new_parent, source)) {
            return Err(refuse(Errno::EINVAL, "a directory can't move into itself"));
        }
        if target.is_some_and(|target| self.is_below(parent, target)) {
            return Err(refuse(Errno::ENOTEMPTY, "the new name is a directory that it is in"));
        }
        if parent == new_parent && name == new_name {
            return Ok(());
        }
        self.may_rename(caller, (parent, name), (new_parent, new_name))?;
        if new_name.contains(&b'\n') {
            return Err(refuse(Errno::EINVAL, "a name can't contain a newline"));
        }
        let Some(source) = source else {
            return Err(refuse(Errno::ENOTDIR, "control files can't be renamed"));
        };
        if parent != new_parent {
            return Err(refuse(Errno::EIO, "a cgroup can't move to another parent"));
        }
        if target.is_some() {
            return Err(refuse(Errno::EEXIST, "the new name is taken"));
        }
        if self.tree.path_length(parent) + new_name.len() > MAX_PATH_LENGTH {
            let reason = "the path would be longer than 4095 bytes; use a shorter name";
            return Err(refuse(Errno::ENAMETOOLONG, reason));
        }
        self.tree.note_rename();
        self.tree.forget_name(source);
        self.tree[source].name = new_name.into();
        self.tree.index_name(source);
        Ok(())
    }

    /// The checks before a rename that every file system shares: permissions, then that both entries are of one kind.
    fn may_rename(&self, caller: &Caller, from: (CgroupId, &[u8]), to: (CgroupId, &[u8])) -> Result<()> {
        let refuse = |errno, reason| refuse("rename", from.1, errno, reason);
        self.may_delete(caller, from.0, from.1, "rename")?;
        let source = self.tree.child(from.0, from.1);
        if self.exists(to.0, to.1) {
            self.may_delete(caller, to.0, to.1, "rename")?;
            match (source, self.tree.child(to.0, to.1)) {
                (Some(_), None) => return Err(refuse(Errno::ENOTDIR, "the new name is a control file")),
                (None, Some(_)) => return Err(refuse(Errno::EISDIR, "the new name is a directory")),
                _ => {}
            }
        } else {
            let object = String::from_utf8_lossy(to.1);
            caller.must(&self.tree[to.0].owner, WRITE_AND_SEARCH, "rename", &object)?;
        }
        match source {
            // a move writes the ".." of the directory
            Some(source) if from.0 != to.0 => caller.must(
                &self.tree[source].owner,
                Access::WRITE,
                "rename",
                &String::from_utf8_lossy(from.1),
            ),
            _ => Ok(()),
        }
    }

    fn is_below(&self, cgroup: CgroupId, ancestor: CgroupId) -> bool {
        core::iter::successors(Some(cgroup), |&at| self.tree[at].parent).any(|at| at == ancestor)
    }

    /// Changes the owner and mode of a directory, as chmod(2) and chown(2) do. The control files keep theirs.
    ///
    /// # Errors
    /// * `ENODEV`: the cgroup was removed.
    /// * `EPERM`: the caller is neither the owner nor the administrator. Only the administrator may change the user,
    ///   and the owner may change the group only to a group of their own.
    pub fn set_owner(&mut self, caller: &Caller, cgroup: CgroupId, owner: Owner) -> Result<()> {
        self.live(cgroup, "chmod or chown")?;
        let old = self.tree[cgroup].owner;
        may_change_owner(caller, old, owner)?;
        self.tree[cgroup].owner = owner;
        self.tree[cgroup].inherits_gid = true;
        Ok(())
    }
}

pub(crate) fn may_change_owner(caller: &Caller, old: Owner, new: Owner) -> Result<()> {
    let ids_change = old.uid != new.uid || old.gid != new.gid;
    let own_group = caller.uid == old.uid
        && old.uid == new.uid
        && (new.gid == caller.gid || caller.groups.contains(&new.gid));
    if caller.privileged || (caller.uid == old.uid && !ids_change) || own_group {
        return Ok(());
    }
    Err(Error::Permission {
        operation: "chmod or chown",
        object: String::from("a cgroup's directory or file"),
        errno: Errno::EPERM,
        reason: "only its owner may change the mode, only the administrator the owner",
    })
}
