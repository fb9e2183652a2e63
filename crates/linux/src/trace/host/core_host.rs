//! The supervised tasks as core's [`Host`]: one implementation, for callbacks of a stop and for requests of any thread.
//! What takes the tracer's hands is deferred to the end of the turn.

use std::collections::HashSet;
use std::sync::Arc;

use penfold_core::{
    CssSetId, Errno, Tid,
    host::{Capability, Host, HostView, IndexSet, MoveFacts, TaskFacts, Unsupported},
    subsystem::CpuTime,
};

use super::machine::{EngineTasks, Member, NAME, core_errno};
use crate::trace::os::{marking, proc, sched, task};
use crate::trace::tracer::inject;
use crate::trace::tracer::table::{ChargedTime, TaskState};

impl HostView for EngineTasks {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        let facts = self.move_facts(task)?;
        // A thread that has executed a program has its leader's number before its stop is seen. Left out of a move
        // because its own is gone, it would have the whole process go on where it was.
        let ids = proc::status_field(task, "Uid").or_else(|| proc::status_field(facts.group, "Uid"))?;
        let mut ids = ids.split_whitespace().filter_map(|id| id.parse().ok());
        // real, effective, saved, file system
        let (real_uid, saved_uid) = (ids.next()?, ids.nth(1)?);
        let MoveFacts { group, movable, exiting, forking } = facts;
        Some(TaskFacts { group, real_uid, saved_uid, movable, exiting, forking })
    }

    fn move_facts(&self, task: Tid) -> Option<MoveFacts> {
        let entry = self.get(task)?;
        entry.data.set?;
        let forking = entry.data.charge.is_some();
        Some(MoveFacts { group: entry.tgid, movable: true, exiting: false, forking })
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.data(task)?.set
    }

    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        self.common.members.get(&set).into_iter().flatten().copied().for_each(visit);
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        let placed = |tid: &Tid| self.css_set(*tid).is_some();
        let threads = self.threads_of(group);
        // the leader's number can be above a thread's when the numbers have started again
        threads.iter().filter(|tid| **tid == group && placed(tid)).copied().for_each(&mut *visit);
        threads.iter().filter(|tid| **tid != group && placed(tid)).copied().for_each(visit);
    }

    fn group(&self, task: Tid) -> Option<Tid> {
        self.tgid_of(task)
    }

    fn is_frozen(&self, task: Tid) -> bool {
        EngineTasks::is_frozen(self, task)
    }

    fn check_task(&self, task: Tid, need: Capability) -> Result<(), Unsupported> {
        let Some(entry) = self.get(task) else { return Ok(()) };
        if need != Capability::ForkVeto || entry.lineage.vetoes() || self.common.best_effort() {
            return Ok(());
        }
        let Err(reason) = inject::check_injectable(task, self.filters_of(task)) else { return Ok(()) };
        let name = proc::comm(task);
        let how =
            if entry.lineage.adopted { "was adopted" } else { "was started when nothing limited its forks" };
        let reason = format!(
            "task {task} ({name}) {how}, and no filter that could refuse its forks can be put in: {reason}"
        );
        Err(Unsupported { host: NAME, reason: reason.into() })
    }

    fn now(&self) -> u64 {
        self.common.began.elapsed().as_nanos() as u64
    }

    fn cpus(&self) -> IndexSet {
        self.common.cpus.clone()
    }

    fn memory_nodes(&self) -> IndexSet {
        self.common.nodes.clone()
    }

    fn cpu_limit(&self) -> usize {
        self.common.cpu_limit
    }
}

impl Host for EngineTasks {
    fn place(&mut self, task: Tid, set: CssSetId) {
        let Some(entry) = self.get_mut(task) else { return };
        let group = entry.tgid;
        let old = entry.data.set.replace(set);
        self.common.move_member(task, old, Some(set));
        if old.is_some() {
            self.common.moved.insert(group);
        }
    }

    fn require(&mut self, need: Capability) -> Result<(), Unsupported> {
        self.common.require(need).map_err(|reason| Unsupported { host: NAME, reason: reason.into() })
    }

    fn enable_task(&mut self, task: Tid, need: Capability) {
        self.want_filter_once(task, need);
    }

