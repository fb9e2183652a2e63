//! How hierarchies, cgroups, control files and subsystems are found and named.

mod common;

use common::{Probe, world_with};
use penfold_core::{
    Caller, CgroupId, Errno, Owner, Tid, control_file::FileId, host::HostView as _, subsystem::Callbacks,
};
use penfold_testkit::SimWorld;

#[test]
fn hierarchy_is_found_by_number_name_or_subsystem() {
    let mut world = world_with(&["a", "b", "c"]);
    let first = world.mount("b");
    let second = world.mount("none,name=work");
    let third = world.mount("c,name=more");
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
fn subsystem_and_hierarchy_name_each_other() {
    let mut world = world_with(&["a", "b", "c"]);
    let none = world.mount("none,name=work");
    let both = world.mount("c,a");
    let of = |world: &SimWorld, name| world.engine.hierarchy_of_subsystem(name);
    assert_eq!((of(&world, "a"), of(&world, "b"), of(&world, "c")), (Some(2), Some(0), Some(2)));
    assert_eq!(of(&world, "d"), None);
    let child = world.mkdir(both, "child");
    let names = |cgroup: CgroupId| world.engine.subsystems_of(cgroup).collect::<Vec<_>>();
    assert_eq!((names(child), names(none)), (vec!["a", "c"], vec![]));
    let shown = format!("{:?}", world.engine);
    assert!(shown.contains(r#"subsystems: ["a", "b", "c"]"#), "{shown}");
}

#[test]
fn path_leads_to_a_cgroup_and_a_cgroup_to_its_path() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let a = world.mkdir(top, "a");
    let b = world.mkdir(a, "b");
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
    world.rmdir(b);
    assert_eq!(world.engine.lookup(b, "/").unwrap_err().errno(), Errno::ENODEV);
    assert_eq!(world.engine.tree()[a].child_count(), 0);
}

#[test]
fn children_stay_in_the_order_of_their_making() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    for name in ["c", "a", "b", "d"] {
        world.mkdir(top, name);
    }
    for (gone, left) in [("a", "c b d"), ("c", "b d"), ("d", "b"), ("b", "")] {
        let gone = world.engine.tree().child(top, gone.as_bytes()).unwrap();
        world.rmdir(gone);
        assert_eq!(world.children(top).join(" "), left);
    }
    world.mkdir(top, "again");
    assert_eq!(world.children(top), ["again"]);
}

#[test]
fn number_of_a_cgroup_is_never_given_again() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let number = |world: &SimWorld, cgroup: CgroupId| world.engine.tree()[cgroup].number();
    let mut last = number(&world, top);
    assert!(last >= 1);
    for _ in 0..3 {
        let a = world.mkdir(top, "a");
        assert!(number(&world, a) > last);
        last = number(&world, a);
        assert_eq!(CgroupId::from_number(a.number()), a);
        world.rmdir(a);
        assert!(world.engine.tree().get(CgroupId::from_number(a.number())).is_none());
    }
}

#[test]
fn css_set_is_counted_and_knows_its_cgroups() {
    let mut world = SimWorld::new();
    let (first, second) = (world.mount("none,name=x"), world.mount("none,name=y"));
    let (a, b) = (world.mkdir(first, "a"), world.mkdir(second, "b"));
    let tasks = [world.spawn(), world.spawn(), world.spawn()];
    for task in &tasks[..2] {
        world.attach(a, *task);
        world.attach(b, *task);
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
    for task in &tasks[..2] {
        world.attach(second, *task);
    }
    world.rmdir(b);
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
    let mut world = SimWorld::new();
    let first = world.mount("none,name=x");
    let a = world.mkdir(first, "a");
    let tasks = [world.spawn(), world.spawn(), world.spawn()];
    world.attach(a, tasks[0]);
    let second = world.mount("none,name=y");
    world.attach(a, tasks[1]);
    assert_eq!(world.engine.css_set_count(), 2);
    world.unmount(second);
    world.attach(a, tasks[2]);
    assert_eq!(world.engine.css_set_count(), 2);
    world.attach(first, tasks[0]);
    let set = |task| world.host.css_set(task);
    assert_eq!((set(tasks[0]), set(tasks[1])), (Some(world.engine.initial_css_set()), set(tasks[2])));
}

#[test]
fn cgroup_knows_of_tasks_in_it_and_below() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let a = world.mkdir(top, "a");
    let b = world.mkdir(a, "b");
    let told = |world: &SimWorld| {
        let of = |cgroup: CgroupId| {
            let node = &world.engine.tree()[cgroup];
            (node.has_tasks(), node.is_populated())
        };
        [of(top), of(a), of(b)]
    };
    assert_eq!(told(&world), [(false, false); 3]);
    let task = world.spawn();
    assert_eq!(told(&world), [(true, true), (false, false), (false, false)]);
    world.attach(b, task);
    assert_eq!(told(&world), [(false, true), (false, true), (true, true)]);
    world.attach(a, task);
    assert_eq!(told(&world), [(false, true), (true, true), (false, false)]);
    world.exit(task);
    assert_eq!(told(&world), [(false, false); 3]);
}

