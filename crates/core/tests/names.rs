//! How hierarchies, cgroups, control files and subsystems are found and named.

mod common;

use common::{Probe, World};
use penfold_core::{
    Caller, CgroupId, Errno, Owner, Tid, control_file::FileId, host::HostView as _, subsystem::Callbacks,
};

#[test]
fn hierarchy_is_found_by_number_name_or_subsystem() {
    let mut world = World::with(&["a", "b", "c"]);
    let first = world.mount("b").unwrap();
    let second = world.mount("none,name=work").unwrap();
    let third = world.mount("c,name=more").unwrap();
    for (text, found) in [
        ("1", Some(first)),
        ("b", Some(first)),
        ("2", Some(second)),
        ("work", Some(second)),
        ("3", Some(third)),
        ("c", Some(third)),
        ("more", Some(third)),
        ("a", None),
        ("0", None),
        ("4", None),
        ("", None),
        ("nothing", None),
    ] {
        assert_eq!(world.engine.find_hierarchy(text), found, "{text:?}");
    }
}

#[test]
fn subsystem_and_hierarchy_tell_of_each_other() {
    let mut world = World::with(&["a", "b", "c"]);
    let none = world.mount("none,name=work").unwrap();
    let both = world.mount("c,a").unwrap();
    let of = |world: &World, name| world.engine.hierarchy_of_subsystem(name);
    assert_eq!((of(&world, "a"), of(&world, "b"), of(&world, "c")), (Some(2), Some(0), Some(2)));
    assert_eq!(of(&world, "d"), None);
    let child = world.mkdir(both, "child").unwrap();
    let names = |cgroup: CgroupId| world.engine.subsystems_of(cgroup).collect::<Vec<_>>();
    assert_eq!((names(child), names(none)), (vec!["a", "c"], vec![]));
    let shown = format!("{:?}", world.engine);
    assert!(shown.contains(r#"subsystems: ["a", "b", "c"]"#), "{shown}");
}

#[test]
fn path_leads_to_a_cgroup_and_a_cgroup_to_its_path() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    let a = world.mkdir(top, "a").unwrap();
    let b = world.mkdir(a, "b").unwrap();
    for (root, path, found) in
        [(top, "/a/b", b), (top, "a//b/", b), (a, "b", b), (top, "", top), (top, "/", top)]
    {
        assert_eq!(world.engine.lookup(root, path).unwrap(), found, "{path:?}");
    }
    for path in ["/b", "/a/b/c", "/a/a"] {
        assert_eq!(world.engine.lookup(top, path).unwrap_err().errno(), Errno::ENOENT, "{path:?}");
    }
    let tree = world.engine.tree();
    assert_eq!((tree.path(top), tree.path(b)), (b"/".to_vec(), b"/a/b".to_vec()));
    assert_eq!((tree[b].name(), tree[b].parent(), tree[top].parent()), (&b"b"[..], Some(a), None));
    assert_eq!((tree[a].child_count(), tree[b].child_count()), (1, 0));
    assert_eq!((tree.child(a, b"b"), tree.child(top, b"b")), (Some(b), None));
    world.rmdir(b).unwrap();
    assert_eq!(world.engine.lookup(b, "/").unwrap_err().errno(), Errno::ENODEV);
    assert_eq!(world.engine.tree()[a].child_count(), 0);
}

#[test]
fn children_stay_in_the_order_of_their_making() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    for name in ["c", "a", "b", "d"] {
        world.mkdir(top, name).unwrap();
    }
    for (gone, left) in [("a", "c b d"), ("c", "b d"), ("d", "b"), ("b", "")] {
        let gone = world.engine.tree().child(top, gone.as_bytes()).unwrap();
        world.rmdir(gone).unwrap();
        assert_eq!(world.children(top).join(" "), left);
    }
    world.mkdir(top, "again").unwrap();
    assert_eq!(world.children(top), ["again"]);
}

#[test]
fn number_of_a_cgroup_is_never_given_again() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    let number = |world: &World, cgroup: CgroupId| world.engine.tree()[cgroup].number();
    let mut last = number(&world, top);
    assert!(last >= 1);
    for _ in 0..3 {
        let a = world.mkdir(top, "a").unwrap();
        assert!(number(&world, a) > last);
        last = number(&world, a);
        assert_eq!(CgroupId::from_number(a.number()), a);
        world.rmdir(a).unwrap();
        assert!(world.engine.tree().get(CgroupId::from_number(a.number())).is_none());
    }
}

