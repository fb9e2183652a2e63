//! The facts of Linux 6.18, for the controller built in and as a module.

use penfold_core::{
    Errno, Tid,
    host::{Capability, EventMask},
};
use penfold_testkit::SimWorld;

use super::subject;

/// Helpers for the tests of `net_cls` only.
trait Classes {
    fn class(&self, task: Tid) -> u32;
}

impl Classes for SimWorld {
    fn class(&self, task: Tid) -> u32 {
        self.host.get(task).unwrap().socket_class
    }
}

fn world() -> SimWorld {
    SimWorld::with_controller(subject())
}

#[test]
fn classid_is_parsed_as_in_the_kernel() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let accepted = [
        ("0x100001", "1048577\n"),
        ("1048577", "1048577\n"),
        ("0X10", "16\n"),
        ("010", "8\n"),
        ("5\n", "5\n"),
        ("+5", "5\n"),
        ("4294967295", "4294967295\n"),
        ("4294967296", "0\n"),
        ("4294967297", "1\n"),
        ("0x1ffffffff", "4294967295\n"),
        ("18446744073709551615", "4294967295\n"),
        ("5\0x", "5\n"),
    ];
    for (text, value) in accepted {
        assert_eq!(world.try_write(group, "classid", text), Ok(()), "{text:?}");
        assert_eq!(world.read(group, "classid"), value, "{text:?}");
    }
    world.write(group, "classid", "7");
    for text in [" 5", "5 ", "5\n\n", "-1", "-0", "\n", "abc", "0x10:1", "10:1"] {
        assert_eq!(world.try_write(group, "classid", text), Err(Errno::EINVAL), "{text:?}");
    }
    assert_eq!(world.try_write(group, "classid", "18446744073709551616"), Err(Errno::ERANGE));
    assert_eq!(world.try_write(group, "classid", ""), Ok(()));
    assert_eq!(world.read(group, "classid"), "7\n");
}

#[test]
fn only_a_new_child_inherits_the_class() {
    let mut world = world();
    let parent = world.mkdir(world.top, "p");
    let before = world.mkdir(parent, "before");
    world.write(parent, "classid", "0x100001");
    let after = world.mkdir(parent, "after");
    assert_eq!(
        (world.read(before, "classid"), world.read(after, "classid")),
        ("0\n".into(), "1048577\n".into())
    );
    world.write(parent, "classid", "7");
    assert_eq!(
        (world.read(before, "classid"), world.read(after, "classid")),
        ("0\n".into(), "1048577\n".into())
    );
}

#[test]
fn root_keeps_its_class_over_an_unmount() {
    let mut world = world();
    assert_eq!(world.read(world.top, "classid"), "0\n");
    world.write(world.top, "classid", "9");
    world.unmount(world.top);
    world.top = world.mount("net_cls");
    assert_eq!(world.read(world.top, "classid"), "9\n");
    let child = world.mkdir(world.top, "g");
    assert_eq!(world.read(child, "classid"), "9\n");
}

#[test]
fn write_marks_members_of_this_cgroup_only() {
    let mut world = world();
    let parent = world.mkdir(world.top, "p");
    let child = world.mkdir(parent, "c");
    let (first, second) = (world.spawn_in(parent), world.spawn_in(parent));
    let (below, outside) = (world.spawn_in(child), world.spawn_in(world.top));
    world.write(parent, "classid", "5");
    assert_eq!([first, second, below, outside].map(|task| world.class(task)), [5, 5, 0, 0]);
    world.write(parent, "classid", "0");
    assert_eq!(world.class(first), 0);
}

#[test]
fn moved_task_has_the_new_class_even_if_none() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    world.write(group, "classid", "5");
    let leader = world.spawn();
    let thread = world.thread(leader);
    world.attach_group(group, thread);
    assert_eq!((world.class(leader), world.class(thread)), (5, 5));
    world.attach(world.top, thread);
    assert_eq!((world.class(leader), world.class(thread)), (5, 0));
}

#[test]
fn child_has_the_class_without_a_fork_callback() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let parent = world.spawn_in(group);
    world.write(group, "classid", "5");
    let child = world.fork(parent);
    assert_eq!(world.class(child), 5);
    assert_eq!(world.engine.event_mask(), EventMask::empty());
    world.write(group, "classid", "6");
    assert_eq!(world.class(child), 6);
}

#[test]
fn only_a_class_above_zero_needs_a_host_that_marks() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.host.cannot.push(Capability::SocketClass);
    assert_eq!(world.try_write(group, "classid", "0"), Ok(()));
    assert_eq!(world.try_write(group, "classid", "4294967296"), Ok(()), "0 after truncation");
    assert_eq!(world.try_write(group, "classid", "5"), Err(Errno::EOPNOTSUPP));
    assert_eq!((world.read(group, "classid"), world.class(task)), ("0\n".into(), 0));
}

#[test]
fn unload_leaves_no_task_marked() {
    let mut world = world();
    world.write(world.top, "classid", "9");
    let task = world.spawn_in(world.top);
    world.write(world.top, "classid", "9");
    assert_eq!(world.class(task), 9);
    world.unmount(world.top);
    assert_eq!(world.class(task), 9, "an unmount changes nothing");
    world.unload("net_cls");
    assert_eq!(world.class(task), 0);
}

#[test]
fn member_that_can_not_be_marked_undoes_the_write() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    world.write(group, "classid", "5");
    let members = [world.spawn_in(group), world.spawn_in(group), world.spawn_in(group)];
    world.host.unmarkable.insert(members[1], Errno::EPERM);
    assert_eq!(world.try_write(group, "classid", "6"), Err(Errno::EPERM));
    assert_eq!(members.map(|task| world.class(task)), [5, 5, 5]);
    assert_eq!(world.read(group, "classid"), "5\n");
    world.host.unmarkable.insert(members[1], Errno::ESRCH);
    assert_eq!(world.try_write(group, "classid", "6"), Ok(()));
    assert_eq!(members.map(|task| world.class(task)), [6, 5, 6]);
    assert_eq!(world.read(group, "classid"), "6\n");
}

#[test]
fn sockets_that_can_not_be_marked_refuse_no_move() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    world.write(group, "classid", "5");
    let task = world.spawn();
    world.host.unmarkable.insert(task, Errno::EPERM);
    world.attach(group, task);
    assert_eq!(world.tasks(group), [task.0]);
    assert_eq!(world.class(task), 0);
}

/// Also where that place is the root.
#[test]
fn task_that_comes_later_has_the_class_of_its_place() {
    let mut world = world();
    world.write(world.top, "classid", "7");
    let group = world.mkdir(world.top, "g");
    world.write(group, "classid", "5");
    let spawned = world.spawn();
    assert_eq!(world.class(spawned), 7);
    world.attach(group, spawned);
    let set = world.css_set(spawned);
    let adopted = world.host.create(None, 0);
    world.engine.adopt_into(&mut world.host, adopted, set);
    assert_eq!((world.class(spawned), world.class(adopted)), (5, 5));
    let child = world.fork(adopted);
    assert_eq!(world.class(child), 5);
}

#[test]
fn unmounted_root_gives_its_class_to_later_tasks() {
    let mut world = world();
    world.write(world.top, "classid", "7");
    world.unmount(world.top);
    let dummy = world.spawn();
    assert_eq!(world.class(dummy), 7);
    world.mount("net_cls");
    let mounted = world.spawn();
    assert_eq!((world.class(dummy), world.class(mounted)), (7, 7));
}
