//! mkdir, rmdir, rename (B1, T8), with the errors that Linux 6.18 was measured to give.

mod common;

use common::{Probe, World};
use penfold_core::{Access, Caller, Errno, Owner, Tid, subsystem::Callbacks};

#[test]
fn a_new_name_must_be_one_name() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    world.mkdir(top, "a").unwrap();
    for name in ["", "b/c", "/", "b\0c"] {
        assert_eq!(world.rename(top, "a", top, name), Err(Errno::ENOENT), "{name:?}");
        assert_eq!(world.mkdir(top, name), Err(Errno::ENOENT), "{name:?}");
    }
    assert_eq!(world.children(top), ["a"]);
}

/// A6.1: its top can be found through any css_set, but nothing can be made there.
#[test]
fn the_dummy_hierarchy_has_one_cgroup_for_ever() {
    let (probe, desk) = Probe::new("p", Callbacks::BIND, &[]);
    let mut world = World::new();
    world.load(probe).unwrap();
    let initial = world.engine.tree().css_set(world.engine.initial_css_set()).unwrap();
    let dummy = initial.cgroups().next().unwrap();
    assert_eq!(world.mkdir(dummy, "a"), Err(Errno::EPERM));
    assert_eq!(world.remount(dummy, "all"), Err(Errno::ENODEV));
    assert_eq!(world.rmdir(dummy), Err(Errno::EBUSY));
    assert_eq!((desk.counts().create, desk.counts().bind), (1, 0));
    assert!(world.mount("p").is_ok());
}

/// B1.1: the measured names.
#[test]
fn names_of_new_directories() {
    let mut world = World::with(&["cpuset"]);
    let top = world.mount("none,name=x").unwrap();
    let child = world.mkdir(top, "g").unwrap();
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
        assert_eq!(world.mkdir(top, name).map(|_| ()), *expected, "{name:?}");
    }
    let odd = world.engine.session(&mut world.host, &world.root).mkdir(top, b"\xff\xfe", 0o755);
    assert!(odd.is_ok(), "names are bytes");
    for name in ["release_agent", "cgroup.sane_behavior"] {
        assert!(world.mkdir(child, name).is_ok(), "only roots have the file {name}");
    }
}

/// B1.2, A4.8: modes and owners as measured.
#[test]
fn a_directory_belongs_to_its_maker() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    assert_eq!(world.engine.tree()[top].owner(), Owner { uid: 0, gid: 0, mode: 0o555 });
    let administrator = Caller { privileged: true, ..Caller::user(Tid(1), 1000, 100) };
    let other = world.engine.session(&mut world.host, &administrator).mount("none,name=y").unwrap().root;
    assert_eq!(world.engine.tree()[other].owner(), Owner { uid: 1000, gid: 100, mode: 0o755 }, "L95");
    let mut nobody = Caller::user(Tid(1), 65534, 65534);
    let mkdir = |world: &mut World, caller: &Caller, parent, name: &[u8], mode| {
        let made = world.engine.session(&mut world.host, caller).mkdir(parent, name, mode);
        made.map_err(|error| error.errno())
    };
    let open = Caller { umask: 0, ..Caller::root(Tid(1)) };
    let shared = mkdir(&mut world, &open, top, b"shared", 0o777).unwrap();
    let closed = mkdir(&mut world, &Caller::root(Tid(1)), top, b"closed", 0o777).unwrap();
    assert_eq!(world.engine.tree()[closed].owner().mode, 0o755);
    assert_eq!(mkdir(&mut world, &nobody, closed, b"a", 0o777), Err(Errno::EACCES));
    assert_eq!(mkdir(&mut world, &nobody, top, b"closed", 0o777), Err(Errno::EEXIST), "before EACCES");
    nobody.umask = 0o077;
    let own = mkdir(&mut world, &nobody, shared, b"own", 0o1777).unwrap();
    assert_eq!(world.engine.tree()[own].owner(), Owner { uid: 65534, gid: 65534, mode: 0o1700 });
    let tasks = world.engine.find_file(own, "tasks").unwrap();
    assert_eq!(world.engine.file_owner(own, tasks).unwrap(), Owner { uid: 65534, gid: 65534, mode: 0o644 });
    assert!(world.engine.open(&nobody, own, "tasks", Access::WRITE).is_ok());
    assert_eq!(
        world.engine.open(&nobody, shared, "tasks", Access::WRITE).unwrap_err().errno(),
        Errno::EACCES
    );
    // A directory that anyone may write to: anyone may remove from it, unless it is sticky.
    let roots = world.mkdir(shared, "roots").unwrap();
    let sticky = Owner { mode: 0o1777, ..world.engine.tree()[shared].owner() };
    world.engine.set_owner(&open, shared, sticky).unwrap();
    let refused = world.engine.session(&mut world.host, &nobody).rmdir(roots).unwrap_err();
    assert_eq!(refused.errno(), Errno::EPERM);
    assert!(world.engine.session(&mut world.host, &nobody).rmdir(own).is_ok(), "his own");
    let refused = world.engine.set_owner(&nobody, shared, Owner::default()).unwrap_err();
    assert_eq!(refused.errno(), Errno::EPERM);
}

