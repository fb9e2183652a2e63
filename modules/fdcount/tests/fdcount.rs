//! The rules of fdcount, with processes that exist only in a table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use penfold_fdcount::{Descriptors, FdCount};
use penfold_module::{CgroupId, Errno, Tid};
use penfold_testkit::SimWorld;

/// A process: its open descriptors, its soft limit, its parent.
#[derive(Clone)]
struct FakeProcess {
    open: Vec<u32>,
    limit: u64,
    parent: Tid,
}

#[derive(Default)]
struct FakeProcesses {
    all: BTreeMap<Tid, FakeProcess>,
    /// The child that is being made, and its parent.
    unborn: Option<(Tid, Tid)>,
}

impl FakeProcesses {
    /// The process. The unborn child is born at its first lookup, with the descriptors that its parent has then.
    fn get(&mut self, process: Tid) -> Option<&mut FakeProcess> {
        if let Some((child, parent)) = self.unborn.filter(|&(child, _)| child == process) {
            let inherited = FakeProcess { parent, ..self.all[&parent].clone() };
            self.all.insert(child, inherited);
            self.unborn = None;
        }
        self.all.get_mut(&process)
    }
}

#[derive(Clone, Default)]
struct FakeProcessTable(Arc<Mutex<FakeProcesses>>);

impl FakeProcessTable {
    fn with<R>(&self, process: Tid, use_it: impl FnOnce(&mut FakeProcess) -> R) -> Option<R> {
        self.0.lock().unwrap().get(process).map(use_it)
    }
}

impl Descriptors for FakeProcessTable {
    fn open(&self, process: Tid) -> Option<Vec<u32>> {
        self.with(process, |fake| fake.open.clone())
    }

    fn limit(&self, process: Tid) -> Option<u64> {
        self.with(process, |fake| fake.limit)
    }

    fn set_limit(&mut self, process: Tid, limit: u64) -> bool {
        self.with(process, |fake| fake.limit = limit).is_some()
    }

    fn parent(&self, process: Tid) -> Option<Tid> {
        self.with(process, |fake| fake.parent)
    }
}

/// A world of fdcount and the processes that its controller sees.
struct Counted {
    sim: SimWorld,
    table: FakeProcessTable,
    root: CgroupId,
    /// The only process at first.
    task: Tid,
}

impl Counted {
    fn new() -> Counted {
        let (mut sim, table) = (SimWorld::new(), FakeProcessTable::default());
        let task = sim.spawn();
        let first = FakeProcess { open: vec![0, 1, 2], limit: 1024, parent: Tid(0) };
        table.0.lock().unwrap().all.insert(task, first);
        sim.mount_controller(FdCount::new(table.clone()), "fdcount");
        Counted { root: sim.top, sim, table, task }
    }

    fn mkdir(&mut self, parent: CgroupId, name: &str) -> CgroupId {
        self.sim.mkdir(parent, name)
    }

    fn write(&mut self, cgroup: CgroupId, file: &str, text: &str) -> Result<(), Errno> {
        self.sim.try_write(cgroup, file, text)
    }

    fn read(&mut self, cgroup: CgroupId, file: &str) -> String {
        self.sim.read(cgroup, file).trim_end().to_owned()
    }

    /// A fork whose child the table has from the moment at which fdcount asks for it.
    fn fork(&mut self, parent: Tid) -> Result<Tid, Errno> {
        let next = Tid(self.sim.host.tids().last().unwrap().0 + 1);
        self.table.0.lock().unwrap().unborn = Some((next, parent));
        let child = self.sim.try_fork(parent)?;
        assert_eq!(child, next);
        Ok(child)
    }

    fn limit(&self, process: Tid) -> u64 {
        self.table.with(process, |fake| fake.limit).unwrap()
    }

    /// Opens as many descriptors as the limit allows. As in the kernel, each gets the lowest free number.
    fn open_all(&self, process: Tid) {
        self.table.with(process, |fake| fake.open = (0..fake.limit as u32).collect());
    }
}

#[test]
fn descriptors_of_cgroups_below_count_too() {
    let mut world = Counted::new();
    let a = world.mkdir(world.root, "a");
    let task = world.task;
    world.write(a, "tasks", &task.to_string()).unwrap();
    assert_eq!(world.read(a, "fdcount.current"), "3");
    assert_eq!(world.read(world.root, "fdcount.current"), "3");
    world.table.with(task, |fake| fake.open.push(77));
    assert_eq!(world.read(a, "fdcount.current"), "4");
    assert_eq!(world.read(a, "fdcount.peak"), "4");
    world.table.with(task, |fake| fake.open.pop());
    assert_eq!((world.read(a, "fdcount.current"), world.read(a, "fdcount.peak")), ("3".into(), "4".into()));
}

