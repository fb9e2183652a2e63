//! Loading and unloading (E1 to E6, T10), with the bugs that the kernel had left out.

mod common;

use common::{Probe, World};
use penfold_core::{
    Errno, Owner,
    host::EventMask,
    internal::SLOTS,
    subsystem::{Callbacks, Resource},
};

#[test]
fn a_failed_load_leaves_no_limit_behind() {
    let (probe, desk) = Probe::new("p", Callbacks::empty(), &[Resource::Tasks]);
    desk.records().knobs.limit_at_create = Some(3);
    desk.records().knobs.refuse_at_create = true;
    desk.records().knobs.fail_create = 1;
    let mut world = World::new();
    assert_eq!(world.load(probe).unwrap_err().errno(), Errno::ENOMEM);
    assert!(!world.engine.can_refuse_fork());
    assert_eq!(desk.counts().alive, 0);
    world.load(Probe::at(&desk, "p", Callbacks::empty(), &[Resource::Tasks])).unwrap();
    assert!(world.engine.can_refuse_fork());
    world.unload("p").unwrap();
    assert!(!world.engine.can_refuse_fork());
}

#[test]
fn a_name_that_mount_would_take_for_an_option_is_refused() {
    let mut world = World::new();
    let words = "none all name noprefix release_agent clone_children xattr cpuset_v2_mode favordynmods \
        nofavordynmods ro rw sync async dirsync lazytime nolazytime mand nomand";
    for word in words.split_whitespace() {
        let refused = world.load(Probe::plain(word)).unwrap_err();
        assert_eq!(refused.errno(), Errno::EINVAL, "{word}");
    }
}

/// An id of a file outlives the file when a remount or an unload takes its subsystem away.
#[test]
fn a_stale_file_id_answers_enodev() {
    let mut world = World::with(&["a", "b"]);
    let root = world.root.clone();
    let top = world.mount("a,b,name=x").unwrap();
    let child = world.mkdir(top, "c").unwrap();
    let value = world.engine.find_file(top, "a.value").unwrap();
    let (below, agent) = {
        let find = |cgroup, name| world.engine.find_file(cgroup, name).unwrap();
        (find(child, "a.below"), find(top, "release_agent"))
    };
    // Files of the wrong directory.
    let gone = |world: &mut World, cgroup, file| {
        let World { engine, host, .. } = world;
        let answers = [
            engine.read(host, &root, cgroup, file).map(|_| ()),
            engine.write(host, &root, cgroup, file, b""),
            engine.write(host, &root, cgroup, file, b"1"),
            engine.file_owner(cgroup, file).map(|_| ()),
            engine.set_file_owner(&root, cgroup, file, Owner::default()),
        ];
        for answer in answers {
            assert_eq!(answer.unwrap_err().errno(), Errno::ENODEV);
        }
    };
    gone(&mut world, top, below);
    gone(&mut world, child, agent);
    world.rmdir(child).unwrap();
    world.remount(top, "b").unwrap();
    gone(&mut world, top, value);
    world.unload("a").unwrap();
    gone(&mut world, top, value);
    // Another subsystem in the same slot is not the same file.
    world.load(Probe::plain("other")).unwrap();
    world.remount(top, "b,other").unwrap();
    gone(&mut world, top, value);
}

/// A5.2: a remount takes the files away and brings new ones.
#[test]
fn an_owner_given_to_a_file_goes_with_the_file() {
    let mut world = World::with(&["a"]);
    let top = world.mount("a,name=x").unwrap();
    let file = world.engine.find_file(top, "a.value").unwrap();
    let given = Owner { uid: 1000, gid: 1000, mode: 0o666 };
    world.engine.set_file_owner(&world.root, top, file, given).unwrap();
    world.remount(top, "name=x").unwrap();
    world.unload("a").unwrap();
    world.load(Probe::plain("b")).unwrap();
    world.remount(top, "b").unwrap();
    let file = world.engine.find_file(top, "b.value").unwrap();
    let owner = world.engine.file_owner(top, file).unwrap();
    assert_eq!((owner.uid, owner.mode), (0, 0o644));
}