/// As Linux 6.18 does it, measured.
#[test]
fn a_directory_with_the_set_group_bit_gives_its_group_and_the_bit_to_what_is_made_in_it() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    let shared = world.mkdir(top, "shared").unwrap();
    let root = world.root.clone();
    world.engine.set_owner(&root, shared, Owner { uid: 0, gid: 77, mode: 0o2777 }).unwrap();
    let user = Caller { umask: 0o022, ..Caller::user(Tid(1), 1000, 1000) };
    let own = world.engine.session(&mut world.host, &user).mkdir(shared, b"own", 0o777).unwrap();
    assert_eq!(world.engine.tree()[own].owner(), Owner { uid: 1000, gid: 77, mode: 0o2755 });
    let tasks = world.engine.find_file(own, "tasks").unwrap();
    assert_eq!(world.engine.file_owner(own, tasks).unwrap(), Owner { uid: 1000, gid: 77, mode: 0o644 });
    let below = world.engine.session(&mut world.host, &user).mkdir(own, b"below", 0o700).unwrap();
    assert_eq!(world.engine.tree()[below].owner(), Owner { uid: 1000, gid: 77, mode: 0o2700 });
    // Root's group is not handed on by a directory that nobody has given an owner or a mode.
    world.engine.set_owner(&root, shared, Owner { uid: 0, gid: 0, mode: 0o2777 }).unwrap();
    let open = Caller { umask: 0, ..root };
    let roots = world.engine.session(&mut world.host, &open).mkdir(shared, b"roots", 0o777).unwrap();
    assert_eq!(world.engine.tree()[roots].owner(), Owner { uid: 0, gid: 0, mode: 0o2777 });
    let odd = world.engine.session(&mut world.host, &user).mkdir(roots, b"odd", 0o777).unwrap();
    assert_eq!(world.engine.tree()[odd].owner(), Owner { uid: 1000, gid: 1000, mode: 0o2755 });
}

/// T8, B1.8, B1.12, B1.13.
#[test]
fn t08_rmdir_and_stale_ids() {
    let mut world = World::new();
    let task = world.spawn();
    let top = world.mount("none,name=x").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    let inner = world.mkdir(g, "inner").unwrap();
    world.attach(inner, task).unwrap();
    assert_eq!(world.rmdir(top), Err(Errno::EBUSY));
    assert_eq!(world.rmdir(g), Err(Errno::EBUSY), "it has a child");
    assert_eq!(world.rmdir(inner), Err(Errno::EBUSY), "it has a task");
    let tasks = world.engine.find_file(inner, "tasks").unwrap();
    world.exit(task);
    assert_eq!(world.rmdir(inner), Ok(()));
    let root = world.root.clone();
    let World { engine, host, .. } = &mut world;
    assert_eq!(engine.session(host, &root).read(inner, tasks).unwrap_err().errno(), Errno::ENODEV);
    for content in ["1", ""] {
        let written = engine.session(host, &root).write(inner, tasks, content.as_bytes());
        assert_eq!(written.unwrap_err().errno(), Errno::ENODEV);
    }
    let long = [b'1'; 4097];
    let written = world.engine.session(&mut world.host, &root).write(inner, tasks, &long);
    assert_eq!(written.unwrap_err().errno(), Errno::E2BIG, "before it is seen that the cgroup is gone");
    assert_eq!(world.mkdir(inner, "x"), Err(Errno::ENOENT));
    let again = world.mkdir(g, "inner").unwrap();
    assert_ne!(again, inner, "an id is never used twice");
    assert_eq!(world.read(inner, "tasks"), Err(Errno::ENODEV));
}

