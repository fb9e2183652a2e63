//! debug on the simulated host: the files of Linux 2.6.34.

use std::fmt::Write as _;

use penfold_core::{Caller, CgroupId, Errno, Tid};
use penfold_subsystems::{Debug, Pids};
use penfold_testkit::SimWorld;

/// `debug` mounted alone, with `pids` loaded beside it and one task in every root, which is the caller.
fn world() -> (SimWorld, Tid) {
    let mut world = SimWorld::new();
    world.load(Pids);
    let shell = world.spawn();
    assert_eq!(world.caller.task, shell);
    world.mount_controller(Debug, "debug");
    (world, shell)
}

fn read_as(world: &mut SimWorld, reader: Tid, cgroup: CgroupId, name: &str) -> Result<String, Errno> {
    world.as_caller(&Caller::root(reader), |world| world.try_read(cgroup, name))
}

#[test]
fn every_directory_has_all_files_and_none_can_be_written() {
    let (mut world, _) = world();
    let child = world.mkdir(world.top, "g");
    let names = [
        "cgroup_refcount",
        "taskcount",
        "current_css_set",
        "current_css_set_refcount",
        "current_css_set_cg_links",
        "cgroup_css_links",
        "releasable",
    ];
    for cgroup in [world.top, child] {
        let files = world.engine.files(cgroup).unwrap();
        let ours: Vec<_> = files.iter().filter(|file| file.name.starts_with("debug.")).collect();
        assert!(ours.iter().all(|file| file.owner.mode == 0o444));
        let listed: Vec<&str> = ours.iter().filter_map(|file| file.name.strip_prefix("debug.")).collect();
        assert_eq!(listed, names);
        for file in ours {
            assert_eq!(world.try_write(cgroup, &file.name, "0"), Err(Errno::EINVAL), "{}", file.name);
        }
    }
}

#[test]
fn counts_are_those_of_the_cgroup_itself() {
    let (mut world, shell) = world();
    let other = world.mount("pids");
    let (group, elsewhere) = (world.mkdir(world.top, "g"), world.mkdir(other, "e"));
    let below = world.mkdir(group, "below");
    let tasks = [world.fork(shell), world.fork(shell), world.fork(shell)];
    assert_eq!(
        (world.read(group, "taskcount"), world.read(group, "cgroup_refcount")),
        ("0\n".into(), "0\n".into())
    );
    world.attach(group, tasks[0]);
    world.attach(group, tasks[1]);
    world.attach(below, tasks[2]);
    assert_eq!(
        (world.read(group, "taskcount"), world.read(group, "cgroup_refcount")),
        ("2\n".into(), "1\n".into())
    );
    world.attach(elsewhere, tasks[1]);
    assert_eq!(
        (world.read(group, "taskcount"), world.read(group, "cgroup_refcount")),
        ("2\n".into(), "2\n".into())
    );
    world.exit(tasks[1]);
    assert_eq!(
        (world.read(group, "taskcount"), world.read(group, "cgroup_refcount")),
        ("1\n".into(), "1\n".into())
    );
}

#[test]
fn current_css_set_is_the_readers_stable_number() {
    let (mut world, shell) = world();
    let group = world.mkdir(world.top, "g");
    let (first, second) = (world.fork(shell), world.fork(shell));
    let number = |world: &mut SimWorld, task| -> u64 {
        let text = read_as(world, task, group, "current_css_set").unwrap();
        text.strip_suffix('\n').unwrap().parse().unwrap()
    };
    let before = number(&mut world, first);
    assert_eq!(before, number(&mut world, second));
    world.attach(group, first);
    let after = number(&mut world, first);
    assert_ne!(before, after);
    assert_eq!((number(&mut world, second), number(&mut world, first)), (before, after));
    world.attach(group, second);
    assert_eq!(number(&mut world, second), after);
    // A css_set that is made again has another number.
    world.attach(world.top, first);
    world.attach(world.top, second);
    world.attach(group, first);
    assert_ne!(number(&mut world, first), after);
}

