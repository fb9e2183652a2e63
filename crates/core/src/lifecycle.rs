//! Fork and exit: the hot path. A fork copies a pointer and allocates nothing.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::counter::Resource;
use crate::engine::{Engine, bits};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ids::{CgroupId, CssSetId};
use crate::subsystem::Migration;
use crate::task::Tid;

/// The charge of a fork that was agreed to and whose child does not exist yet: the result of [`Engine::charge_fork`].
///
/// A charge must end in [`Engine::commit_fork`] or [`Engine::cancel_fork`]. Until then the charge holds the css_set:
/// the child becomes a member where its parent was at the charge, and the cgroups can't be removed. A kernel that forks
/// within one function uses [`Engine::forking`] instead, whose guard cancels by itself.
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

/// The charge of a fork that cancels itself if it is dropped without [`ForkGuard::commit`]: the result of
/// [`Engine::forking`].
pub struct ForkGuard<'a, H: Host> {
    engine: &'a mut Engine,
    host: &'a mut H,
    charge: Option<ForkCharge>,
}

impl<H: Host> ForkGuard<'_, H> {
    /// Makes `child` a member, as [`Engine::commit_fork`] does, and returns the css_set that it points to.
    ///
    /// Call this when the child exists and has not run yet.
    pub fn commit(mut self, child: Tid) -> CssSetId {
        let charge = self.charge.take().expect("present until commit or drop");
        self.engine.commit_fork(self.host, charge, child)
    }

    /// The host, to make the child while the charge is held.
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
    /// Charges a fork of `parent`, which points to `set`. The guard cancels the charge unless it is committed.
    ///
    /// For a kernel that makes the child within one function, so that no error path can forget the charge.
    ///
    /// # Errors
    /// Those of [`Engine::charge_fork`].
    pub fn forking<'a, H: Host>(
        &'a mut self,
        host: &'a mut H,
        parent: Tid,
        set: CssSetId,
    ) -> Result<ForkGuard<'a, H>> {
        let charge = self.charge_fork(host, parent, set)?;
        Ok(ForkGuard { engine: self, host, charge: Some(charge) })
    }

    /// Charges a fork of `parent`, which points to `set`, before the child exists.
    ///
    /// First every rule on tasks and forks is charged, up its hierarchy. Then every subsystem's `can_fork` decides. A
    /// refusal takes all charges back. The host must end the charge with [`Engine::commit_fork`] or
    /// [`Engine::cancel_fork`].
    ///
    /// # Errors
    /// [`Error::Fork`] with the errno of the rule, `EAGAIN` by default, or that of the subsystem. fork(2) then fails
    /// with it.
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

    /// True if the charge rules would let a fork in `set` pass now. Nothing is charged or counted as refused.
    ///
    /// For a host that may still learn of forks that failed: their charges can come back before a refusal is final.
    /// `can_fork` is not called.
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

    /// The slots that a charge covers and that still have the same subsystems.
    fn still_covered(&self, charge: &ForkCharge) -> u64 {
        if charge.epoch == self.epoch {
            return charge.covered;
        }
        bits(charge.covered)
            .filter(|&slot| self.slots[slot].as_ref().is_some_and(|slot| slot.loaded_at <= charge.epoch))
            .fold(0, |mask, slot| mask | 1 << slot)
    }

    /// Makes `child`, which exists and has not run, a member of the css_set of `charge`, and returns that css_set.
    ///
    /// This calls [`Host::place`] for the child, then the `fork` callbacks. Subsystems loaded since the charge count
    /// the child now.
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

    /// Takes the charge of a fork back that did not happen: uncharges the rules and calls the `cancel_fork` callbacks.
    pub fn cancel_fork(&mut self, host: &mut dyn Host, charge: ForkCharge) {
        let covered = self.still_covered(&charge);
        self.cancel_can_fork(host, charge.set, covered & self.masks.can_fork);
        self.uncharge_rules(charge.set, covered & self.masks.charges, forks);
        self.release_ref(charge.set);
    }

    /// Makes a task that exists already a member of the initial css_set, and returns that css_set.
    ///
    /// A host calls this for the tasks that it has when it starts, and for a task that it launches. Otherwise as
    /// [`Engine::adopt_into`].
    pub fn adopt(&mut self, host: &mut dyn Host, task: Tid) -> CssSetId {
        self.adopt_into(host, task, self.initial_css_set())
    }

    /// Makes a task that no member has forked a member of `set`, and returns `set`. Nothing can refuse this.
    ///
    /// The task has inherited no effect of a subsystem. Subsystems without a `fork` callback get the task in
    /// [`attach`](crate::subsystem::Subsystem::attach), with `from` and `to` the same css. The task counts without
    /// regard to limits, and the `fork` callbacks run. The css_set must exist.
    pub fn adopt_into(&mut self, host: &mut dyn Host, task: Tid, set: CssSetId) -> CssSetId {
        self.join(host, task, set);
        self.report_first_places(host, self.masks.first_place, set, &[task]);
        set
    }

    /// Calls `attach` of these slots for tasks whose first place is `set`.
    pub(crate) fn report_first_places(
        &mut self,
        host: &mut dyn Host,
        slots: u64,
        set: CssSetId,
        tasks: &[Tid],
    ) {
        for slot in bits(slots) {
            let Some(css) = self.css(set, slot) else { continue };
            let places: Vec<_> = tasks.iter().map(|&task| Migration { task, from: css, to: css }).collect();
            self.call(slot, host, None, |instance, services| instance.attach(services, &places));
        }
    }

    /// Makes a child that exists already a member of `set`, and returns `set`. Nothing can refuse this.
    ///
    /// For a child whose fork could not be charged before; `set` is its parent's. The task counts without regard to
    /// limits, and the `fork` callbacks run as for every new task. The css_set must exist.
    pub fn join(&mut self, host: &mut dyn Host, task: Tid, set: CssSetId) -> CssSetId {
        self.tree.sets.get_mut(set).references += 1;
        // This charge covers no slot and is older than every load, so the commit charges every rule without a limit.
        let charge = ForkCharge { set, covered: 0, epoch: self.epoch.wrapping_sub(1) };
        self.commit_fork(host, charge, task)
    }

    /// Keeps a css_set alive without a task, until [`Engine::unpin`]. Its cgroups can't be removed meanwhile.
    ///
    /// Each pin needs an unpin of its own. The css_set must exist.
    pub fn pin(&mut self, set: CssSetId) {
        self.tree.sets.get_mut(set).references += 1;
    }

    /// Ends one [`Engine::pin`] of a css_set.
    pub fn unpin(&mut self, set: CssSetId) {
        self.release_ref(set);
    }

    /// Ends the membership of a task that pointed to `set` and is dead: calls the `exit` callbacks and takes the
    /// charges back.
    ///
    /// The host calls this once for each task, at its death and not when it is reaped (L1). The task must no longer be
    /// among those of [`HostView::for_each_task`](crate::host::HostView::for_each_task). Its CPU time is charged
    /// before.
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

    /// Updates every cgroup that a css_set is linked to, and those above, when the set got its first task or lost its
    /// last.
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
