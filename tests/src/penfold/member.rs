//! Members: tasks of the simulated host, and how they die.

use super::PenfoldTarget;
use super::vfs::{VfsProcess, errno};
use crate::target::Res;
use nix::errno::Errno;
use penfold_core::{Caller, Tid, host::IndexSet, simulated::ChildKind};

/// The origin of a role.
pub(super) enum PenfoldRole {
    /// The tester's child, which takes requests.
    VfsProcess { tid: Tid, process: VfsProcess },
    /// Another member's child.
    Forked { tid: Tid, parent: Tid },
    /// A thread that is not its process's first.
    Thread { tid: Tid },
}

impl PenfoldRole {
    pub(super) fn tid(&self) -> Tid {
        match self {
            PenfoldRole::VfsProcess { tid, .. }
            | PenfoldRole::Forked { tid, .. }
            | PenfoldRole::Thread { tid } => *tid,
        }
    }
}

impl PenfoldTarget {
    pub(super) fn task_of(&self, role: &str) -> Res<Tid> {
        self.roles.get(role).map(PenfoldRole::tid).ok_or(Errno::ESRCH)
    }

    /// A living process that takes requests.
    pub(super) fn living(&self, role: &str) -> Res<Tid> {
        let Some(PenfoldRole::VfsProcess { tid, .. }) = self.roles.get(role) else {
            return Err(Errno::ESRCH);
        };
        if self.is_alive(*tid) { Ok(*tid) } else { Err(Errno::ESRCH) }
    }

    pub(super) fn is_alive(&self, task: Tid) -> bool {
        self.vfs.host.get(task).is_some_and(|task| !task.facts.exiting)
    }

    pub(super) fn spawn_member(&mut self, role: &str, uids: (u32, u32, u32)) {
        let tid = self.vfs.host.spawn(&mut self.vfs.engine, 0);
        let process = VfsProcess::new(Caller::root(tid));
        self.roles.insert(role.into(), PenfoldRole::VfsProcess { tid, process });
        self.change_uids(role, uids);
    }

    /// Changes the uids. Capabilities follow the effective uid, as in setresuid(2) of a process that was root.
    pub(super) fn change_uids(&mut self, role: &str, (real, effective, saved): (u32, u32, u32)) {
        let Some(PenfoldRole::VfsProcess { tid, process }) = self.roles.get_mut(role) else { return };
        process.caller.uid = effective;
        process.caller.privileged = effective == 0;
        if let Some(task) = self.vfs.host.get_mut(*tid) {
            (task.facts.real_uid, task.facts.saved_uid) = (real, saved);
        }
    }

    pub(super) fn fork_member(&mut self, parent: &str, kind: ChildKind) -> Res<Tid> {
        let tid = self.living(parent)?;
        self.vfs.host.fork(&mut self.vfs.engine, tid, kind).map_err(|e| errno(&e))
    }

    /// Kills members that were sent SIGKILL and are not frozen: the first thread becomes a zombie, others vanish.
    pub(super) fn deliver_kills(&mut self) {
        for group in self.killed.clone() {
            for task in self.threads_of(group) {
                let frozen = self.vfs.host.get(task).is_some_and(|task| task.frozen);
                if frozen || !self.is_alive(task) {
                    continue;
                }
                self.vfs.host.exit_to_zombie(&mut self.vfs.engine, task);
                if task != group {
                    self.vfs.host.reap(task);
                }
            }
            if self.threads_of(group).iter().all(|task| !self.is_alive(*task)) {
                self.killed.retain(|other| *other != group);
                self.orphan(group);
            }
        }
    }

    /// Kills the children of a dead member. Only init is left to reap them.
    fn orphan(&mut self, dead: Tid) {
        let children = self.roles.values().filter_map(|role| match role {
            PenfoldRole::Forked { tid, parent } if *parent == dead => Some(*tid),
            _ => None,
        });
        for child in children.collect::<Vec<_>>() {
            self.vfs.host.exit(&mut self.vfs.engine, child);
        }
    }

    fn threads_of(&self, group: Tid) -> Vec<Tid> {
        let host = &self.vfs.host;
        let in_group = |task: &Tid| host.get(*task).is_some_and(|task| task.facts.group == group);
        host.tids().into_iter().filter(in_group).collect()
    }

    pub(super) fn kill_member(&mut self, role: &str) -> Res<()> {
        let tid = self.task_of(role)?;
        let group = self.vfs.host.get(tid).ok_or(Errno::ESRCH)?.facts.group;
        self.killed.push(group);
        self.deliver_kills();
        if self.is_alive(tid) { Err(Errno::EBUSY) } else { Ok(()) }
    }

    pub(super) fn reap_member(&mut self, role: &str) -> Res<()> {
        let tid = match self.roles.get(role).ok_or(Errno::ESRCH)? {
            PenfoldRole::VfsProcess { tid, .. } => *tid,
            PenfoldRole::Thread { .. } => return Err(Errno::ECHILD),
            PenfoldRole::Forked { tid, parent } => {
                if !self.is_alive(*parent) {
                    return Err(Errno::ESRCH);
                }
                *tid
            }
        };
        if self.threads_of(tid).iter().any(|task| self.is_alive(*task)) {
            return Err(Errno::ECHILD);
        }
        self.vfs.host.reap(tid);
        if let Some(PenfoldRole::VfsProcess { process, .. }) = self.roles.get_mut(role) {
            process.files.clear();
            process.cwd = None;
        }
        Ok(())
    }

    pub(super) fn state_of(&self, role: &str) -> &'static str {
        let task = self.task_of(role).ok().and_then(|tid| self.vfs.host.get(tid));
        match task {
            None => "gone",
            Some(task) if task.facts.exiting => "zombie",
            Some(task) if task.frozen => "frozen",
            Some(_) => "runs",
        }
    }

    pub(super) fn ask_affinity(&mut self, role: &str, cpus: &[usize]) -> Res<()> {
        let tid = self.living(role)?;
        let mut wish = IndexSet::new();
        for cpu in cpus {
            wish.insert(*cpu);
        }
        self.vfs.host.sched_setaffinity(tid, wish).map_err(|e| Errno::from_raw(e.number()))
    }
}