#[test]
fn css_set_is_counted_and_knows_its_cgroups() {
    let mut world = World::new();
    let (first, second) = (world.mount("none,name=x").unwrap(), world.mount("none,name=y").unwrap());
    let (a, b) = (world.mkdir(first, "a").unwrap(), world.mkdir(second, "b").unwrap());
    let tasks = [world.spawn(), world.spawn(), world.spawn()];
    for task in &tasks[..2] {
        world.attach(a, *task).unwrap();
        world.attach(b, *task).unwrap();
    }
    assert_eq!(world.engine.css_set_count(), 2);
    let tree = world.engine.tree();
    let set = tree.css_sets_of(a).next().unwrap();
    assert_eq!(tree.css_sets_of(b).collect::<Vec<_>>(), [set]);
    let found = tree.css_set(set).unwrap();
    assert_eq!((found.tasks(), found.references()), (2, 2));
    assert_eq!(found.cgroups().skip(1).collect::<Vec<_>>(), [a, b]);
    assert_eq!((tree.task_count(a), tree.task_count(b), tree.task_count(first)), (2, 2, 1));
    assert_ne!(set.number(), world.engine.initial_css_set().number());
    world.engine.pin(set);
    assert_eq!(world.engine.tree().css_set(set).unwrap().references(), 3);
    world.engine.unpin(set);
    world.unmount(second);
    let root = world.root.clone();
    for task in &tasks[..2] {
        world.engine.attach(&mut world.host, &root, second, *task, false).unwrap();
    }
    world.rmdir(b).unwrap();
    let cgroups = world
        .engine
        .tree()
        .css_sets_of(a)
        .flat_map(|set| world.engine.tree().css_set(set).unwrap().cgroups().skip(1).collect::<Vec<_>>());
    assert_eq!(cgroups.collect::<Vec<_>>(), [a], "not of the hierarchy that is gone");
}

/// Every set gets a new key when a hierarchy comes or goes: the old sets must be found by it.
#[test]
fn tasks_share_a_css_set_over_a_mount_and_an_unmount() {
    let mut world = World::new();
    let first = world.mount("none,name=x").unwrap();
    let a = world.mkdir(first, "a").unwrap();
    let tasks = [world.spawn(), world.spawn(), world.spawn()];
    world.attach(a, tasks[0]).unwrap();
    let second = world.mount("none,name=y").unwrap();
    world.attach(a, tasks[1]).unwrap();
    assert_eq!(world.engine.css_set_count(), 2);
    world.unmount(second);
    world.attach(a, tasks[2]).unwrap();
    assert_eq!(world.engine.css_set_count(), 2);
    world.attach(first, tasks[0]).unwrap();
    let set = |task| world.host.css_set(task);
    assert_eq!((set(tasks[0]), set(tasks[1])), (Some(world.engine.initial_css_set()), set(tasks[2])));
}

#[test]
fn cgroup_tells_whether_it_or_those_below_have_tasks() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    let a = world.mkdir(top, "a").unwrap();
    let b = world.mkdir(a, "b").unwrap();
    let told = |world: &World| {
        let of = |cgroup: CgroupId| {
            let node = &world.engine.tree()[cgroup];
            (node.has_tasks(), node.is_populated())
        };
        [of(top), of(a), of(b)]
    };
    assert_eq!(told(&world), [(false, false); 3]);
    let task = world.spawn();
    assert_eq!(told(&world), [(true, true), (false, false), (false, false)]);
    world.attach(b, task).unwrap();
    assert_eq!(told(&world), [(false, true), (false, true), (true, true)]);
    world.attach(a, task).unwrap();
    assert_eq!(told(&world), [(false, true), (true, true), (false, false)]);
    world.exit(task);
    assert_eq!(told(&world), [(false, false); 3]);
}

#[test]
fn new_hierarchy_is_populated_by_the_tasks_there_are() {
    let mut world = World::new();
    let empty = world.mount("none,name=x").unwrap();
    assert!(!world.engine.tree()[empty].has_tasks());
    let task = world.spawn();
    let late = world.mount("none,name=y").unwrap();
    assert!(world.engine.tree()[late].has_tasks());
    world.exit(task);
    assert!(!world.engine.tree()[late].has_tasks());
}

#[test]
fn flags_of_a_cgroup_are_what_was_written() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    let flags = |world: &World| {
        let node = &world.engine.tree()[top];
        (node.notifies_on_release(), node.clones_children())
    };
    assert_eq!(flags(&world), (false, false));
    world.write(top, "notify_on_release", "1").unwrap();
    assert_eq!(flags(&world), (true, false));
    world.write(top, "cgroup.clone_children", "7").unwrap();
    world.write(top, "notify_on_release", "0").unwrap();
    assert_eq!(flags(&world), (false, true));
}

