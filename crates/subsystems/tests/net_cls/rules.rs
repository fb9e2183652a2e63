//! The facts of Linux 6.18, for the controller built in and as a module.

use penfold_core::simulated::SimulatedHost;
use penfold_core::{
    CssSetId, Errno, MoveScope, Tid,
    host::{Capability, EventMask, Host, HostView, IndexSet, TaskFacts, Unsupported},
    simulated::ChildKind,
};

use super::common::World;
use super::subject;

/// Helpers for the tests of `net_cls` only.
trait Classes {
    fn class(&self, task: Tid) -> u32;
}

impl Classes for World {
    fn class(&self, task: Tid) -> u32 {
        self.host.get(task).unwrap().socket_class
    }
}

fn world() -> World {
    World::of(2, subject())
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
        assert_eq!(world.write(group, "classid", text), Ok(()), "{text:?}");
        assert_eq!(world.read(group, "classid"), value, "{text:?}");
    }
    world.write(group, "classid", "7").unwrap();
    for text in [" 5", "5 ", "5\n\n", "-1", "-0", "\n", "abc", "0x10:1", "10:1"] {
        assert_eq!(world.write(group, "classid", text), Err(Errno::EINVAL), "{text:?}");
    }
    assert_eq!(world.write(group, "classid", "18446744073709551616"), Err(Errno::ERANGE));
    assert_eq!(world.write(group, "classid", ""), Ok(()));
    assert_eq!(world.read(group, "classid"), "7\n");
}

#[test]
fn only_a_new_child_inherits_the_class() {
    let mut world = world();
    let parent = world.mkdir(world.top, "p");
    let before = world.mkdir(parent, "before");
    world.write(parent, "classid", "0x100001").unwrap();
    let after = world.mkdir(parent, "after");
    assert_eq!(
        (world.read(before, "classid"), world.read(after, "classid")),
        ("0\n".into(), "1048577\n".into())
    );
    world.write(parent, "classid", "7").unwrap();
    assert_eq!(
        (world.read(before, "classid"), world.read(after, "classid")),
        ("0\n".into(), "1048577\n".into())
    );
}

#[test]
fn root_keeps_its_class_over_an_unmount() {
    let mut world = world();
    assert_eq!(world.read(world.top, "classid"), "0\n");
    world.write(world.top, "classid", "9").unwrap();
    world.engine.unmount(&mut world.host, world.top).unwrap();
    world.top = world.engine.session(&mut world.host, &world.root).mount("net_cls").unwrap().root;
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
    world.write(parent, "classid", "5").unwrap();
    assert_eq!([first, second, below, outside].map(|task| world.class(task)), [5, 5, 0, 0]);
    world.write(parent, "classid", "0").unwrap();
    assert_eq!(world.class(first), 0);
}

#[test]
fn moved_task_has_the_new_class_even_if_none() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    world.write(group, "classid", "5").unwrap();
    let leader = world.host.spawn(&mut world.engine, 0);
    let thread = world.host.fork(&mut world.engine, leader, ChildKind::Thread).unwrap();
    world.engine.session(&mut world.host, &world.root).attach(group, thread, MoveScope::ThreadGroup).unwrap();
    assert_eq!((world.class(leader), world.class(thread)), (5, 5));
    world.engine.session(&mut world.host, &world.root).attach(world.top, thread, MoveScope::Task).unwrap();
    assert_eq!((world.class(leader), world.class(thread)), (5, 0));
}

#[test]
fn child_has_the_class_without_a_fork_callback() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let parent = world.spawn_in(group);
    world.write(group, "classid", "5").unwrap();
    let child = world.host.fork(&mut world.engine, parent, ChildKind::Process).unwrap();
    assert_eq!(world.class(child), 5);
    assert_eq!(world.engine.event_mask(), EventMask::empty());
    world.write(group, "classid", "6").unwrap();
    assert_eq!(world.class(child), 6);
}

