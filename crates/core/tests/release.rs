//! Release notification (C8, B6.2, T9): the measured scenarios of Linux 6.18.

mod common;

use penfold_core::{CgroupId, Tid};
use penfold_testkit::SimWorld;

/// A hierarchy with an agent, a flagged `g`, and a task.
fn flagged() -> (SimWorld, CgroupId, CgroupId, Tid) {
    let mut world = SimWorld::new();
    let task = world.spawn();
    let top = world.mount("none,name=ra,release_agent=/agent");
    let g = world.mkdir(top, "g");
    world.write(g, "notify_on_release", "1");
    (world, top, g, task)
}

fn paths(world: &mut SimWorld) -> Vec<String> {
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
fn last_task_leaving_by_move_or_exit_is_a_release() {
    let (mut world, top, g, task) = flagged();
    let other = world.fork(task);
    world.attach(g, task);
    world.attach(g, other);
    world.attach(top, other);
    assert_eq!(paths(&mut world), [""; 0], "one of two");
    world.attach(g, task);
    assert_eq!(paths(&mut world), [""; 0], "it is there already");
    world.attach(top, task);
    assert_eq!(paths(&mut world), ["/g"]);
    world.attach(g, task);
    world.exit(task);
    assert_eq!(paths(&mut world), ["/g"]);
    let sibling = world.mkdir(top, "h");
    world.attach(g, other);
    world.attach(sibling, other);
    assert_eq!(paths(&mut world), ["/g"], "moved to a sibling");
}

#[test]
fn unused_cgroup_is_never_released() {
    let (mut world, top, g, task) = flagged();
    world.rmdir(g);
    let late = world.mkdir(top, "late");
    world.attach(late, task);
    world.attach(top, task);
    world.write(late, "notify_on_release", "1");
    assert_eq!(paths(&mut world), [""; 0], "flagged only after it was empty");
    world.write(top, "notify_on_release", "1");
    world.rmdir(late);
    assert_eq!(paths(&mut world), [""; 0], "a root never calls");
    let again = world.mkdir(top, "again");
    world.attach(again, task);
    for flag in ["0", "1"] {
        world.write(again, "notify_on_release", flag);
    }
    world.exit(task);
    assert_eq!(paths(&mut world), ["/again"], "writing the flag again clears nothing in 6.x (B6.2)");
}

#[test]
fn removing_the_last_child_is_a_release() {
    let (mut world, _, g, task) = flagged();
    let (c, d) = (world.mkdir(g, "c"), world.mkdir(g, "d"));
    world.attach(c, task);
    world.exit(task);
    assert_eq!(paths(&mut world), ["/g/c"], "children inherit the flag; the parent has children");
    world.rmdir(c);
    assert_eq!(paths(&mut world), [""; 0], "one of two");
    world.write(d, "notify_on_release", "0");
    world.rmdir(d);
    assert_eq!(paths(&mut world), ["/g"], "though it was never used itself");
}

#[test]
fn parent_with_tasks_below_is_not_released() {
    let (mut world, _, g, task) = flagged();
    let c = world.mkdir(g, "c");
    world.attach(g, task);
    world.attach(c, task);
    assert_eq!(paths(&mut world), [""; 0]);
    world.attach(g, task);
    assert_eq!(paths(&mut world), ["/g/c"]);
}

#[test]
fn release_takes_the_agent_of_the_moment() {
    let (mut world, top, g, task) = flagged();
    world.write(top, "release_agent", "\n");
    world.attach(g, task);
    world.attach(top, task);
    assert!(world.releases().is_empty());
    world.write(top, "release_agent", b"/other \xff");
    world.attach(g, task);
    world.rename(top, "g", top, "g 2");
    world.attach(top, task);
    let release = world.engine.take_release().unwrap();
    assert_eq!(
        (&*release.agent, &*release.path, release.hierarchy),
        (b"/other \xff".as_slice(), b"/g 2".as_slice(), 1)
    );
    assert_eq!(world.engine.take_release(), None);
}

/// A release is queued once until the host takes it, also if its cgroup is removed or its hierarchy unmounted meanwhile.
#[test]
fn release_outlives_its_cgroup_and_is_queued_once() {
    let (mut world, top, g, task) = flagged();
    let h = world.mkdir(top, "h");
    world.write(h, "notify_on_release", "1");
    for cgroup in [g, top, h, top, g, top] {
        world.attach(cgroup, task);
    }
    world.rmdir(g);
    assert_eq!(paths(&mut world), ["/g", "/h"], "oldest first, each once");
    world.attach(h, task);
    world.unmount(top);
    world.exit(task);
    assert_eq!(paths(&mut world), ["/h"], "an unmounted hierarchy calls too");
    world.rmdir(h);
    assert_eq!(world.engine.tree().hierarchies().count(), 0);
}

/// Each hierarchy calls its own agent.
#[test]
fn exit_may_release_in_several_hierarchies() {
    let mut world = SimWorld::new();
    let task = world.spawn();
    for name in ["x", "y"] {
        let top = world.mount(format!("none,name={name},release_agent=/{name}"));
        let g = world.mkdir(top, "g");
        world.write(g, "notify_on_release", "1");
        world.attach(g, task);
    }
    world.exit(task);
    let mut agents: Vec<String> = world.releases().into_iter().map(|(agent, _)| agent).collect();
    agents.sort();
    assert_eq!(agents, ["/x", "/y"]);
}
