//! Attach, fork, exit and charging in the naive model.

use std::collections::BTreeSet;

use penfold_core::{
    Errno,
    subsystem::{Callbacks, Resource},
};

use super::naive::{
    CoreModel, ErrnoResult, ForkInFlight, KINDS, Membership, ModelSubsystem, ModelTask, at, of_forks, upwards,
};

impl CoreModel {
    /// Charges one at every level from `path` upwards, against the limits or not. Charges before a refusing limit are given
    /// back, but leave their peaks.
    fn charge(&mut self, slot: usize, path: &str, rule: usize, limited: bool) -> bool {
        for above in upwards(path) {
            let sub = self.slots[slot].as_ref().unwrap();
            let usage = self.usage(sub, &above, rule) + 1;
            let sub = self.sub_mut(slot);
            let history = &mut sub.css.get_mut(&above).unwrap().histories[rule];
            if limited && history.limit.is_some_and(|limit| usage > limit) {
                history.failures += 1;
                sub.css.get_mut(path).unwrap().histories[rule].refused += 1;
                return false;
            }
            history.peak = history.peak.max(usage);
        }
        true
    }

    fn path_in(&self, slot: usize, place: &Membership) -> String {
        at(place, self.slots[slot].as_ref().unwrap().hierarchy).to_owned()
    }

    pub fn begin_fork(&mut self, parent: i32, marked: bool) -> ErrnoResult {
        let ModelTask { group, uid, place, .. } = self.tasks[&parent].clone();
        for slot in self.slots_where(ModelSubsystem::counts_forks) {
            let path = self.path_in(slot, &place);
            for (rule, &resource) in self.slots[slot].as_ref().unwrap().rules().iter().enumerate() {
                if of_forks(resource) && !self.charge(slot, &path, rule, true) {
                    return Err(Errno::EAGAIN);
                }
            }
        }
        let asked = self.slots_where(|sub| sub.has(Callbacks::CAN_FORK));
        for (agreed, &slot) in asked.iter().enumerate() {
            self.counts_of(slot).can_fork += 1;
            if self.faults_of(slot).veto_fork {
                asked[..agreed].iter().for_each(|&slot| self.counts_of(slot).cancel_fork += 1);
                return Err(Errno::ENOMEM);
            }
        }
        let covers = |sub: &&ModelSubsystem| sub.counts_forks() || sub.has(Callbacks::CAN_FORK);
        let covered: BTreeSet<u64> = self.subs().filter(covers).map(|sub| sub.serial).collect();
        self.flights.push(ForkInFlight { parent, group, uid, place, marked, covered });
        if marked {
            self.tasks.get_mut(&parent).unwrap().forking += 1;
        }
        Ok(())
    }

    fn land(&mut self, flight: usize) -> ForkInFlight {
        let flight = self.flights.remove(flight);
        if let Some(parent) = self.tasks.get_mut(&flight.parent).filter(|_| flight.marked) {
            parent.forking -= 1;
        }
        flight
    }

    pub fn commit_fork(&mut self, flight: usize, child: i32, thread: bool) {
        let place = self.flights[flight].place.clone();
        let covered = self.flights[flight].covered.clone();
        for slot in self.slots_where(|sub| !covered.contains(&sub.serial)) {
            let path = self.path_in(slot, &place);
            let rules = self.slots[slot].as_ref().unwrap().rules();
            for rule in (0..rules.len()).filter(|&rule| rules[rule] == Resource::Tasks) {
                self.charge(slot, &path, rule, false);
            }
        }
        let flight = self.land(flight);
        for slot in self.slots_where(|sub| covered.contains(&sub.serial)) {
            let path = self.path_in(slot, &place);
            self.add_past(slot, &path, Resource::Forks, 1);
        }
        let group = if thread { flight.group } else { child };
        self.tasks.insert(child, ModelTask { group, uid: flight.uid, place, forking: 0 });
        for slot in self.slots_where(|sub| sub.has(Callbacks::FORK)) {
            self.counts_of(slot).fork += 1;
        }
    }

