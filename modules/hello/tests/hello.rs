//! `hello` on the simulated host, whose tasks exist only in a table: no root and no real process is needed. Every test
//! runs twice, with the controller built in and with the module's file.

use std::sync::atomic::{AtomicU32, Ordering};

use penfold_hello::Hello;
use penfold_module::loader::Controller;
use penfold_module::simulated::SimulatedHost;
use penfold_module::{Caller, CgroupId, Engine, Errno, MoveScope, Subsystem, Tid, simulated::ChildKind};

struct World {
    engine: Engine,
    host: SimulatedHost,
    root: Caller,
    top: CgroupId,
}

impl World {
    fn both() -> [World; 2] {
        // cargo has put the module beside this program; a file can be loaded once at a time, and tests run in parallel
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let built = std::env::current_exe().unwrap().with_file_name("libpenfold_hello.so");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let copy = std::env::temp_dir().join(format!("penfold-hello-{}-{number}.so", std::process::id()));
        std::fs::copy(built, &copy).unwrap();
        let module = Controller::open(&copy).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
        std::fs::remove_file(copy).unwrap();
        [World::of(Hello), World::of(module)]
    }

    fn of(controller: impl Subsystem) -> World {
        let (mut engine, mut host, root) = (Engine::new(), SimulatedHost::new(2), Caller::root(Tid(1)));
        engine.load(&mut host, controller).unwrap();
        let top = engine.session(&mut host, &root).mount("hello").unwrap().root;
        World { engine, host, root, top }
    }

    fn mkdir(&mut self, parent: CgroupId, name: &str) -> CgroupId {
        self.engine.session(&mut self.host, &self.root).mkdir(parent, name.as_bytes(), 0o755).unwrap()
    }

    fn read(&mut self, cgroup: CgroupId, file: &str) -> String {
        let file = self.engine.find_file(cgroup, file).unwrap();
        String::from_utf8(self.engine.session(&mut self.host, &self.root).read(cgroup, file).unwrap())
            .unwrap()
    }

    fn write(&mut self, cgroup: CgroupId, file: &str, text: &str) -> Result<(), Errno> {
        let file = self.engine.find_file(cgroup, file).unwrap();
        let written = self.engine.session(&mut self.host, &self.root).write(cgroup, file, text.as_bytes());
        written.map_err(|error| error.errno())
    }
}

#[test]
fn name_is_greeted_and_inherited() {
    for mut world in World::both() {
        let parent = world.mkdir(world.top, "parent");
        assert_eq!(world.read(parent, "hello.greeting"), "Hello, world!\n");
        assert_eq!(world.write(parent, "hello.name", "penfold\n"), Ok(()));
        let child = world.mkdir(parent, "child");
        assert_eq!(world.read(child, "hello.greeting"), "Hello, penfold!\n");
        assert_eq!(world.write(parent, "hello.name", " \n"), Err(Errno::EINVAL));
        assert_eq!(world.read(parent, "hello.name"), "penfold\n");
    }
}

#[test]
fn greeting_has_as_many_marks_as_loudness_says() {
    for mut world in World::both() {
        assert_eq!(world.write(world.top, "hello.loudness", "3"), Ok(()));
        assert_eq!(world.read(world.top, "hello.greeting"), "Hello, world!!!\n");
        for refused in ["-1", "10", "loud"] {
            assert_eq!(world.write(world.top, "hello.loudness", refused), Err(Errno::EINVAL), "{refused}");
        }
        assert_eq!(world.read(world.top, "hello.loudness"), "3\n");
    }
}

#[test]
fn tasks_are_counted_as_they_move_and_are_born() {
    for mut world in World::both() {
        let group = world.mkdir(world.top, "group");
        let task = world.host.spawn(&mut world.engine, 0);
        world.engine.session(&mut world.host, &world.root).attach(group, task, MoveScope::Task).unwrap();
        let child = world.host.fork(&mut world.engine, task, ChildKind::Process).unwrap();
        assert_eq!(world.read(group, "hello.stat"), "moved 1\nborn 1\n");
        assert_eq!(world.read(group, "hello.tasks"), "2\n");
        world.host.exit(&mut world.engine, child);
        assert_eq!(world.read(group, "hello.tasks"), "1\n");
        assert_eq!(world.write(group, "hello.reset", "now"), Ok(()));
        assert_eq!(world.read(group, "hello.stat"), "moved 0\nborn 0\n");
    }
}
