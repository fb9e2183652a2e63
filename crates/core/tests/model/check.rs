//! The comparison of everything that can be observed.

use penfold_core::{
    CgroupId, Tid,
    host::EventMask,
    subsystem::{Callbacks, Resource},
};

use super::drive::CoreAndModel;
use super::naive::{KINDS, at, of_forks};
use super::op::ModelOp;
use crate::common::Faults;

impl CoreAndModel {
    /// Compares everything that can be observed.
    pub fn check(&mut self) {
        self.world.engine.sample_cpu(&mut self.world.host);
        self.check_subsystems();
        self.check_hierarchies();
        for (hierarchy, path) in self.model.cgroups() {
            let id = self.id(hierarchy, &path);
            self.check_cgroup(hierarchy, &path, id);
            self.check_files(hierarchy, &path, id);
        }
        self.check_tasks();
    }

    fn check_subsystems(&mut self) {
        let (engine, model) = (&self.world.engine, &self.model);
        let names: Vec<&str> = model.subs().map(|sub| KINDS[sub.kind].name).collect();
        assert_eq!(engine.subsystems().collect::<Vec<_>>(), names);
        assert_eq!(engine.proc_cgroups(), model.proc_cgroups());
        let mut interest = EventMask::empty();
        for sub in model.subs() {
            let has = |resource| sub.rules().contains(&resource);
            let charged = sub.rules().iter().any(|&rule| of_forks(rule));
            interest.set(EventMask::SOCKETS, interest.contains(EventMask::SOCKETS) || has(Resource::Sockets));
            for (wanted, callback) in [
                (EventMask::FORK, sub.has(Callbacks::FORK) || sub.has(Callbacks::CAN_FORK) || charged),
                (EventMask::EXIT, sub.has(Callbacks::EXIT) || charged),
                (EventMask::MAY_REFUSE_FORK, sub.has(Callbacks::CAN_FORK) || charged),
                (EventMask::CPU_TIME, has(Resource::CpuTime)),
            ] {
                interest.set(wanted, interest.contains(wanted) || callback);
            }
        }
        assert_eq!(engine.event_mask(), interest);
        let refusing = model.subs().any(|sub| {
            let mut histories = sub.css.values().flat_map(|css| css.histories.iter().zip(sub.rules()));
            sub.refusing || histories.any(|(history, &rule)| of_forks(rule) && history.limit.is_some())
        });
        assert_eq!(engine.can_refuse_fork(), refusing);
        for (kind, handle) in self.handles.iter().enumerate() {
            let alive = model.subs().filter(|sub| sub.kind == kind).map(|sub| sub.css.len() as u64).sum();
            let expected = crate::common::CallCounts { alive, ..model.counts[kind].clone() };
            assert_eq!(handle.counts(), expected, "callbacks of {}", KINDS[kind].name);
        }
    }

    fn check_hierarchies(&self) {
        let (engine, model) = (&self.world.engine, &self.model);
        let core: Vec<_> = engine
            .tree()
            .hierarchies()
            .map(|tree| {
                let options = self.world.show_options(tree.root);
                let agent = String::from_utf8(tree.release_agent.clone()).unwrap();
                (tree.id, tree.name.clone(), tree.mounts, tree.cgroups, agent, options)
            })
            .collect();
        let naive: Vec<_> = model
            .hierarchies
            .iter()
            .rev()
            .map(|(&id, tree)| {
                let options = model.show_options(id);
                (id, tree.name.clone(), tree.mounts, tree.groups.len(), tree.agent.clone(), options)
            })
            .collect();
        assert_eq!(core, naive, "hierarchies, newest first");
        assert_eq!(engine.css_set_count(), model.distinct_places(), "css_sets");
        for sub in model.subs() {
            assert_eq!(engine.hierarchy_of_subsystem(KINDS[sub.kind].name), Some(sub.hierarchy));
        }
    }

    fn check_cgroup(&self, hierarchy: u32, path: &str, id: CgroupId) {
        let (engine, model) = (&self.world.engine, &self.model);
        let (tree, group) = (engine.tree(), model.group(hierarchy, path));
        let node = &tree[id];
        assert_eq!(tree.path(id), path.as_bytes());
        assert_eq!(self.world.children(id), model.children(hierarchy, path), "children of {path}");
        assert_eq!(self.world.tasks(id), model.members(hierarchy, path), "tasks of {hierarchy}:{path}");
        assert_eq!(tree.task_count(id), model.members(hierarchy, path).len());
        assert_eq!(node.has_tasks(), !model.members(hierarchy, path).is_empty());
        assert_eq!(node.is_populated(), model.populated(hierarchy, path), "population of {path}");
        assert_eq!((node.notifies_on_release(), node.clones_children()), (group.notify, group.clone));
        assert_eq!((node.owner().uid, node.owner().mode), (group.owner, group.mode));
        assert_eq!(self.world.files(id), model.file_names(hierarchy, path));
    }

