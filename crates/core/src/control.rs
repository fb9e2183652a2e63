//! The control files of a directory, generic and of the bound subsystems: list, open, read, write.

use core::fmt::Write as _;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::control_file::{PAGE_SIZE, Visibility};
use crate::directory::may_change_owner;
use crate::engine::{Engine, bits};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hierarchy::HierarchyFlags;
use crate::host::{Host, HostView};
use crate::ids::{CgroupId, FileId, MoveScope};
use crate::number::{parse_s32, parse_u64};
use crate::task::{Access, Caller, Owner, Tid};
use crate::text::{digits_of, stripped};

/// A control file of a directory, as [`Engine::files`] lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileEntry {
    /// The id, for [`Session::read`](crate::Session::read) and [`Session::write`](crate::Session::write).
    pub id: FileId,
    /// The name in the directory, with the prefix if it has one.
    pub name: String,
    /// The owner and mode.
    pub owner: Owner,
}

// The order of the kernel's own table.
const GENERIC: [(FileId, &str, u32, Visibility); 6] = [
    (FileId::Procs, "cgroup.procs", 0o644, Visibility::Everywhere),
    (FileId::CloneChildren, "cgroup.clone_children", 0o644, Visibility::Everywhere),
    (FileId::SaneBehavior, "cgroup.sane_behavior", 0o444, Visibility::RootOnly),
    (FileId::Tasks, "tasks", 0o644, Visibility::Everywhere),
    (FileId::NotifyOnRelease, "notify_on_release", 0o644, Visibility::Everywhere),
    (FileId::ReleaseAgent, "release_agent", 0o644, Visibility::RootOnly),
];

/// True for the name of a generic file, which every hierarchy has.
pub(crate) fn is_generic_name(name: &str) -> bool {
    GENERIC.iter().any(|(_, generic, ..)| *generic == name)
}

impl Engine {
    /// Lists the control files of a directory: the generic ones, then those of each bound subsystem by slot.
    ///
    /// # Errors
    /// `ENODEV`: the cgroup was removed.
    pub fn files(&self, cgroup: CgroupId) -> Result<Vec<FileEntry>> {
        self.live(cgroup, "list")?;
        let root = self.tree[cgroup].parent.is_none();
        let generic = GENERIC.iter().filter(|(.., visibility)| visibility.includes(root)).map(|&(id, ..)| id);
        let mut ids: Vec<FileId> = generic.collect();
        for slot in bits(self.tree.hierarchy_of(cgroup).subsystems) {
            let files = self.slot(slot).files.iter().enumerate();
            ids.extend(
                files
                    .filter(|(_, file)| file.visibility.includes(root))
                    .map(|(file, _)| self.slot(slot).file_id(slot, file)),
            );
        }
        Ok(ids
            .into_iter()
            .map(|id| FileEntry {
                id,
                name: self.file_name(cgroup, id).into_owned(),
                owner: self.file_owner(cgroup, id).expect("the cgroup is alive"),
            })
            .collect())
    }

    /// `ENODEV` unless the directory still has the file. An id outlives its subsystem, which may have been unbound or
    /// unloaded since, and another subsystem may have the slot now.
    fn must_have(&self, cgroup: CgroupId, id: FileId, operation: &'static str) -> Result<()> {
        self.live(cgroup, operation)?;
        let visibility = match id {
            FileId::Subsystem { slot, file, loaded } => {
                let bound = self.tree[cgroup].css(usize::from(slot)).map(|_| self.slot(usize::from(slot)));
                let same = bound.filter(|slot| slot.loaded_at as u32 == loaded);
                same.and_then(|slot| slot.files.get(usize::from(file))).map(|file| file.visibility)
            }
            generic => GENERIC.iter().find(|(id, ..)| *id == generic).map(|&(.., visibility)| visibility),
        };
        let root = self.tree[cgroup].parent.is_none();
        if visibility.is_some_and(|visibility| visibility.includes(root)) {
            Ok(())
        } else {
            Err(Error::Removed { operation })
        }
    }

    /// The control file of the name `name`, such as `pids.max`; `None` if the directory has none, or was removed.
    pub fn find_file(&self, cgroup: CgroupId, name: &str) -> Option<FileId> {
        let root = self.tree.get(cgroup)?.parent.is_none();
        if let Some(&(id, _, _, visibility)) = GENERIC.iter().find(|(_, generic, ..)| *generic == name) {
            return visibility.includes(root).then_some(id);
        }
        let noprefix = self.tree.hierarchy_of(cgroup).flags.contains(HierarchyFlags::NOPREFIX);
        bits(self.tree.hierarchy_of(cgroup).subsystems).find_map(|slot| {
            let loaded = self.slot(slot);
            let bare = match name.strip_prefix(&*loaded.name).and_then(|rest| rest.strip_prefix('.')) {
                _ if noprefix => name,
                bare => bare?,
            };
            let file =
                loaded.files.iter().position(|file| file.name == bare && file.visibility.includes(root))?;
            Some(loaded.file_id(slot, file))
        })
    }

