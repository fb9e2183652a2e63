//! The supervisor's policy with an engine: each fork is charged, each task placed, and each death gives its charges
//! back.

use std::collections::VecDeque;
use std::time::Duration;

use nix::errno::Errno;
use penfold_core::{
    Caller, CgroupId, CssSetId, Engine, Error, Event, LimitHit, MoveScope, Release, Tid,
    host::{Host, HostView as _, IndexSet},
    subsystem::CpuTime,
};

use super::machine::{EngineTasks, Machine, Member, nix_errno};
use crate::trace::os::{marking, sched};
use crate::trace::tracer::{Fork, ForkRefusal, Notice, Policy};

/// The number of dead tasks that are remembered as possible parents of unreported children.
const REMEMBERED: usize = 4096;

/// The number of notices that are kept. All are passed on.
const KEPT_NOTICES: usize = 1000;

/// The callback for releases and events.
pub(crate) struct ChangeCallback(pub(crate) Box<dyn Fn(Vec<Release>, Vec<Event>) + Send>);

impl std::fmt::Debug for ChangeCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangeCallback")
    }
}

/// Counts and notices of a job.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Tasks that existed, the command itself included.
    pub created: u64,
    /// The most tasks that existed at one time.
    pub peak: u64,
    /// Forks that were refused.
    pub refused: u64,
    /// CPU time of all tasks.
    pub cpu: CpuTime,
    /// The first thousand notices for the user.
    pub notices: Vec<Notice>,
}

impl Statistics {
    /// The CPU time in user mode and in the kernel.
    pub fn times(&self) -> (Duration, Duration) {
        (Duration::from_nanos(self.cpu.user), Duration::from_nanos(self.cpu.system))
    }
}

/// The policy of a [`Job`](super::super::Job) whose rules are those of an engine.
#[derive(Debug)]
pub struct EnginePolicy {
    pub(crate) engine: Engine,
    pub(crate) statistics: Statistics,
    /// The cgroup of the command in the foreground.
    pub(crate) cgroup: Option<CgroupId>,
    refusal: Option<Error>,
    pub(crate) on_notice: Option<fn(&Notice)>,
    pub(crate) on_change: Option<ChangeCallback>,
    living: u64,
    /// The css_set of the command at its start, pinned: for children whose parent is unknown.
    fallback: Option<CssSetId>,
    recently_dead: VecDeque<(Tid, CssSetId)>,
}

impl EnginePolicy {
    /// A policy with a fresh engine.
    pub(crate) fn new() -> EnginePolicy {
        EnginePolicy {
            engine: Engine::new(),
            statistics: Statistics::default(),
            cgroup: None,
            refusal: None,
            on_notice: None,
            on_change: None,
            living: 0,
            fallback: None,
            recently_dead: VecDeque::new(),
        }
    }

    fn count(&mut self) {
        self.statistics.created += 1;
        self.living += 1;
        self.statistics.peak = self.statistics.peak.max(self.living);
    }

    /// The css_set of a child whose fork was not charged: that of its parent, now or at the parent's death.
    fn set_of_parent(&self, tasks: &EngineTasks, parent: Tid) -> CssSetId {
        if let Some(living) = tasks.css_set(parent) {
            return living;
        }
        let dead = self.recently_dead.iter().find(|(task, _)| *task == parent).map(|(_, set)| *set);
        let alive = |set: &CssSetId| self.engine.tree().css_set(*set).is_some();
        dead.filter(alive).or(self.fallback).unwrap_or_else(|| self.engine.initial_css_set())
    }

    /// Places a command that waits to be started, into these cgroups, each of another hierarchy.
    pub(crate) fn place(
        &mut self,
        tasks: &mut EngineTasks,
        main: Tid,
        cgroups: impl IntoIterator<Item = CgroupId>,
    ) -> Result<(), Error> {
        self.count();
        let caller = Caller::root(main);
        self.request(tasks, |engine, host| {
            engine.adopt(host, main);
            cgroups.into_iter().try_for_each(|cgroup| {
                engine.session(host, &caller).attach(cgroup, main, MoveScope::ThreadGroup)
            })
        })
    }

    /// Runs a request on the engine, with its accounting before and after.
    pub(crate) fn request<R>(
        &mut self,
        tasks: &mut EngineTasks,
        request: impl FnOnce(&mut Engine, &mut dyn Host) -> R,
    ) -> R {
        tasks.begin_request();
        let result = request(&mut self.engine, tasks);
        for (set, cpu, time) in tasks.end_request() {
            self.engine.charge_cpu(set, cpu, time);
        }
        result
    }

    /// Ends the membership of a task.
    fn leave(&mut self, tasks: &mut EngineTasks, task: Tid) {
        let Some(member) = tasks.data_mut(task).map(std::mem::take) else { return };
        let Some(set) = member.set else { return };
        tasks.common.move_member(task, Some(set), None);
        if let Some(charge) = member.charge {
            self.engine.cancel_fork(tasks, charge);
        }
        self.engine.exit(tasks, task, set);
        self.recently_dead.truncate(REMEMBERED - 1);
        self.recently_dead.push_front((task, set));
    }

    /// Takes the policy apart when the job has ended. The error of a refused placement, if the command never ran.
    pub(crate) fn end(mut self, tasks: &EngineTasks) -> Result<(Engine, Vec<LimitHit>, Statistics), Error> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        self.statistics.cpu.add(tasks.common.sampled_time);
        if let Some(fallback) = self.fallback.take() {
            self.engine.unpin(fallback);
        }
        let hits = self.cgroup.map_or_else(Vec::new, |cgroup| self.engine.limits_hit(cgroup));
        Ok((self.engine, hits, self.statistics))
    }
}

