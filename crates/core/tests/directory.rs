//! mkdir, rmdir, rename (B1, T8), with the errors that Linux 6.18 was measured to give.

mod common;

use common::{Probe, world_with};
use penfold_core::{Access, Caller, Errno, Owner, Tid, subsystem::Callbacks};
use penfold_testkit::SimWorld;

#[test]
fn new_name_must_be_one_name() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    world.mkdir(top, "a");
    for name in ["", "b/c", "/", "b\0c"] {
        assert_eq!(world.try_rename(top, "a", top, name), Err(Errno::ENOENT), "{name:?}");
        assert_eq!(world.try_mkdir(top, name), Err(Errno::ENOENT), "{name:?}");
    }
    assert_eq!(world.children(top), ["a"]);
}

/// A6.1: the top of the dummy hierarchy is in every css_set, but no cgroup can be made in it.
#[test]
fn dummy_hierarchy_keeps_its_one_cgroup() {
    let (probe, handle) = Probe::new("p", Callbacks::BIND, &[]);
    let mut world = SimWorld::new();
    world.load(probe);
    let initial = world.engine.tree().css_set(world.engine.initial_css_set()).unwrap();
    let dummy = initial.cgroups().next().unwrap();
    assert_eq!(world.try_mkdir(dummy, "a"), Err(Errno::EPERM));
    assert_eq!(world.try_remount(dummy, "all"), Err(Errno::ENODEV));
    assert_eq!(world.try_rmdir(dummy), Err(Errno::EBUSY));
    assert_eq!((handle.counts().create, handle.counts().bind), (1, 0));
    assert!(world.try_mount("p").is_ok());
}

/// B1.1: the measured names.
#[test]
fn mkdir_takes_and_refuses_the_measured_names() {
    let mut world = world_with(&["cpuset"]);
    let top = world.mount("none,name=x");
    let child = world.mkdir(top, "g");
    let (long, longer) = ("n".repeat(4060), "n".repeat(4096));
    let vectors: &[(&str, Result<(), Errno>)] = &[
        ("g", Err(Errno::EEXIST)),
        ("tasks", Err(Errno::EEXIST)),
        ("cgroup.procs", Err(Errno::EEXIST)),
        ("release_agent", Err(Errno::EEXIST)),
        ("..", Err(Errno::EEXIST)),
        (".", Err(Errno::EEXIST)),
        ("a\nb", Err(Errno::EINVAL)),
        ("\n", Err(Errno::EINVAL)),
        (&longer, Err(Errno::ENAMETOOLONG)),
        ("cpuset.value", Ok(())),
        ("cgroup.controllers", Ok(())),
        (&long, Ok(())),
        ("a b", Ok(())),
        ("a\tb", Ok(())),
        ("...", Ok(())),
        ("-", Ok(())),
    ];
    for (name, expected) in vectors {
        assert_eq!(world.try_mkdir(top, name).map(|_| ()), *expected, "{name:?}");
    }
    assert!(world.try_mkdir(top, b"\xff\xfe").is_ok(), "names are bytes");
    for name in ["release_agent", "cgroup.sane_behavior"] {
        assert!(world.try_mkdir(child, name).is_ok(), "only roots have the file {name}");
    }
}

/// B1.2, A4.8: modes and owners as measured.
#[test]
fn directory_belongs_to_its_creator() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    assert_eq!(world.engine.tree()[top].owner(), Owner { uid: 0, gid: 0, mode: 0o555 });
    let administrator = Caller { privileged: true, ..Caller::user(Tid(1), 1000, 100) };
    let other = world.as_caller(&administrator, |world| world.mount("none,name=y"));
    assert_eq!(world.engine.tree()[other].owner(), Owner { uid: 1000, gid: 100, mode: 0o755 }, "L95");
    let mut nobody = Caller::user(Tid(1), 65534, 65534);
    let mkdir = |world: &mut SimWorld, caller: &Caller, parent, name: &str, mode| {
        world.as_caller(caller, |world| world.try_mkdir_with_mode(parent, name, mode))
    };
    let open = Caller { umask: 0, ..Caller::root(Tid(1)) };
    let shared = mkdir(&mut world, &open, top, "shared", 0o777).unwrap();
    let closed = mkdir(&mut world, &Caller::root(Tid(1)), top, "closed", 0o777).unwrap();
    assert_eq!(world.engine.tree()[closed].owner().mode, 0o755);
    assert_eq!(mkdir(&mut world, &nobody, closed, "a", 0o777), Err(Errno::EACCES));
    assert_eq!(mkdir(&mut world, &nobody, top, "closed", 0o777), Err(Errno::EEXIST), "before EACCES");
    nobody.umask = 0o077;
    let own = mkdir(&mut world, &nobody, shared, "own", 0o1777).unwrap();
    assert_eq!(world.engine.tree()[own].owner(), Owner { uid: 65534, gid: 65534, mode: 0o1700 });
    let tasks = world.file(own, "tasks");
    assert_eq!(world.engine.file_owner(own, tasks).unwrap(), Owner { uid: 65534, gid: 65534, mode: 0o644 });
    world.as_caller(&nobody, |world| {
        assert!(world.try_open(own, "tasks", Access::WRITE).is_ok());
        assert_eq!(world.try_open(shared, "tasks", Access::WRITE), Err(Errno::EACCES));
    });
    // From a directory that every user may write, every user may remove, unless the directory is sticky.
    let roots = world.mkdir(shared, "roots");
    let sticky = Owner { mode: 0o1777, ..world.engine.tree()[shared].owner() };
    world.set_owner(shared, sticky);
    world.as_caller(&nobody, |world| {
        assert_eq!(world.try_rmdir(roots), Err(Errno::EPERM));
        assert_eq!(world.try_rmdir(own), Ok(()), "the caller's own");
        assert_eq!(world.try_set_owner(shared, Owner::default()), Err(Errno::EPERM));
    });
}