    /// What it asks for itself later is clamped too, if it can be.
    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno> {
        if *cpus != self.common.cpus && self.can_filter(task) {
            self.want_filter_once(task, Capability::Affinity);
        }
        if let Some(member) = self.data_mut(task) {
            member.allowed = Some(Arc::new(cpus.clone()));
        }
        self.apply_affinity(task, cpus).map_err(core_errno)
    }

    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        migrate: bool,
    ) -> Result<(), Errno> {
        if !migrate {
            return Ok(());
        }
        sched::migrate_pages(task, from, to).map_err(core_errno)
    }

    fn freeze(&mut self, task: Tid) {
        EngineTasks::freeze(self, task);
    }

    fn thaw(&mut self, task: Tid) {
        EngineTasks::thaw(self, task);
    }

    /// Those that it makes later are marked too, if they can be.
    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        if class != 0 && self.can_filter(task) {
            self.want_filter_once(task, Capability::SocketClass);
        }
        let marking = self.common.marking;
        let member = self.data_mut(task).ok_or(Errno::ESRCH)?;
        let changed = std::mem::replace(&mut member.class, class) != class;
        if changed { marking::mark_all(task, class, marking).map_err(core_errno) } else { Ok(()) }
    }

    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        let group = self.tgid_of(task).ok_or(Errno::ESRCH)?;
        task::tgkill(group, task, signal).map_err(core_errno)
    }

    fn sample_cpu(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        let mut sum = CpuTime::default();
        self.sample(&mut |_, member, cpu, step| charge_set(member, cpu, step, &mut sum, charge));
        self.common.sampled_time.add(sum);
    }

    fn sample_task(&mut self, task: Tid, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        // what a command's process uses before it executes the command belongs to where the command goes
        let Some(entry) = self.get(task).filter(|entry| entry.state != TaskState::Unreleased) else { return };
        let group = entry.tgid;
        if self.common.sampled.insert(group) {
            self.sample_group(group, charge);
        }
    }
}

/// Charges a step of a task's CPU time to the css_set where it is.
fn charge_set(
    member: Option<&Member>,
    cpu: usize,
    step: ChargedTime,
    sum: &mut CpuTime,
    charge: &mut dyn FnMut(CssSetId, usize, CpuTime),
) {
    let time = CpuTime { user: step.user, system: step.system };
    sum.add(time);
    if let Some(set) = member.and_then(|member| member.set) {
        charge(set, cpu, time);
    }
}

impl EngineTasks {
    fn sample_group(&mut self, group: Tid, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        let mut sum = CpuTime::default();
        self.charge_process(group, &mut |_, member, cpu, step| {
            charge_set(member, cpu, step, &mut sum, charge);
        });
        self.common.sampled_time.add(sum);
    }

    /// Can what a task does be seen to that a rule needs, with a filter put in if there is none?
    fn can_filter(&self, task: Tid) -> bool {
        self.contains(task) && inject::check_injectable(task, self.filters_of(task)).is_ok()
    }

    /// How many filters of ours a task has, with one that is being put in: it may be there already, and not be noted.
    fn filters_of(&self, task: Tid) -> u32 {
        let Some(entry) = self.get(task) else { return 0 };
        let process = self.processes.get(&entry.tgid);
        let under_way = process.is_some_and(|process| process.injector.is_some());
        entry.lineage.filters + u32::from(under_way)
    }

    /// Once for each process and request: its threads are gone through each time, and a request may be about all of ten
    /// thousand.
    fn want_filter_once(&mut self, task: Tid, need: Capability) {
        if self.tgid_of(task).is_none_or(|group| self.common.filtered.insert((group, need))) {
            self.want_filter(task, need);
        }
    }

    /// Begins a request: what callbacks have asked for since the last one is forgotten.
    pub(crate) fn begin_request(&mut self) {
        self.common.sampled.clear();
        self.common.filtered.clear();
        self.common.moved.clear();
    }

    /// Ends a request: of the processes that moved, those whose threads are in different places now have accounts by
    /// thread. Returns what they have used until now.
    ///
    /// Of the css_sets that a thread came from and went to, which differ in no hierarchy with CPU accounts, either will
    /// do. Where they do, core has asked for the time a moment ago.
    pub(crate) fn end_request(&mut self) -> Vec<(CssSetId, usize, CpuTime)> {
        let mut used = Vec::new();
        for group in std::mem::take(&mut self.common.moved) {
            let threads = self.threads_of(group);
            let sets: HashSet<CssSetId> = threads.iter().filter_map(|thread| self.css_set(*thread)).collect();
            if sets.len() > 1 {
                self.sample_group(group, &mut |set, cpu, time| used.push((set, cpu, time)));
                self.account_by_thread(group);
            }
        }
        used
    }
}