/// T10, E2.1: names and answers.
#[test]
fn t10_what_load_refuses() {
    let mut world = World::new();
    for name in ["", "a.b", "a b", "a/b", "a,b", "a=b", &"n".repeat(33)] {
        assert_eq!(world.load(Probe::plain(name)).unwrap_err().errno(), Errno::EINVAL, "{name:?}");
    }
    world.load(Probe::plain(&"n".repeat(32))).unwrap();
    let twice = world.load(Probe::plain(&"n".repeat(32))).unwrap_err();
    assert_eq!(twice.errno(), Errno::EEXIST, "where 2.6.34 gave a second slot to the same name (E2.2)");
    assert_eq!(world.unload("other"), Err(Errno::ENOENT));
}

/// T10, T15: the slots are full, and one is free again at once.
#[test]
fn t10_sixty_four_slots() {
    let mut world = World::new();
    for number in 0..SLOTS {
        world.load(Probe::new(&format!("s{number}"), Callbacks::FORK, &[Resource::Tasks]).0).unwrap();
    }
    assert_eq!(world.load(Probe::plain("more")).unwrap_err().errno(), Errno::EBUSY);
    let task = world.spawn();
    world.fork(task).unwrap();
    let top = world.mount("s0,s63").unwrap();
    assert_eq!(world.read(top, "s63.usage").unwrap(), "2 -1 2 0 0\n", "the last slot is a slot like any");
    world.unload("s31").unwrap();
    world.load(Probe::plain("more")).unwrap();
    assert_eq!(world.engine.subsystems().nth(31), Some("more"), "in the slot that was free");
}

/// T10, E2.6, E6.1: the state is made before the slot is published; a failure leaves nothing.
#[test]
fn t10_a_failing_create() {
    let (probe, desk) = Probe::new("p", Callbacks::FORK, &[Resource::Tasks]);
    desk.records().knobs.fail_create = 1;
    let mut world = World::with(&["a"]);
    world.spawn();
    let before = world.engine.proc_cgroups();
    let failed = world.load(probe).unwrap_err();
    assert_eq!((failed.errno(), failed.to_string()), (Errno::ENOMEM, "p: told to fail".into()));
    assert_eq!(world.engine.proc_cgroups(), before);
    assert_eq!(
        (world.engine.interest(), desk.counts().fork, desk.counts().destroy),
        (EventMask::empty(), 0, 0)
    );
    assert_eq!(world.mount("p"), Err(Errno::EINVAL));
    world.load(Probe::plain("b")).unwrap();
    assert_eq!(world.engine.subsystems().collect::<Vec<_>>(), ["a", "b"]);
}

/// T10, E4: bound is busy, also where the hierarchy is unmounted with children; sharing and failing pin nothing.
#[test]
fn t10_a_bound_subsystem_stays() {
    let mut world = World::with(&["p", "other"]);
    assert!(world.engine.proc_cgroups().contains("p\t0\t1\t1\n"));
    let top = world.mount("p").unwrap();
    assert_eq!(world.mount("p"), Ok(top));
    assert_eq!(world.mount("p,other"), Err(Errno::EBUSY));
    assert_eq!(world.unload("other"), Ok(()), "the failed mount has not pinned it");
    let busy = world.engine.unload(&mut world.host, "p").unwrap_err();
    assert_eq!(busy.errno(), Errno::EBUSY);
    assert!(busy.to_string().contains("p: bound to hierarchy 1; remove its children"), "{busy}");
    let g = world.mkdir(top, "g").unwrap();
    world.unmount(top);
    world.unmount(top);
    let busy = world.engine.unload(&mut world.host, "p").unwrap_err();
    assert!(busy.to_string().contains("unmounted but with children"), "{busy}");
    world.rmdir(g).unwrap();
    assert_eq!(world.unload("p"), Ok(()));
    assert_eq!(world.engine.proc_cgroups().lines().count(), 1, "the header");
    assert_eq!(world.mount("p"), Err(Errno::EINVAL));
}

