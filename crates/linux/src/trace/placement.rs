//! The supervisor's policy over the engine: every fork charged, every task placed, every death given back.

use std::collections::VecDeque;
use std::time::Duration;

use nix::errno::Errno;
use penfold_core::{Caller, CgroupId, CpuTime, CssSetId, Engine, Error, Host as _, LimitHit, Mask, Need};

use super::tasks::{Tasks, nix_errno};
use super::{Fork, Notice, Policy, Tid, sockets};

/// How many dead tasks are remembered as possible parents of children not yet reported.
const REMEMBERED: usize = 4096;

/// How many notices are kept; all are told.
const KEPT_NOTICES: usize = 1000;

/// The engine and the tasks of a job. Taken out of the policy while a request works on it.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) engine: Engine,
    pub(super) tasks: Tasks,
}

/// What happened in a job.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Tasks that existed, the command itself included.
    pub created: u64,
    /// The most that existed at one time.
    pub peak: u64,
    /// Forks refused.
    pub refused: u64,
    /// CPU time used.
    pub cpu: CpuTime,
    /// What the user should hear about.
    pub notices: Vec<Notice>,
}

impl Statistics {
    /// CPU time in user mode and in the kernel.
    pub fn times(&self) -> (Duration, Duration) {
        (Duration::from_nanos(self.cpu.user), Duration::from_nanos(self.cpu.system))
    }
}

/// The policy of a [`Job`](super::Job) whose rules are penfold's.
#[derive(Debug)]
pub struct Placement {
    pub(super) inner: Option<Inner>,
    /// CPU time reported while `inner` is taken out.
    pub(super) reported: Vec<(Tid, usize, CpuTime)>,
    pub(super) statistics: Statistics,
    /// Where the command in the foreground goes.
    pub(super) cgroup: Option<CgroupId>,
    pub(super) refusal: Option<Error>,
    on_notice: Option<fn(&Notice)>,
    living: u64,
    /// The css_set of the command at its start, pinned: for children whose parent nobody knows.
    fallback: Option<CssSetId>,
    recently_dead: VecDeque<(Tid, CssSetId)>,
    restricts_affinity: bool,
}

impl Placement {
    pub(super) fn new(inner: Inner, cgroup: Option<CgroupId>, on_notice: Option<fn(&Notice)>) -> Placement {
        let restricts_affinity = inner.tasks.wants(Need::Affinity);
        Placement {
            inner: Some(inner),
            reported: Vec::new(),
            statistics: Statistics::default(),
            cgroup,
            refusal: None,
            on_notice,
            living: 0,
            fallback: None,
            recently_dead: VecDeque::new(),
            restricts_affinity,
        }
    }

    fn inner(&mut self) -> &mut Inner {
        self.inner.as_mut().expect("no stop is handled while a request has the engine")
    }

    fn count(&mut self) {
        self.statistics.created += 1;
        self.living += 1;
        self.statistics.peak = self.statistics.peak.max(self.living);
    }

    /// Where a child belongs whose fork was not charged: where its parent is, or was when it died.
    fn set_of_parent(&self, parent: Tid) -> CssSetId {
        let Inner { engine, tasks } =
            self.inner.as_ref().expect("no stop is handled while a request has the engine");
        if let Some(living) = tasks.css_set(penfold_core::Tid(parent)) {
            return living;
        }
        let dead = self.recently_dead.iter().find(|(task, _)| *task == parent).map(|(_, set)| *set);
        let alive = |set: &CssSetId| engine.tree().css_set(*set).is_some();
        dead.filter(alive).or(self.fallback).unwrap_or_else(|| engine.initial_css_set())
    }
}

impl Policy for Placement {
    fn started(&mut self, main: Tid) -> Result<(), Errno> {
        let attached = self.place(main, self.cgroup);
        let Inner { engine, tasks } = self.inner();
        let set = tasks.css_set(penfold_core::Tid(main)).expect("just adopted");
        engine.pin(set);
        self.fallback = Some(set);
        attached.map_err(|error| {
            let errno = nix_errno(error.errno());
            self.refusal = Some(error);
            errno
        })
    }

    fn could_fork(&self, parent: Tid) -> bool {
        let Some(Inner { engine, tasks }) = &self.inner else { return true };
        tasks.css_set(penfold_core::Tid(parent)).is_none_or(|set| engine.fork_would_pass(set))
    }

    fn may_fork(&mut self, parent: Tid) -> Result<(), Errno> {
        let parent = penfold_core::Tid(parent);
        let Inner { engine, tasks } = self.inner();
        let Some(set) = tasks.css_set(parent) else { return Ok(()) };
        match engine.charge_fork(tasks, parent, set) {
            Ok(charge) => {
                if let Some(placed) = tasks.placed.get_mut(&parent) {
                    placed.charge = Some(charge);
                }
                Ok(())
            }
            Err(error) => {
                self.statistics.refused += 1;
                Err(nix_errno(error.errno()))
            }
        }
    }

    fn cancel_fork(&mut self, parent: Tid) {
        let Inner { engine, tasks } = self.inner();
        let charge = tasks.placed.get_mut(&penfold_core::Tid(parent)).and_then(|placed| placed.charge.take());
        if let Some(charge) = charge {
            engine.cancel_fork(tasks, charge);
        }
    }

