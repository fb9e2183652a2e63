//! Load and unload of subsystems while everything runs (E1 to E6, without the bugs known there).

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use crate::control::is_generic_name;
use crate::counter::Resource;
use crate::engine::Engine;
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::event_mask::Masks;
use crate::host::Host;
use crate::mount_options::is_reserved;
use crate::slot::{SLOTS, Slot};
use crate::subsystem::{Callbacks, Subsystem};
use crate::task::Tid;

/// The longest name of a subsystem in bytes (E2 step 1).
pub const MAX_SUBSYSTEM_NAME: usize = 32;

fn refuse(name: &str, errno: Errno, reason: impl Into<Cow<'static, str>>) -> Error {
    Error::Load { name: name.into(), errno, reason: reason.into() }
}

impl Engine {
    /// Loads a subsystem into a free slot, unbound: its one css is that of the dummy hierarchy's root.
    ///
    /// The state is made **before** the slot is published, and every css_set gets the pointer to the css. Then the
    /// tasks that exist in the host are charged to the subsystem's rules. Each is passed once to its
    /// [`replay_tasks`](Subsystem::replay_tasks), or without a `fork` callback to its
    /// [`attach`](Subsystem::attach). [`Session::mount`](crate::Session::mount) binds the
    /// subsystem to a hierarchy.
    ///
    /// # Errors
    /// Nothing has changed then.
    /// * `EINVAL`: the name is malformed or a word of mount options, or a file's name is malformed, double or generic.
    /// * `EEXIST`: a subsystem of this name is loaded.
    /// * `EBUSY`: all 64 slots are taken.
    /// * The error of the subsystem's `create`.
    pub fn load<S: Subsystem>(&mut self, host: &mut dyn Host, subsystem: S) -> Result<()> {
        let mut slot = Slot::new(subsystem, self.epoch + 1);
        self.check(&slot)?;
        let index = match self.slots.iter().position(Option::is_none) {
            Some(free) => free,
            None if self.slots.len() < SLOTS => self.slots.len(),
            None => return Err(refuse(&slot.name, Errno::EBUSY, "all 64 slots are taken; unload one first")),
        };
        let top = self.tree.hierarchy(0).root;
        let css = slot.allocate(top, None);
        let created = slot.call(&self.tree, &mut self.limits, index, host, None, |instance, services| {
            instance.create(services, css)
        });
        if let Err(error) = created {
            // A create that set a limit before it failed must leave no trace of it.
            slot.release(css, &mut self.limits);
            slot.clear_may_refuse_fork(&mut self.limits);
            return Err(error.in_subsystem(&slot.name));
        }
        if index == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[index] = Some(slot);
        self.tree[top].set_css(index, Some(css));
        self.tree.hierarchy_mut(0).subsystems |= 1 << index;
        self.tree.sets.set_pointer(index, Some(css));
        self.epoch += 1;
        self.masks = Masks::of(&self.slots);
        self.replay(host, index);
        Ok(())
    }

    fn check(&self, slot: &Slot) -> Result<()> {
        let name = &*slot.name;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if name.is_empty() || name.len() > MAX_SUBSYSTEM_NAME || !name.bytes().all(legal) {
            let reason = "a name has 1 to 32 letters, digits, '_' and '-'";
            return Err(refuse(name, Errno::EINVAL, reason));
        }
        if is_reserved(name) {
            return Err(refuse(name, Errno::EINVAL, "the name is a mount option"));
        }
        if self.slot_of(name).is_some() {
            return Err(refuse(name, Errno::EEXIST, "a subsystem of this name is loaded; unload it first"));
        }
        let mut names: Vec<&str> = Vec::new();
        for file in &slot.files {
            let file = &*file.name;
            if file.is_empty() || file.contains(['/', '\0', '\n']) || names.contains(&file) {
                return Err(refuse(
                    name,
                    Errno::EINVAL,
                    format!("the file {file:?} is empty, illegal or declared twice"),
                ));
            }
            if is_generic_name(&format!("{name}.{file}")) || (name == "cpuset" && is_generic_name(file)) {
                return Err(refuse(
                    name,
                    Errno::EINVAL,
                    format!("the file {file:?} clashes with one of every cgroup"),
                ));
            }
            names.push(file);
        }
        Ok(())
    }