/// E5.4, E2.4, C5.3: loading while everything runs: each task is told of once, css_sets stay what they are.
#[test]
fn a_late_subsystem_is_told_of_existing_tasks_once() {
    let mut world = World::with(&["a"]);
    let tasks: Vec<_> = (0..3).map(|_| world.spawn()).collect();
    let top = world.mount("a").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    world.attach(g, tasks[1]).unwrap();
    let sets = world.engine.css_set_count();
    let (probe, desk) =
        Probe::new("late", Callbacks::FORK | Callbacks::EXIT, &[Resource::Tasks, Resource::Forks]);
    world.load(probe).unwrap();
    let mut log = desk.take_log();
    log.sort();
    assert_eq!(log, ["late.create /", "late.fork 1", "late.fork 2", "late.fork 3"]);
    assert_eq!(world.engine.css_set_count(), sets);
    let child = world.fork(tasks[1]).unwrap();
    world.exit(tasks[0]);
    let late = world.mount("late").unwrap();
    assert_eq!(world.read(late, "late.usage").unwrap(), "3 -1 4 0 0\n1 -1 1 0 0\n");
    assert_eq!((desk.counts().fork, desk.counts().exit), (4, 1));
    assert_eq!(world.tasks(g), [tasks[1].0, child.0]);
    // In a set that is made after the load the pointer is there as well.
    let h = world.mkdir(late, "h").unwrap();
    world.attach(h, child).unwrap();
    assert_eq!(world.read(h, "late.usage").unwrap(), "1 -1 1 0 0\n0 -1 0 0 0\n");
}

/// E3.2, E6.2: unload destroys the last state; a reload starts from nothing.
#[test]
fn an_unload_frees_everything_and_a_reload_starts_anew() {
    let (probe, desk) = Probe::new("p", Callbacks::all(), &[Resource::Tasks]);
    let mut world = World::new();
    world.load(probe).unwrap();
    let task = world.spawn();
    let top = world.mount("p").unwrap();
    world.write(top, "p.value", "5").unwrap();
    world.write(top, "p.limit", "0 9").unwrap();
    let made: Vec<_> = ["x", "y"].into_iter().map(|name| world.mkdir(top, name).unwrap()).collect();
    assert_eq!(desk.counts().alive, 3);
    for cgroup in made {
        world.rmdir(cgroup).unwrap();
    }
    assert_eq!(desk.counts().alive, 1);
    world.unmount(top);
    desk.take_log();
    world.unload("p").unwrap();
    assert_eq!(desk.take_log(), ["p.pre_destroy /", "p.destroy 5"], "which still find its state");
    assert_eq!((desk.counts().alive, desk.counts().create, desk.counts().destroy), (0, 3, 3));
    world.exit(task);
    assert_eq!((desk.counts().exit, world.engine.interest()), (0, EventMask::empty()));
    assert!(!world.engine.can_refuse_fork());
    world.load(Probe::at(&desk, "p", Callbacks::empty(), &[Resource::Tasks])).unwrap();
    let top = world.mount("p").unwrap();
    assert_eq!(world.read(top, "p.value").unwrap(), "0\n");
    assert_eq!(world.read(top, "p.usage").unwrap(), "0 -1 0 0 0\n");
}

/// A css of a new directory may get the number of one that is gone: nothing of the old one shows.
#[test]
fn a_new_directory_does_not_inherit_from_a_removed_one() {
    let mut world = World::new();
    world.load(Probe::new("p", Callbacks::empty(), &[Resource::Tasks, Resource::CpuTime]).0).unwrap();
    let (task, top) = (world.spawn(), world.mount("p").unwrap());
    let g = world.mkdir(top, "g").unwrap();
    world.attach(g, task).unwrap();
    world.write(g, "p.limit", "0 1").unwrap();
    world.write(g, "p.value", "9").unwrap();
    assert_eq!(world.fork(task), Err(Errno::EAGAIN));
    world.host.run(task, 0, penfold_core::subsystem::CpuTime { user: 1, system: 1 });
    world.exit(task);
    world.rmdir(g).unwrap();
    let g = world.mkdir(top, "g").unwrap();
    assert_eq!(world.read(g, "p.usage").unwrap(), "0 -1 0 0 0\n0 -1 0 0 0\ncpu0 0 0\ncpu1 0 0\n");
    assert_eq!(world.read(g, "p.value").unwrap(), "0\n");
}