    pub fn cancel_fork(&mut self, flight: usize) {
        let flight = self.land(flight);
        let agreed =
            |sub: &ModelSubsystem| sub.has(Callbacks::CAN_FORK) && flight.covered.contains(&sub.serial);
        for slot in self.slots_where(agreed) {
            self.counts_of(slot).cancel_fork += 1;
        }
    }

    /// Whether the charge rules would let the task fork. Leaves no trace.
    pub fn fork_would_pass(&self, task: i32) -> bool {
        let place = &self.tasks[&task].place;
        self.subs().all(|sub| {
            let path = at(place, sub.hierarchy);
            let rules = (0..sub.rules().len()).filter(|&rule| of_forks(sub.rules()[rule]));
            let levels = rules.flat_map(|rule| upwards(path).into_iter().map(move |above| (rule, above)));
            levels.into_iter().all(|(rule, above)| {
                let limit = sub.css[&above].histories[rule].limit;
                limit.is_none_or(|limit| self.usage(sub, &above, rule) < limit)
            })
        })
    }

    /// A task that the host brings in: no `can_fork` runs, but the task is charged and `fork` runs.
    pub fn join(&mut self, task: i32, uid: u32, place: &Membership) {
        for slot in self.slots_where(|_| true) {
            let path = self.path_in(slot, place);
            let rules = self.slots[slot].as_ref().unwrap().rules();
            for rule in (0..rules.len()).filter(|&rule| rules[rule] == Resource::Tasks) {
                self.charge(slot, &path, rule, false);
            }
        }
        self.tasks.insert(task, ModelTask { group: task, uid, place: place.clone(), forking: 0 });
        for slot in self.slots_where(|sub| sub.has(Callbacks::FORK)) {
            self.counts_of(slot).fork += 1;
        }
    }

    /// A task that no member has forked: subsystems without a `fork` learn of it by an attach.
    pub fn report_first_place(&mut self) {
        for slot in self.slots_where(ModelSubsystem::only_attaches) {
            self.counts_of(slot).attach += 1;
        }
    }

    pub fn exit(&mut self, task: i32) {
        let gone = self.tasks.remove(&task).unwrap();
        for (&hierarchy, path) in &gone.place {
            self.left(hierarchy, path);
        }
        for slot in self.slots_where(|sub| sub.has(Callbacks::EXIT)) {
            self.counts_of(slot).exit += 1;
        }
    }

    pub fn attach(&mut self, uid: u32, hierarchy: u32, path: &str, task: i32, whole: bool) -> ErrnoResult {
        let facts = self.tasks.get(&task).ok_or(Errno::ESRCH)?;
        let judged = if whole { self.tasks.get(&facts.group).unwrap_or(facts) } else { facts };
        if uid != 0 && uid != judged.uid {
            return Err(Errno::EACCES);
        }
        let group = facts.group;
        let wanted =
            |(tid, other): &(&i32, &ModelTask)| if whole { other.group == group } else { **tid == task };
        let movers: Vec<(&i32, &ModelTask)> =
            self.tasks.iter().filter(wanted).filter(|(_, task)| at(&task.place, hierarchy) != path).collect();
        // one origin after the other
        let origins: Vec<_> = movers.iter().map(|(_, task)| self.paths(&task.place)).collect();
        let first = |origin| origins.iter().position(|other| other == origin);
        let mut order: Vec<usize> = (0..movers.len()).collect();
        order.sort_by_key(|&mover| first(&origins[mover]));
        let moves: Vec<(i32, bool)> =
            order.into_iter().map(|mover| (*movers[mover].0, movers[mover].1.forking > 0)).collect();
        if moves.iter().any(|&(_, forking)| forking) {
            return Err(Errno::EAGAIN);
        }
        if moves.is_empty() {
            return Ok(());
        }
        let bound = self.bound_to(hierarchy);
        let having = |model: &CoreModel, callback| {
            let has = |&slot: &usize| model.slots[slot].as_ref().unwrap().has(callback);
            bound.iter().copied().filter(has).collect::<Vec<_>>()
        };
        let asked = having(self, Callbacks::CAN_ATTACH);
        for (agreed, &slot) in asked.iter().enumerate() {
            self.counts_of(slot).can_attach += 1;
            if self.faults_of(slot).veto_attach {
                asked[..agreed].iter().for_each(|&slot| self.counts_of(slot).cancel_attach += 1);
                return Err(Errno::ENOSPC);
            }
        }
        for &(tid, _) in &moves {
            for &slot in &bound {
                let rules = self.slots[slot].as_ref().unwrap().rules();
                for rule in (0..rules.len()).filter(|&rule| rules[rule] == Resource::Tasks) {
                    self.charge(slot, path, rule, false);
                }
            }
            let task = self.tasks.get_mut(&tid).unwrap();
            let old = task.place.insert(hierarchy, path.to_owned()).unwrap_or_else(|| "/".into());
            self.left(hierarchy, &old);
        }
        for slot in having(self, Callbacks::ATTACH) {
            self.counts_of(slot).attach += moves.len() as u64;
        }
        Ok(())
    }

