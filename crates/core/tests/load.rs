//! Loading and unloading (E1 to E6, T10), without the bugs that the kernel had.

mod common;

use common::{Probe, world_with};
use penfold_core::{
    Errno, Owner,
    host::EventMask,
    internal::SLOTS,
    subsystem::{Callbacks, Resource},
};
use penfold_testkit::SimWorld;

#[test]
fn failed_load_leaves_no_limit() {
    let (probe, handle) = Probe::new("p", Callbacks::empty(), &[Resource::Tasks]);
    handle.records().faults.limit_at_create = Some(3);
    handle.records().faults.refuse_at_create = true;
    handle.records().faults.fail_create = 1;
    let mut world = SimWorld::new();
    assert_eq!(world.try_load(probe), Err(Errno::ENOMEM));
    assert!(!world.engine.can_refuse_fork());
    assert_eq!(handle.counts().alive, 0);
    world.load(Probe::at(&handle, "p", Callbacks::empty(), &[Resource::Tasks]));
    assert!(world.engine.can_refuse_fork());
    world.unload("p");
    assert!(!world.engine.can_refuse_fork());
}

#[test]
fn name_that_is_a_mount_option_is_refused() {
    let mut world = SimWorld::new();
    let words = "none all name noprefix release_agent clone_children xattr cpuset_v2_mode favordynmods \
        nofavordynmods ro rw sync async dirsync lazytime nolazytime mand nomand";
    for word in words.split_whitespace() {
        assert_eq!(world.try_load(Probe::plain(word)), Err(Errno::EINVAL), "{word}");
    }
}

/// An id of a file outlives the file when a remount or an unload takes its subsystem away.
#[test]
fn stale_file_id_answers_enodev() {
    let mut world = world_with(&["a", "b"]);
    let root = world.caller.clone();
    let top = world.mount("a,b,name=x");
    let child = world.mkdir(top, "c");
    let (value, below, agent) =
        (world.file(top, "a.value"), world.file(child, "a.below"), world.file(top, "release_agent"));
    // Files of the wrong directory.
    let gone = |world: &mut SimWorld, cgroup, file| {
        let answers = [
            world.try_read_opened(cgroup, file).map(|_| ()),
            world.try_write_opened(cgroup, file, ""),
            world.try_write_opened(cgroup, file, "1"),
        ];
        assert_eq!(answers, [Err(Errno::ENODEV); 3]);
        let engine = &mut world.engine;
        assert_eq!(engine.file_owner(cgroup, file).unwrap_err().errno(), Errno::ENODEV);
        let given = engine.set_file_owner(&root, cgroup, file, Owner::default());
        assert_eq!(given.unwrap_err().errno(), Errno::ENODEV);
    };
    gone(&mut world, top, below);
    gone(&mut world, child, agent);
    world.rmdir(child);
    world.remount(top, "b");
    gone(&mut world, top, value);
    world.unload("a");
    gone(&mut world, top, value);
    // Another subsystem in the same slot is not the same file.
    world.load(Probe::plain("other"));
    world.remount(top, "b,other");
    gone(&mut world, top, value);
}

/// A5.2: a remount takes the files away and brings new ones.
#[test]
fn owner_of_a_file_goes_with_the_file() {
    let mut world = world_with(&["a"]);
    let top = world.mount("a,name=x");
    world.set_file_owner(top, "a.value", Owner { uid: 1000, gid: 1000, mode: 0o666 });
    world.remount(top, "name=x");
    world.unload("a");
    world.load(Probe::plain("b"));
    world.remount(top, "b");
    let file = world.file(top, "b.value");
    let owner = world.engine.file_owner(top, file).unwrap();
    assert_eq!((owner.uid, owner.mode), (0, 0o644));
}