/// As Linux 6.18 does it, measured.
#[test]
fn set_group_bit_and_its_group_are_inherited() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let shared = world.mkdir(top, "shared");
    let mkdir = |world: &mut SimWorld, caller: &Caller, parent, name: &str, mode| {
        world.as_caller(caller, |world| world.try_mkdir_with_mode(parent, name, mode)).unwrap()
    };
    world.set_owner(shared, Owner { uid: 0, gid: 77, mode: 0o2777 });
    let user = Caller { umask: 0o022, ..Caller::user(Tid(1), 1000, 1000) };
    let own = mkdir(&mut world, &user, shared, "own", 0o777);
    assert_eq!(world.engine.tree()[own].owner(), Owner { uid: 1000, gid: 77, mode: 0o2755 });
    let tasks = world.file(own, "tasks");
    assert_eq!(world.engine.file_owner(own, tasks).unwrap(), Owner { uid: 1000, gid: 77, mode: 0o644 });
    let below = mkdir(&mut world, &user, own, "below", 0o700);
    assert_eq!(world.engine.tree()[below].owner(), Owner { uid: 1000, gid: 77, mode: 0o2700 });
    // A directory whose owner and mode were never set does not hand on root's group.
    world.set_owner(shared, Owner { uid: 0, gid: 0, mode: 0o2777 });
    let open = Caller { umask: 0, ..Caller::root(Tid(1)) };
    let roots = mkdir(&mut world, &open, shared, "roots", 0o777);
    assert_eq!(world.engine.tree()[roots].owner(), Owner { uid: 0, gid: 0, mode: 0o2777 });
    let odd = mkdir(&mut world, &user, roots, "odd", 0o777);
    assert_eq!(world.engine.tree()[odd].owner(), Owner { uid: 1000, gid: 1000, mode: 0o2755 });
}

/// T8, B1.8, B1.12, B1.13.
#[test]
fn rmdir_needs_an_empty_cgroup_and_ends_its_id() {
    let mut world = SimWorld::new();
    let task = world.spawn();
    let top = world.mount("none,name=x");
    let g = world.mkdir(top, "g");
    let inner = world.mkdir(g, "inner");
    world.attach(inner, task);
    assert_eq!(world.try_rmdir(top), Err(Errno::EBUSY));
    assert_eq!(world.try_rmdir(g), Err(Errno::EBUSY), "it has a child");
    assert_eq!(world.try_rmdir(inner), Err(Errno::EBUSY), "it has a task");
    let tasks = world.file(inner, "tasks");
    world.exit(task);
    assert_eq!(world.try_rmdir(inner), Ok(()));
    assert_eq!(world.try_read_opened(inner, tasks), Err(Errno::ENODEV));
    for content in ["1", ""] {
        assert_eq!(world.try_write_opened(inner, tasks, content), Err(Errno::ENODEV));
    }
    let written = world.try_write_opened(inner, tasks, [b'1'; 4097]);
    assert_eq!(written, Err(Errno::E2BIG), "the length is checked before the cgroup");
    assert_eq!(world.try_mkdir(inner, "x"), Err(Errno::ENOENT));
    let again = world.mkdir(g, "inner");
    assert_ne!(again, inner, "an id is never used twice");
    assert_eq!(world.try_read(inner, "tasks"), Err(Errno::ENODEV));
}