#[test]
fn new_hierarchy_is_populated_by_the_tasks_there_are() {
    let mut world = SimWorld::new();
    let empty = world.mount("none,name=x");
    assert!(!world.engine.tree()[empty].has_tasks());
    let task = world.spawn();
    let late = world.mount("none,name=y");
    assert!(world.engine.tree()[late].has_tasks());
    world.exit(task);
    assert!(!world.engine.tree()[late].has_tasks());
}

#[test]
fn flags_of_a_cgroup_are_what_was_written() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let flags = |world: &SimWorld| {
        let node = &world.engine.tree()[top];
        (node.notifies_on_release(), node.clones_children())
    };
    assert_eq!(flags(&world), (false, false));
    world.write(top, "notify_on_release", "1");
    assert_eq!(flags(&world), (true, false));
    world.write(top, "cgroup.clone_children", "7");
    world.write(top, "notify_on_release", "0");
    assert_eq!(flags(&world), (false, true));
}

#[test]
fn control_file_has_its_prefix_unless_mounted_without() {
    let mut world = world_with(&["p", "cpuset"]);
    let plain = world.mount("p");
    let bare = world.mount("cpuset,noprefix");
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
    let mut world = world_with(&["p"]);
    let top = world.mount("p");
    let setting = |world: &SimWorld, name| world.engine.is_setting(world.file(top, name));
    for name in
        ["p.value", "p.signed", "p.text", "notify_on_release", "cgroup.clone_children", "release_agent"]
    {
        assert!(setting(&world, name), "{name}");
    }
    for name in ["p.map", "p.kick", "p.limit", "p.top", "tasks", "cgroup.procs", "cgroup.sane_behavior"] {
        assert!(!setting(&world, name), "{name}");
    }
    let stale = world.file(top, "p.value");
    world.unmount(top);
    world.unload("p");
    assert!(!world.engine.is_setting(stale));
    world.load(Probe::plain("p"));
    assert!(!world.engine.is_setting(stale), "another subsystem's file");
    assert!(!world.engine.is_setting(FileId::Subsystem { slot: 9, file: 0, loaded: 1 }));
}

#[test]
fn owner_of_a_control_file_is_its_makers_until_changed() {
    let mut world = world_with(&["p", "q"]);
    let top = world.mount("p");
    let open = Owner { uid: 0, gid: 0, mode: 0o777 };
    world.set_owner(top, open);
    let maker = Caller::user(Tid(1), 5, 6);
    let g = world.as_caller(&maker, |world| world.try_mkdir_with_mode(top, "g", 0o700)).unwrap();
    let (value, below) = (world.file(g, "p.value"), world.file(g, "p.below"));
    let owner = |world: &SimWorld, id| world.engine.file_owner(g, id).unwrap();
    assert_eq!(owner(&world, value), Owner { uid: 5, gid: 6, mode: 0o644 });
    assert_eq!(owner(&world, below), Owner { uid: 5, gid: 6, mode: 0o600 });
    assert_eq!(owner(&world, FileId::Tasks), Owner { uid: 5, gid: 6, mode: 0o644 });
    assert_eq!(world.engine.tree()[g].changed_file_owners().count(), 0);
    let given = Owner { uid: 8, gid: 8, mode: 0o640 };
    for name in ["p.value", "tasks"] {
        world.set_file_owner(g, name, given);
    }
    let changed: Vec<_> = world.engine.tree()[g].changed_file_owners().collect();
    assert_eq!(changed, [(FileId::Tasks, given), (value, given)]);
    assert_eq!(world.engine.tree()[g].creator(), Owner { uid: 5, gid: 6, mode: 0 });
    world.set_owner(g, Owner { uid: 9, gid: 9, mode: 0o700 });
    assert_eq!(owner(&world, below).uid, 5, "a chown of the directory is not one of its files");
}

