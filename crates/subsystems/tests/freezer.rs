//! freezer on the simulated host: the facts of Linux 6.18.

use crate::subject::freezer;
use penfold_core::{
    CgroupId, Errno, Tid,
    host::{Capability, EventMask},
};
use penfold_testkit::SimWorld;

/// The controller under test, built in. `crates/subsystems/modules` runs the same tests with a module of that name.
#[allow(dead_code)]
mod subject {
    pub(crate) fn freezer() -> penfold_subsystems::Freezer {
        penfold_subsystems::Freezer
    }
}

/// Helpers for the freezer's tests only.
trait Frozen {
    fn show(&mut self, cgroup: CgroupId) -> String;
    fn frozen(&self, task: Tid) -> bool;
    fn keep_running(&mut self, task: Tid);
}

impl Frozen for SimWorld {
    /// The content of all three files on one line, as in the recordings of the kernel.
    fn show(&mut self, cgroup: CgroupId) -> String {
        let texts = ["state", "self_freezing", "parent_freezing"].map(|name| self.read(cgroup, name));
        texts.concat().trim_end().replace('\n', " ")
    }

    fn frozen(&self, task: Tid) -> bool {
        self.host.get(task).unwrap().frozen
    }

    /// Lets a task run that is to be frozen, as if it had not stopped yet.
    fn keep_running(&mut self, task: Tid) {
        self.host.get_mut(task).unwrap().frozen = false;
    }
}

fn world() -> SimWorld {
    SimWorld::with_controller(freezer())
}

#[test]
fn root_has_no_files_and_a_child_has_three() {
    let mut world = world();
    let child = world.mkdir(world.top, "g");
    let names = |world: &SimWorld, cgroup| -> Vec<String> {
        let files = world.engine.files(cgroup).unwrap().into_iter();
        let ours = files.filter(|file| file.name.starts_with("freezer."));
        ours.map(|file| format!("{:o} {}", file.owner.mode, file.name)).collect()
    };
    assert!(names(&world, world.top).is_empty());
    let expected = ["644 freezer.state", "444 freezer.self_freezing", "444 freezer.parent_freezing"];
    assert_eq!(names(&world, child), expected);
    assert_eq!(world.show(child), "THAWED 0 0");
}

#[test]
fn state_takes_two_words_with_white_space_around() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    for text in ["FREEZING", "frozen", "FROZENx", "\n", "0", "1", "FROZEN THAWED", "THAWED\0"] {
        let expected = if text == "THAWED\0" { Ok(()) } else { Err(Errno::EINVAL) };
        assert_eq!(world.try_write(group, "state", text), expected, "{text:?}");
        assert_eq!(world.show(group), "THAWED 0 0", "{text:?}");
    }
    for text in ["FROZEN", "FROZEN\n", " FROZEN ", "\tFROZEN\n\n", "FROZEN\0", "FROZEN\0x"] {
        assert_eq!(world.try_write(group, "state", text), Ok(()), "{text:?}");
        assert_eq!(world.show(group), "FROZEN 1 0", "{text:?}");
        assert_eq!(world.try_write(group, "state", ""), Ok(()));
        assert_eq!(world.show(group), "FROZEN 1 0", "nothing written, nothing changed");
        world.write(group, "state", "THAWED\n");
        assert_eq!(world.show(group), "THAWED 0 0", "{text:?}");
    }
    for name in ["self_freezing", "parent_freezing"] {
        assert_eq!(world.try_write(group, name, "1"), Err(Errno::EINVAL), "{name}");
    }
}

#[test]
fn empty_cgroup_is_frozen_at_the_first_read() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    world.write(group, "state", "FROZEN");
    assert_eq!(world.show(group), "FROZEN 1 0");
}

#[test]
fn freeze_and_thaw_reach_exactly_the_members_below() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let (child, other) = (world.mkdir(group, "c"), world.mkdir(world.top, "other"));
    let members = [world.spawn_in(group), world.spawn_in(group), world.spawn_in(child)];
    let outside = [world.spawn_in(other), world.spawn_in(world.top)];

    world.write(group, "state", "FROZEN");
    assert!(members.iter().all(|&task| world.frozen(task)));
    assert!(outside.iter().all(|&task| !world.frozen(task)));
    assert_eq!((world.show(group), world.show(other)), ("FROZEN 1 0".into(), "THAWED 0 0".into()));
    world.write(group, "state", "THAWED");
    assert!(members.iter().all(|&task| !world.frozen(task)));
    assert_eq!(world.show(group), "THAWED 0 0");
}

#[test]
fn running_task_below_keeps_a_cgroup_freezing() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let child = world.mkdir(group, "c");
    let task = world.spawn_in(child);
    world.write(group, "state", "FROZEN");
    world.keep_running(task);
    assert_eq!(world.show(group), "FREEZING 1 0");
    assert_eq!(world.show(child), "FREEZING 0 1");
    world.write(group, "state", "FROZEN");
    assert!(world.frozen(task));
    assert_eq!((world.show(group), world.show(child)), ("FROZEN 1 0".into(), "FROZEN 0 1".into()));
}