/// T8, B1.8: the measured renames.
#[test]
fn rename_answers_as_measured() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let g = world.mkdir(top, "g");
    let inner = world.mkdir(g, "in");
    let h = world.mkdir(top, "h");
    let vectors = [
        (top, "g", top, "h", Errno::EEXIST),
        (top, "g", h, "g", Errno::EIO),
        (g, "in", top, "in", Errno::EIO),
        (top, "g", inner, "x", Errno::EINVAL),
        (top, "tasks", top, "t2", Errno::ENOTDIR),
        (top, "tasks", h, "tasks", Errno::ENOTDIR),
        (top, "g", top, "tasks", Errno::ENOTDIR),
        (top, "tasks", top, "g", Errno::EISDIR),
        (top, "g", top, "a\nb", Errno::EINVAL),
        (top, "tasks", top, "a\nb", Errno::EINVAL),
        (g, "in", h, "h\nh", Errno::EINVAL),
        (top, "nonex", top, "y", Errno::ENOENT),
        (top, "notify_on_release", top, "h", Errno::EISDIR),
    ];
    for (parent, name, new_parent, new, expected) in vectors {
        assert_eq!(world.try_rename(parent, name, new_parent, new), Err(expected), "{name} to {new}");
    }
    assert_eq!(world.try_rename(top, "g", top, "g"), Ok(()));
    assert_eq!(world.try_rename(top, "tasks", top, "tasks"), Ok(()));
    let task = world.spawn();
    world.attach(inner, task);
    assert_eq!(world.try_rename(top, "g", top, "gg"), Ok(()));
    assert_eq!(world.proc_cgroup(task), "1:name=x:/gg/in\n", "members come along");
    assert_eq!(world.engine.lookup(top, "/gg/in").unwrap(), inner);
    assert_eq!(world.engine.lookup(top, "/g").unwrap_err().errno(), Errno::ENOENT);
    assert_eq!(world.children(top), ["gg", "h"], "the order of creation stays");
}

/// B1.1: a failing create destroys the states that were created before it, and only those.
#[test]
fn failing_create_leaves_nothing_behind() {
    let (a, first) = Probe::new("a", Callbacks::empty(), &[]);
    let second = first.with_same_log();
    let third = first.with_same_log();
    let mut world = SimWorld::new();
    world.load(a);
    world.load(Probe::at(&second, "b", Callbacks::empty(), &[]));
    world.load(Probe::at(&third, "c", Callbacks::empty(), &[]));
    let top = world.mount("all");
    first.take_log();
    second.records().faults.fail_create = 1;
    assert_eq!(world.try_mkdir(top, "g"), Err(Errno::ENOMEM));
    assert_eq!(first.take_log(), ["a.create /g", "b.create /g", "a.destroy 0"]);
    assert_eq!((first.counts().alive, second.counts().alive, third.counts().alive), (1, 1, 1));
    assert!(world.children(top).is_empty());
    assert_eq!(world.engine.proc_cgroups().lines().nth(1), Some("a\t1\t1\t1"));
    assert!(world.try_mkdir(top, "g").is_ok());
}

/// B1.10: `pre_destroy` in order; the first refusal is the answer and the cgroup stays.
#[test]
fn pre_destroy_may_refuse_a_removal_repeatedly() {
    let (a, first) = Probe::new("a", Callbacks::PRE_DESTROY, &[]);
    let second = first.with_same_log();
    let mut world = SimWorld::new();
    world.load(a);
    world.load(Probe::at(&second, "b", Callbacks::PRE_DESTROY, &[]));
    let top = world.mount("all");
    let g = world.mkdir(top, "g");
    second.records().faults.veto_destroy = true;
    assert_eq!(world.try_rmdir(g), Err(Errno::EIO));
    assert_eq!(world.try_rmdir(g), Err(Errno::EIO));
    assert_eq!((first.counts().pre_destroy, first.counts().destroy), (2, 0));
    assert_eq!(world.read(g, "a.value"), "0\n");
    second.records().faults.veto_destroy = false;
    first.take_log();
    assert_eq!(world.try_rmdir(g), Ok(()));
    assert_eq!(first.take_log(), ["a.pre_destroy /g", "b.pre_destroy /g", "a.destroy 0", "b.destroy 0"]);
    assert_eq!(
        (first.counts().alive, second.counts().alive),
        (1, 1),
        "states are dropped with the directory"
    );
}

/// B1.6, B1.7, B7.
#[test]
fn child_inherits_flags_and_post_clone_runs_for_a_clone() {
    let (probe, handle) = Probe::new("p", Callbacks::POST_CLONE, &[]);
    let mut world = SimWorld::new();
    world.load(probe);
    let top = world.mount("p");
    world.write(top, "p.value", "7");
    let plain = world.mkdir(top, "plain");
    assert_eq!((world.read(plain, "p.value"), handle.counts().post_clone), ("0\n".into(), 0));
    world.write(top, "cgroup.clone_children", "1");
    world.write(top, "notify_on_release", "1");
    let clone = world.mkdir(top, "clone");
    assert_eq!(world.read(clone, "p.value"), "8\n", "the probe copies its parent's plus one");
    assert_eq!(world.read(clone, "cgroup.clone_children"), "1\n");
    assert_eq!(world.read(clone, "notify_on_release"), "1\n");
    assert_eq!(world.read(plain, "notify_on_release"), "0\n");
}