/// The state of a root moves with its subsystem. The owners that its files had do not.
#[test]
fn owners_of_files_go_when_their_subsystem_is_unbound() {
    let mut world = world_with(&["p", "q"]);
    let top = world.mount("p,q");
    let given = Owner { uid: 8, gid: 8, mode: 0o640 };
    for name in ["p.value", "q.value", "tasks"] {
        world.set_file_owner(top, name, given);
    }
    world.remount(top, "q");
    let changed: Vec<_> = world.engine.tree()[top].changed_file_owners().map(|(id, _)| id).collect();
    assert_eq!(changed, [FileId::Tasks, world.file(top, "q.value")]);
    world.remount(top, "p,q");
    let id = world.file(top, "p.value");
    assert_eq!(world.engine.file_owner(top, id).unwrap(), Owner { uid: 0, gid: 0, mode: 0o644 });
}

#[test]
fn refusal_names_the_file_or_the_subsystem_once() {
    let (probe, handle) = Probe::new("p", Callbacks::CAN_ATTACH | Callbacks::PRE_DESTROY, &[]);
    let mut world = SimWorld::new();
    world.load(probe);
    let top = world.mount("p");
    let refused = |world: &SimWorld| world.last_error().to_string();
    let g = world.mkdir(top, "g");
    world.try_write(top, "p.value", "x").unwrap_err();
    assert_eq!(refused(&world), "p.value: takes a number");
    world.try_read(top, "p.limit").unwrap_err();
    assert_eq!(refused(&world), "p.limit: can't be read");
    world.try_write(top, "p.value", [b'1'; 4097]).unwrap_err();
    assert_eq!(refused(&world), "p.value: at most 4096 bytes in one write");
    handle.records().faults.veto_attach = true;
    let task = world.spawn();
    assert_eq!(world.try_attach(g, task), Err(Errno::ENOSPC));
    assert_eq!(refused(&world), "p: told to");
    world.try_write(g, "tasks", "1").unwrap_err();
    assert_eq!(refused(&world), "p: told to", "the subsystem's, not the file's");
    handle.records().faults.veto_destroy = true;
    world.try_rmdir(g).unwrap_err();
    assert_eq!(refused(&world), "p: told to");
    handle.records().faults.fail_create = 1;
    world.try_mkdir(top, "h").unwrap_err();
    assert_eq!(refused(&world), "p: told to fail");
}

#[test]
fn busy_refusal_names_the_holder_and_its_state() {
    let mut world = world_with(&["a", "b", "c"]);
    let busy = |world: &SimWorld| world.last_error().to_string();
    let top = world.mount("a,b,name=work");
    let child = world.mkdir(top, "g");
    world.try_mount("b,c").unwrap_err();
    assert_eq!(busy(&world), "b: bound to hierarchy 1 (with a,name=work)");
    world.try_mount("c,name=work").unwrap_err();
    assert_eq!(
        busy(&world),
        "name=work: belongs to a hierarchy with another set of subsystems; mount it without any"
    );
    world.try_remount(top, "a,b,name=work").unwrap_err();
    assert_eq!(busy(&world), "hierarchy 1: has child cgroups; remove them to remount");
    world.unmount(top);
    world.try_unload("a").unwrap_err();
    let expected = "bound to hierarchy 1 (with b,name=work), unmounted but with children; remove its children and unmount it";
    assert_eq!(busy(&world), format!("a: {expected}"));
    assert_eq!(world.try_unmount(top), Err(Errno::EINVAL), "not mounted");
    world.rmdir(child);
    assert_eq!(world.try_unmount(top), Err(Errno::ENODEV));
    assert!(world.try_unload("a").is_ok());
}

#[test]
fn hierarchy_numbers_can_go_on_from_a_former_engine() {
    let mut world = SimWorld::new();
    assert_eq!(world.engine.last_hierarchy_number(), 0);
    world.engine.number_hierarchies_from(7);
    world.mount("none,name=x");
    assert_eq!(world.engine.last_hierarchy_number(), 7);
    world.engine.number_hierarchies_from(3);
    world.mount("none,name=y");
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