    /// The name of a control file in the directory of `cgroup`, with the prefix unless the hierarchy has `noprefix`.
    ///
    /// The directory must have the file: the method panics for the id of a subsystem that was unloaded.
    pub fn file_name(&self, cgroup: CgroupId, id: FileId) -> Cow<'static, str> {
        let FileId::Subsystem { slot, file, .. } = id else {
            let (_, name, ..) = GENERIC.iter().find(|(generic, ..)| *generic == id).expect("a generic file");
            return Cow::Borrowed(name);
        };
        let slot = self.slot(usize::from(slot));
        let bare = &slot.files[usize::from(file)].name;
        let noprefix = self
            .tree
            .get(cgroup)
            .is_some_and(|_| self.tree.hierarchy_of(cgroup).flags.contains(HierarchyFlags::NOPREFIX));
        if noprefix { bare.clone() } else { Cow::Owned(format!("{}.{bare}", slot.name)) }
    }

    /// True if the content of a file is a setting: a journal can read it now and write it back later.
    ///
    /// False for a file that can't be both read and written, that lists tasks or counts
    /// ([`ControlFile::not_a_setting`](crate::control_file::ControlFile::not_a_setting)), or whose subsystem is
    /// unloaded.
    pub fn is_setting(&self, id: FileId) -> bool {
        match id {
            FileId::NotifyOnRelease | FileId::CloneChildren | FileId::ReleaseAgent => true,
            FileId::Tasks | FileId::Procs | FileId::SaneBehavior => false,
            FileId::Subsystem { slot, file, loaded } => {
                let slot = self.slots.get(usize::from(slot)).and_then(Option::as_ref);
                let same = slot.filter(|slot| slot.loaded_at as u32 == loaded);
                same.and_then(|slot| slot.files.get(usize::from(file))).is_some_and(|file| file.setting)
            }
        }
    }

    /// The owner and mode of a control file.
    ///
    /// Until [`Engine::set_file_owner`] changes them, the owner is the maker of the directory, and the mode is that of
    /// the file's declaration.
    ///
    /// # Errors
    /// `ENODEV`: the cgroup was removed, or the file's subsystem is unbound or unloaded.
    pub fn file_owner(&self, cgroup: CgroupId, id: FileId) -> Result<Owner> {
        self.must_have(cgroup, id, "stat")?;
        let node = &self.tree[cgroup];
        if let Some(owner) = node.file_owners.get(&id) {
            return Ok(*owner);
        }
        let mode = match id {
            FileId::Subsystem { slot, file, .. } => {
                self.slot(usize::from(slot)).files[usize::from(file)].mode
            }
            generic => GENERIC.iter().find(|(id, ..)| *id == generic).map_or(0, |&(_, _, mode, _)| mode),
        };
        Ok(Owner { mode, ..node.creator })
    }

    /// Changes the owner and mode of a control file, as chmod(2) and chown(2) do.
    ///
    /// # Errors
    /// * `ENODEV`: the cgroup was removed, or the file's subsystem is unbound or unloaded.
    /// * `EPERM`: the caller is neither the file's owner nor the administrator. Only the administrator may change the
    ///   user, and the owner may change the group only to a group of their own.
    pub fn set_file_owner(
        &mut self,
        caller: &Caller,
        cgroup: CgroupId,
        id: FileId,
        owner: Owner,
    ) -> Result<()> {
        let old = self.file_owner(cgroup, id)?;
        may_change_owner(caller, old, owner)?;
        self.tree[cgroup].file_owners.insert(id, owner);
        Ok(())
    }

    /// Finds the control file of the name `name`, and checks that the caller has all of `access` to it.
    ///
    /// # Errors
    /// * `ENODEV`: the cgroup was removed.
    /// * `ENOENT`: the directory has no such control file.
    /// * `EACCES`: owner and mode of the file do not allow `access` to the caller.
    pub fn open(&self, caller: &Caller, cgroup: CgroupId, name: &str, access: Access) -> Result<FileId> {
        self.live(cgroup, "open")?;
        let id = self
            .find_file(cgroup, name)
            .ok_or_else(|| Error::NotFound { object: name.into(), what: "control file" })?;
        caller.must(&self.file_owner(cgroup, id)?, access, "open", name)?;
        Ok(id)
    }

    /// [`Session::read`](crate::Session::read)
    pub(crate) fn read(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        id: FileId,
    ) -> Result<Vec<u8>> {
        self.must_have(cgroup, id, "read")?;
        let node = &self.tree[cgroup];
        let mut text = String::new();
        match id {
            FileId::Tasks => lines(&mut text, &self.tree.tasks(host, cgroup)),
            FileId::Procs => lines(&mut text, &self.thread_groups(host, cgroup)),
            FileId::NotifyOnRelease => lines(&mut text, &[u8::from(node.notify_on_release)]),
            FileId::CloneChildren => lines(&mut text, &[u8::from(node.clone_children)]),
            FileId::SaneBehavior => lines(&mut text, &[0]),
            FileId::ReleaseAgent => {
                return Ok([&*self.tree.hierarchy_of(cgroup).release_agent, b"\n"].concat());
            }
            FileId::Subsystem { slot, file, .. } => {
                let (slot, file) = (usize::from(slot), usize::from(file));
                let css = self.tree[cgroup].css(slot).ok_or(Error::Removed { operation: "read" })?;
                if self.masks.cpu_time & (1 << slot) != 0 {
                    self.sample_cpu(host);
                }
                self.try_call(slot, host, Some(caller), |instance, services| {
                    instance.read(services, css, file, &mut text)
                })
                .map_err(|error| error.in_file(&self.file_name(cgroup, id)))?;
            }
        }
        Ok(text.into_bytes())
    }

    /// The thread groups that have at least one thread in the cgroup itself, by ascending number (B5.1).
    ///
    /// The cgroup must not have been removed: the method panics.
    pub fn thread_groups(&self, host: &dyn HostView, cgroup: CgroupId) -> Vec<Tid> {
        let tasks = self.tree.tasks(host, cgroup);
        let mut groups: Vec<Tid> = tasks.into_iter().filter_map(|task| host.group(task)).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// [`Session::write`](crate::Session::write)
    pub(crate) fn write(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        id: FileId,
        content: &[u8],
    ) -> Result<()> {
        // The kernel checks the length before it looks at the cgroup, which may have been removed.
        let length = self.check_length(id, content);
        if length.is_err() && self.tree.get(cgroup).is_none() {
            return length;
        }
        self.must_have(cgroup, id, "write")?;
        let name = self.file_name(cgroup, id);
        if content.is_empty() {
            return Ok(());
        }
        length.map_err(|error| error.in_file(&name))?;
        self.write_file(host, caller, cgroup, id, content).map_err(|error| error.in_file(&name))
    }

    fn check_length(&self, id: FileId, content: &[u8]) -> Result<()> {
        let limit = match id {
            FileId::ReleaseAgent => PAGE_SIZE - 1,
            FileId::Subsystem { slot, file, .. } => {
                let loaded = self.slots.get(usize::from(slot)).and_then(Option::as_ref);
                let file = loaded.and_then(|loaded| loaded.files.get(usize::from(file)));
                // The file of an unloaded subsystem: the caller answers ENODEV.
                file.map_or(usize::MAX, |file| if file.trigger { usize::MAX } else { file.max_write })
            }
            _ => PAGE_SIZE,
        };
        if content.len() <= limit {
            return Ok(());
        }
        Err(Error::value(Errno::E2BIG, format!("at most {limit} bytes in one write")))
    }

    fn write_file(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        id: FileId,
        content: &[u8],
    ) -> Result<()> {
        match id {
            FileId::Tasks | FileId::Procs => {
                let task = match task_number(content)? {
                    0 => caller.task,
                    number => Tid(number),
                };
                let scope = if id == FileId::Procs { MoveScope::ThreadGroup } else { MoveScope::Task };
                self.attach(host, caller, cgroup, task, scope)
            }
            FileId::NotifyOnRelease => {
                self.tree[cgroup].notify_on_release = parse_u64(&digits_of(content))? != 0;
                Ok(())
            }
            FileId::CloneChildren => {
                self.tree[cgroup].clone_children = parse_u64(&digits_of(content))? != 0;
                Ok(())
            }
            FileId::ReleaseAgent => {
                caller.must_be_privileged("write", "release_agent")?;
                let index = usize::from(self.tree[cgroup].hierarchy);
                self.tree.hierarchy_mut(index).release_agent = stripped(content).into();
                Ok(())
            }
            FileId::SaneBehavior => Err(Error::value(Errno::EINVAL, "can't be written")),
            FileId::Subsystem { slot, file, .. } => {
                let (slot, file) = (usize::from(slot), usize::from(file));
                let css = self.tree[cgroup].css(slot).ok_or(Error::Removed { operation: "write" })?;
                // A write may reset the charged time. Time used before must not be charged afterwards.
                if self.masks.cpu_time & (1 << slot) != 0 {
                    self.sample_cpu(host);
                }
                self.try_call(slot, host, Some(caller), |instance, services| {
                    instance.write(services, css, file, content)
                })
            }
        }
    }
}

fn lines<T: core::fmt::Display>(text: &mut String, values: &[T]) {
    for value in values {
        let _ = writeln!(text, "{value}");
    }
}

/// The number of a task in a write to `tasks` or `cgroup.procs`. 0 stands for the writer itself.
///
/// # Errors
/// `EINVAL`: the content is anything but one number from 0 to 2^31 - 1. An overflow gives this errno too (B4.7).
pub fn task_number(content: &[u8]) -> Result<i32> {
    let number = core::str::from_utf8(stripped(content)).ok().and_then(|text| parse_s32(text).ok());
    number.filter(|number| *number >= 0).ok_or_else(Error::task_number)
}
