//! The task table as core's [`Host`]: one implementation, for callbacks of a stop and for requests of any thread.
//!
//! Actions that need the tracer thread are deferred to the end of the turn.

use std::collections::HashSet;
use std::sync::Arc;

use penfold_core::{
    CssSetId, Errno, Tid,
    host::{Capability, ExistingPages, Host, HostView, IndexSet, MoveFacts, TaskFacts, Unsupported},
    subsystem::{CpuTime, CpuUsage},
};

use super::machine::{EngineTasks, Member, NAME, core_errno};
use crate::proc::{StatusFile, command_name, machine_time};
use crate::trace::os::{marking, sched, task};
use crate::trace::tracer::inject;
use crate::trace::tracer::table::{ChargedTime, TaskState};

impl HostView for EngineTasks {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        let facts = self.move_facts(task)?;
        // A thread that has executed a program has its leader's number before the tracer sees that stop. Its own number
        // then has no status. If it were left out of a move for that, the whole process would stay behind.
        let status = StatusFile::read(task).or_else(|| StatusFile::read(facts.group))?;
        let [real_uid, _, saved_uid, _] = status.uids()?;
        let mut task = TaskFacts::new(facts.group, real_uid);
        task.saved_uid = saved_uid;
        (task.forking, task.exiting) = (facts.forking, facts.exiting);
        Some(task)
    }

    fn move_facts(&self, task: Tid) -> Option<MoveFacts> {
        let Some(entry) = self.get(task).filter(|entry| !entry.ended) else {
            // a leader that has ended before its threads moves nowhere, and its number still names the process
            self.processes.get(&task)?;
            let mut facts = MoveFacts::new(task);
            facts.exiting = true;
            return Some(facts);
        };
        entry.data.set?;
        let mut facts = MoveFacts::new(entry.tgid);
        facts.forking = entry.data.charge.is_some();
        Some(facts)
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
        // the leader's number is above a thread's when the pid counter has wrapped around
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
        let Some(entry) = self.get(task).filter(|entry| !entry.worker) else { return Ok(()) };
        if need != Capability::ForkVeto || entry.lineage.vetoes() || self.common.best_effort() {
            return Ok(());
        }
        let speaks = self.speaker(entry.tgid) == Some(task);
        let injectable = inject::check_injectable(task, self.filters_of(task)).and_then(|()| {
            if speaks { inject::check_unshared(task, |other| self.contains(other)) } else { Ok(()) }
        });
        let Err(reason) = injectable else { return Ok(()) };
        let name = command_name(task);
        let how =
            if entry.lineage.adopted { "was adopted" } else { "was started when nothing limited its forks" };
        let reason = format!(
            "task {task} ({name}) {how}, and no filter that could refuse its forks can be put in: {reason}"
        );
        Err(Unsupported::new(NAME, reason))
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

    fn machine_cpu_usage(&self) -> Option<CpuUsage> {
        if self.common.lists_all_tasks { machine_time(self.common.cpu_limit) } else { None }
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
        self.common.require(need).map_err(|reason| Unsupported::new(NAME, reason))
    }

    fn enable_task(&mut self, task: Tid, need: Capability) {
        self.want_filter_once(task, need);
    }

    /// Later calls of the task are clamped too, if it can get the filter.
    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno> {
        if *cpus != self.common.cpus && self.can_filter(task) {
            self.want_filter_once(task, Capability::Affinity);
        }
        if let Some(member) = self.data_mut(task) {
            member.allowed = Some(Arc::new(cpus.clone()));
        }
        let applied = self.apply_affinity(task, cpus).map_err(core_errno);
        // a worker can be gone without a report, and some kernels let nobody set its CPUs
        if self.is_worker(task) { Ok(()) } else { applied }
    }

    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        existing: ExistingPages,
    ) -> Result<(), Errno> {
        if existing == ExistingPages::Leave {
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

    /// Sockets that the task makes later are marked too, if it can get the filter.
    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        if class != 0 && self.can_filter(task) {
            self.want_filter_once(task, Capability::SocketClass);
        }
        let marking = self.common.marking;
        let member = self.data_mut(task).ok_or(Errno::ESRCH)?;
        let changed = std::mem::replace(&mut member.class, class) != class;
        if !changed {
            return Ok(());
        }
        let marked = marking::mark_all(task, class, marking).map_err(core_errno);
        if self.is_worker(task) { Ok(()) } else { marked }
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
        // CPU time of the process before it executes the command is charged to the command's cgroup
        let Some(entry) = self.get(task).filter(|entry| entry.state != TaskState::Unreleased) else { return };
        let group = entry.tgid;
        if self.common.sampled.insert(group) {
            self.sample_group(group, charge);
        }
    }
}

/// Charges a step of a task's CPU time to its css_set.
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

    /// Whether a filter is, or can be, in the task.
    fn can_filter(&self, task: Tid) -> bool {
        self.get(task).is_some_and(|entry| !entry.worker)
            && inject::check_injectable(task, self.filters_of(task)).is_ok()
    }

    fn is_worker(&self, task: Tid) -> bool {
        self.get(task).is_some_and(|entry| entry.worker)
    }

    /// The number of filters of this crate that a task has, with one whose installation is under way: it may be there
    /// already.
    fn filters_of(&self, task: Tid) -> u32 {
        let Some(entry) = self.get(task) else { return 0 };
        let process = self.processes.get(&entry.tgid);
        let under_way = process.is_some_and(|process| process.injector.is_some());
        entry.lineage.filters + u32::from(under_way)
    }

    /// Wants a filter once for each process and request: each call visits all threads, and a request may be about ten
    /// thousand.
    fn want_filter_once(&mut self, task: Tid, need: Capability) {
        if self.tgid_of(task).is_none_or(|group| self.common.filtered.insert((group, need))) {
            self.want_filter(task, need);
        }
    }

    /// Begins a request: forgets the notes of the last one.
    pub(crate) fn begin_request(&mut self) {
        self.common.sampled.clear();
        self.common.filtered.clear();
        self.common.moved.clear();
    }

    /// Ends a request. A process that moved and whose threads are in different css_sets now is accounted by thread from
    /// here on. Returns the CPU time that such processes have used until now.
    ///
    /// Either css_set is right for a thread that moved, if the two differ in no hierarchy with CPU accounts. Where they
    /// do, core has sampled the time a moment ago.
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
