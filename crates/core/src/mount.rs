//! Mount, remount and unmount: the hierarchy that a mount gets, and the moves of subsystems (A4, A5, as Linux 6.x).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::cgroup::Cgroup;
use crate::engine::{Engine, bits};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hierarchy::{Hierarchy, HierarchyFlags};
use crate::host::Host;
use crate::ids::CgroupId;
use crate::mount_options::{Known, MountOptions};
use crate::task::{Caller, Owner};

/// The result of a mount: the answer of [`Session::mount`](crate::Session::mount).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mounted {
    /// The root of the hierarchy.
    pub root: CgroupId,
    /// True if the mount made the hierarchy, false if it shares one that existed before.
    pub created: bool,
}

impl Engine {
    /// [`Session::mount`](crate::Session::mount)
    pub(crate) fn mount(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        options: impl AsRef<[u8]>,
    ) -> Result<Mounted> {
        caller.must_be_privileged("mount", &String::from_utf8_lossy(options.as_ref()))?;
        let options = self.parse(options.as_ref(), caller)?;
        self.mount_parsed(host, caller, options)
    }

    /// [`Session::mount_cpuset`](crate::Session::mount_cpuset)
    pub(crate) fn mount_cpuset(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        options: impl AsRef<[u8]>,
    ) -> Result<Mounted> {
        caller.must_be_privileged("mount", "cpuset")?;
        let options = MountOptions::legacy_cpuset(options.as_ref(), self.slot_of("cpuset"))?;
        self.mount_parsed(host, caller, options)
    }

    /// Sets the least number of the next new hierarchy, for an engine that continues where another ended.
    ///
    /// The call never lowers the numbers.
    pub fn number_hierarchies_from(&mut self, next: u32) {
        self.last_hierarchy_id = self.last_hierarchy_id.max(next.saturating_sub(1));
    }

    /// The highest number that a hierarchy of this engine has had, gone or not; 0 if there was none.
    ///
    /// Numbers that [`Engine::number_hierarchies_from`] has skipped count too.
    pub fn last_hierarchy_number(&self) -> u32 {
        self.last_hierarchy_id
    }

    fn parse(&self, text: &[u8], caller: &Caller) -> Result<MountOptions> {
        let names = || self.subsystems().collect::<Vec<_>>().join(", ");
        let known = Known { slot_of: &|name| self.slot_of(name), all: self.loaded_slots(), names: &names };
        MountOptions::parse(text, &known, caller.privileged)
    }

    fn mount_parsed(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        options: MountOptions,
    ) -> Result<Mounted> {
        if let Some(index) = self.find_to_share(&options)? {
            let hierarchy = self.tree.hierarchy_mut(index);
            hierarchy.mounts += 1;
            return Ok(Mounted { root: hierarchy.root, created: false });
        }
        if options.subsystems == 0 && !options.none {
            let option = format!("name={}", options.name.unwrap_or_default());
            let reason = Cow::Borrowed("no hierarchy has this name; to make one, add subsystems or 'none'");
            return Err(Error::MountOption { option, errno: Errno::EINVAL, reason });
        }
        self.must_be_unbound(options.subsystems)?;
        let root = self.create_hierarchy(caller, &options);
        let index = usize::from(self.tree[root].hierarchy);
        self.bind(host, options.subsystems, index);
        Ok(Mounted { root, created: true })
    }

    /// The index of the existing hierarchy that a mount shares; the newest that fits (A4.2, A4.6).
    fn find_to_share(&self, options: &MountOptions) -> Result<Option<usize>> {
        for &index in &self.tree.order {
            let hierarchy = self.tree.hierarchy(index);
            if options.name.as_ref().is_some_and(|name| *name != hierarchy.name) {
                continue;
            }
            let set_matters = options.subsystems != 0 || options.none;
            if !set_matters || options.subsystems == hierarchy.subsystems {
                return Ok(Some(index));
            }
            if options.name.is_some() {
                let object = format!("name={}", hierarchy.name);
                let reason =
                    "belongs to a hierarchy with another set of subsystems; mount it without any".into();
                return Err(Error::HierarchyBusy { object, reason });
            }
        }
        Ok(None)
    }

