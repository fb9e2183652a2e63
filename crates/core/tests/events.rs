//! Events: recorded only while somebody watches, each once, oldest first.

mod common;

use common::World;
use penfold_core::{CgroupId, Event};

fn populated(world: &mut World) -> Vec<(String, bool)> {
    std::iter::from_fn(|| world.engine.take_event())
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
fn watched() -> (World, CgroupId, [CgroupId; 3]) {
    let mut world = World::new();
    let top = world.mount("none,name=watched").unwrap();
    let a = world.mkdir(top, "a").unwrap();
    let b = world.mkdir(a, "b").unwrap();
    let c = world.mkdir(top, "c").unwrap();
    world.engine.watch(true);
    (world, top, [a, b, c])
}

fn events<const N: usize>(expected: [(&str, bool); N]) -> Vec<(String, bool)> {
    expected.map(|(path, populated)| (path.to_owned(), populated)).to_vec()
}

#[test]
fn the_first_task_and_the_last_are_told_up_to_the_root() {
    let (mut world, _, [a, b, c]) = watched();
    let task = world.spawn();
    assert_eq!(populated(&mut world), events([("/", true)]));
    world.attach(b, task).unwrap();
    // it is at the new place before it has left the old one, and the root has it all the time
    assert_eq!(populated(&mut world), events([("/a/b", true), ("/a", true)]));
    let other = world.fork(task).unwrap();
    assert_eq!(populated(&mut world), []);
    world.attach(a, other).unwrap();
    assert_eq!(populated(&mut world), [], "a has tasks below it anyway");
    world.attach(c, task).unwrap();
    assert_eq!(populated(&mut world), events([("/c", true), ("/a/b", false)]));
    world.exit(other);
    assert_eq!(populated(&mut world), events([("/a", false)]));
    world.exit(task);
    assert_eq!(populated(&mut world), events([("/c", false), ("/", false)]));
}

#[test]
fn nobody_watches_at_first_and_nothing_is_left_over() {
    let mut world = World::new();
    let top = world.mount("none,name=watched").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    let task = world.spawn();
    world.attach(g, task).unwrap();
    assert_eq!(world.engine.take_event(), None);
    world.engine.watch(true);
    world.attach(top, task).unwrap();
    assert!(world.engine.has_notifications());
    world.engine.watch(false);
    assert!(!world.engine.has_notifications());
    assert_eq!(world.engine.take_event(), None, "dropped with the last watcher");
    world.attach(g, task).unwrap();
    assert_eq!(world.engine.take_event(), None);
}

#[test]
fn what_nobody_takes_is_counted_and_takes_no_more_room() {
    let (mut world, top, [a, ..]) = watched();
    let (task, _) = (world.spawn(), world.spawn());
    for _ in 0..20_000 {
        world.attach(a, task).unwrap();
        world.attach(top, task).unwrap();
    }
    let all: Vec<Event> = std::iter::from_fn(|| world.engine.take_event()).collect();
    assert_eq!(all.len(), (1 << 14) + 1);
    assert_eq!(all.last(), Some(&Event::Lost(40_001 - (1 << 14))), "the root's own first task counted");
    world.attach(a, task).unwrap();
    assert_eq!(populated(&mut world), events([("/a", true)]));
}
