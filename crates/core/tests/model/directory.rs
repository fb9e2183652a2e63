//! Directories, control files and loading in the naive model.

use std::collections::BTreeMap;

use penfold_core::{Errno, subsystem::Callbacks};

use super::naive::{CoreModel, ErrnoResult, KINDS, ModelCgroup, ModelCss, ModelSubsystem, join, parent_of};

const BARE: [&str; 8] = ["value", "signed", "text", "map", "kick", "usage", "limit", "refuse"];

impl CoreModel {
    pub fn file_names(&self, hierarchy: u32, path: &str) -> Vec<String> {
        let mut names: Vec<String> =
            ["cgroup.procs", "cgroup.clone_children", "tasks", "notify_on_release"].map(String::from).into();
        let root = path == "/";
        if root {
            names.extend(["cgroup.sane_behavior", "release_agent"].map(String::from));
        }
        let prefixed = !self.hierarchies[&hierarchy].flags.contains("noprefix");
        for slot in self.bound_to(hierarchy) {
            let prefix = KINDS[self.slots[slot].as_ref().unwrap().kind].name;
            for bare in BARE.into_iter().chain([if root { "top" } else { "below" }]) {
                names.push(if prefixed { format!("{prefix}.{bare}") } else { bare.into() });
            }
        }
        names.sort();
        names
    }

    fn exists(&self, hierarchy: u32, parent: &str, name: &str) -> bool {
        name == "."
            || self.hierarchies[&hierarchy].groups.contains_key(&join(parent, name))
            || self.file_names(hierarchy, parent).iter().any(|file| file == name)
    }

    fn may_write(&self, uid: u32, hierarchy: u32, path: &str) -> bool {
        let group = self.group(hierarchy, path);
        uid == 0 || group.mode & if group.owner == uid { 0o200 } else { 0o002 } != 0
    }

    pub fn mkdir(&mut self, uid: u32, hierarchy: u32, parent: &str, name: &str, mode: u32) -> ErrnoResult {
        if name.is_empty() || name.contains('/') {
            return Err(Errno::ENOENT);
        }
        if self.exists(hierarchy, parent, name) {
            return Err(Errno::EEXIST);
        }
        if !self.may_write(uid, hierarchy, parent) {
            return Err(Errno::EACCES);
        }
        if name.contains('\n') {
            return Err(Errno::EINVAL);
        }
        let above = self.group(hierarchy, parent).clone();
        let slots = self.bound_to(hierarchy);
        let mut made: Vec<(usize, ModelCss)> = Vec::new();
        for &slot in &slots {
            if self.create_fails(slot) {
                for (slot, _) in made {
                    self.counts_of(slot).destroy += 1;
                }
                return Err(Errno::ENOMEM);
            }
            let sub = self.slots[slot].as_ref().unwrap();
            let mut css = sub.new_css();
            if above.clone && sub.has(Callbacks::POST_CLONE) {
                css.value = sub.css[parent].value.wrapping_add(1);
                self.counts_of(slot).post_clone += 1;
            }
            made.push((slot, css));
        }
        let path = join(parent, name);
        for (slot, css) in made {
            self.sub_mut(slot).css.insert(path.clone(), css);
        }
        let born = self.tick();
        let group = ModelCgroup { owner: uid, mode, born, queued: false, ..above };
        self.hierarchies.get_mut(&hierarchy).unwrap().groups.insert(path, group);
        Ok(())
    }

    fn create_fails(&mut self, slot: usize) -> bool {
        self.counts_of(slot).create += 1;
        let faults = self.faults_of(slot);
        let fails = faults.fail_create == 1;
        faults.fail_create = faults.fail_create.saturating_sub(1);
        fails
    }