    fn must_be_unbound(&self, subsystems: u64) -> Result<()> {
        let Some(slot) = bits(subsystems).find(|&slot| self.slot(slot).hierarchy != 0) else { return Ok(()) };
        let reason = format!("bound to {}", self.holder(slot));
        Err(Error::HierarchyBusy { object: self.slot(slot).name.as_ref().into(), reason })
    }

    /// The hierarchy that a subsystem is bound to, for a message that names the subsystem itself already.
    pub(crate) fn holder(&self, slot: usize) -> String {
        let hierarchy = self.tree.hierarchy(self.slot(slot).hierarchy);
        let mut others: Vec<String> =
            self.names_of(hierarchy.subsystems & !(1 << slot)).map(String::from).collect();
        if !hierarchy.name.is_empty() {
            others.push(format!("name={}", hierarchy.name));
        }
        let others = if others.is_empty() { String::new() } else { format!(" (with {})", others.join(",")) };
        let state = if hierarchy.mounts == 0 { ", unmounted but with children" } else { "" };
        format!("hierarchy {}{others}{state}", hierarchy.id)
    }

    fn create_hierarchy(&mut self, caller: &Caller, options: &MountOptions) -> CgroupId {
        let free = self.tree.hierarchies.iter().position(Option::is_none);
        let index = free.unwrap_or(self.tree.hierarchies.len());
        // Linux 6.x gives every root 0555. Root needs no permission. Another caller who may mount here has no
        // capability to do without the permission (L95).
        let mode = if caller.uid == 0 { 0o555 } else { 0o755 };
        let owner = Owner { uid: caller.uid, gid: caller.gid, mode };
        let mut root = Cgroup::new(b"", index, None, owner);
        root.clone_children = options.clone_children;
        root.populated_sets = self
            .tree
            .css_sets()
            .filter(|&set| self.tree.css_set(set).is_some_and(|set| set.tasks > 0))
            .count() as u32;
        let root = self.tree.insert(root);
        self.last_hierarchy_id += 1;
        let hierarchy = Hierarchy {
            id: self.last_hierarchy_id,
            name: options.name.clone().unwrap_or_default(),
            root,
            subsystems: 0,
            flags: options.flags,
            release_agent: options.release_agent.clone().unwrap_or_default(),
            mounts: 1,
            cgroups: 1,
        };
        if free.is_some() {
            self.tree.hierarchies[index] = Some(hierarchy);
        } else {
            self.tree.hierarchies.push(Some(hierarchy));
        }
        self.tree.order.insert(0, index);
        self.tree.sets.add_hierarchy(&mut self.tree.cgroups, index, root);
        root
    }

    /// Moves subsystems, with the state of their root, between the dummy hierarchy and another (A5.7).
    ///
    /// The css pointers of all css_sets stay as they are, since a root's css only changes its cgroup.
    fn bind(&mut self, host: &mut dyn Host, subsystems: u64, to: usize) {
        for slot in bits(subsystems) {
            let from = core::mem::replace(&mut self.slot_mut(slot).hierarchy, to);
            let (from_root, to_root) = (self.tree.hierarchy(from).root, self.tree.hierarchy(to).root);
            let css = self.tree[from_root].css(slot).expect("a root has a css of every bound subsystem");
            self.tree[from_root].set_css(slot, None);
            self.tree[from_root].forget_file_owners(slot);
            self.tree[to_root].set_css(slot, Some(css));
            self.slot_mut(slot).css[css.0 as usize].cgroup = to_root;
            self.tree.hierarchy_mut(from).subsystems &= !(1 << slot);
            self.tree.hierarchy_mut(to).subsystems |= 1 << slot;
            if self.slot(slot).callbacks.contains(crate::subsystem::Callbacks::BIND) {
                self.call(slot, host, None, |instance, services| instance.bind(services, css));
            }
        }
    }

