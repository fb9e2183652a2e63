//! A host that implements only what it must, and one that can refuse forks of some tasks only.

mod common;

use common::{Probe, World};
use penfold_core::simulated::SimulatedHost;
use penfold_core::{
    Access, Caller, CgroupId, CssSetId, Engine, Errno, MoveScope, Tid,
    host::ExistingPages,
    host::{Capability, Host, HostView, IndexSet, TaskFacts, Unsupported},
    subsystem::{Callbacks, CpuTime, Resource},
};

/// The simulated host with the defaults of the trait, but for fork vetoes: the tasks that it can't refuse forks of, and
/// those that it has been told to.
struct Plain {
    inner: SimulatedHost,
    beyond: Vec<Tid>,
    given: Vec<Tid>,
}

impl HostView for Plain {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.inner.task(task)
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.inner.css_set(task)
    }

    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        self.inner.for_each_task(set, visit);
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        self.inner.for_each_thread(group, visit);
    }

    fn now(&self) -> u64 {
        self.inner.now()
    }

    fn cpus(&self) -> IndexSet {
        self.inner.cpus()
    }

    fn check_task(&self, task: Tid, need: Capability) -> Result<(), Unsupported> {
        assert_eq!(need, Capability::ForkVeto);
        if self.beyond.contains(&task) {
            return Err(Unsupported::new("plain", format!("task {task} is beyond it")));
        }
        Ok(())
    }

    fn is_frozen(&self, task: Tid) -> bool {
        self.inner.is_frozen(task)
    }
}

impl Host for Plain {
    fn place(&mut self, task: Tid, set: CssSetId) {
        self.inner.place(task, set);
    }

    fn require(&mut self, need: Capability) -> Result<(), Unsupported> {
        self.inner.require(need)
    }

    fn enable_task(&mut self, task: Tid, need: Capability) {
        assert_eq!(need, Capability::ForkVeto);
        self.given.push(task);
    }

    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno> {
        self.inner.set_affinity(task, cpus)
    }

    fn freeze(&mut self, task: Tid) {
        self.inner.freeze(task);
    }

    fn thaw(&mut self, task: Tid) {
        self.inner.thaw(task);
    }

    fn sample_cpu(&mut self, charge: &mut dyn FnMut(CssSetId, usize, CpuTime)) {
        self.inner.sample_cpu(charge);
    }
}

/// `/free` and `/limited/below`, the latter limited to nine tasks above, and two tasks at the root.
struct Scene {
    engine: Engine,
    host: Plain,
    cgroups: [CgroupId; 3],
    tasks: [Tid; 2],
}

impl Scene {
    fn new() -> Scene {
        let mut world = World::new();
        world.load(Probe::new("p", Callbacks::CAN_FORK, &[Resource::Tasks]).0).unwrap();
        let top = world.mount("p").unwrap();
        let free = world.mkdir(top, "free").unwrap();
        let limited = world.mkdir(top, "limited").unwrap();
        let below = world.mkdir(limited, "below").unwrap();
        world.write(limited, "p.limit", "0 9").unwrap();
        let tasks = [world.spawn(), world.spawn()];
        let World { engine, host, .. } = world;
        let host = Plain { inner: host, beyond: Vec::new(), given: Vec::new() };
        Scene { engine, host, cgroups: [free, limited, below], tasks }
    }

    fn attach(&mut self, cgroup: CgroupId, task: Tid) -> Result<(), Errno> {
        let root = Caller::root(Tid(1));
        self.engine
            .session(&mut self.host, &root)
            .attach(cgroup, task, MoveScope::Task)
            .map_err(|error| error.errno())
    }

    fn write(&mut self, cgroup: CgroupId, name: &str, text: &str) -> Result<(), Errno> {
        let root = Caller::root(Tid(1));
        let file = self.engine.open(&root, cgroup, name, Access::WRITE).unwrap();
        let written = self.engine.session(&mut self.host, &root).write(cgroup, file, text.as_bytes());
        written.map_err(|error| error.errno())
    }
}