    fn forked(&mut self, fork: Fork) {
        self.count();
        let set = self.set_of_parent(fork.parent);
        let Inner { engine, tasks } = self.inner();
        let child = penfold_core::Tid(fork.child);
        let mut parent = tasks.placed.get_mut(&penfold_core::Tid(fork.parent));
        let allowed = parent.as_ref().and_then(|placed| placed.allowed.clone());
        let class = parent.as_ref().map_or(0, |placed| placed.class);
        let ours = parent.as_ref().is_some_and(|placed| placed.ours);
        match parent.as_mut().filter(|_| fork.charged).and_then(|placed| placed.charge.take()) {
            Some(charge) => engine.commit_fork(tasks, charge, child),
            None => engine.join(tasks, child, set),
        };
        if let Some(placed) = tasks.placed.get_mut(&child) {
            placed.group = penfold_core::Tid(fork.tgid);
            placed.allowed = allowed;
            placed.class = class;
            placed.filtered = fork.filtered;
            placed.ours = fork.filtered || ours;
        }
    }

    fn adopted(&mut self, task: Tid, tgid: Tid) {
        self.count();
        let task = penfold_core::Tid(task);
        let Inner { engine, tasks } = self.inner();
        engine.adopt(tasks, task);
        if let Some(placed) = tasks.placed.get_mut(&task) {
            placed.group = penfold_core::Tid(tgid);
            (placed.ours, placed.filtered) = (false, false);
        }
    }

    fn filtered(&mut self, task: Tid, vetoes: bool) {
        if let Some(placed) = self.inner().tasks.placed.get_mut(&penfold_core::Tid(task)) {
            (placed.ours, placed.filtered) = (true, vetoes);
        }
    }

    fn needs_veto(&self, task: Tid) -> bool {
        let Some(Inner { engine, tasks }) = &self.inner else { return false };
        tasks.css_set(penfold_core::Tid(task)).is_some_and(|set| engine.limits_forks(set))
    }

    fn exited(&mut self, task: Tid, _: bool) {
        self.living -= 1;
        let Inner { engine, tasks } = self.inner();
        let Some(placed) = tasks.placed.remove(&penfold_core::Tid(task)) else { return };
        if let Some(charge) = placed.charge {
            engine.cancel_fork(tasks, charge);
        }
        tasks.thaw(penfold_core::Tid(task));
        engine.exit(tasks, penfold_core::Tid(task), placed.set);
        self.recently_dead.truncate(REMEMBERED - 1);
        self.recently_dead.push_front((task, placed.set));
    }

    fn renamed(&mut self, former: Tid, tgid: Tid) {
        let tasks = &mut self.inner().tasks;
        if let Some(placed) = tasks.placed.remove(&penfold_core::Tid(former)) {
            tasks.placed.insert(penfold_core::Tid(tgid), placed);
        }
    }

    fn charge_cpu(&mut self, task: Tid, cpu: usize, user: u64, system: u64) {
        let time = CpuTime { user, system };
        self.statistics.cpu.add(time);
        let fallback = self.fallback;
        let Some(Inner { engine, tasks }) = &mut self.inner else {
            return self.reported.push((task, cpu, time));
        };
        if let Some(set) = tasks.css_set(penfold_core::Tid(task)).or(fallback) {
            engine.charge_cpu(set, cpu, time);
        }
    }

    fn allowed_cpus(&self, task: Tid) -> Option<Mask> {
        if !self.restricts_affinity {
            return None;
        }
        let Inner { tasks, .. } = self.inner.as_ref()?;
        tasks.placed.get(&penfold_core::Tid(task))?.allowed.as_deref().cloned()
    }

    fn starts_frozen(&self, task: Tid) -> bool {
        let task = penfold_core::Tid(task);
        self.inner.as_ref().is_some_and(|inner| inner.tasks.is_frozen(task))
    }

    fn socket_class(&self, task: Tid) -> u32 {
        let placed =
            |inner: &Inner| inner.tasks.placed.get(&penfold_core::Tid(task)).map(|placed| placed.class);
        self.inner.as_ref().and_then(placed).unwrap_or(0)
    }

    fn socket_made(&mut self, task: Tid, descriptor: i32) {
        let (class, marking) = (self.socket_class(task), self.inner().tasks.marking);
        // Gone meanwhile, or not a network socket: there is nothing to mark.
        let _ = sockets::mark(task, descriptor, class, marking);
    }

    fn notice(&mut self, notice: Notice) {
        if let Some(tell) = self.on_notice {
            tell(&notice);
        }
        if self.statistics.notices.len() < KEPT_NOTICES {
            self.statistics.notices.push(notice);
        }
    }
}

impl Placement {
    /// A command that waits to be let loose: puts it into these cgroups, each of another hierarchy.
    pub(super) fn place(
        &mut self,
        main: Tid,
        cgroups: impl IntoIterator<Item = CgroupId>,
    ) -> Result<(), Error> {
        self.count();
        let main = penfold_core::Tid(main);
        let Inner { engine, tasks } = self.inner();
        engine.adopt(tasks, main);
        let caller = Caller::root(main);
        cgroups.into_iter().try_for_each(|cgroup| engine.attach(tasks, &caller, cgroup, main, true))
    }

    /// Takes the policy apart when the job has ended.
    pub(super) fn end(mut self) -> Result<(Inner, Vec<LimitHit>, Statistics), Error> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        let fallback = self.fallback.take();
        let mut inner = self.inner.take().expect("no request is under way");
        if let Some(fallback) = fallback {
            inner.engine.unpin(fallback);
        }
        let hits = self.cgroup.map_or_else(Vec::new, |cgroup| inner.engine.limits_hit(cgroup));
        Ok((inner, hits, self.statistics))
    }
}