#[test]
fn limit_lowers_the_soft_limit_and_max_gives_it_back() {
    let mut world = Counted::new();
    let a = world.mkdir(world.root, "a");
    let task = world.task;
    world.write(a, "tasks", &task.to_string()).unwrap();
    assert_eq!(world.read(a, "fdcount.max"), "max");
    world.write(a, "fdcount.max", "10").unwrap();
    assert_eq!((world.read(a, "fdcount.max"), world.limit(task)), ("10".into(), 10));
    world.write(a, "fdcount.max", "2").unwrap();
    assert_eq!(world.limit(task), 3, "what is open stays open");
    assert_eq!(world.write(a, "fdcount.max", "-1"), Err(Errno::EINVAL));
    world.write(a, "fdcount.max", "max").unwrap();
    assert_eq!(world.limit(task), 1024);
}

#[test]
fn soft_limit_is_never_raised_above_the_processs_own() {
    let mut world = Counted::new();
    let a = world.mkdir(world.root, "a");
    let task = world.task;
    world.write(a, "tasks", &task.to_string()).unwrap();
    world.write(a, "fdcount.max", "5000").unwrap();
    assert_eq!(world.limit(task), 1024);
}

#[test]
fn process_that_leaves_has_its_own_limit_again() {
    let mut world = Counted::new();
    let a = world.mkdir(world.root, "a");
    let task = world.task;
    world.write(a, "fdcount.max", "10").unwrap();
    world.write(a, "tasks", &task.to_string()).unwrap();
    assert_eq!(world.limit(task), 10);
    world.write(world.root, "tasks", &task.to_string()).unwrap();
    assert_eq!(world.limit(task), 1024);
}

#[test]
fn limits_of_ancestors_hold_too() {
    let mut world = Counted::new();
    let a = world.mkdir(world.root, "a");
    let b = world.mkdir(a, "b");
    let task = world.task;
    world.write(b, "tasks", &task.to_string()).unwrap();
    world.write(b, "fdcount.max", "100").unwrap();
    world.write(a, "fdcount.max", "20").unwrap();
    assert_eq!(world.limit(task), 20);
}

#[test]
fn fork_needs_as_many_descriptors_as_its_parent_has() {
    let mut world = Counted::new();
    let a = world.mkdir(world.root, "a");
    let task = world.task;
    world.write(a, "tasks", &task.to_string()).unwrap();
    world.write(a, "fdcount.max", "5").unwrap();
    assert_eq!(world.fork(task), Err(Errno::EAGAIN), "3 and 3 are 6");
    assert_eq!(world.read(a, "fdcount.events"), "max 1");
    world.write(a, "fdcount.max", "6").unwrap();
    assert!(world.fork(task).is_ok());
    assert_eq!(world.limit(task), 3, "all of the rest is the child's");
}

#[test]
fn limit_holds_whatever_the_processes_open() {
    let mut world = Counted::new();
    let a = world.mkdir(world.root, "a");
    let task = world.task;
    world.write(a, "tasks", &task.to_string()).unwrap();
    world.write(a, "fdcount.max", "64").unwrap();
    let mut processes = vec![task];
    for round in 0..20 {
        let parent = processes[round % processes.len()];
        processes.extend(world.fork(parent));
        world.open_all(processes[(round * 7) % processes.len()]);
        let current: u64 = world.read(a, "fdcount.current").parse().unwrap();
        assert!(current <= 64, "round {round}: {current}");
    }
    assert!(processes.len() > 3, "some forks succeed");
}

#[test]
fn unload_gives_each_process_its_own_limit_back() {
    let mut world = Counted::new();
    let a = world.mkdir(world.root, "a");
    let task = world.task;
    world.write(a, "tasks", &task.to_string()).unwrap();
    world.write(a, "fdcount.max", "10").unwrap();
    world.write(world.root, "tasks", &task.to_string()).unwrap();
    world.sim.rmdir(a);
    world.sim.unmount(world.root);
    world.sim.unload("fdcount");
    assert_eq!(world.limit(task), 1024);
}