    /// [`Session::remount`](crate::Session::remount)
    pub(crate) fn remount(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        root: CgroupId,
        options: impl AsRef<[u8]>,
    ) -> Result<()> {
        let text = &*String::from_utf8_lossy(options.as_ref());
        caller.must_be_privileged("remount", text)?;
        self.live(root, "remount")?;
        let index = usize::from(self.tree[root].hierarchy);
        let options = self.parse(options.as_ref(), caller)?;
        if index == 0 {
            return Err(Error::Removed { operation: "remount" });
        }
        let hierarchy = self.tree.hierarchy(index);
        let renamed = options.name.as_ref().is_some_and(|name| *name != hierarchy.name);
        if options.flags != hierarchy.flags || renamed {
            return Err(Error::MountOption {
                option: text.into(),
                errno: Errno::EINVAL,
                reason: "a remount can't change the name or the flags of a hierarchy".into(),
            });
        }
        if self.tree[root].children > 0 {
            let object = format!("hierarchy {}", hierarchy.id);
            let reason = "has child cgroups; remove them to remount".into();
            return Err(Error::HierarchyBusy { object, reason });
        }
        let (added, removed) =
            (options.subsystems & !hierarchy.subsystems, hierarchy.subsystems & !options.subsystems);
        self.must_be_unbound(added)?;
        self.bind(host, added, index);
        self.bind(host, removed, 0);
        if let Some(agent) = options.release_agent {
            self.tree.hierarchy_mut(index).release_agent = agent;
        }
        Ok(())
    }

    /// Ends one mount of the hierarchy with the root `root`.
    ///
    /// The last unmount of a hierarchy without children destroys it. Its subsystems return to the dummy hierarchy, with
    /// the state of their root. A hierarchy with children lives on until they are removed (A5.8).
    ///
    /// # Errors
    /// * `ENODEV`: the hierarchy is gone.
    /// * `EINVAL`: the hierarchy is not mounted.
    pub fn unmount(&mut self, host: &mut dyn Host, root: CgroupId) -> Result<()> {
        self.live(root, "unmount")?;
        let index = usize::from(self.tree[root].hierarchy);
        let hierarchy = self.tree.hierarchy_mut(index);
        if hierarchy.mounts == 0 {
            return Err(Error::NotMounted { hierarchy: hierarchy.id });
        }
        hierarchy.mounts -= 1;
        self.destroy_if_unused(host, index);
        Ok(())
    }

    /// Destroys a hierarchy that is neither mounted nor has children.
    pub(crate) fn destroy_if_unused(&mut self, host: &mut dyn Host, index: usize) {
        let hierarchy = self.tree.hierarchy(index);
        let (root, subsystems) = (hierarchy.root, hierarchy.subsystems);
        if index == 0 || hierarchy.mounts > 0 || self.tree[root].children > 0 {
            return;
        }
        self.bind(host, subsystems, 0);
        self.tree.sets.remove_hierarchy(index);
        self.tree.order.retain(|&other| other != index);
        self.tree.hierarchies[index] = None;
        self.tree.cgroups.remove(root);
    }

    /// The options of a hierarchy as `/proc/mounts` shows them after `rw,relatime`, separated by commas (A5.10).
    ///
    /// They are the subsystems in the order of their slots, the flags, `release_agent=`, `clone_children` and `name=`.
    /// Nothing is escaped, and a release agent may have any bytes.
    ///
    /// # Errors
    /// `ENODEV`: the hierarchy is gone.
    pub fn show_options(&self, root: CgroupId) -> Result<Vec<u8>> {
        self.live(root, "show options of")?;
        let hierarchy = self.tree.hierarchy_of(root);
        let mut words: Vec<Vec<u8>> = self.names_of(hierarchy.subsystems).map(Vec::from).collect();
        for (flag, word) in [
            (HierarchyFlags::NOPREFIX, "noprefix"),
            (HierarchyFlags::XATTR, "xattr"),
            (HierarchyFlags::CPUSET_V2_MODE, "cpuset_v2_mode"),
            (HierarchyFlags::FAVOR_DYNAMIC, "favordynmods"),
        ] {
            if hierarchy.flags.contains(flag) {
                words.push(word.into());
            }
        }
        if !hierarchy.release_agent.is_empty() {
            words.push([b"release_agent=", &*hierarchy.release_agent].concat());
        }
        if self.tree[hierarchy.root].clone_children {
            words.push(b"clone_children".into());
        }
        if !hierarchy.name.is_empty() {
            words.push([b"name=", hierarchy.name.as_bytes()].concat());
        }
        Ok(words.join(&b','))
    }
}
