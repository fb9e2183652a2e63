//! `hello` on the simulated host: tasks that exist only in a table, so no root and no real process is needed. Every test
//! is made twice, with the controller built in and with the module's file.

use penfold_hello::Hello;
use penfold_module::Errno;
use penfold_module::loader::Controller;
use penfold_testkit::{SimWorld, TempFile};

/// A world with the controller built in, and one with the module's file.
fn both() -> [SimWorld; 2] {
    // cargo has built it, and put it beside this program; one file is one module, and tests run at once
    let built = std::env::current_exe().unwrap().with_file_name("libpenfold_hello.so");
    let copy = TempFile::unmade(".so");
    std::fs::copy(built, &copy).unwrap();
    let module = Controller::open(&copy).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
    [SimWorld::with_controller(Hello), SimWorld::with_controller(module)]
}

#[test]
fn a_name_is_greeted_and_inherited() {
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
fn a_greeting_is_as_loud_as_asked() {
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