    pub fn rmdir(&mut self, uid: u32, hierarchy: u32, path: &str) -> ErrnoResult {
        let Some(parent) = parent_of(path) else { return Err(Errno::EBUSY) };
        if !self.may_write(uid, hierarchy, parent) {
            return Err(Errno::EACCES);
        }
        let held = self.flights.iter().map(|flight| &flight.place).chain(&self.pins);
        let held = held.map(|place| super::naive::at(place, hierarchy)).any(|at| at == path);
        if !self.children(hierarchy, path).is_empty() || !self.members(hierarchy, path).is_empty() || held {
            return Err(Errno::EBUSY);
        }
        let slots = self.bound_to(hierarchy);
        for &slot in &slots {
            if self.slots[slot].as_ref().unwrap().has(Callbacks::PRE_DESTROY) {
                self.counts_of(slot).pre_destroy += 1;
                if self.faults_of(slot).veto_destroy {
                    return Err(Errno::EIO);
                }
            }
        }
        for slot in slots {
            self.counts_of(slot).destroy += 1;
            self.sub_mut(slot).css.remove(path);
        }
        self.hierarchies.get_mut(&hierarchy).unwrap().groups.remove(path);
        self.check_release(hierarchy, parent);
        self.drop_if_unused(hierarchy);
        Ok(())
    }

    /// Renames a child within its parent.
    pub fn rename(&mut self, hierarchy: u32, path: &str, new_name: &str) -> ErrnoResult {
        let (parent, name) = (parent_of(path).unwrap(), path.rsplit_once('/').unwrap().1);
        let new_path = join(parent, new_name);
        if name == new_name {
            return Ok(());
        }
        if new_name.is_empty() || new_name.contains('/') {
            return Err(Errno::ENOENT);
        }
        let directory = self.hierarchies[&hierarchy].groups.contains_key(&new_path);
        if !directory && self.exists(hierarchy, parent, new_name) {
            return Err(Errno::ENOTDIR);
        }
        if new_name.contains('\n') {
            return Err(Errno::EINVAL);
        }
        if directory {
            return Err(Errno::EEXIST);
        }
        let renamed = |old: &str| match old.strip_prefix(path) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{new_path}{rest}"),
            _ => old.to_owned(),
        };
        let tree = self.hierarchies.get_mut(&hierarchy).unwrap();
        rekey(&mut tree.groups, renamed);
        for sub in self.slots.iter_mut().flatten().filter(|sub| sub.hierarchy == hierarchy) {
            rekey(&mut sub.css, renamed);
        }
        for place in self.places_mut() {
            if let Some(old) = place.get_mut(&hierarchy) {
                *old = renamed(old);
            }
        }
        Ok(())
    }

    pub fn load(&mut self, kind: usize) -> ErrnoResult {
        if self.slot_of(KINDS[kind].name).is_some() {
            return Err(Errno::EEXIST);
        }
        let slot = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let serial = self.tick();
        self.slots[slot] =
            Some(ModelSubsystem { kind, serial, hierarchy: 0, refusing: false, css: BTreeMap::new() });
        if self.create_fails(slot) {
            self.slots[slot] = None;
            return Err(Errno::ENOMEM);
        }
        let population = self.tasks.len() as u64;
        let sub = self.sub_mut(slot);
        let mut css = sub.new_css();
        for (rule, history) in sub.rules().iter().zip(&mut css.histories) {
            history.peak = if *rule == penfold_core::subsystem::Resource::Tasks { population } else { 0 };
        }
        sub.css.insert("/".into(), css);
        if sub.has(Callbacks::FORK) {
            self.counts[kind].fork += population;
        } else if sub.only_attaches() {
            self.counts[kind].attach += population;
        }
        Ok(())
    }

    pub fn unload(&mut self, kind: usize) -> ErrnoResult {
        let slot = self.slot_of(KINDS[kind].name).ok_or(Errno::ENOENT)?;
        if self.slots[slot].as_ref().unwrap().hierarchy != 0 {
            return Err(Errno::EBUSY);
        }
        if self.slots[slot].as_ref().unwrap().has(Callbacks::PRE_DESTROY) {
            self.counts[kind].pre_destroy += 1;
            if self.faults[kind].veto_destroy {
                return Err(Errno::EIO);
            }
        }
        self.counts[kind].destroy += 1;
        self.slots[slot] = None;
        Ok(())
    }
}

fn rekey<T>(map: &mut BTreeMap<String, T>, renamed: impl Fn(&str) -> String) {
    *map = std::mem::take(map).into_iter().map(|(path, value)| (renamed(&path), value)).collect();
}
