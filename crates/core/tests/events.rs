//! Events: recorded only while a watcher is there, each once, oldest first.

mod common;

use penfold_core::{CgroupId, Event};
use penfold_testkit::SimWorld;

fn populated(world: &mut SimWorld) -> Vec<(String, bool)> {
    world
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Populated { path, populated, hierarchy, .. } => {
                assert_eq!(hierarchy, 1);
                (String::from_utf8(path).unwrap(), populated)
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

/// `/a/b` and `/c`.
fn watched() -> (SimWorld, CgroupId, [CgroupId; 3]) {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=watched");
    let a = world.mkdir(top, "a");
    let b = world.mkdir(a, "b");
    let c = world.mkdir(top, "c");
    world.engine.watch(true);
    (world, top, [a, b, c])
}

fn events<const N: usize>(expected: [(&str, bool); N]) -> Vec<(String, bool)> {
    expected.map(|(path, populated)| (path.to_owned(), populated)).to_vec()
}

#[test]
fn first_and_last_task_are_events_up_to_the_root() {
    let (mut world, _, [a, b, c]) = watched();
    let task = world.spawn();
    assert_eq!(populated(&mut world), events([("/", true)]));
    world.attach(b, task);
    // a move enters the new cgroup before it leaves the old one, and never leaves the root
    assert_eq!(populated(&mut world), events([("/a/b", true), ("/a", true)]));
    let other = world.fork(task);
    assert_eq!(populated(&mut world), []);
    world.attach(a, other);
    assert_eq!(populated(&mut world), [], "a has tasks below it anyway");
    world.attach(c, task);
    assert_eq!(populated(&mut world), events([("/c", true), ("/a/b", false)]));
    world.exit(other);
    assert_eq!(populated(&mut world), events([("/a", false)]));
    world.exit(task);
    assert_eq!(populated(&mut world), events([("/c", false), ("/", false)]));
}

#[test]
fn events_are_recorded_only_while_watched() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=watched");
    let g = world.mkdir(top, "g");
    let task = world.spawn();
    world.attach(g, task);
    assert_eq!(world.engine.take_event(), None);
    world.engine.watch(true);
    world.attach(top, task);
    assert!(world.engine.has_notifications());
    world.engine.watch(false);
    assert!(!world.engine.has_notifications());
    assert_eq!(world.engine.take_event(), None, "dropped with the last watcher");
    world.attach(g, task);
    assert_eq!(world.engine.take_event(), None);
}

#[test]
fn events_not_taken_are_counted_in_bounded_memory() {
    let (mut world, top, [a, ..]) = watched();
    let (task, _) = (world.spawn(), world.spawn());
    for _ in 0..20_000 {
        world.attach(a, task);
        world.attach(top, task);
    }
    let all = world.events();
    assert_eq!(all.len(), (1 << 14) + 1);
    assert_eq!(all.last(), Some(&Event::Lost(40_001 - (1 << 14))), "the root's own first task counted");
    world.attach(a, task);
    assert_eq!(populated(&mut world), events([("/a", true)]));
}
