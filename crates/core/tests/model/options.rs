//! Mount options and hierarchies, as the table of measured facts has them.

use std::collections::BTreeSet;

use penfold_core::{Errno, subsystem::Callbacks};

use super::naive::{CoreModel, ErrnoResult, ModelCgroup, ModelHierarchy};

#[derive(Debug, Default)]
pub struct ParsedOptions {
    slots: BTreeSet<usize>,
    none: bool,
    name: Option<String>,
    agent: Option<String>,
    flags: BTreeSet<&'static str>,
    clone: bool,
}

impl CoreModel {
    fn parse(&self, text: &str) -> ErrnoResult<ParsedOptions> {
        let mut options = ParsedOptions::default();
        let mut all = false;
        for word in text.split(',') {
            match word {
                "" | "ro" | "rw" => {}
                "none" => options.none = true,
                "all" => all = true,
                "noprefix" => _ = options.flags.insert("noprefix"),
                "xattr" => _ = options.flags.insert("xattr"),
                "favordynmods" => _ = options.flags.insert("favordynmods"),
                "nofavordynmods" => _ = options.flags.remove("favordynmods"),
                "clone_children" => options.clone = true,
                _ => {
                    let (key, value) = word.split_once('=').unwrap_or((word, ""));
                    let fits = |name: &str| !name.is_empty() && !name.contains('/') && name.len() < 64;
                    if key == "name" && fits(value) && options.name.is_none() {
                        options.name = Some(value.into());
                    } else if key == "release_agent" && !value.is_empty() && options.agent.is_none() {
                        options.agent = Some(value.into());
                    } else if let Some(slot) = self.slot_of(key) {
                        options.slots.insert(slot);
                    } else {
                        return Err(Errno::EINVAL);
                    }
                }
            }
        }
        let all = all || (options.slots.is_empty() && !options.none && options.name.is_none());
        if all && !options.slots.is_empty() {
            return Err(Errno::EINVAL);
        }
        if all {
            options.slots = self.slots_where(|_| true).into_iter().collect();
        }
        let cpuset = self.slot_of("cpuset");
        let foreign = options.slots.iter().any(|&slot| Some(slot) != cpuset);
        let nothing = options.slots.is_empty() && options.name.is_none();
        let contradiction = options.none && !options.slots.is_empty();
        if nothing || contradiction || (options.flags.contains("noprefix") && foreign) {
            return Err(Errno::EINVAL);
        }
        Ok(options)
    }

    fn set_of(&self, hierarchy: u32) -> BTreeSet<usize> {
        self.bound_to(hierarchy).into_iter().collect()
    }

    fn all_unbound(&self, slots: impl IntoIterator<Item = usize>) -> ErrnoResult {
        let bound = slots.into_iter().any(|slot| self.slots[slot].as_ref().unwrap().hierarchy != 0);
        if bound { Err(Errno::EBUSY) } else { Ok(()) }
    }

    fn bind(&mut self, slots: impl IntoIterator<Item = usize>, hierarchy: u32) {
        for slot in slots {
            self.sub_mut(slot).hierarchy = hierarchy;
            if self.slots[slot].as_ref().unwrap().has(Callbacks::BIND) {
                self.counts_of(slot).bind += 1;
            }
        }
    }

    /// The number of the hierarchy that the mount gets.
    pub fn mount(&mut self, privileged: bool, text: &str) -> ErrnoResult<u32> {
        if !privileged {
            return Err(Errno::EPERM);
        }
        let options = self.parse(text)?;
        for &id in self.hierarchies.keys().rev() {
            let same_name = options.name.as_ref() == Some(&self.hierarchies[&id].name);
            if options.name.is_some() && !same_name {
                continue;
            }
            let any_set = options.slots.is_empty() && !options.none;
            if any_set || self.set_of(id) == options.slots {
                self.hierarchies.get_mut(&id).unwrap().mounts += 1;
                return Ok(id);
            }
            if same_name {
                return Err(Errno::EBUSY);
            }
        }
        if options.slots.is_empty() && !options.none {
            return Err(Errno::EINVAL);
        }
        self.all_unbound(options.slots.clone())?;
        self.last_hierarchy += 1;
        let id = self.last_hierarchy;
        let root = ModelCgroup { mode: 0o555, clone: options.clone, ..ModelCgroup::default() };
        let hierarchy = ModelHierarchy {
            name: options.name.unwrap_or_default(),
            flags: options.flags,
            agent: options.agent.unwrap_or_default(),
            mounts: 1,
            groups: [("/".to_owned(), root)].into(),
        };
        self.hierarchies.insert(id, hierarchy);
        self.bind(options.slots, id);
        Ok(id)
    }

    pub fn remount(&mut self, id: u32, text: &str) -> ErrnoResult {
        let options = self.parse(text)?;
        let hierarchy = &self.hierarchies[&id];
        if options.flags != hierarchy.flags || options.name.is_some_and(|name| name != hierarchy.name) {
            return Err(Errno::EINVAL);
        }
        if hierarchy.groups.len() > 1 {
            return Err(Errno::EBUSY);
        }
        let old = self.set_of(id);
        let added: Vec<usize> = options.slots.difference(&old).copied().collect();
        self.all_unbound(added.clone())?;
        self.bind(added, id);
        self.bind(old.difference(&options.slots).copied(), 0);
        if let Some(agent) = options.agent {
            self.hierarchies.get_mut(&id).unwrap().agent = agent;
        }
        Ok(())
    }

    pub fn unmount(&mut self, id: u32) -> ErrnoResult {
        let hierarchy = self.hierarchies.get_mut(&id).unwrap();
        hierarchy.mounts = hierarchy.mounts.checked_sub(1).ok_or(Errno::EINVAL)?;
        self.drop_if_unused(id);
        Ok(())
    }

    pub fn drop_if_unused(&mut self, id: u32) {
        let hierarchy = &self.hierarchies[&id];
        if hierarchy.mounts > 0 || hierarchy.groups.len() > 1 {
            return;
        }
        self.bind(self.bound_to(id), 0);
        self.hierarchies.remove(&id);
        self.places_mut().for_each(|place| _ = place.remove(&id));
    }

    pub fn show_options(&self, id: u32) -> String {
        let hierarchy = &self.hierarchies[&id];
        let mut words = self.labels(id);
        words.retain(|word| !word.starts_with("name="));
        for flag in ["noprefix", "xattr", "favordynmods"] {
            words.extend(hierarchy.flags.get(flag).map(ToString::to_string));
        }
        if !hierarchy.agent.is_empty() {
            words.push(format!("release_agent={}", hierarchy.agent));
        }
        if hierarchy.groups["/"].clone {
            words.push("clone_children".into());
        }
        if !hierarchy.name.is_empty() {
            words.push(format!("name={}", hierarchy.name));
        }
        words.join(",")
    }
}