/// Gives a child the CPUs of its parent, which may have moved after the kernel had copied its affinity.
///
/// A charge keeps the parent from moving. A fork without one is noticed only when the child exists.
fn follow_parent(tasks: &mut EngineTasks, fork: &Fork, allowed: &IndexSet) {
    let (Ok(parent), Ok(child)) = (sched::affinity(fork.parent), sched::affinity(fork.child)) else { return };
    if parent != child {
        // the child may have died meanwhile
        let _ = tasks.apply_affinity(fork.child, allowed);
    }
}

impl Policy for EnginePolicy {
    type Task = Member;
    type Common = Machine;

    fn started(&mut self, tasks: &mut EngineTasks, main: Tid) -> Result<(), Errno> {
        let attached = self.place(tasks, main, self.cgroup);
        let set = tasks.css_set(main).expect("just adopted");
        self.engine.pin(set);
        self.fallback = Some(set);
        attached.map_err(|error| {
            let errno = nix_errno(error.errno());
            self.refusal = Some(error);
            errno
        })
    }

    fn may_fork(&mut self, tasks: &mut EngineTasks, parent: Tid, certain: bool) -> Result<(), ForkRefusal> {
        let Some(set) = tasks.css_set(parent) else { return Ok(()) };
        if !certain && !self.engine.fork_would_pass(set) {
            return Err(ForkRefusal::NotYet);
        }
        match self.engine.charge_fork(tasks, parent, set) {
            Ok(charge) => {
                match tasks.data_mut(parent) {
                    Some(member) => member.charge = Some(charge),
                    None => self.engine.cancel_fork(tasks, charge),
                }
                Ok(())
            }
            Err(error) => {
                self.statistics.refused += 1;
                Err(ForkRefusal::Final(nix_errno(error.errno())))
            }
        }
    }

    fn cancel_fork(&mut self, tasks: &mut EngineTasks, parent: Tid) {
        if let Some(charge) = tasks.data_mut(parent).and_then(|member| member.charge.take()) {
            self.engine.cancel_fork(tasks, charge);
        }
    }

    fn forked(&mut self, tasks: &mut EngineTasks, fork: Fork) {
        self.count();
        let set = self.set_of_parent(tasks, fork.parent);
        // A parent that has died can't say what its child has inherited. A child that ran may have made sockets.
        let inherits = !fork.has_run && tasks.css_set(fork.parent).is_some();
        let parent = tasks.data_mut(fork.parent);
        let (allowed, class, charge) = parent.filter(|_| inherits).map_or((None, 0, None), |parent| {
            let charge = if fork.charged { parent.charge.take() } else { None };
            (parent.allowed.clone(), parent.class, charge)
        });
        if let (None, Some(allowed)) = (&charge, &allowed) {
            follow_parent(tasks, &fork, allowed);
        }
        if let Some(child) = tasks.data_mut(fork.child) {
            (child.allowed, child.class) = (allowed, class);
        }
        match charge {
            Some(charge) => self.engine.commit_fork(tasks, charge, fork.child),
            None if inherits => self.engine.join(tasks, fork.child, set),
            None => self.engine.adopt_into(tasks, fork.child, set),
        };
        // each callback of a fork is a request of its own
        tasks.begin_request();
    }

    fn adopted(&mut self, tasks: &mut EngineTasks, task: Tid, tgid: Tid) {
        self.count();
        // the process may have been moved before its last thread is adopted
        let known = tasks.threads_of(tgid).iter().find_map(|thread| tasks.css_set(*thread));
        let set = tasks.css_set(tgid).or(known).unwrap_or_else(|| self.engine.initial_css_set());
        self.engine.adopt_into(tasks, task, set);
        // each adoption is a request of its own
        tasks.begin_request();
    }

    fn needs_veto(&self, tasks: &EngineTasks, task: Tid) -> bool {
        tasks.css_set(task).is_some_and(|set| self.engine.limits_forks(set))
    }

    fn leader_ended(&mut self, tasks: &mut EngineTasks, tgid: Tid) {
        self.leave(tasks, tgid);
    }

    fn exited(&mut self, tasks: &mut EngineTasks, task: Tid, _: bool) {
        self.living -= 1;
        self.leave(tasks, task);
    }

    fn renamed(&mut self, tasks: &mut EngineTasks, former: Tid, tgid: Tid) {
        let set = tasks.css_set(tgid);
        tasks.common.move_member(former, set, None);
        tasks.common.move_member(tgid, None, set);
    }

    fn charge_cpu(&mut self, _: Tid, member: Option<&Member>, cpu: usize, user: u64, system: u64) {
        let time = CpuTime { user, system };
        self.statistics.cpu.add(time);
        if let Some(set) = member.and_then(|member| member.set).or(self.fallback) {
            self.engine.charge_cpu(set, cpu, time);
        }
    }

    fn allowed_cpus(&self, tasks: &EngineTasks, task: Tid) -> Option<IndexSet> {
        tasks.data(task)?.allowed.as_deref().cloned()
    }

    fn socket_class(&self, tasks: &EngineTasks, task: Tid) -> u32 {
        tasks.data(task).map_or(0, |member| member.class)
    }

    fn socket_made(&mut self, tasks: &EngineTasks, task: Tid, descriptor: i32) {
        let class = self.socket_class(tasks, task);
        // a task that has died meanwhile and a socket that is no network socket need no mark
        let _ = marking::mark(task, descriptor, class, tasks.common.marking);
    }

    fn batch_done(&mut self) {
        let Some(ChangeCallback(tell)) = &self.on_change else { return };
        if self.engine.has_notifications() {
            let releases: Vec<Release> = std::iter::from_fn(|| self.engine.take_release()).collect();
            tell(releases, std::iter::from_fn(|| self.engine.take_event()).collect());
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