#[test]
fn thaw_ends_a_freeze_that_is_under_way() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let (stopped, running) = (world.spawn_in(group), world.spawn_in(group));
    world.write(group, "state", "FROZEN");
    world.keep_running(running);
    world.write(group, "state", "THAWED");
    assert_eq!(world.show(group), "THAWED 0 0");
    assert!(!world.frozen(stopped));
}

#[test]
fn child_is_frozen_by_its_parent_itself_or_both() {
    let mut world = world();
    let parent = world.mkdir(world.top, "g");
    let child = world.mkdir(parent, "c");
    let (above, below) = (world.spawn_in(parent), world.spawn_in(child));
    world.write(parent, "state", "FROZEN");
    assert_eq!((world.show(parent), world.show(child)), ("FROZEN 1 0".into(), "FROZEN 0 1".into()));
    assert_eq!(world.try_write(child, "state", "THAWED"), Ok(()));
    assert_eq!(world.show(child), "FROZEN 0 1");
    assert!(world.frozen(below));
    world.write(child, "state", "FROZEN");
    assert_eq!(world.show(child), "FROZEN 1 1");
    world.write(parent, "state", "THAWED");
    assert_eq!((world.show(parent), world.show(child)), ("THAWED 0 0".into(), "FROZEN 1 0".into()));
    assert!(!world.frozen(above) && world.frozen(below));
    world.write(child, "state", "THAWED");
    assert!(!world.frozen(below));
}

#[test]
fn frozen_cgroup_in_the_middle_keeps_children_frozen() {
    let mut world = world();
    let a = world.mkdir(world.top, "a");
    let b = world.mkdir(a, "b");
    let c = world.mkdir(b, "c");
    let task = world.spawn_in(c);
    world.write(a, "state", "FROZEN");
    world.write(b, "state", "FROZEN");
    world.write(a, "state", "THAWED");
    assert_eq!(world.show(c), "FROZEN 0 1");
    assert!(world.frozen(task));
    world.write(b, "state", "THAWED");
    assert_eq!(world.show(c), "THAWED 0 0");
    assert!(!world.frozen(task));
}

#[test]
fn cgroup_made_below_a_frozen_one_is_frozen() {
    let mut world = world();
    let parent = world.mkdir(world.top, "g");
    world.write(parent, "state", "FROZEN");
    let child = world.mkdir(parent, "new");
    let grandchild = world.mkdir(child, "newer");
    assert_eq!((world.show(child), world.show(grandchild)), ("FROZEN 0 1".into(), "FROZEN 0 1".into()));
    world.write(parent, "state", "THAWED");
    assert_eq!((world.show(child), world.show(grandchild)), ("THAWED 0 0".into(), "THAWED 0 0".into()));
    world.rmdir(grandchild);
}

#[test]
fn move_in_freezes_and_move_out_thaws() {
    let mut world = world();
    let (frozen, also_frozen) = (world.mkdir(world.top, "g"), world.mkdir(world.top, "h"));
    world.write(frozen, "state", "FROZEN");
    world.write(also_frozen, "state", "FROZEN");
    let task = world.spawn();

    world.attach(frozen, task);
    assert!(world.frozen(task));
    world.keep_running(task);
    assert_eq!(world.show(frozen), "FREEZING 1 0", "it falls back until the newcomer has stopped");
    world.attach(also_frozen, task);
    assert!(world.frozen(task));
    assert_eq!((world.show(frozen), world.show(also_frozen)), ("FROZEN 1 0".into(), "FROZEN 1 0".into()));
    world.attach(world.top, task);
    assert!(!world.frozen(task));
}

#[test]
fn whole_thread_group_freezes_and_thaws_by_a_move() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    world.write(group, "state", "FROZEN");
    let leader = world.spawn();
    let thread = world.thread(leader);
    world.attach_group(group, leader);
    assert!(world.frozen(leader) && world.frozen(thread));
    world.attach_group(world.top, thread);
    assert!(!world.frozen(leader) && !world.frozen(thread));
}

#[test]
fn child_whose_birth_is_under_way_is_born_frozen() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let parent = world.spawn_in(group);
    let free = world.fork(parent);
    assert!(!world.frozen(free));
    world.write(group, "state", "FROZEN");
    let late = world.fork(parent);
    assert!(world.frozen(late));
    assert_eq!(world.show(group), "FROZEN 1 0");
}

#[test]
fn freezer_needs_forks_and_nothing_else() {
    let world = world();
    assert_eq!(world.engine.event_mask(), EventMask::FORK);
    assert!(!world.engine.can_refuse_fork());
}

#[test]
fn write_of_frozen_fails_where_the_host_can_not_freeze() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.host.cannot.push(Capability::Freeze);
    assert_eq!(world.try_write(group, "state", "THAWED"), Ok(()));
    assert_eq!(world.try_write(group, "state", "FROZEN"), Err(Errno::EOPNOTSUPP));
    assert_eq!(world.show(group), "THAWED 0 0");
    assert!(!world.frozen(task));
}

#[test]
fn dead_member_does_not_keep_a_cgroup_freezing() {
    let mut world = world();
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.write(group, "state", "FROZEN");
    world.keep_running(task);
    assert_eq!(world.show(group), "FREEZING 1 0");
    world.exit(task);
    assert_eq!(world.show(group), "FROZEN 1 0");
}