#[test]
fn only_a_class_above_zero_needs_a_host_that_marks() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.host.cannot.push(Capability::SocketClass);
    assert_eq!(world.write(group, "classid", "0"), Ok(()));
    assert_eq!(world.write(group, "classid", "4294967296"), Ok(()), "0 after truncation");
    assert_eq!(world.write(group, "classid", "5"), Err(Errno::EOPNOTSUPP));
    assert_eq!((world.read(group, "classid"), world.class(task)), ("0\n".into(), 0));
}

#[test]
fn unload_leaves_no_task_marked() {
    let mut world = world();
    world.write(world.top, "classid", "9").unwrap();
    let task = world.spawn_in(world.top);
    world.write(world.top, "classid", "9").unwrap();
    assert_eq!(world.class(task), 9);
    world.engine.unmount(&mut world.host, world.top).unwrap();
    assert_eq!(world.class(task), 9, "an unmount changes nothing");
    world.engine.unload(&mut world.host, "net_cls").unwrap();
    assert_eq!(world.class(task), 0);
}

/// The simulated host, where the sockets of one task can't be marked.
struct Refusing<'a> {
    inner: &'a mut SimulatedHost,
    refused: Tid,
    errno: Errno,
}

impl HostView for Refusing<'_> {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.inner.task(task)
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.inner.css_set(task)
    }

    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        self.inner.for_each_task(set, visit);
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        self.inner.for_each_thread(group, visit);
    }

    fn now(&self) -> u64 {
        self.inner.now()
    }

    fn cpus(&self) -> IndexSet {
        self.inner.cpus()
    }

    fn is_frozen(&self, task: Tid) -> bool {
        self.inner.is_frozen(task)
    }
}

impl Host for Refusing<'_> {
    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        if task == self.refused { Err(self.errno) } else { self.inner.set_socket_class(task, class) }
    }

    fn place(&mut self, task: Tid, set: CssSetId) {
        self.inner.place(task, set);
    }

    fn require(&mut self, need: Capability) -> Result<(), Unsupported> {
        self.inner.require(need)
    }

    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno> {
        self.inner.set_affinity(task, cpus)
    }

    fn freeze(&mut self, task: Tid) {
        self.inner.freeze(task);
    }

    fn thaw(&mut self, task: Tid) {
        self.inner.thaw(task);
    }
}

#[test]
fn member_that_can_not_be_marked_undoes_the_write() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    world.write(group, "classid", "5").unwrap();
    let members = [world.spawn_in(group), world.spawn_in(group), world.spawn_in(group)];
    let file = world.file(group, "classid");
    let write = |world: &mut World, errno, text: &[u8]| {
        let mut host = Refusing { inner: &mut world.host, refused: members[1], errno };
        world.engine.session(&mut host, &world.root).write(group, file, text).map_err(|error| error.errno())
    };
    assert_eq!(write(&mut world, Errno::EPERM, b"6"), Err(Errno::EPERM));
    assert_eq!(members.map(|task| world.class(task)), [5, 5, 5]);
    assert_eq!(world.read(group, "classid"), "5\n");
    assert_eq!(write(&mut world, Errno::ESRCH, b"6"), Ok(()));
    assert_eq!(members.map(|task| world.class(task)), [6, 5, 6]);
    assert_eq!(world.read(group, "classid"), "6\n");
}

#[test]
fn sockets_that_can_not_be_marked_refuse_no_move() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    world.write(group, "classid", "5").unwrap();
    let task = world.host.spawn(&mut world.engine, 0);
    let mut host = Refusing { inner: &mut world.host, refused: task, errno: Errno::EPERM };
    world.engine.session(&mut host, &world.root).attach(group, task, MoveScope::Task).unwrap();
    assert_eq!(world.engine.tree().tasks(&world.host, group), [task]);
    assert_eq!(world.class(task), 0);
}
