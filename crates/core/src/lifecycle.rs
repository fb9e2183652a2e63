//! Fork and exit: the hot path. A fork copies a pointer and allocates nothing.

use alloc::borrow::Cow;

use crate::counter::Resource;
use crate::engine::{Engine, bits};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ids::{CgroupId, CssSetId};
use crate::task::Tid;

/// A fork that was agreed to and charged, whose child does not exist yet.
///
/// It must end in [`Engine::commit_fork`] or [`Engine::cancel_fork`]; a kernel that forks within one function
/// uses [`Engine::forking`], whose guard cancels by itself. Until then it holds the css_set, so the child lands
/// where its parent was when it asked, and the cgroup can't be removed.
#[must_use = "a charge that is neither committed nor cancelled is lost"]
#[derive(Debug, PartialEq, Eq)]
pub struct ForkCharge {
    set: CssSetId,
    /// The slots whose rules were charged and whose `can_fork` agreed.
    covered: u64,
    epoch: u64,
}

impl ForkCharge {
    /// The css_set that the child will point to.
    pub fn css_set(&self) -> CssSetId {
        self.set
    }
}

/// A [`ForkCharge`] that gives itself back when it is dropped without [`ForkGuard::commit`].
pub struct ForkGuard<'a, H: Host> {
    engine: &'a mut Engine,
    host: &'a mut H,
    charge: Option<ForkCharge>,
}

impl<H: Host> ForkGuard<'_, H> {
    /// The child exists: it is a member from now on. Returns the css_set that it points to.
    pub fn commit(mut self, child: Tid) -> CssSetId {
        let charge = self.charge.take().expect("present until commit or drop");
        self.engine.commit_fork(self.host, charge, child)
    }

    /// The host, to make the child with while the charge is held.
    pub fn host(&mut self) -> &mut H {
        self.host
    }
}

impl<H: Host> Drop for ForkGuard<'_, H> {
    fn drop(&mut self) {
        if let Some(charge) = self.charge.take() {
            self.engine.cancel_fork(self.host, charge);
        }
    }
}