#[test]
fn css_set_refcount_has_tasks_and_forks_under_way() {
    let (mut world, shell) = world();
    let group = world.mkdir(world.top, "g");
    let initial = world.read(world.top, "current_css_set_refcount");
    assert_eq!(initial, "2\n", "the shell, and one for ever");
    world.attach(group, shell);
    let child = world.fork(shell);
    assert_eq!(world.read(group, "current_css_set_refcount"), "2\n");
    let set = world.css_set(child);
    let charge = world.engine.charge_fork(&mut world.host, child, set).unwrap();
    assert_eq!(world.read(group, "current_css_set_refcount"), "3\n");
    world.engine.cancel_fork(&mut world.host, charge);
    assert_eq!(world.read(group, "current_css_set_refcount"), "2\n");
}

#[test]
fn reader_that_is_not_supervised_is_in_every_root() {
    let (mut world, shell) = world();
    let (unknown, top) = (Tid(4711), world.top);
    // the shell was never moved
    for name in ["current_css_set", "current_css_set_refcount", "current_css_set_cg_links"] {
        let expected = read_as(&mut world, shell, top, name);
        assert!(expected.is_ok(), "{name}");
        assert_eq!(read_as(&mut world, unknown, top, name), expected, "{name}");
    }
    let group = world.mkdir(top, "g");
    let before = read_as(&mut world, unknown, group, "current_css_set");
    world.attach(group, shell);
    assert_ne!(read_as(&mut world, shell, group, "current_css_set"), before);
    assert_eq!(read_as(&mut world, unknown, group, "current_css_set"), before, "the number is stable");
    world.attach(top, shell);
    assert_eq!(read_as(&mut world, unknown, top, "taskcount"), Ok("1\n".into()));
}

#[test]
fn cg_links_name_one_cgroup_for_each_hierarchy() {
    let (mut world, shell) = world();
    assert_eq!(world.read(world.top, "current_css_set_cg_links"), "Root 0 group ?\nRoot 1 group /\n");
    let gone = world.mount("none,name=gone");
    let other = world.mount("pids");
    // A new hierarchy reuses the memory of the removed one, but comes last in the list.
    world.unmount(gone);
    world.mount("none,name=late");
    let group = world.mkdir(other, "outer");
    let group = world.mkdir(group, "inner");
    world.attach(group, shell);
    let expected = "Root 0 group ?\nRoot 1 group /\nRoot 3 group inner\nRoot 4 group /\n";
    assert_eq!(world.read(world.top, "current_css_set_cg_links"), expected);
}

#[test]
fn css_links_list_at_most_26_tasks_of_a_css_set() {
    let (mut world, shell) = world();
    let group = world.mkdir(world.top, "g");
    assert_eq!(world.read(group, "cgroup_css_links"), "");
    world.attach(group, shell);
    let mut tasks = vec![shell];
    while tasks.len() < 26 {
        tasks.push(world.fork(shell));
    }
    let mut expected = format!("css_set {}", world.read(group, "current_css_set"));
    for task in &tasks {
        let _ = writeln!(expected, "  task {task}");
    }
    assert_eq!(world.read(group, "cgroup_css_links"), expected);
    world.fork(shell);
    assert_eq!(world.read(group, "cgroup_css_links"), format!("{expected}  ...\n"));
}

#[test]
fn css_links_list_the_newest_css_set_first() {
    let (mut world, shell) = world();
    let other = world.mount("pids");
    let elsewhere = world.mkdir(other, "e");
    let task = world.fork(shell);
    world.attach(elsewhere, task);
    let number = |world: &mut SimWorld, task| read_as(world, task, world.top, "current_css_set").unwrap();
    let (old, new) = (number(&mut world, shell), number(&mut world, task));
    let expected = format!("css_set {new}  task {task}\ncss_set {old}  task {shell}\n");
    assert_eq!(world.read(world.top, "cgroup_css_links"), expected);
}

#[test]
fn releasable_needs_the_flag_and_an_empty_cgroup() {
    let (mut world, shell) = world();
    let group = world.mkdir(world.top, "g");
    assert_eq!(world.read(group, "releasable"), "0\n");
    world.write(group, "notify_on_release", "1");
    assert_eq!(world.read(group, "releasable"), "1\n");
    let child = world.mkdir(group, "c");
    assert_eq!(world.read(group, "releasable"), "0\n");
    world.rmdir(child);
    assert_eq!(world.read(group, "releasable"), "1\n");
    world.attach(group, shell);
    assert_eq!(world.read(group, "releasable"), "0\n");
    world.write(world.top, "notify_on_release", "1");
    assert_eq!(world.read(world.top, "releasable"), "0\n", "a root is never released");
}