/// T10, E2 step 1: names with their answers.
#[test]
fn load_refuses_bad_and_taken_names() {
    let mut world = SimWorld::new();
    for name in ["", "a.b", "a b", "a/b", "a,b", "a=b", &"n".repeat(33)] {
        assert_eq!(world.try_load(Probe::plain(name)), Err(Errno::EINVAL), "{name:?}");
    }
    world.load(Probe::plain(&"n".repeat(32)));
    let twice = world.try_load(Probe::plain(&"n".repeat(32)));
    assert_eq!(twice, Err(Errno::EEXIST), "where 2.6.34 gave a second slot to the same name (E2.2)");
    assert_eq!(world.try_unload("other"), Err(Errno::ENOENT));
}

/// T10, T15: the slots are full, and one is free again at once.
#[test]
fn load_fills_sixty_four_slots() {
    let mut world = SimWorld::new();
    for number in 0..SLOTS {
        world.load(Probe::new(&format!("s{number}"), Callbacks::FORK, &[Resource::Tasks]).0);
    }
    assert_eq!(world.try_load(Probe::plain("more")), Err(Errno::EBUSY));
    let task = world.spawn();
    world.fork(task);
    let top = world.mount("s0,s63");
    assert_eq!(world.read(top, "s63.usage"), "2 -1 2 0 0\n", "the last slot is a slot like any");
    world.unload("s31");
    world.load(Probe::plain("more"));
    assert_eq!(world.engine.subsystems().nth(31), Some("more"), "in the slot that was free");
}

/// T10, E2 step 6, E6.1: the state is made before the slot is published; a failure leaves nothing.
#[test]
fn failing_create_fails_the_load() {
    let (probe, handle) = Probe::new("p", Callbacks::FORK, &[Resource::Tasks]);
    handle.records().faults.fail_create = 1;
    let mut world = world_with(&["a"]);
    world.spawn();
    let before = world.engine.proc_cgroups();
    assert_eq!(world.try_load(probe), Err(Errno::ENOMEM));
    assert_eq!(world.last_error().to_string(), "p: told to fail");
    assert_eq!(world.engine.proc_cgroups(), before);
    assert_eq!(
        (world.engine.event_mask(), handle.counts().fork, handle.counts().destroy),
        (EventMask::empty(), 0, 0)
    );
    assert_eq!(world.try_mount("p"), Err(Errno::EINVAL));
    world.load(Probe::plain("b"));
    assert_eq!(world.engine.subsystems().collect::<Vec<_>>(), ["a", "b"]);
}

/// T10, E4: a bound subsystem is busy, also in an unmounted hierarchy with children. A shared or failed mount pins nothing.
#[test]
fn bound_subsystem_can_not_be_unloaded() {
    let mut world = world_with(&["p", "other"]);
    assert!(world.engine.proc_cgroups().contains("p\t0\t1\t1\n"));
    let top = world.mount("p");
    assert_eq!(world.try_mount("p"), Ok(top));
    assert_eq!(world.try_mount("p,other"), Err(Errno::EBUSY));
    assert_eq!(world.try_unload("other"), Ok(()), "the failed mount has not pinned it");
    assert_eq!(world.try_unload("p"), Err(Errno::EBUSY));
    let busy = world.last_error();
    assert!(busy.to_string().contains("p: bound to hierarchy 1; remove its children"), "{busy}");
    let g = world.mkdir(top, "g");
    world.unmount(top);
    world.unmount(top);
    assert_eq!(world.try_unload("p"), Err(Errno::EBUSY));
    let busy = world.last_error();
    assert!(busy.to_string().contains("unmounted but with children"), "{busy}");
    world.rmdir(g);
    assert_eq!(world.try_unload("p"), Ok(()));
    assert_eq!(world.engine.proc_cgroups().lines().count(), 1, "the header");
    assert_eq!(world.try_mount("p"), Err(Errno::EINVAL));
}

