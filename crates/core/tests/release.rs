//! Release notification (C8, B6.2, T9): the measured scenarios of Linux 6.18.

mod common;

use common::World;
use penfold_core::{CgroupId, Tid};

/// A hierarchy with an agent, a flagged `g`, and a task.
fn flagged() -> (World, CgroupId, CgroupId, Tid) {
    let mut world = World::new();
    let task = world.spawn();
    let top = world.mount("none,name=ra,release_agent=/agent").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    world.write(g, "notify_on_release", "1").unwrap();
    (world, top, g, task)
}

fn paths(world: &mut World) -> Vec<String> {
    world
        .releases()
        .into_iter()
        .map(|(agent, path)| {
            assert_eq!(agent, "/agent");
            path
        })
        .collect()
}

#[test]
fn t09_the_last_task_leaves_by_a_move_or_by_exit() {
    let (mut world, top, g, task) = flagged();
    let other = world.fork(task).unwrap();
    world.attach(g, task).unwrap();
    world.attach(g, other).unwrap();
    world.attach(top, other).unwrap();
    assert_eq!(paths(&mut world), [""; 0], "one of two");
    world.attach(g, task).unwrap();
    assert_eq!(paths(&mut world), [""; 0], "it is there already");
    world.attach(top, task).unwrap();
    assert_eq!(paths(&mut world), ["/g"]);
    world.attach(g, task).unwrap();
    world.exit(task);
    assert_eq!(paths(&mut world), ["/g"]);
    let sibling = world.mkdir(top, "h").unwrap();
    world.attach(g, other).unwrap();
    world.attach(sibling, other).unwrap();
    assert_eq!(paths(&mut world), ["/g"], "moved to a sibling");
}

#[test]
fn t09_a_cgroup_that_was_never_used_calls_nobody() {
    let (mut world, top, g, task) = flagged();
    world.rmdir(g).unwrap();
    let late = world.mkdir(top, "late").unwrap();
    world.attach(late, task).unwrap();
    world.attach(top, task).unwrap();
    world.write(late, "notify_on_release", "1").unwrap();
    assert_eq!(paths(&mut world), [""; 0], "flagged only after it was empty");
    world.write(top, "notify_on_release", "1").unwrap();
    world.rmdir(late).unwrap();
    assert_eq!(paths(&mut world), [""; 0], "a root never calls");
    let again = world.mkdir(top, "again").unwrap();
    world.attach(again, task).unwrap();
    for flag in ["0", "1"] {
        world.write(again, "notify_on_release", flag).unwrap();
    }
    world.exit(task);
    assert_eq!(paths(&mut world), ["/again"], "writing the flag again clears nothing in 6.x (B6.2)");
}

#[test]
fn t09_the_last_child_is_removed() {
    let (mut world, _, g, task) = flagged();
    let (c, d) = (world.mkdir(g, "c").unwrap(), world.mkdir(g, "d").unwrap());
    world.attach(c, task).unwrap();
    world.exit(task);
    assert_eq!(paths(&mut world), ["/g/c"], "children inherit the flag; the parent has children");
    world.rmdir(c).unwrap();
    assert_eq!(paths(&mut world), [""; 0], "one of two");
    world.write(d, "notify_on_release", "0").unwrap();
    world.rmdir(d).unwrap();
    assert_eq!(paths(&mut world), ["/g"], "though it was never used itself");
}

#[test]
fn a_parent_with_tasks_below_is_not_released() {
    let (mut world, _, g, task) = flagged();
    let c = world.mkdir(g, "c").unwrap();
    world.attach(g, task).unwrap();
    world.attach(c, task).unwrap();
    assert_eq!(paths(&mut world), [""; 0]);
    world.attach(g, task).unwrap();
    assert_eq!(paths(&mut world), ["/g/c"]);
}

#[test]
fn the_agent_is_that_of_the_moment_and_may_be_none() {
    let (mut world, top, g, task) = flagged();
    world.write(top, "release_agent", "\n").unwrap();
    world.attach(g, task).unwrap();
    world.attach(top, task).unwrap();
    assert!(world.releases().is_empty());
    world.write(top, "release_agent", b"/other \xff").unwrap();
    world.attach(g, task).unwrap();
    world.rename(top, "g", top, "g 2").unwrap();
    world.attach(top, task).unwrap();
    let release = world.engine.take_release().unwrap();
    assert_eq!(
        (&*release.agent, &*release.path, release.hierarchy),
        (b"/other \xff".as_slice(), b"/g 2".as_slice(), 1)
    );
    assert_eq!(world.engine.take_release(), None);
}

/// Removed at once, or unmounted: the call is made all the same. Queued once until the host takes it.
#[test]
fn releases_outlive_their_cgroup_and_are_queued_once() {
    let (mut world, top, g, task) = flagged();
    let h = world.mkdir(top, "h").unwrap();
    world.write(h, "notify_on_release", "1").unwrap();
    for cgroup in [g, top, h, top, g, top] {
        world.attach(cgroup, task).unwrap();
    }
    world.rmdir(g).unwrap();
    assert_eq!(paths(&mut world), ["/g", "/h"], "oldest first, each once");
    world.attach(h, task).unwrap();
    world.unmount(top);
    world.exit(task);
    assert_eq!(paths(&mut world), ["/h"], "an unmounted hierarchy calls too");
    world.rmdir(h).unwrap();
    assert_eq!(world.engine.tree().hierarchies().count(), 0);
}

/// Each hierarchy calls its own agent.
#[test]
fn an_exit_may_release_in_several_hierarchies() {
    let mut world = World::new();
    let task = world.spawn();
    for name in ["x", "y"] {
        let top = world.mount(&format!("none,name={name},release_agent=/{name}")).unwrap();
        let g = world.mkdir(top, "g").unwrap();
        world.write(g, "notify_on_release", "1").unwrap();
        world.attach(g, task).unwrap();
    }
    world.exit(task);
    let mut agents: Vec<String> = world.releases().into_iter().map(|(agent, _)| agent).collect();
    agents.sort();
    assert_eq!(agents, ["/x", "/y"]);
}
