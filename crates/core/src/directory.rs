//! mkdir, rmdir, rename, with the errors of Linux 6.x in its order (B1).

use alloc::string::String;

use crate::cgroup::Cgroup;
use crate::engine::{Engine, bits};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ids::{CgroupId, Css};
use crate::subsystem::Callbacks;
use crate::task::{Caller, Owner};

/// The longest name in bytes: kernfs has no limit of its own but that of a path.
pub const MAX_NAME_LENGTH: usize = 4095;

const WRITE: u32 = 0o2;
const WRITE_AND_SEARCH: u32 = 0o3;
const SET_GROUP: u32 = 0o2000;

fn refuse(operation: &'static str, name: &[u8], errno: Errno, reason: &'static str) -> Error {
    Error::Directory { operation, object: String::from_utf8_lossy(name).into_owned(), errno, reason }
}

/// Can an entry of a directory be called so?
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&b'/') && !name.contains(&0)
}

impl Engine {
    /// Makes a cgroup. It belongs to the caller, with `mode` less the caller's umask (B1.2); in a directory with the
    /// set-group-ID bit to that one's group, and has the bit too (Linux 6.9).
    ///
    /// # Errors
    /// `ENOENT` below a removed parent; `EEXIST`, also for the names of control files; `ENAMETOOLONG`; `EACCES`;
    /// `EINVAL` for a newline; `EPERM` in the dummy hierarchy (A6.1); or what a subsystem's create answers, and then
    /// nothing is left behind.
    pub fn mkdir(
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
            // It would make /proc/PID/cgroup unreadable for programs.
            return Err(refuse(Errno::EINVAL, "a name can't contain a newline"));
        }
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
        self.create_states(host, caller, cgroup, parent)?;
        self.tree.publish(cgroup);
        Ok(cgroup)
    }

    /// Creates the state of every bound subsystem, or none: on a failure those made so far are destroyed.
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

    /// Is there a directory, a control file, or `.` or `..` of that name?
    pub fn exists(&self, parent: CgroupId, name: &[u8]) -> bool {
        let file = core::str::from_utf8(name).ok().and_then(|name| self.find_file(parent, name));
        matches!(name, b"." | b"..") || self.tree.child(parent, name).is_some() || file.is_some()
    }

    /// Removes an empty cgroup. Its id is dead from then on.
    ///
    /// # Errors
    /// `ENODEV` if it was removed before; `EACCES`; `EBUSY` for a root, with children, with tasks, or with a fork in
    /// flight; or what a subsystem's `pre_destroy` answers.
    pub fn rmdir(&mut self, host: &mut dyn Host, caller: &Caller, cgroup: CgroupId) -> Result<()> {
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

    /// The rule for removing or renaming an entry of a directory: write permission on it, and in a sticky one
    /// ownership of the directory or the entry.
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

    /// Owner and mode of what a directory has under that name.
    fn entry_owner(&self, parent: CgroupId, name: &[u8]) -> Option<Owner> {
        if let Some(child) = self.tree.child(parent, name) {
            return Some(self.tree[child].owner);
        }
        let file = self.find_file(parent, core::str::from_utf8(name).ok()?)?;
        self.file_owner(parent, file).ok()
    }

    /// Renames an entry of a directory (B1.8).
    ///
    /// # Errors
    /// In this order: `ENOENT`; `EINVAL` into itself; `ENOTEMPTY` onto a directory that it is in; `EACCES` and `EPERM`;
    /// `ENOTDIR`/`EISDIR` where a directory and a control file meet; `EINVAL` for a newline; `ENOTDIR` for a control
    /// file; `EIO` to another parent; `EEXIST`.
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
        self.tree.forget_name(source);
        self.tree[source].name = new_name.into();
        self.tree.index_name(source);
        Ok(())
    }

    /// What every file system asks before a rename: permissions first, then whether the two are of one kind.
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
            // its ".." would have to be written
            Some(source) if from.0 != to.0 => {
                caller.must(&self.tree[source].owner, WRITE, "rename", &String::from_utf8_lossy(from.1))
            }
            _ => Ok(()),
        }
    }

    fn is_below(&self, cgroup: CgroupId, ancestor: CgroupId) -> bool {
        core::iter::successors(Some(cgroup), |&at| self.tree[at].parent).any(|at| at == ancestor)
    }

    /// Changes owner and mode of a directory: only its owner or the administrator may change the mode, only the
    /// administrator the owner.
    ///
    /// # Errors
    /// `ENODEV` if it was removed, `EPERM`.
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
