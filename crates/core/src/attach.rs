//! Attach: the move of one thread or of a whole thread group, in two phases (C6, C7).

use alloc::vec::Vec;

use crate::engine::{Engine, bits};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::host::{Capability, Host, HostView};
use crate::ids::{CgroupId, CssSetId, MoveScope};
use crate::lifecycle::tasks;
use crate::subsystem::{Callbacks, Migration};
use crate::task::{Caller, Tid};

/// One task that is to move.
struct Move {
    task: Tid,
    from: CssSetId,
}

impl Engine {
    /// [`Session::attach`](crate::Session::attach)
    pub(crate) fn attach(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        task: Tid,
        scope: MoveScope,
    ) -> Result<()> {
        self.live(cgroup, "attach")?;
        let facts = host.move_facts(task).ok_or(Error::NoTask(task))?;
        let named = task;
        let task = match scope {
            MoveScope::Task => task,
            MoveScope::ThreadGroup => facts.group,
        };
        let facts = host.move_facts(task).unwrap_or(facts);
        if !facts.movable {
            let reason = "a kernel thread that is bound to its CPU can't move";
            return Err(Error::Task { task, errno: Errno::EINVAL, reason });
        }
        // only where it matters: a host may have to read a file for the owner of a task
        if caller.uid != 0 {
            let owner = host.task(task).or_else(|| host.task(named)).ok_or(Error::NoTask(named))?;
            if caller.uid != owner.real_uid && caller.uid != owner.saved_uid {
                return Err(Error::Permission {
                    operation: "attach",
                    object: alloc::format!("task {task}"),
                    errno: Errno::EACCES,
                    reason: "it belongs to another user",
                });
            }
        }
        let moves = self.collect(host, cgroup, task, scope)?;
        if moves.is_empty() { Ok(()) } else { self.migrate(host, caller, cgroup, &moves) }
    }

    /// The tasks whose css_set really changes.
    fn collect(
        &self,
        host: &dyn HostView,
        cgroup: CgroupId,
        task: Tid,
        scope: MoveScope,
    ) -> Result<Vec<Move>> {
        let mut members = Vec::new();
        match scope {
            MoveScope::Task => members.push(task),
            MoveScope::ThreadGroup => host.for_each_thread(task, &mut |thread| members.push(thread)),
        }
        let hierarchy = usize::from(self.tree[cgroup].hierarchy);
        let mut moves = Vec::with_capacity(members.len());
        for member in members {
            // An exiting task points to no css_set any more. To leave it out is no error.
            let Some(facts) = host.move_facts(member).filter(|facts| !facts.exiting) else { continue };
            let Some(from) = host.css_set(member) else { continue };
            if self.tree.css_set(from).is_none_or(|set| set.cgroup(hierarchy) == cgroup) {
                continue;
            }
            if facts.forking {
                let reason = "a fork of it is in flight; ask again when it has happened";
                return Err(Error::Task { task: member, errno: Errno::EAGAIN, reason });
            }
            moves.push(Move { task: member, from });
        }
        group_by_origin(&mut moves);
        Ok(moves)
    }

    fn migrate(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        moves: &[Move],
    ) -> Result<()> {
        let bound = self.tree.hierarchy_of(cgroup).subsystems;
        let limited = self.limits_forks_of(cgroup);
        if limited {
            check_vetoes(host, moves)?;
        }
        let mut agreed = 0;
        for slot in bits(bound) {
            let migrations = self.migrations(cgroup, slot, moves);
            if self.slot(slot).callbacks.contains(Callbacks::CAN_ATTACH) {
                let answer = self.try_call(slot, host, Some(caller), |instance, services| {
                    instance.can_attach(services, &migrations)
                });
                if let Err(error) = answer {
                    self.cancel_attach(host, caller, cgroup, agreed, moves);
                    return Err(error);
                }
                agreed |= 1 << slot;
            }
        }
        // Made before the commit: a migration names the old css, and the old css_set may be gone afterwards.
        let attached: Vec<(usize, Vec<Migration>)> = bits(bound)
            .filter(|&slot| self.slot(slot).callbacks.contains(Callbacks::ATTACH))
            .map(|slot| (slot, self.migrations(cgroup, slot, moves)))
            .collect();
        // The cgroup that a task leaves is charged for the CPU time up to now.
        if self.masks.cpu_time & bound != 0 {
            for moving in moves {
                host.sample_task(moving.task, &mut |set, cpu, time| self.charge_cpu(set, cpu, time));
            }
        }
        for moving in moves {
            self.commit_move(host, cgroup, bound, moving);
        }
        if limited {
            for moving in moves {
                host.enable_task(moving.task, Capability::ForkVeto);
            }
        }
        for (slot, migrations) in attached {
            self.call(slot, host, Some(caller), |instance, services| instance.attach(services, &migrations));
        }
        Ok(())
    }