    /// Brings a new subsystem up to date with the tasks that exist: each is charged and reported exactly once.
    fn replay(&mut self, host: &mut dyn Host, slot: usize) {
        let top = self.tree.hierarchy(0).root;
        let css = self.tree[top].css(slot).expect("just created");
        let sets: Vec<_> = self.tree.css_sets().collect();
        let loaded = self.slot(slot);
        if loaded.counts(Resource::Tasks) {
            let rules: Vec<usize> = (0..loaded.rules.len())
                .filter(|&rule| loaded.rules[rule].resource == Resource::Tasks)
                .collect();
            let population: u64 =
                sets.iter().filter_map(|&set| self.tree.css_set(set)).map(|set| u64::from(set.tasks)).sum();
            for rule in rules {
                self.slot_mut(slot).charge(css, rule, population);
            }
        }
        if (self.masks.fork | self.masks.first_place) & (1 << slot) == 0 {
            return;
        }
        let mut tasks: Vec<Tid> = Vec::new();
        host.for_every_task(&sets, &mut |task| tasks.push(task));
        if self.masks.fork & (1 << slot) != 0 {
            self.call(slot, host, None, |instance, services| instance.replay_tasks(services, css, &tasks));
        } else if !tasks.is_empty() {
            // every css_set points to the only css
            self.report_first_places(host, 1 << slot, self.initial_css_set(), &tasks);
        }
    }

    /// Unloads the subsystem `name`, which must not be bound to a hierarchy, and drops it.
    ///
    /// No reader can meet its state afterwards. Every css_set has lost its pointer before `destroy` runs, and the
    /// engine is borrowed throughout.
    ///
    /// # Errors
    /// The subsystem stays loaded then.
    /// * `ENOENT`: no subsystem of this name is loaded.
    /// * `EBUSY`: it is bound to a hierarchy, even to one that is unmounted and has children. The error names the
    ///   hierarchy.
    /// * The error of its `pre_destroy` for the last state (E6.2), such as for a module in use elsewhere (E5.5).
    pub fn unload(&mut self, host: &mut dyn Host, name: &str) -> Result<()> {
        let slot = self.slot_of(name).ok_or_else(|| refuse(name, Errno::ENOENT, "not loaded"))?;
        let hierarchy = self.slot(slot).hierarchy;
        if hierarchy != 0 {
            let reason = format!("bound to {}; remove its children and unmount it", self.holder(slot));
            return Err(refuse(name, Errno::EBUSY, reason));
        }
        let top = self.tree.hierarchy(0).root;
        let css = self.tree[top].css(slot).expect("an unbound subsystem has its state on the dummy top");
        if self.slot(slot).callbacks.contains(Callbacks::PRE_DESTROY) {
            self.try_call(slot, host, None, |instance, services| instance.pre_destroy(services, css))?;
        }
        self.tree.sets.set_pointer(slot, None);
        self.epoch += 1;
        self.call(slot, host, None, |instance, services| instance.destroy(services, css));
        self.free_css(slot, css);
        let Engine { slots, limits, .. } = self;
        slots[slot].as_mut().expect("found by its name").clear_may_refuse_fork(limits);
        self.tree[top].set_css(slot, None);
        self.tree.hierarchy_mut(0).subsystems &= !(1 << slot);
        self.slots[slot] = None;
        self.masks = Masks::of(&self.slots);
        Ok(())
    }

    /// The mask of the slots in use.
    pub(crate) fn loaded_slots(&self) -> u64 {
        (0..self.slots.len())
            .filter(|&slot| self.slots[slot].is_some())
            .fold(0, |mask, slot| mask | 1 << slot)
    }
}

const _: () = assert!(SLOTS == u64::BITS as usize, "a slot is a bit of the masks");