#[test]
fn control_file_has_its_prefix_unless_mounted_without() {
    let mut world = World::with(&["p", "cpuset"]);
    let plain = world.mount("p").unwrap();
    let bare = world.mount("cpuset,noprefix").unwrap();
    let found = |cgroup, name| world.engine.find_file(cgroup, name);
    for (cgroup, name, other) in [(plain, "p.value", "value"), (bare, "value", "cpuset.value")] {
        let id = found(cgroup, name).unwrap();
        assert_eq!(world.engine.file_name(cgroup, id), name);
        assert_eq!(found(cgroup, other), None, "{other}");
    }
    for name in ["p.", "pvalue", "p.nothing", "q.value", "p.below", ""] {
        assert_eq!(found(plain, name), None, "{name:?}");
    }
    assert!(found(plain, "p.top").is_some());
}

#[test]
fn setting_is_what_can_be_read_back_as_written() {
    let mut world = World::with(&["p"]);
    let top = world.mount("p").unwrap();
    let setting = |world: &World, name| {
        let id = world.engine.find_file(top, name).unwrap();
        world.engine.is_setting(id)
    };
    for name in
        ["p.value", "p.signed", "p.text", "notify_on_release", "cgroup.clone_children", "release_agent"]
    {
        assert!(setting(&world, name), "{name}");
    }
    for name in ["p.map", "p.kick", "p.limit", "p.top", "tasks", "cgroup.procs", "cgroup.sane_behavior"] {
        assert!(!setting(&world, name), "{name}");
    }
    let stale = world.engine.find_file(top, "p.value").unwrap();
    world.unmount(top);
    world.unload("p").unwrap();
    assert!(!world.engine.is_setting(stale));
    world.load(Probe::plain("p")).unwrap();
    assert!(!world.engine.is_setting(stale), "another subsystem's file");
    assert!(!world.engine.is_setting(FileId::Subsystem { slot: 9, file: 0, loaded: 1 }));
}

#[test]
fn owner_of_a_control_file_is_its_makers_until_changed() {
    let mut world = World::with(&["p", "q"]);
    let top = world.mount("p").unwrap();
    let open = Owner { uid: 0, gid: 0, mode: 0o777 };
    let root = world.root.clone();
    world.engine.set_owner(&root, top, open).unwrap();
    let maker = Caller::user(Tid(1), 5, 6);
    let g = world.engine.mkdir(&mut world.host, &maker, top, b"g", 0o700).unwrap();
    let file = |world: &World, name| world.engine.find_file(g, name).unwrap();
    let (value, below) = (file(&world, "p.value"), file(&world, "p.below"));
    let owner = |world: &World, id| world.engine.file_owner(g, id).unwrap();
    assert_eq!(owner(&world, value), Owner { uid: 5, gid: 6, mode: 0o644 });
    assert_eq!(owner(&world, below), Owner { uid: 5, gid: 6, mode: 0o600 });
    assert_eq!(owner(&world, FileId::Tasks), Owner { uid: 5, gid: 6, mode: 0o644 });
    assert_eq!(world.engine.tree()[g].changed_file_owners().count(), 0);
    let given = Owner { uid: 8, gid: 8, mode: 0o640 };
    for id in [value, FileId::Tasks] {
        world.engine.set_file_owner(&root, g, id, given).unwrap();
    }
    let changed: Vec<_> = world.engine.tree()[g].changed_file_owners().collect();
    assert_eq!(changed, [(FileId::Tasks, given), (value, given)]);
    assert_eq!(world.engine.tree()[g].creator(), Owner { uid: 5, gid: 6, mode: 0 });
    world.engine.set_owner(&root, g, Owner { uid: 9, gid: 9, mode: 0o700 }).unwrap();
    assert_eq!(owner(&world, below).uid, 5, "a chown of the directory is not one of its files");
}

/// The state of a root moves with its subsystem; what was given to its files stays behind, and only that.
#[test]
fn owners_of_files_go_when_their_subsystem_is_unbound() {
    let mut world = World::with(&["p", "q"]);
    let top = world.mount("p,q").unwrap();
    let root = world.root.clone();
    let given = Owner { uid: 8, gid: 8, mode: 0o640 };
    for name in ["p.value", "q.value", "tasks"] {
        let id = world.engine.find_file(top, name).unwrap();
        world.engine.set_file_owner(&root, top, id, given).unwrap();
    }
    world.remount(top, "q").unwrap();
    let changed: Vec<_> = world.engine.tree()[top].changed_file_owners().map(|(id, _)| id).collect();
    assert_eq!(changed, [FileId::Tasks, world.engine.find_file(top, "q.value").unwrap()]);
    world.remount(top, "p,q").unwrap();
    let id = world.engine.find_file(top, "p.value").unwrap();
    assert_eq!(world.engine.file_owner(top, id).unwrap(), Owner { uid: 0, gid: 0, mode: 0o644 });
}

