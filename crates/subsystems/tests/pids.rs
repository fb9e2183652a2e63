//! pids on the simulated host: the facts of Linux 6.18.

use crate::subject::pids;
use penfold_core::{Errno, Event};
use penfold_testkit::SimWorld;

/// The controller under test, built in. `crates/subsystems/modules` runs the same tests with a module of that name.
#[allow(dead_code)]
mod subject {
    pub(crate) fn pids() -> penfold_subsystems::Pids {
        penfold_subsystems::Pids
    }
}

#[test]
fn refusal_by_an_ancestor_counts_in_the_forking_cgroup() {
    let mut world = SimWorld::with_controller(pids());
    let parent = world.mkdir(world.top, "g");
    let child = world.mkdir(parent, "c");
    let shell = world.spawn_in(child);
    world.write(parent, "max", "2\n");
    let second = world.fork(shell);
    assert_eq!(world.try_thread(shell), Err(Errno::EAGAIN));
    assert_eq!((world.read(child, "current"), world.read(child, "peak")), ("2\n".into(), "3\n".into()));
    assert_eq!(
        (world.read(child, "events"), world.read(parent, "events")),
        ("max 1\n".into(), "max 0\n".into())
    );
    world.exit(second);
    assert!(world.try_fork(shell).is_ok());
}

#[test]
fn refusal_names_the_cgroup_whose_limit_refuses() {
    let mut world = SimWorld::with_controller(pids());
    let parent = world.mkdir(world.top, "parent");
    let child = world.mkdir(parent, "child");
    world.write(parent, "max", "1");
    let task = world.spawn_in(child);
    world.engine.watch(true);
    for _ in 0..3 {
        world.try_fork(task).unwrap_err();
    }
    let hit = world.engine.take_event();
    let Some(Event::LimitHit { path, file, count, cgroup, hierarchy }) = hit else { panic!("{hit:?}") };
    assert_eq!((path.as_slice(), file.as_str(), count), (&b"/parent"[..], "pids.max", 3));
    assert_eq!((cgroup, hierarchy), (parent, 1));
    assert_eq!(world.engine.take_event(), None);
    world.write(child, "max", "1");
    world.try_fork(task).unwrap_err();
    let hit = world.engine.take_event();
    assert!(matches!(&hit, Some(Event::LimitHit { path, .. }) if path == b"/parent/child"), "{hit:?}");
}