    pub fn run(&mut self, task: i32, cpu: usize, user: u64, system: u64) {
        let place = self.tasks[&task].place.clone();
        for slot in self.slots_where(|sub| sub.rules().contains(&Resource::CpuTime)) {
            let path = self.path_in(slot, &place);
            self.add_past(slot, &path, Resource::CpuTime, user + system);
            for above in upwards(&path) {
                let css = self.sub_mut(slot).css.get_mut(&above).unwrap();
                css.cpu[cpu] = (css.cpu[cpu].0 + user, css.cpu[cpu].1 + system);
            }
        }
    }

    fn add_past(&mut self, slot: usize, path: &str, resource: Resource, amount: u64) {
        let sub = self.sub_mut(slot);
        let Some(rule) = sub.rules().iter().position(|&rule| rule == resource) else { return };
        for above in upwards(path) {
            let history = &mut sub.css.get_mut(&above).unwrap().histories[rule];
            history.past += amount;
            if resource == Resource::CpuTime {
                history.peak = history.peak.max(history.past);
            }
        }
    }

    /// The text of the probe's `usage` file.
    pub fn usage_text(&self, sub: &ModelSubsystem, path: &str) -> String {
        let css = &sub.css[path];
        let mut text = String::new();
        for (rule, history) in css.histories.iter().enumerate() {
            let limit = history.limit.map_or(-1, u64::cast_signed);
            let usage = self.usage(sub, path, rule);
            text += &format!("{usage} {limit} {} {} {}\n", history.peak, history.failures, history.refused);
            if sub.rules()[rule] == Resource::CpuTime {
                for (cpu, (user, system)) in css.cpu.iter().enumerate() {
                    text += &format!("cpu{cpu} {user} {system}\n");
                }
            }
        }
        text
    }

    pub fn labels(&self, hierarchy: u32) -> Vec<String> {
        let mut labels: Vec<String> = self
            .bound_to(hierarchy)
            .into_iter()
            .map(|slot| KINDS[self.slots[slot].as_ref().unwrap().kind].name.to_owned())
            .collect();
        let name = &self.hierarchies[&hierarchy].name;
        if !name.is_empty() {
            labels.push(format!("name={name}"));
        }
        labels
    }

    pub fn proc_pid_cgroup(&self, place: &Membership) -> String {
        let line = |&id: &u32| format!("{id}:{}:{}\n", self.labels(id).join(","), at(place, id));
        self.hierarchies.keys().rev().map(line).collect()
    }

    pub fn proc_cgroups(&self) -> String {
        let mut text = String::from("#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
        for sub in self.subs() {
            let cgroups = self.hierarchies.get(&sub.hierarchy).map_or(1, |tree| tree.groups.len());
            text += &format!("{}\t{}\t{cgroups}\t1\n", KINDS[sub.kind].name, sub.hierarchy);
        }
        text
    }
}
