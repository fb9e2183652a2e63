//! Attach: moving one thread or a whole thread group, in two phases (C6, C7).

use alloc::vec::Vec;

use crate::engine::{Engine, bits};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::host::{Capability, Host, HostView};
use crate::ids::{CgroupId, CssSetId};
use crate::lifecycle::tasks;
use crate::subsystem::{Callbacks, Migration};
use crate::task::{Caller, Tid};

/// One task on its way.
struct Move {
    task: Tid,
    from: CssSetId,
}

impl Engine {
    /// Moves one thread (`whole` false: a write to `tasks`) or the whole thread group of a thread (a write to
    /// `cgroup.procs`) into a cgroup. All or nothing; tasks that are there already are left alone, and if none
    /// remains no callback runs.
    ///
    /// # Errors
    /// `ENODEV` if the cgroup was removed; `ESRCH` for an unknown task; `EINVAL` for one that may never move;
    /// `EACCES` unless the caller's uid is 0 or the task's real or saved uid (B4.4, no capability counts);
    /// `EAGAIN` while a fork of it is in flight; `EOPNOTSUPP` if tasks are limited there and the host can't refuse its
    /// forks; or what a subsystem's `can_attach` answers.
    pub fn attach(
        &mut self,
        host: &mut dyn Host,
        caller: &Caller,
        cgroup: CgroupId,
        task: Tid,
        whole: bool,
    ) -> Result<()> {
        self.live(cgroup, "attach")?;
        let facts = host.move_facts(task).ok_or(Error::NoTask(task))?;
        let (named, task) = (task, if whole { facts.group } else { task });
        let facts = host.move_facts(task).unwrap_or(facts);
        if !facts.movable {
            let reason = "a kernel thread that is bound to its CPU can't move";
            return Err(Error::Task { task, errno: Errno::EINVAL, reason });
        }
        // a host may have to read a file for the owner of a task
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
        let moves = self.collect(host, cgroup, task, whole)?;
        if moves.is_empty() { Ok(()) } else { self.migrate(host, caller, cgroup, &moves) }
    }

    /// The tasks that really change their css_set.
    fn collect(&self, host: &dyn HostView, cgroup: CgroupId, task: Tid, whole: bool) -> Result<Vec<Move>> {
        let mut members = Vec::new();
        if whole {
            host.for_each_thread(task, &mut |thread| members.push(thread));
        } else {
            members.push(task);
        }
        let hierarchy = usize::from(self.tree[cgroup].hierarchy);
        let mut moves = Vec::with_capacity(members.len());
        for member in members {
            // An exiting task points to no css_set any more: there is nothing to move, and that is no error.
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
        // Migrations name where a task comes from: afterwards its old css_set may be gone.
        let attached: Vec<(usize, Vec<Migration>)> = bits(bound)
            .filter(|&slot| self.slot(slot).callbacks.contains(Callbacks::ATTACH))
            .map(|slot| (slot, self.migrations(cgroup, slot, moves)))
            .collect();
        // What a task has used so far belongs to the cgroup that it leaves.
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

    /// Can a fork of a member be refused by a subsystem of the cgroup's hierarchy?
    fn limits_forks_of(&self, cgroup: CgroupId) -> bool {
        bits(self.tree.hierarchy_of(cgroup).subsystems).any(|slot| {
            let loaded = self.slot(slot);
            loaded.refusing || self.tree[cgroup].css(slot).is_some_and(|css| loaded.limits_forks(css))
        })
    }

    /// Can a fork of a task that points to `set` be refused now, by any limit above it or any subsystem?
    pub fn limits_forks(&self, set: CssSetId) -> bool {
        self.limits > 0
            && bits(self.loaded_slots()).any(|slot| {
                let loaded = self.slot(slot);
                loaded.refusing || self.css(set, slot).is_some_and(|css| loaded.limits_forks(css))
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

    /// The commit point of one task: it can't fail.
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
        // Charged at the new place before it is given back at the old one, as the kernel does: a common ancestor's
        // peak may rise by the one task that is counted twice for a moment.
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

/// Brings those together that come from one css_set, the first's before the others: the kernel's order, in which tasks
/// are charged one by one. What a common ancestor's peak rises to depends on it.
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

/// Where tasks are limited, only tasks whose forks the host can refuse are let in.
fn check_vetoes(host: &dyn HostView, moves: &[Move]) -> Result<()> {
    let need = Capability::ForkVeto;
    let mut moves = moves.iter();
    moves.try_for_each(|moving| host.check_task(moving.task, need).map_err(|cannot| cannot.error(need)))
}
