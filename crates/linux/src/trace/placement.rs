//! The supervisor's policy over the engine: every fork charged, every task placed, every death given back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use penfold_core::{
    Caller, CgroupId, CpuTime, CssSetId, Engine, Error, Event, Host as _, HostView as _, LimitHit, Mask,
    Need, Release,
};

use super::tasks::{Tasks, nix_errno};
use super::{Fork, Notice, Policy, Tid, sockets};

/// How many dead tasks are remembered as possible parents of children not yet reported.
const REMEMBERED: usize = 4096;

/// How many notices are kept; all are told.
const KEPT_NOTICES: usize = 1000;

/// The engine and the tasks of a job.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) engine: Engine,
    pub(super) tasks: Tasks,
}

/// The same behind the lock that the tracer thread takes for each stop and others take for what needs no tracer. Empty
/// when the job has ended.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<Option<Inner>>>);

impl Shared {
    fn new(inner: Inner) -> Shared {
        Shared(Arc::new(Mutex::new(Some(inner))))
    }

    /// A panic of a request has left the engine as it was between two of its own steps: the job goes on with it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Inner>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Told of releases and events.
pub(super) struct OnChange(pub(super) Box<dyn Fn(Vec<Release>, Vec<Event>) + Send>);

impl std::fmt::Debug for OnChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnChange")
    }
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
    pub(super) inner: Shared,
    /// A request has the lock: no stop may be dealt with.
    pub(super) lent: bool,
    /// CPU time reported meanwhile.
    pub(super) reported: Vec<(Tid, usize, CpuTime)>,
    pub(super) statistics: Statistics,
    /// Where the command in the foreground goes.
    pub(super) cgroup: Option<CgroupId>,
    pub(super) refusal: Option<Error>,
    on_notice: Option<fn(&Notice)>,
    on_change: Option<OnChange>,
    living: u64,
    /// The css_set of the command at its start, pinned: for children whose parent nobody knows.
    fallback: Option<CssSetId>,
    recently_dead: VecDeque<(Tid, CssSetId)>,
    restricts_affinity: bool,
}

impl Placement {
    pub(super) fn new(
        inner: Inner,
        cgroup: Option<CgroupId>,
        on_notice: Option<fn(&Notice)>,
        on_change: Option<OnChange>,
    ) -> Placement {
        let restricts_affinity = inner.tasks.wants(Need::Affinity);
        Placement {
            inner: Shared::new(inner),
            lent: false,
            reported: Vec::new(),
            statistics: Statistics::default(),
            cgroup,
            refusal: None,
            on_notice,
            on_change,
            living: 0,
            fallback: None,
            recently_dead: VecDeque::new(),
            restricts_affinity,
        }
    }

    /// The engine and the tasks. For callbacks from a stop, none of which comes while a request has them.
    fn with<R>(&self, work: impl FnOnce(&mut Inner) -> R) -> R {
        assert!(!self.lent, "no stop is handled while a request has the engine");
        work(self.inner.lock().as_mut().expect("a job that has tasks has not ended"))
    }

    fn count(&mut self) {
        self.statistics.created += 1;
        self.living += 1;
        self.statistics.peak = self.statistics.peak.max(self.living);
    }

    /// Where a child belongs whose fork was not charged: where its parent is, or was when it died.
    fn set_of_parent(&self, inner: &Inner, parent: Tid) -> CssSetId {
        let Inner { engine, tasks } = inner;
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
        let set = self.with(|Inner { engine, tasks }| {
            let set = tasks.css_set(penfold_core::Tid(main)).expect("just adopted");
            engine.pin(set);
            set
        });
        self.fallback = Some(set);
        attached.map_err(|error| {
            let errno = nix_errno(error.errno());
            self.refusal = Some(error);
            errno
        })
    }

    fn could_fork(&self, parent: Tid) -> bool {
        self.with(|Inner { engine, tasks }| {
            tasks.css_set(penfold_core::Tid(parent)).is_none_or(|set| engine.fork_would_pass(set))
        })
    }

    fn may_fork(&mut self, parent: Tid) -> Result<(), Errno> {
        let parent = penfold_core::Tid(parent);
        let charged = self.with(|Inner { engine, tasks }| {
            let Some(set) = tasks.css_set(parent) else { return Ok(()) };
            let charge = engine.charge_fork(tasks, parent, set)?;
            if let Some(placed) = tasks.placed.get_mut(&parent) {
                placed.charge = Some(charge);
            }
            Ok(())
        });
        charged.map_err(|error: Error| {
            self.statistics.refused += 1;
            nix_errno(error.errno())
        })
    }

    fn cancel_fork(&mut self, parent: Tid) {
        let parent = penfold_core::Tid(parent);
        self.with(|Inner { engine, tasks }| {
            if let Some(charge) = tasks.placed.get_mut(&parent).and_then(|placed| placed.charge.take()) {
                engine.cancel_fork(tasks, charge);
            }
        });
    }