    fn check_files(&mut self, hierarchy: u32, path: &str, id: CgroupId) {
        let CoreAndModel { world, model, .. } = self;
        let lines = |numbers: &[i32]| numbers.iter().map(|tid| format!("{tid}\n")).collect::<String>();
        let members = model.members(hierarchy, path);
        let mut groups: Vec<i32> = members.iter().map(|tid| model.tasks[tid].group).collect();
        groups.sort_unstable();
        groups.dedup();
        assert_eq!(world.try_read(id, "tasks"), Ok(lines(&members)));
        assert_eq!(world.try_read(id, "cgroup.procs"), Ok(lines(&groups)));
        let flag = |flag: bool| Ok(format!("{}\n", u8::from(flag)));
        let group = model.group(hierarchy, path);
        assert_eq!(world.try_read(id, "notify_on_release"), flag(group.notify));
        assert_eq!(world.try_read(id, "cgroup.clone_children"), flag(group.clone));
        if path == "/" {
            let agent = &model.hierarchies[&hierarchy].agent;
            assert_eq!(world.try_read(id, "release_agent"), Ok(format!("{agent}\n")));
        }
        let bare = model.hierarchies[&hierarchy].flags.contains("noprefix");
        for sub in model.subs().filter(|sub| sub.hierarchy == hierarchy) {
            let name = KINDS[sub.kind].name;
            let prefix = if bare { String::new() } else { format!("{name}.") };
            let (usage, css) = (model.usage_text(sub, path), &sub.css[path]);
            assert_eq!(world.try_read(id, &format!("{prefix}usage")), Ok(usage), "{prefix}usage of {path}");
            let map = format!("value {}\ntasks {}\n", css.value, members.len());
            assert_eq!(world.try_read(id, &format!("{prefix}map")), Ok(map));
        }
    }

    fn check_tasks(&self) {
        let CoreAndModel { world, model, .. } = self;
        assert_eq!(world.host.tids(), model.tasks.keys().map(|&tid| Tid(tid)).collect::<Vec<_>>());
        let cpuset = model.slot_of("cpuset").map_or(0, |slot| model.slots[slot].as_ref().unwrap().hierarchy);
        for (&tid, task) in &model.tasks {
            assert_eq!(world.proc_cgroup(Tid(tid)), model.proc_pid_cgroup(&task.place));
            let set = world.css_set(Tid(tid));
            assert_eq!(world.engine.fork_would_pass(set), model.fork_would_pass(tid), "of {tid}");
            let text = world.engine.proc_pid_cpuset(Some(set)).unwrap();
            assert_eq!(text, format!("{}\n", at(&task.place, cpuset)).into_bytes());
        }
    }

    /// Takes everything down again: nothing may be left.
    pub fn tear_down(&mut self) {
        for (handle, faults) in self.handles.iter().zip(&mut self.model.faults) {
            (handle.records().faults, *faults) = (Faults::default(), Faults::default());
        }
        while !self.pins.is_empty() {
            self.step(&ModelOp::Unpin { pin: 0 });
        }
        while !self.flights.is_empty() {
            self.cancel(0);
        }
        while self.task(0).is_some() {
            self.step(&ModelOp::Exit { task: 0 });
        }
        while let Some(leaf) = self.model.cgroups().iter().rposition(|(_, path)| path != "/") {
            let before = self.model.cgroups().len();
            self.step(&ModelOp::Rmdir { at: leaf as u16, user: false });
            assert!(self.model.cgroups().len() < before);
        }
        while !self.model.hierarchies.is_empty() {
            self.step(&ModelOp::Unmount { hierarchy: 0 });
        }
        self.check();
        (0..KINDS.len()).for_each(|kind| self.step(&ModelOp::Unload { kind }));
        self.check();
        for (kind, handle) in self.handles.iter().enumerate() {
            assert_eq!(handle.counts().alive, 0, "states of {} are left", KINDS[kind].name);
        }
        assert_eq!(self.world.engine.css_set_count(), 1);
        assert!(!self.world.engine.can_refuse_fork(), "a limit is left");
    }
}