    /// True if a subsystem of the cgroup's hierarchy can refuse a fork of a member.
    fn limits_forks_of(&self, cgroup: CgroupId) -> bool {
        bits(self.tree.hierarchy_of(cgroup).subsystems).any(|slot| {
            let loaded = self.slot(slot);
            loaded.may_refuse_fork || self.tree[cgroup].css(slot).is_some_and(|css| loaded.limits_forks(css))
        })
    }

    /// True if a fork of a task that points to `set` can be refused now, by a limit or by a `can_fork`.
    ///
    /// A limit in the task's cgroups or above counts. [`Engine::can_refuse_fork`] says this for all tasks; this method
    /// is for a host that can watch the forks of single tasks.
    pub fn limits_forks(&self, set: CssSetId) -> bool {
        self.limits > 0
            && bits(self.loaded_slots()).any(|slot| {
                let loaded = self.slot(slot);
                loaded.may_refuse_fork || self.css(set, slot).is_some_and(|css| loaded.limits_forks(css))
            })
    }

    fn cancel_attach(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        slots: u64,
        moves: &[Move],
    ) {
        for slot in bits(slots) {
            let migrations = self.migrations(cgroup, slot, moves);
            self.call(slot, host, Some(caller), |instance, services| {
                instance.cancel_attach(services, &migrations);
            });
        }
    }

    fn migrations(&self, cgroup: CgroupId, slot: usize, moves: &[Move]) -> Vec<Migration> {
        let to = self.tree[cgroup].css(slot).expect("a cgroup has a css of every bound subsystem");
        moves
            .iter()
            .filter_map(|moving| {
                Some(Migration { task: moving.task, from: self.css(moving.from, slot)?, to })
            })
            .collect()
    }

    /// The commit point of one task, which can't fail.
    fn commit_move(&mut self, host: &mut dyn Host, cgroup: CgroupId, bound: u64, moving: &Move) {
        let to = {
            let Engine { tree, .. } = self;
            tree.sets.find_or_create(&mut tree.cgroups, moving.from, cgroup)
        };
        let entry = self.tree.sets.get_mut(to);
        entry.references += 1;
        entry.tasks += 1;
        if entry.tasks == 1 {
            self.populate(to, true);
        }
        // As in the kernel the new cgroup is charged before the old one is uncharged. A common ancestor counts the task
        // twice for a moment, so its peak may rise by one.
        for slot in bits(self.masks.charges & bound) {
            let (Some(new), Some(old)) = (self.css(to, slot), self.css(moving.from, slot)) else { continue };
            let loaded = self.slot_mut(slot);
            for rule in 0..loaded.rules.len() {
                if tasks(loaded.rules[rule].resource) {
                    loaded.charge(new, rule, 1);
                    loaded.uncharge(old, rule, 1);
                }
            }
        }
        host.place(moving.task, to);
        let old = self.tree.sets.get_mut(moving.from);
        old.tasks -= 1;
        if old.tasks == 0 {
            self.populate(moving.from, false);
        }
        self.release_ref(moving.from);
    }
}

/// Brings the tasks of one css_set together, beginning with the css_set of the first task.
///
/// That is the kernel's order, in which tasks are charged one by one. The peak of a common ancestor depends on it.
fn group_by_origin(moves: &mut [Move]) {
    let mut origins: Vec<CssSetId> = Vec::new();
    for moving in &*moves {
        if !origins.contains(&moving.from) {
            origins.push(moving.from);
        }
    }
    if origins.len() > 1 {
        moves.sort_by_key(|moving| origins.iter().position(|origin| *origin == moving.from));
    }
}

/// Refuses tasks whose forks the host can't refuse, for a cgroup whose forks are limited.
fn check_vetoes(host: &dyn HostView, moves: &[Move]) -> Result<()> {
    let need = Capability::ForkVeto;
    let mut moves = moves.iter();
    moves.try_for_each(|moving| host.check_task(moving.task, need).map_err(|cannot| cannot.error(need)))
}