/// E5.4, E2.4, C5.3: a load while tasks run calls `fork` once for each, and keeps the css_sets.
#[test]
fn late_subsystem_gets_each_existing_task_once() {
    let mut world = world_with(&["a"]);
    let tasks: Vec<_> = (0..3).map(|_| world.spawn()).collect();
    let top = world.mount("a");
    let g = world.mkdir(top, "g");
    world.attach(g, tasks[1]);
    let sets = world.engine.css_set_count();
    let (probe, handle) =
        Probe::new("late", Callbacks::FORK | Callbacks::EXIT, &[Resource::Tasks, Resource::Forks]);
    world.load(probe);
    let mut log = handle.take_log();
    log.sort();
    assert_eq!(log, ["late.create /", "late.fork 1", "late.fork 2", "late.fork 3"]);
    assert_eq!(world.engine.css_set_count(), sets);
    let child = world.fork(tasks[1]);
    world.exit(tasks[0]);
    let late = world.mount("late");
    assert_eq!(world.read(late, "late.usage"), "3 -1 4 0 0\n1 -1 1 0 0\n");
    assert_eq!((handle.counts().fork, handle.counts().exit), (4, 1));
    assert_eq!(world.tasks(g), [tasks[1].0, child.0]);
    // A css_set that is made after the load has the state as well.
    let h = world.mkdir(late, "h");
    world.attach(h, child);
    assert_eq!(world.read(h, "late.usage"), "1 -1 1 0 0\n0 -1 0 0 0\n");
}

/// E3.2, E6.2: unload destroys the last state; a reload starts from nothing.
#[test]
fn unload_frees_all_and_reload_starts_anew() {
    let (probe, handle) = Probe::new("p", Callbacks::all(), &[Resource::Tasks]);
    let mut world = SimWorld::new();
    world.load(probe);
    let task = world.spawn();
    let top = world.mount("p");
    world.write(top, "p.value", "5");
    world.write(top, "p.limit", "0 9");
    let made: Vec<_> = ["x", "y"].into_iter().map(|name| world.mkdir(top, name)).collect();
    assert_eq!(handle.counts().alive, 3);
    for cgroup in made {
        world.rmdir(cgroup);
    }
    assert_eq!(handle.counts().alive, 1);
    world.unmount(top);
    handle.take_log();
    world.unload("p");
    assert_eq!(handle.take_log(), ["p.pre_destroy /", "p.destroy 5"], "which still find its state");
    assert_eq!((handle.counts().alive, handle.counts().create, handle.counts().destroy), (0, 3, 3));
    world.exit(task);
    assert_eq!((handle.counts().exit, world.engine.event_mask()), (0, EventMask::empty()));
    assert!(!world.engine.can_refuse_fork());
    world.load(Probe::at(&handle, "p", Callbacks::empty(), &[Resource::Tasks]));
    let top = world.mount("p");
    assert_eq!(world.read(top, "p.value"), "0\n");
    assert_eq!(world.read(top, "p.usage"), "0 -1 0 0 0\n");
}

/// The css of a new directory may get the number of a removed one, but nothing of its content.
#[test]
fn new_directory_inherits_nothing_from_a_removed_one() {
    let mut world = SimWorld::new();
    world.load(Probe::new("p", Callbacks::empty(), &[Resource::Tasks, Resource::CpuTime]).0);
    let (task, top) = (world.spawn(), world.mount("p"));
    let g = world.mkdir(top, "g");
    world.attach(g, task);
    world.write(g, "p.limit", "0 1");
    world.write(g, "p.value", "9");
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    world.host.run(task, 0, penfold_core::subsystem::CpuTime { user: 1, system: 1 });
    world.exit(task);
    world.rmdir(g);
    let g = world.mkdir(top, "g");
    assert_eq!(world.read(g, "p.usage"), "0 -1 0 0 0\n0 -1 0 0 0\ncpu0 0 0\ncpu1 0 0\n");
    assert_eq!(world.read(g, "p.value"), "0\n");
}
