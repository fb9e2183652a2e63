//! `modules/forkrate`, a controller in C, built by its own Makefile and loaded on the simulated host.
#![cfg(feature = "loader")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use penfold_core::{CgroupId, Errno, host::Capability};
use penfold_module::loader::Controller;
use penfold_testkit::{SimWorld, TempFile, skip};
use proptest::prelude::*;

const MS: u64 = 1_000_000;

/// The module, built once. Without make or a compiler: prints that and returns `None`.
fn module() -> Option<&'static Path> {
    static MODULE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("forkrate");
        std::fs::create_dir_all(&directory).expect("make a directory");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules/forkrate");
        let mut make = Command::new("make");
        make.arg("-C").arg(source).arg(format!("BUILD={}", directory.display()));
        match make.output() {
            Ok(made) if made.status.success() => Some(directory.join("forkrate.so")),
            Ok(made) => panic!("{make:?}: {}", String::from_utf8_lossy(&made.stderr)),
            Err(error) => {
                skip(&format!("make: {error}"));
                None
            }
        }
    };
    MODULE.get_or_init(build).as_deref()
}

/// The module from a copy of its file: a file can be loaded once at a time, and tests run in parallel.
fn opened() -> Option<Controller> {
    let copy = TempFile::unmade(".so");
    std::fs::copy(module()?, &copy).expect("a copy");
    Some(Controller::open(&copy).expect("a module"))
}

/// `forkrate` mounted alone. `None` where it can't be built.
fn world() -> Option<SimWorld> {
    Some(SimWorld::with_controller(opened()?))
}

/// The operations that only these tests need.
trait Forkrate {
    fn current(&mut self, cgroup: CgroupId) -> u64;
    fn at(&mut self, milliseconds: u64);
}

impl Forkrate for SimWorld {
    fn current(&mut self, cgroup: CgroupId) -> u64 {
        self.read(cgroup, "current").trim_end().parse().unwrap()
    }

    /// Sets the clock.
    fn at(&mut self, milliseconds: u64) {
        self.host.clock = milliseconds * MS;
    }
}

/// Ends the test where the module can't be built.
macro_rules! world {
    () => {
        match world() {
            Some(world) => world,
            None => return,
        }
    };
}

#[test]
fn fork_counts_for_a_window_and_at_most_a_64th_longer() {
    let mut world = world!();
    let group = world.mkdir(world.top, "group");
    let task = world.spawn_in(group);
    world.write(group, "window_ms", "640");
    world.write(group, "max", "2");
    world.at(9);
    world.fork(task);
    world.at(300);
    world.fork(task);
    assert_eq!((world.try_fork(task), world.current(group)), (Err(Errno::EAGAIN), 2));
    world.at(9 + 640);
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    world.at(640 + 10);
    assert_eq!(world.current(group), 1, "only the first has left the window");
    world.fork(task);
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    assert_eq!(world.read(group, "events"), "refused 3\n");
    world.at(1_000_000);
    assert_eq!(world.current(group), 0);
}

#[test]
fn refusal_by_an_ancestor_counts_in_the_forking_cgroup() {
    let mut world = world!();
    let parent = world.mkdir(world.top, "parent");
    let (child, sibling) = (world.mkdir(parent, "child"), world.mkdir(parent, "sibling"));
    let (one, other) = (world.spawn_in(child), world.spawn_in(sibling));
    world.write(parent, "max", "3");
    world.write(child, "max", "2");
    world.fork(one);
    world.fork(one);
    assert_eq!(world.try_fork(one), Err(Errno::EAGAIN), "its own limit");
    world.fork(other);
    assert_eq!(world.try_fork(other), Err(Errno::EAGAIN), "that of its parent");
    let counts = [parent, child, sibling].map(|cgroup| world.current(cgroup));
    assert_eq!(counts, [3, 2, 1]);
    let events = [parent, child, sibling].map(|cgroup| world.read(cgroup, "events"));
    assert_eq!(events, ["refused 0\n", "refused 1\n", "refused 1\n"]);
}

#[test]
fn fork_in_flight_counts_until_it_fails() {
    let mut world = world!();
    let group = world.mkdir(world.top, "group");
    let task = world.spawn_in(group);
    world.write(group, "max", "1");
    let set = world.css_set(task);
    let charge = world.engine.charge_fork(&mut world.host, task, set).unwrap();
    assert_eq!((world.try_fork(task), world.current(group)), (Err(Errno::EAGAIN), 0));
    world.engine.cancel_fork(&mut world.host, charge);
    world.fork(task);
    assert_eq!((world.try_fork(task), world.current(group)), (Err(Errno::EAGAIN), 1));
}

#[test]
fn child_without_can_fork_counts_too() {
    let mut world = world!();
    let group = world.mkdir(world.top, "group");
    let task = world.spawn_in(group);
    world.write(group, "max", "3");
    let set = world.css_set(task);
    // This child comes while another is in flight. In the end both count.
    let charge = world.engine.charge_fork(&mut world.host, task, set).unwrap();
    let unasked = world.host.create(None, 0);
    world.engine.join(&mut world.host, unasked, set);
    let child = world.host.create(None, 0);
    world.engine.commit_fork(&mut world.host, charge, child);
    assert_eq!(world.current(group), 2);
    world.fork(task);
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
}

