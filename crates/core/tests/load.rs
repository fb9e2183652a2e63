//! Loading and unloading (E1 to E6, T10), with the bugs that the kernel had left out.

mod common;

use common::{Probe, World};
use penfold_core::{Callbacks, Errno, Interest, Owner, Resource, SLOTS};

#[test]
fn a_failed_load_leaves_no_limit_behind() {
    let (probe, desk) = Probe::new("p", Callbacks::empty(), &[Resource::Tasks]);
    desk.records().knobs.limit_at_create = Some(3);
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
    let mut gone = |world: &mut World, cgroup, file| {
        let World { engine, host, .. } = world;
        let answers = [
            engine.read(host, &root, cgroup, file).map(|_| ()),
            engine.write(host, &root, cgroup, file, b""),
            engine.write(host, &root, cgroup, file, b"1"),
            engine.file_owner(cgroup, file).map(|_| ()),
            engine.set_file_owner(&root, cgroup, file, Owner::default()),
        ];
        answers.into_iter().for_each(|answer| assert_eq!(answer.unwrap_err().errno(), Errno::ENODEV));
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
