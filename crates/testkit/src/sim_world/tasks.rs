//! Tasks that come and go: with the host without processes, and with the plain host.

use penfold_core::{CgroupId, CssSetId, Errno, Result, Tid, simulated::ChildKind};

use super::SimWorld;
use super::calls::done;
use crate::plain_host::PlainHost;

impl SimWorld {
    /// A new process of user 0, in every root.
    pub fn spawn(&mut self) -> Tid {
        self.host.spawn(&mut self.engine, 0)
    }

    /// A new process of user 0 in a cgroup.
    #[track_caller]
    pub fn spawn_in(&mut self, cgroup: CgroupId) -> Tid {
        let task = self.spawn();
        self.attach(cgroup, task);
        task
    }

    /// A task forks a process.
    #[track_caller]
    pub fn fork(&mut self, parent: Tid) -> Tid {
        done(self.forked(parent, ChildKind::Process))
    }

    /// A task forks a process, or is refused.
    ///
    /// # Errors
    /// The errno that fork(2) gives.
    pub fn try_fork(&mut self, parent: Tid) -> Result<Tid, Errno> {
        let outcome = self.forked(parent, ChildKind::Process);
        self.noted(outcome)
    }

    /// A task makes a thread of its process.
    #[track_caller]
    pub fn thread(&mut self, parent: Tid) -> Tid {
        done(self.forked(parent, ChildKind::Thread))
    }

    /// A task makes a thread, or is refused.
    ///
    /// # Errors
    /// The errno that clone(2) gives.
    pub fn try_thread(&mut self, parent: Tid) -> Result<Tid, Errno> {
        let outcome = self.forked(parent, ChildKind::Thread);
        self.noted(outcome)
    }

    /// A task dies, and nothing is left of it.
    pub fn exit(&mut self, task: Tid) {
        self.host.exit(&mut self.engine, task);
    }
}

impl SimWorld<PlainHost> {
    /// A new task in every root.
    pub fn spawn(&mut self) -> Tid {
        self.host.spawn(&mut self.engine)
    }

    /// A new task in a cgroup.
    #[track_caller]
    pub fn spawn_in(&mut self, cgroup: CgroupId) -> Tid {
        let task = self.spawn();
        self.attach(cgroup, task);
        task
    }

    /// The life of a child: fork of `parent`, which points to `set`, and exit. Nothing but core's own work is in it.
    ///
    /// # Panics
    /// When a limit refuses.
    #[inline]
    pub fn fork_and_exit(&mut self, parent: Tid, set: CssSetId, child: Tid) {
        let SimWorld { engine, host, .. } = self;
        let charge = engine.charge_fork(host, parent, set).expect("no limit is set");
        let set = engine.commit_fork(host, charge, child);
        engine.exit(host, child, set);
    }
}