#[test]
fn existing_and_attached_tasks_count_as_no_forks() {
    let Some(controller) = opened() else { return };
    let mut world = SimWorld::new();
    let tasks = [(); 3].map(|()| world.spawn());
    world.mount_controller(controller, "forkrate");
    let group = world.mkdir(world.top, "group");
    for task in tasks {
        world.attach(group, task);
    }
    assert_eq!(world.current(group), 0);
    assert!(!world.has_file(world.top, "max"), "the root has no limit");
}

#[test]
fn invalid_values_change_nothing() {
    let mut world = world!();
    let group = world.mkdir(world.top, "group");
    assert_eq!((world.read(group, "max"), world.read(group, "window_ms")), ("max\n".into(), "1000\n".into()));
    for (text, shown) in [("0x10", "16\n"), ("010", "8\n"), (" 4294967295\n", "4294967295\n"), ("0", "0\n")] {
        world.write(group, "max", text);
        assert_eq!(world.read(group, "max"), shown, "{text:?}");
    }
    for text in [" ", "-1", "+1", "MAX", "7 forks", "4294967296", "99999999999999999999", "08"] {
        assert_eq!(world.try_write(group, "max", text), Err(Errno::EINVAL), "{text:?}");
        assert_eq!(
            world.last_error().to_string(),
            "forkrate.max: takes 'max' or a number from 0 to 4294967295"
        );
    }
    for text in ["0", "3600001"] {
        world.try_write(group, "window_ms", text).unwrap_err();
        assert_eq!(world.last_error().to_string(), "forkrate.window_ms: takes 1 to 3600000 milliseconds");
    }
    assert_eq!((world.read(group, "max"), world.read(group, "window_ms")), ("0\n".into(), "1000\n".into()));
    let child = world.mkdir(group, "child");
    assert_eq!(world.read(child, "max"), "max\n", "nothing is inherited");
}

#[test]
fn host_has_to_refuse_only_while_there_is_a_limit() {
    let mut world = world!();
    let (one, two) = (world.mkdir(world.top, "one"), world.mkdir(world.top, "two"));
    world.host.cannot = vec![Capability::ForkVeto];
    assert_eq!(world.try_write(one, "max", "5"), Err(Errno::EOPNOTSUPP));
    assert_eq!((world.read(one, "max"), world.engine.can_refuse_fork()), ("max\n".into(), false));
    world.host.cannot.clear();
    world.write(one, "max", "5");
    world.write(one, "max", "6");
    world.write(two, "max", "5");
    world.write(one, "max", "max");
    assert!(world.engine.can_refuse_fork(), "there is still the other");
    world.rmdir(two);
    assert!(!world.engine.can_refuse_fork());
}

#[test]
fn new_window_keeps_the_forks_that_it_still_reaches() {
    let mut world = world!();
    let group = world.mkdir(world.top, "group");
    let task = world.spawn_in(group);
    world.at(5_000);
    world.fork(task);
    world.at(5_600);
    world.fork(task);
    world.write(group, "window_ms", "2000");
    assert_eq!(world.current(group), 2);
    world.at(6_999);
    assert_eq!(world.current(group), 2, "the window became longer for those that it had");
    world.write(group, "window_ms", "1500");
    assert_eq!(world.current(group), 1);
    world.write(group, "window_ms", "3600000");
    assert_eq!(world.current(group), 1, "what was forgotten does not come back");
}

#[test]
fn load_again_starts_from_defaults() {
    let mut world = world!();
    let group = world.mkdir(world.top, "group");
    world.write(group, "max", "5");
    world.rmdir(group);
    world.unmount(world.top);
    world.unload("forkrate");
    assert!(!world.engine.can_refuse_fork());
    world.mount_controller(opened().expect("it was there"), "forkrate");
    let group = world.mkdir(world.top, "group");
    assert_eq!(world.read(group, "max"), "max\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// At any times of the forks, a window never has more forks than allowed. And the forks of a window and a 64th
    /// explain every refusal.
    #[test]
    fn forkrate_refuses_as_its_manual_says(
        max in 0_u64..8,
        window_ms in 1_u64..5_000,
        start in 0_u64..1_000_000_000_000,
        steps in prop::collection::vec((0_u64..4, 0_u64..1_000_000), 1..200),
    ) {
        let Some(mut world) = world() else { return Ok(()) };
        let group = world.mkdir(world.top, "group");
        let task = world.spawn_in(group);
        world.write(group, "max", max.to_string());
        world.write(group, "window_ms", window_ms.to_string());
        let window = window_ms * MS;
        let mut forks: Vec<u64> = Vec::new();
        world.host.clock = start;
        for (scale, part) in steps {
            // from bursts to pauses of more than a window
            world.host.clock += (window >> (4 * (3 - scale))) * part / 900_000;
            let now = world.host.clock;
            let within = |length: u64| forks.iter().filter(|&&at| at + length > now).count() as u64;
            let (surely, perhaps) = (within(window), within(window + window / 64));
            prop_assert!((surely..=perhaps).contains(&world.current(group)));
            match world.try_fork(task) {
                Ok(_) => {
                    prop_assert!(surely < max);
                    forks.push(now);
                }
                Err(errno) => {
                    prop_assert_eq!(errno, Errno::EAGAIN);
                    prop_assert!(perhaps >= max);
                }
            }
        }
    }
}
