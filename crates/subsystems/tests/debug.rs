//! debug on the simulated host: the files of Linux 2.6.34.

use std::fmt::Write as _;

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Errno, MoveScope, Tid, simulated::ChildKind};
use penfold_subsystems::{Debug, Pids};

struct World {
    engine: Engine,
    host: SimulatedHost,
    shell: Tid,
    root: Caller,
    top: CgroupId,
}

impl World {
    fn new() -> World {
        let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(2));
        engine.load(&mut host, Debug).unwrap();
        engine.load(&mut host, Pids).unwrap();
        let shell = host.spawn(&mut engine, 0);
        let root = Caller::root(shell);
        let top = engine.session(&mut host, &root).mount("debug").unwrap().root;
        World { engine, host, shell, root, top }
    }

    fn mkdir(&mut self, parent: CgroupId, name: &str) -> CgroupId {
        self.engine.session(&mut self.host, &self.root).mkdir(parent, name.as_bytes(), 0o755).unwrap()
    }

    fn attach(&mut self, cgroup: CgroupId, task: Tid) {
        self.engine.session(&mut self.host, &self.root).attach(cgroup, task, MoveScope::Task).unwrap();
    }

    fn fork(&mut self, parent: Tid) -> Tid {
        self.host.fork(&mut self.engine, parent, ChildKind::Process).unwrap()
    }

    fn read_as(&mut self, caller: &Caller, cgroup: CgroupId, name: &str) -> Result<String, Errno> {
        let file = self.engine.find_file(cgroup, &format!("debug.{name}")).unwrap();
        let content = self.engine.session(&mut self.host, caller).read(cgroup, file);
        content.map(|content| String::from_utf8(content).unwrap()).map_err(|error| error.errno())
    }

    fn read(&mut self, cgroup: CgroupId, name: &str) -> String {
        self.read_as(&self.root.clone(), cgroup, name).unwrap()
    }

    fn notify(&mut self, cgroup: CgroupId, text: &str) {
        let file = self.engine.find_file(cgroup, "notify_on_release").unwrap();
        self.engine.session(&mut self.host, &self.root).write(cgroup, file, text.as_bytes()).unwrap();
    }
}

#[test]
fn every_directory_has_all_files_and_none_can_be_written() {
    let mut world = World::new();
    let child = world.mkdir(world.top, "g");
    let names = [
        "cgroup_refcount",
        "taskcount",
        "current_css_set",
        "current_css_set_refcount",
        "current_css_set_cg_links",
        "cgroup_css_links",
        "releasable",
    ];
    for cgroup in [world.top, child] {
        let files = world.engine.files(cgroup).unwrap();
        let ours: Vec<_> = files.iter().filter(|file| file.name.starts_with("debug.")).collect();
        assert!(ours.iter().all(|file| file.owner.mode == 0o444));
        let listed: Vec<&str> = ours.iter().filter_map(|file| file.name.strip_prefix("debug.")).collect();
        assert_eq!(listed, names);
        for file in ours {
            let written = world.engine.session(&mut world.host, &world.root).write(cgroup, file.id, b"0");
            assert_eq!(written.unwrap_err().errno(), Errno::EINVAL, "{}", file.name);
        }
    }
}

#[test]
fn counts_are_those_of_the_cgroup_itself() {
    let mut world = World::new();
    let other = world.engine.session(&mut world.host, &world.root.clone()).mount("pids").unwrap().root;
    let (group, elsewhere) = (world.mkdir(world.top, "g"), world.mkdir(other, "e"));
    let below = world.mkdir(group, "below");
    let tasks = [world.fork(world.shell), world.fork(world.shell), world.fork(world.shell)];
    assert_eq!(
        (world.read(group, "taskcount"), world.read(group, "cgroup_refcount")),
        ("0\n".into(), "0\n".into())
    );
    world.attach(group, tasks[0]);
    world.attach(group, tasks[1]);
    world.attach(below, tasks[2]);
    assert_eq!(
        (world.read(group, "taskcount"), world.read(group, "cgroup_refcount")),
        ("2\n".into(), "1\n".into())
    );
    world.attach(elsewhere, tasks[1]);
    assert_eq!(
        (world.read(group, "taskcount"), world.read(group, "cgroup_refcount")),
        ("2\n".into(), "2\n".into())
    );
    world.host.exit(&mut world.engine, tasks[1]);
    assert_eq!(
        (world.read(group, "taskcount"), world.read(group, "cgroup_refcount")),
        ("1\n".into(), "1\n".into())
    );
}

#[test]
fn current_css_set_is_the_readers_stable_number() {
    let mut world = World::new();
    let group = world.mkdir(world.top, "g");
    let (first, second) = (world.fork(world.shell), world.fork(world.shell));
    let number = |world: &mut World, task| -> u64 {
        let text = world.read_as(&Caller::root(task), group, "current_css_set").unwrap();
        text.strip_suffix('\n').unwrap().parse().unwrap()
    };
    let before = number(&mut world, first);
    assert_eq!(before, number(&mut world, second));
    world.attach(group, first);
    let after = number(&mut world, first);
    assert_ne!(before, after);
    assert_eq!((number(&mut world, second), number(&mut world, first)), (before, after));
    world.attach(group, second);
    assert_eq!(number(&mut world, second), after);
    // A css_set that is made again has another number.
    world.attach(world.top, first);
    world.attach(world.top, second);
    world.attach(group, first);
    assert_ne!(number(&mut world, first), after);
}