#[test]
fn task_beyond_refusal_is_let_into_no_limited_cgroup() {
    let mut scene = Scene::new();
    let ([free, limited, below], [task, other]) = (scene.cgroups, scene.tasks);
    scene.host.beyond = vec![task];
    assert_eq!(scene.attach(below, task), Err(Errno::EOPNOTSUPP), "the limit above counts");
    assert_eq!(scene.attach(limited, task), Err(Errno::EOPNOTSUPP));
    assert_eq!(scene.engine.tree().task_count(below), 0);
    assert_eq!(scene.attach(free, task), Ok(()));
    assert_eq!(scene.attach(below, other), Ok(()));
    assert_eq!(scene.host.given, [other], "from the move on its forks can be refused, and only its");
}

#[test]
fn limit_is_refused_where_a_member_is_beyond_it() {
    let mut scene = Scene::new();
    let ([free, limited, below], [task, other]) = (scene.cgroups, scene.tasks);
    scene.attach(free, task).unwrap();
    scene.attach(below, other).unwrap();
    scene.host.given.clear();
    scene.host.beyond = vec![task];
    assert_eq!(scene.write(free, "p.limit", "0 5"), Err(Errno::EOPNOTSUPP));
    assert_eq!(scene.write(free, "p.refuse", "1"), Err(Errno::EOPNOTSUPP), "any fork, so every member");
    assert_eq!(scene.host.given, []);
    assert_eq!(scene.write(limited, "p.limit", "0 8"), Ok(()));
    assert_eq!(scene.host.given, [other], "also a member further down");
    scene.host.beyond.clear();
    scene.host.given.clear();
    assert_eq!(scene.write(below, "p.refuse", "1"), Ok(()));
    assert_eq!(scene.host.given, [task, other]);
}

#[test]
fn subsystem_that_may_refuse_limits_every_cgroup() {
    let mut scene = Scene::new();
    let ([free, ..], [task, _]) = (scene.cgroups, scene.tasks);
    scene.write(free, "p.refuse", "1").unwrap();
    scene.host.beyond = vec![task];
    assert_eq!(scene.attach(free, task), Err(Errno::EOPNOTSUPP));
    scene.write(free, "p.refuse", "0").unwrap();
    assert_eq!(scene.attach(free, task), Ok(()));
}

#[test]
fn host_without_nodes_classes_and_signals_has_defaults() {
    let mut scene = Scene::new();
    let [task, _] = scene.tasks;
    let host = &mut scene.host;
    assert_eq!((host.memory_nodes(), host.cpu_limit(), host.node_limit()), (IndexSet::single(0), 2, 1024));
    assert_eq!((host.group(task), host.group(Tid(9999))), (Some(task), None));
    assert_eq!(
        host.set_memory_nodes(task, &IndexSet::single(0), &IndexSet::single(1), ExistingPages::Move),
        Ok(())
    );
    assert_eq!(host.set_socket_class(task, 1), Ok(()));
    assert_eq!(host.signal(task, 15), Err(Errno::EOPNOTSUPP));
    let mut every = Vec::new();
    let sets: Vec<CssSetId> = scene.engine.tree().css_sets().collect();
    scene.host.for_every_task(&sets, &mut |task| every.push(task));
    assert_eq!(every, scene.tasks);
}

#[test]
fn one_tasks_time_is_sampled_with_all_by_default() {
    let mut scene = Scene::new();
    let [task, _] = scene.tasks;
    let time = CpuTime { user: 2, system: 3 };
    scene.host.inner.run(task, 1, time);
    let mut sampled = Vec::new();
    scene.host.sample_task(task, &mut |_, cpu, time| sampled.push((cpu, time)));
    assert_eq!(sampled, [(1, time)]);
}
