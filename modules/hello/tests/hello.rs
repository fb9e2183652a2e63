//! `hello` on the simulated host, whose tasks exist only in a table: no root and no real process is needed. Every test
//! runs twice, with the controller built in and with the module's file.

use penfold_hello::Hello;
use penfold_module::Errno;
use penfold_module::loader::Controller;
use penfold_testkit::{SimWorld, TempFile};

/// A world with the controller built in, and one with the module's file.
fn both() -> [SimWorld; 2] {
    // cargo has put the module beside this program; a file can be loaded once at a time, and tests run in parallel
    let built = std::env::current_exe().unwrap().with_file_name("libpenfold_hello.so");
    let copy = TempFile::unmade(".so");
    std::fs::copy(built, &copy).unwrap();
    let module = Controller::open(&copy).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
    [SimWorld::with_controller(Hello), SimWorld::with_controller(module)]
}

#[test]
fn name_is_greeted_and_inherited() {
    for mut world in both() {
        let parent = world.mkdir(world.top, "parent");
        assert_eq!(world.read(parent, "hello.greeting"), "Hello, world!\n");
        assert_eq!(world.try_write(parent, "hello.name", "penfold\n"), Ok(()));
        let child = world.mkdir(parent, "child");
        assert_eq!(world.read(child, "hello.greeting"), "Hello, penfold!\n");
        assert_eq!(world.try_write(parent, "hello.name", " \n"), Err(Errno::EINVAL));
        assert_eq!(world.read(parent, "hello.name"), "penfold\n");
    }
}

#[test]
fn greeting_has_as_many_marks_as_loudness_says() {
    for mut world in both() {
        assert_eq!(world.try_write(world.top, "hello.loudness", "3"), Ok(()));
        assert_eq!(world.read(world.top, "hello.greeting"), "Hello, world!!!\n");
        for refused in ["-1", "10", "loud"] {
            assert_eq!(
                world.try_write(world.top, "hello.loudness", refused),
                Err(Errno::EINVAL),
                "{refused}"
            );
        }
        assert_eq!(world.read(world.top, "hello.loudness"), "3\n");
    }
}

#[test]
fn tasks_are_counted_as_they_move_and_are_born() {
    for mut world in both() {
        let group = world.mkdir(world.top, "group");
        let task = world.spawn_in(group);
        let child = world.fork(task);
        assert_eq!(world.read(group, "hello.stat"), "moved 1\nborn 1\n");
        assert_eq!(world.read(group, "hello.tasks"), "2\n");
        world.exit(child);
        assert_eq!(world.read(group, "hello.tasks"), "1\n");
        assert_eq!(world.try_write(group, "hello.reset", "now"), Ok(()));
        assert_eq!(world.read(group, "hello.stat"), "moved 0\nborn 0\n");
    }
}