#[test]
fn css_set_refcount_has_tasks_and_forks_under_way() {
    let mut world = World::new();
    let group = world.mkdir(world.top, "g");
    let initial = world.read(world.top, "current_css_set_refcount");
    assert_eq!(initial, "2\n", "the shell, and one for ever");
    world.attach(group, world.shell);
    let child = world.fork(world.shell);
    assert_eq!(world.read(group, "current_css_set_refcount"), "2\n");
    let set = penfold_core::host::HostView::css_set(&world.host, child).unwrap();
    let charge = world.engine.charge_fork(&mut world.host, child, set).unwrap();
    assert_eq!(world.read(group, "current_css_set_refcount"), "3\n");
    world.engine.cancel_fork(&mut world.host, charge);
    assert_eq!(world.read(group, "current_css_set_refcount"), "2\n");
}

#[test]
fn reader_unknown_to_the_host_has_no_css_set() {
    let mut world = World::new();
    let stranger = Caller::root(Tid(4711));
    for name in ["current_css_set", "current_css_set_refcount", "current_css_set_cg_links"] {
        assert_eq!(world.read_as(&stranger, world.top, name), Err(Errno::ESRCH), "{name}");
    }
    assert_eq!(world.read_as(&stranger, world.top, "taskcount"), Ok("1\n".into()));
}

#[test]
fn cg_links_name_one_cgroup_for_each_hierarchy() {
    let mut world = World::new();
    assert_eq!(world.read(world.top, "current_css_set_cg_links"), "Root 0 group ?\nRoot 1 group /\n");
    let root = world.root.clone();
    let gone = world.engine.session(&mut world.host, &root).mount("none,name=gone").unwrap().root;
    let other = world.engine.session(&mut world.host, &root).mount("pids").unwrap().root;
    // A new hierarchy reuses the memory of the removed one, but comes last in the list.
    world.engine.unmount(&mut world.host, gone).unwrap();
    world.engine.session(&mut world.host, &root).mount("none,name=late").unwrap();
    let group = world.mkdir(other, "outer");
    let group = world.mkdir(group, "inner");
    world.attach(group, world.shell);
    let expected = "Root 0 group ?\nRoot 1 group /\nRoot 3 group inner\nRoot 4 group /\n";
    assert_eq!(world.read(world.top, "current_css_set_cg_links"), expected);
}

#[test]
fn css_links_list_at_most_26_tasks_of_a_css_set() {
    let mut world = World::new();
    let group = world.mkdir(world.top, "g");
    assert_eq!(world.read(group, "cgroup_css_links"), "");
    world.attach(group, world.shell);
    let mut tasks = vec![world.shell];
    while tasks.len() < 26 {
        tasks.push(world.fork(world.shell));
    }
    let mut expected = format!("css_set {}", world.read(group, "current_css_set"));
    for task in &tasks {
        let _ = writeln!(expected, "  task {task}");
    }
    assert_eq!(world.read(group, "cgroup_css_links"), expected);
    world.fork(world.shell);
    assert_eq!(world.read(group, "cgroup_css_links"), format!("{expected}  ...\n"));
}

#[test]
fn css_links_list_the_newest_css_set_first() {
    let mut world = World::new();
    let other = world.engine.session(&mut world.host, &world.root.clone()).mount("pids").unwrap().root;
    let elsewhere = world.mkdir(other, "e");
    let task = world.fork(world.shell);
    world.attach(elsewhere, task);
    let number =
        |world: &mut World, task| world.read_as(&Caller::root(task), world.top, "current_css_set").unwrap();
    let shell = world.shell;
    let (old, new) = (number(&mut world, shell), number(&mut world, task));
    let expected = format!("css_set {new}  task {task}\ncss_set {old}  task {shell}\n");
    assert_eq!(world.read(world.top, "cgroup_css_links"), expected);
}

#[test]
fn releasable_needs_the_flag_and_an_empty_cgroup() {
    let mut world = World::new();
    let group = world.mkdir(world.top, "g");
    assert_eq!(world.read(group, "releasable"), "0\n");
    world.notify(group, "1");
    assert_eq!(world.read(group, "releasable"), "1\n");
    let child = world.mkdir(group, "c");
    assert_eq!(world.read(group, "releasable"), "0\n");
    world.engine.session(&mut world.host, &world.root).rmdir(child).unwrap();
    assert_eq!(world.read(group, "releasable"), "1\n");
    world.attach(group, world.shell);
    assert_eq!(world.read(group, "releasable"), "0\n");
    world.notify(world.top, "1");
    assert_eq!(world.read(world.top, "releasable"), "0\n", "a root is never released");
}