/// T8, B1.8: the measured renames.
#[test]
fn t08_renames() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    let inner = world.mkdir(g, "in").unwrap();
    let h = world.mkdir(top, "h").unwrap();
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
        assert_eq!(world.rename(parent, name, new_parent, new), Err(expected), "{name} to {new}");
    }
    assert_eq!(world.rename(top, "g", top, "g"), Ok(()));
    assert_eq!(world.rename(top, "tasks", top, "tasks"), Ok(()));
    let task = world.spawn();
    world.attach(inner, task).unwrap();
    assert_eq!(world.rename(top, "g", top, "gg"), Ok(()));
    assert_eq!(world.proc(task), "1:name=x:/gg/in\n", "members come along");
    assert_eq!(world.engine.lookup(top, "/gg/in").unwrap(), inner);
    assert_eq!(world.engine.lookup(top, "/g").unwrap_err().errno(), Errno::ENOENT);
    assert_eq!(world.children(top), ["gg", "h"], "the order of creation stays");
}

/// B1.1: a create that fails takes back what was created before it, and only that.
#[test]
fn a_failing_create_leaves_nothing_behind() {
    let (a, first) = Probe::new("a", Callbacks::empty(), &[]);
    let second = first.beside();
    let third = first.beside();
    let mut world = World::new();
    world.load(a).unwrap();
    world.load(Probe::at(&second, "b", Callbacks::empty(), &[])).unwrap();
    world.load(Probe::at(&third, "c", Callbacks::empty(), &[])).unwrap();
    let top = world.mount("all").unwrap();
    first.take_log();
    second.records().knobs.fail_create = 1;
    assert_eq!(world.mkdir(top, "g"), Err(Errno::ENOMEM));
    assert_eq!(first.take_log(), ["a.create /g", "b.create /g", "a.destroy 0"]);
    assert_eq!((first.counts().alive, second.counts().alive, third.counts().alive), (1, 1, 1));
    assert!(world.children(top).is_empty());
    assert_eq!(world.engine.proc_cgroups().lines().nth(1), Some("a\t1\t1\t1"));
    assert!(world.mkdir(top, "g").is_ok());
}

/// B1.10: `pre_destroy` in order; the first refusal is the answer and the cgroup stays.
#[test]
fn pre_destroy_may_refuse_a_removal_again_and_again() {
    let (a, first) = Probe::new("a", Callbacks::PRE_DESTROY, &[]);
    let second = first.beside();
    let mut world = World::new();
    world.load(a).unwrap();
    world.load(Probe::at(&second, "b", Callbacks::PRE_DESTROY, &[])).unwrap();
    let top = world.mount("all").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    second.records().knobs.veto_destroy = true;
    assert_eq!(world.rmdir(g), Err(Errno::EIO));
    assert_eq!(world.rmdir(g), Err(Errno::EIO));
    assert_eq!((first.counts().pre_destroy, first.counts().destroy), (2, 0));
    assert_eq!(world.read(g, "a.value").unwrap(), "0\n");
    second.records().knobs.veto_destroy = false;
    first.take_log();
    assert_eq!(world.rmdir(g), Ok(()));
    assert_eq!(first.take_log(), ["a.pre_destroy /g", "b.pre_destroy /g", "a.destroy 0", "b.destroy 0"]);
    assert_eq!(
        (first.counts().alive, second.counts().alive),
        (1, 1),
        "states are dropped with the directory"
    );
}

/// B1.6, B1.7, B7.
#[test]
fn a_child_inherits_the_flags_and_post_clone_runs_for_a_clone() {
    let (probe, desk) = Probe::new("p", Callbacks::POST_CLONE, &[]);
    let mut world = World::new();
    world.load(probe).unwrap();
    let top = world.mount("p").unwrap();
    world.write(top, "p.value", "7").unwrap();
    let plain = world.mkdir(top, "plain").unwrap();
    assert_eq!((world.read(plain, "p.value").unwrap(), desk.counts().post_clone), ("0\n".into(), 0));
    world.write(top, "cgroup.clone_children", "1").unwrap();
    world.write(top, "notify_on_release", "1").unwrap();
    let clone = world.mkdir(top, "clone").unwrap();
    assert_eq!(world.read(clone, "p.value").unwrap(), "8\n", "the probe copies its parent's plus one");
    assert_eq!(world.read(clone, "cgroup.clone_children").unwrap(), "1\n");
    assert_eq!(world.read(clone, "notify_on_release").unwrap(), "1\n");
    assert_eq!(world.read(plain, "notify_on_release").unwrap(), "0\n");
}