    fn forked(&mut self, fork: Fork) {
        self.count();
        let child = penfold_core::Tid(fork.child);
        self.with(|inner| {
            let set = self.set_of_parent(inner, fork.parent);
            let Inner { engine, tasks } = inner;
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
        });
    }

    fn adopted(&mut self, task: Tid, tgid: Tid) {
        self.count();
        let task = penfold_core::Tid(task);
        self.with(|Inner { engine, tasks }| {
            engine.adopt(tasks, task);
            if let Some(placed) = tasks.placed.get_mut(&task) {
                placed.group = penfold_core::Tid(tgid);
                (placed.ours, placed.filtered) = (false, false);
            }
        });
    }

    fn filtered(&mut self, task: Tid, vetoes: bool) {
        self.with(|inner| {
            if let Some(placed) = inner.tasks.placed.get_mut(&penfold_core::Tid(task)) {
                (placed.ours, placed.filtered) = (true, vetoes);
            }
        });
    }

    fn needs_veto(&self, task: Tid) -> bool {
        let task = penfold_core::Tid(task);
        self.with(|Inner { engine, tasks }| tasks.css_set(task).is_some_and(|set| engine.limits_forks(set)))
    }

    fn exited(&mut self, task: Tid, _: bool) {
        self.living -= 1;
        let left = self.with(|Inner { engine, tasks }| {
            let placed = tasks.placed.remove(&penfold_core::Tid(task))?;
            if let Some(charge) = placed.charge {
                engine.cancel_fork(tasks, charge);
            }
            tasks.thaw(penfold_core::Tid(task));
            engine.exit(tasks, penfold_core::Tid(task), placed.set);
            Some(placed.set)
        });
        if let Some(set) = left {
            self.recently_dead.truncate(REMEMBERED - 1);
            self.recently_dead.push_front((task, set));
        }
    }

    fn renamed(&mut self, former: Tid, tgid: Tid) {
        self.with(|Inner { tasks, .. }| {
            if let Some(placed) = tasks.placed.remove(&penfold_core::Tid(former)) {
                tasks.placed.insert(penfold_core::Tid(tgid), placed);
            }
        });
    }

    fn charge_cpu(&mut self, task: Tid, cpu: usize, user: u64, system: u64) {
        let time = CpuTime { user, system };
        self.statistics.cpu.add(time);
        if self.lent {
            return self.reported.push((task, cpu, time));
        }
        let fallback = self.fallback;
        self.with(|Inner { engine, tasks }| {
            if let Some(set) = tasks.css_set(penfold_core::Tid(task)).or(fallback) {
                engine.charge_cpu(set, cpu, time);
            }
        });
    }

    fn allowed_cpus(&self, task: Tid) -> Option<Mask> {
        if !self.restricts_affinity {
            return None;
        }
        let task = penfold_core::Tid(task);
        self.with(|inner| inner.tasks.placed.get(&task)?.allowed.as_deref().cloned())
    }

    fn starts_frozen(&self, task: Tid) -> bool {
        self.with(|inner| inner.tasks.is_frozen(penfold_core::Tid(task)))
    }

    fn socket_class(&self, task: Tid) -> u32 {
        let task = penfold_core::Tid(task);
        self.with(|inner| inner.tasks.placed.get(&task).map_or(0, |placed| placed.class))
    }

    fn socket_made(&mut self, task: Tid, descriptor: i32) {
        let (class, marking) = (self.socket_class(task), self.with(|inner| inner.tasks.marking));
        // Gone meanwhile, or not a network socket: there is nothing to mark.
        let _ = sockets::mark(task, descriptor, class, marking);
    }

    fn turn_is_over(&mut self) {
        let Some(OnChange(tell)) = &self.on_change else { return };
        let news = self.with(|Inner { engine, .. }| {
            engine.has_news().then(|| {
                let releases: Vec<Release> = std::iter::from_fn(|| engine.take_release()).collect();
                (releases, std::iter::from_fn(|| engine.take_event()).collect())
            })
        });
        if let Some((releases, events)) = news {
            tell(releases, events);
        }
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
        let caller = Caller::root(main);
        self.with(|Inner { engine, tasks }| {
            engine.adopt(tasks, main);
            cgroups.into_iter().try_for_each(|cgroup| engine.attach(tasks, &caller, cgroup, main, true))
        })
    }

    /// The css_set of every task.
    pub(super) fn css_sets(&self) -> HashMap<Tid, CssSetId> {
        self.with(|inner| inner.tasks.placed.iter().map(|(task, placed)| (task.0, placed.set)).collect())
    }

    /// Takes the policy apart when the job has ended.
    pub(super) fn end(mut self) -> Result<(Inner, Vec<LimitHit>, Statistics), Error> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        let fallback = self.fallback.take();
        let mut inner = self.inner.lock().take().expect("a job ends once");
        if let Some(fallback) = fallback {
            inner.engine.unpin(fallback);
        }
        let hits = self.cgroup.map_or_else(Vec::new, |cgroup| inner.engine.limits_hit(cgroup));
        Ok((inner, hits, self.statistics))
    }
}