#[test]
fn refusal_names_the_file_or_the_subsystem_once() {
    let (probe, desk) = Probe::new("p", Callbacks::CAN_ATTACH | Callbacks::PRE_DESTROY, &[]);
    let mut world = World::new();
    world.load(probe).unwrap();
    let top = world.mount("p").unwrap();
    let root = world.root.clone();
    let g = world.mkdir(top, "g").unwrap();
    let value = world.engine.find_file(top, "p.value").unwrap();
    let written = world.engine.write(&mut world.host, &root, top, value, b"x").unwrap_err();
    assert_eq!(written.to_string(), "p.value: takes a number");
    let limit = world.engine.find_file(top, "p.limit").unwrap();
    let read = world.engine.read(&mut world.host, &root, top, limit).unwrap_err();
    assert_eq!(read.to_string(), "p.limit: can't be read");
    let long = world.engine.write(&mut world.host, &root, top, value, &[b'1'; 4097]).unwrap_err();
    assert_eq!(long.to_string(), "p.value: at most 4096 bytes in one write");
    desk.records().knobs.veto_attach = true;
    let task = world.spawn();
    let attached = world.engine.attach(&mut world.host, &root, g, task, false).unwrap_err();
    assert_eq!((attached.errno(), attached.to_string()), (Errno::ENOSPC, "p: told to".into()));
    let tasks = world.engine.find_file(g, "tasks").unwrap();
    let written = world.engine.write(&mut world.host, &root, g, tasks, b"1").unwrap_err();
    assert_eq!(written.to_string(), "p: told to", "the subsystem's, not the file's");
    desk.records().knobs.veto_destroy = true;
    let removed = world.engine.rmdir(&mut world.host, &root, g).unwrap_err();
    assert_eq!(removed.to_string(), "p: told to");
    desk.records().knobs.fail_create = 1;
    let made = world.engine.mkdir(&mut world.host, &root, top, b"h", 0o755).unwrap_err();
    assert_eq!(made.to_string(), "p: told to fail");
}

#[test]
fn busy_refusal_names_the_holder_and_its_state() {
    let mut world = World::with(&["a", "b", "c"]);
    let root = world.root.clone();
    let top = world.mount("a,b,name=work").unwrap();
    let child = world.mkdir(top, "g").unwrap();
    let busy = world.engine.mount(&mut world.host, &root, "b,c").unwrap_err().to_string();
    assert_eq!(busy, "b: bound to hierarchy 1 (with a,name=work)");
    let busy = world.engine.mount(&mut world.host, &root, "c,name=work").unwrap_err().to_string();
    assert_eq!(
        busy,
        "name=work: belongs to a hierarchy with another set of subsystems; mount it without any"
    );
    let busy = world.engine.remount(&mut world.host, &root, top, "a,b,name=work").unwrap_err().to_string();
    assert_eq!(busy, "hierarchy 1: has child cgroups; remove them to remount");
    world.unmount(top);
    let busy = world.engine.unload(&mut world.host, "a").unwrap_err().to_string();
    let expected = "bound to hierarchy 1 (with b,name=work), unmounted but with children; remove its children and unmount it";
    assert_eq!(busy, format!("a: {expected}"));
    assert_eq!(world.engine.unmount(&mut world.host, top).unwrap_err().errno(), Errno::EINVAL, "not mounted");
    world.rmdir(child).unwrap();
    assert_eq!(world.engine.unmount(&mut world.host, top).unwrap_err().errno(), Errno::ENODEV);
    assert!(world.unload("a").is_ok());
}

#[test]
fn hierarchy_numbers_can_go_on_from_a_former_engine() {
    let mut world = World::new();
    assert_eq!(world.engine.last_hierarchy_number(), 0);
    world.engine.number_hierarchies_from(7);
    world.mount("none,name=x").unwrap();
    assert_eq!(world.engine.last_hierarchy_number(), 7);
    world.engine.number_hierarchies_from(3);
    world.mount("none,name=y").unwrap();
    assert_eq!(world.engine.last_hierarchy_number(), 8, "never downward");
    world.engine.number_hierarchies_from(0);
    assert_eq!(world.engine.last_hierarchy_number(), 8);
}

#[test]
fn errno_is_known_by_number_name_and_text() {
    assert_eq!((Errno::EBUSY.number(), Errno::EBUSY.name()), (16, "EBUSY"));
    assert_eq!(Errno::EBUSY.to_string(), "Device or resource busy (EBUSY)");
    assert_eq!((Errno::from_number(16), Errno::from_number(1000)), (Some(Errno::EBUSY), None));
}