impl Engine {
    /// Asks for a fork of `parent`, which points to `set`; the guard gives the charge back unless committed.
    ///
    /// # Errors
    /// As [`Engine::charge_fork`].
    pub fn forking<'a, H: Host>(
        &'a mut self,
        host: &'a mut H,
        parent: Tid,
        set: CssSetId,
    ) -> Result<ForkGuard<'a, H>> {
        let charge = self.charge_fork(host, parent, set)?;
        Ok(ForkGuard { engine: self, host, charge: Some(charge) })
    }

    /// Charges a fork before the child exists: every rule up its hierarchy, then every `can_fork`. All or nothing.
    ///
    /// # Errors
    /// [`Error::Fork`] with the errno of the rule (`EAGAIN` as a rule) or of the subsystem.
    #[inline]
    pub fn charge_fork(&mut self, host: &mut dyn Host, parent: Tid, set: CssSetId) -> Result<ForkCharge> {
        let wanted = self.masks.charges | self.masks.can_fork;
        if wanted != 0 {
            self.charge_rules(set)?;
            self.ask_can_fork(host, parent, set)?;
        }
        self.tree.sets.get_mut(set).references += 1;
        Ok(ForkCharge { set, covered: wanted, epoch: self.epoch })
    }

    /// Would the charge rules let a fork in `set` pass now? Changes and counts nothing: for a host that may still
    /// learn of charges to be given back before a refusal is final.
    pub fn fork_would_pass(&self, set: CssSetId) -> bool {
        bits(self.masks.charges).all(|slot| {
            let Some(css) = self.css(set, slot) else { return true };
            let loaded = self.slot(slot);
            (0..loaded.rules.len())
                .all(|rule| !forks(loaded.rules[rule].resource) || loaded.would_pass(css, rule, 1))
        })
    }

    fn charge_rules(&mut self, set: CssSetId) -> Result<()> {
        for slot in bits(self.masks.charges) {
            let Some(css) = self.css(set, slot) else { continue };
            let loaded = self.slot_mut(slot);
            for rule in 0..loaded.rules.len() {
                if !forks(loaded.rules[rule].resource) || loaded.try_charge(css, rule, 1) {
                    continue;
                }
                let errno = loaded.rules[rule].errno;
                for earlier in 0..rule {
                    if forks(loaded.rules[earlier].resource) {
                        loaded.uncharge(css, earlier, 1);
                    }
                }
                let below = self.masks.charges & ((1 << slot) - 1);
                self.uncharge_rules(set, below, forks);
                if self.events.watched {
                    self.note_rule_hit(set, slot, rule);
                }
                return Err(Error::Fork { subsystem: self.slot(slot).name.clone(), errno });
            }
        }
        Ok(())
    }

    fn uncharge_rules(&mut self, set: CssSetId, slots: u64, which: fn(Resource) -> bool) {
        for slot in bits(slots) {
            let Some(css) = self.css(set, slot) else { continue };
            let loaded = self.slot_mut(slot);
            for rule in 0..loaded.rules.len() {
                if which(loaded.rules[rule].resource) {
                    loaded.uncharge(css, rule, 1);
                }
            }
        }
    }

    fn ask_can_fork(&mut self, host: &mut dyn Host, parent: Tid, set: CssSetId) -> Result<()> {
        for slot in bits(self.masks.can_fork) {
            let Some(css) = self.css(set, slot) else { continue };
            let refused = self
                .try_call(slot, host, None, |instance, services| instance.can_fork(services, css, parent));
            if let Err(error) = refused {
                self.cancel_can_fork(host, set, self.masks.can_fork & ((1 << slot) - 1));
                self.uncharge_rules(set, self.masks.charges, forks);
                self.note_refusal(set, slot);
                let subsystem: Cow<'static, str> = self.slot(slot).name.clone();
                return Err(Error::Fork { subsystem, errno: error.errno() });
            }
        }
        Ok(())
    }

    fn cancel_can_fork(&mut self, host: &mut dyn Host, set: CssSetId, slots: u64) {
        for slot in bits(slots) {
            if let Some(css) = self.css(set, slot) {
                self.call(slot, host, None, |instance, services| instance.cancel_fork(services, css));
            }
        }
    }

    /// The slots that a charge covers and that are still the same subsystems.
    fn still_covered(&self, charge: &ForkCharge) -> u64 {
        if charge.epoch == self.epoch {
            return charge.covered;
        }
        bits(charge.covered)
            .filter(|&slot| self.slots[slot].as_ref().is_some_and(|slot| slot.loaded_at <= charge.epoch))
            .fold(0, |mask, slot| mask | 1 << slot)
    }

    /// The child exists and has not run: it is a member from now on. The host is told to point it to the
    /// returned css_set. Subsystems loaded since the charge count it now.
    #[inline]
    pub fn commit_fork(&mut self, host: &mut dyn Host, charge: ForkCharge, child: Tid) -> CssSetId {
        let set = charge.set;
        if charge.epoch != self.epoch {
            let missing = self.masks.charges & !self.still_covered(&charge);
            for slot in bits(missing) {
                let Some(css) = self.css(set, slot) else { continue };
                let loaded = self.slot_mut(slot);
                for rule in 0..loaded.rules.len() {
                    if loaded.rules[rule].resource == Resource::Tasks {
                        loaded.charge(css, rule, 1);
                    }
                }
            }
        }
        let entry = self.tree.sets.get_mut(set);
        entry.tasks += 1;
        // The reference of the charge becomes the reference of the task.
        if entry.tasks == 1 {
            self.populate(set, true);
        }
        host.place(child, set);
        if self.masks.fork != 0 {
            for slot in bits(self.masks.fork) {
                if let Some(css) = self.css(set, slot) {
                    self.call(slot, host, None, |instance, services| instance.fork(services, css, child));
                }
            }
        }
        set
    }

    /// The fork did not happen: gives everything back.
    pub fn cancel_fork(&mut self, host: &mut dyn Host, charge: ForkCharge) {
        let covered = self.still_covered(&charge);
        self.cancel_can_fork(host, charge.set, covered & self.masks.can_fork);
        self.uncharge_rules(charge.set, covered & self.masks.charges, forks);
        self.release_ref(charge.set);
    }

    /// Makes a task that already exists a member of the initial css_set: how a host brings in the tasks it
    /// starts with.
    pub fn adopt(&mut self, host: &mut dyn Host, task: Tid) -> CssSetId {
        self.join(host, task, self.initial_css_set())
    }

    /// Makes a task that already exists a member of `set` without asking anyone, as for a child whose fork could
    /// not be asked for. It is counted whatever the limits say, and told to fork callbacks like every new task.
    pub fn join(&mut self, host: &mut dyn Host, task: Tid, set: CssSetId) -> CssSetId {
        self.tree.sets.get_mut(set).references += 1;
        // It covers nothing and is older than anything loaded: commit charges every rule without a limit.
        let charge = ForkCharge { set, covered: 0, epoch: self.epoch.wrapping_sub(1) };
        self.commit_fork(host, charge, task)
    }

    /// Keeps a css_set alive without a task in it; its cgroups can't be removed meanwhile.
    pub fn pin(&mut self, set: CssSetId) {
        self.tree.sets.get_mut(set).references += 1;
    }

    /// Ends a [`Engine::pin`].
    pub fn unpin(&mut self, set: CssSetId) {
        self.release_ref(set);
    }

    /// A task that pointed to `set` has died. Its charges are given back now, not when it is reaped.
    #[inline]
    pub fn exit(&mut self, host: &mut dyn Host, task: Tid, set: CssSetId) {
        let entry = self.tree.sets.get_mut(set);
        entry.tasks -= 1;
        if entry.tasks == 0 {
            self.populate(set, false);
        }
        if self.masks.exit != 0 {
            for slot in bits(self.masks.exit) {
                if let Some(css) = self.css(set, slot) {
                    self.call(slot, host, None, |instance, services| instance.exit(services, css, task));
                }
            }
        }
        if self.masks.charges != 0 {
            self.uncharge_rules(set, self.masks.charges, tasks);
        }
        self.release_ref(set);
    }

    pub(crate) fn release_ref(&mut self, set: CssSetId) {
        let Engine { tree, .. } = self;
        tree.sets.release_ref(&mut tree.cgroups, set);
    }

    /// A css_set got its first task or lost its last: tells every linked cgroup and those above it.
    pub(crate) fn populate(&mut self, set: CssSetId, populated: bool) {
        for hierarchy in 0..self.tree.hierarchies.len() {
            let Some(set) = self.tree.css_set(set) else { return };
            let cgroup = set.cgroup(hierarchy);
            if self.tree.get(cgroup).is_some() {
                self.populate_cgroup(cgroup, populated);
            }
        }
    }

    fn populate_cgroup(&mut self, first: CgroupId, populated: bool) {
        let mut at = Some(first);
        while let Some(id) = at {
            let cgroup = &mut self.tree[id];
            let before = cgroup.is_populated();
            let count = if id == first { &mut cgroup.populated_sets } else { &mut cgroup.populated_children };
            if populated {
                *count += 1;
            } else {
                *count -= 1;
            }
            if cgroup.is_populated() == before {
                return;
            }
            at = cgroup.parent;
            if self.events.watched {
                self.note_populated(id, populated);
            }
            if !populated {
                self.check_release(id);
            }
        }
    }
}

fn forks(resource: Resource) -> bool {
    matches!(resource, Resource::Tasks | Resource::Forks)
}

pub(crate) fn tasks(resource: Resource) -> bool {
    resource == Resource::Tasks
}
