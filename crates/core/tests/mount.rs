//! Mount, remount, unmount (A3, A4, A5, A7; T1 to T4). The vectors are the measured answers of Linux 6.18.

mod common;

use common::{Probe, world_with};
use penfold_core::{Caller, Errno, Tid, subsystem::Callbacks};
use penfold_testkit::SimWorld;

const CONTROLLERS: [&str; 5] = ["cpuset", "cpu", "net_cls", "perf_event", "net_prio"];

/// The measured machine: cpuset and cpu are mounted, each on its own, and busy for others.
fn machine() -> SimWorld {
    let mut world = world_with(&CONTROLLERS);
    world.mount("cpuset");
    world.mount("cpu");
    world.mount("none,name=systemd");
    world
}

/// A3, A4: one fresh mount each, and the options in /proc/mounts afterwards.
#[test]
fn mount_options_are_taken_as_linux_6_takes_them() {
    use Errno::{EBUSY, EINVAL};
    let long = "n".repeat(63);
    let (long_name, longer_name) = (format!("none,name={long}"), format!("none,name={long}n"));
    let shown_long = format!("name={long}");
    let vectors: &[(&str, Result<&str, Errno>)] = &[
        ("", Err(EBUSY)),
        ("none", Err(EINVAL)),
        ("none,name=a", Ok("name=a")),
        ("name=nonexist", Err(EINVAL)),
        ("none,,name=a", Ok("name=a")),
        ("none,name=a,", Ok("name=a")),
        (",none,name=a", Ok("name=a")),
        ("none,name=", Err(EINVAL)),
        ("name=", Err(EINVAL)),
        ("none,name=a/b", Err(EINVAL)),
        ("none,name=a b", Err(EINVAL)),
        ("none,name=a.b-c_D9", Ok("name=a.b-c_D9")),
        ("none,name=a:b", Err(EINVAL)),
        ("none,name", Err(EINVAL)),
        ("none,name=a,name=a", Err(EINVAL)),
        ("none,name=a,name=b", Err(EINVAL)),
        ("foo", Err(EINVAL)),
        ("none,name=a,foo", Err(EINVAL)),
        ("none,name=a,foo=bar", Err(EINVAL)),
        ("none=1,name=a", Err(EINVAL)),
        ("all=1", Err(EINVAL)),
        ("none,none,name=a", Ok("name=a")),
        ("none,name=a,net_cls", Err(EINVAL)),
        ("net_cls,none,name=a", Err(EINVAL)),
        ("none,name=a,all", Err(EINVAL)),
        ("none,all", Err(EINVAL)),
        ("all", Err(EBUSY)),
        ("all,net_cls", Err(EINVAL)),
        ("net_cls,all", Err(EINVAL)),
        ("all,name=a", Err(EBUSY)),
        ("noprefix", Err(EINVAL)),
        ("noprefix,none,name=a", Ok("noprefix,name=a")),
        ("noprefix,net_cls", Err(EINVAL)),
        ("noprefix,cpuset", Ok("cpuset")),
        ("net_cls,noprefix=1", Err(EINVAL)),
        ("none,name=a,release_agent=/x", Ok("release_agent=/x,name=a")),
        ("none,name=a,release_agent=/x,release_agent=/x", Err(EINVAL)),
        ("none,name=a,release_agent=", Err(EINVAL)),
        ("none,name=a,release_agent", Err(EINVAL)),
        ("none,name=a,clone_children", Ok("clone_children,name=a")),
        ("none,name=a,clone_children,clone_children", Ok("clone_children,name=a")),
        ("none,name=a,clone_children=1", Err(EINVAL)),
        ("none,name=a,xattr", Ok("xattr,name=a")),
        ("none,name=a,xattr=1", Err(EINVAL)),
        ("none,name=a,cpuset_v2_mode", Ok("cpuset_v2_mode,name=a")),
        ("none,name=a,favordynmods", Ok("favordynmods,name=a")),
        ("none,name=a,favordynmods,nofavordynmods", Ok("name=a")),
        ("none,name=a,nofavordynmods", Ok("name=a")),
        (
            "none,name=a,cpuset_v2_mode,xattr,clone_children,release_agent=/x y",
            Ok("xattr,cpuset_v2_mode,release_agent=/x y,clone_children,name=a"),
        ),
        ("net_cls,net_cls", Ok("net_cls")),
        ("net_cls=1", Ok("net_cls")),
        ("net_cls", Ok("net_cls")),
        ("perf_event,net_cls", Ok("net_cls,perf_event")),
        ("net_cls,name=a", Ok("net_cls,name=a")),
        ("net_cls,perf_event,name=b,clone_children", Ok("net_cls,perf_event,clone_children,name=b")),
        ("net_cls,cpu", Err(EBUSY)),
        ("cpu", Ok("cpu")),
        ("cpuset,cpu", Err(EBUSY)),
        ("CPU", Err(EINVAL)),
        ("net_cls ", Err(EINVAL)),
        (" net_cls", Err(EINVAL)),
        ("debug", Err(EINVAL)),
        ("cpu,name=zz", Err(EBUSY)),
        ("name=systemd", Ok("name=systemd")),
        ("name=systemd,none", Ok("name=systemd")),
        ("name=systemd,net_cls", Err(EBUSY)),
        ("none,name=systemd,cpu", Err(EINVAL)),
        ("ro", Err(EBUSY)),
        ("none,name=a,ro", Ok("name=a")),
        ("none,name=a,source=abc", Err(EINVAL)),
        ("source=abc", Err(EINVAL)),
        ("none,name=a,nosuid", Err(EINVAL)),
        ("none,name=a,rw,sync,mand", Ok("name=a")),
        (&long_name, Ok(&shown_long)),
        (&longer_name, Err(EINVAL)),
        ("none,name=a,name2=", Err(EINVAL)),
    ];
    for (options, expected) in vectors {
        let mut world = machine();
        let before = world.engine.proc_cgroups();
        let shown = world.try_mount(options).map(|root| world.show_options(root));
        assert_eq!(shown, expected.map(String::from), "mount -o {options:?}");
        if expected.is_err() {
            assert_eq!(world.engine.proc_cgroups(), before, "{options:?} has changed something");
            assert_eq!(world.engine.tree().hierarchies().count(), 3);
        }
    }
}

/// A path may be any bytes; every other option is a word.
#[test]
fn release_agent_option_may_be_any_bytes() {
    let mut world = machine();
    let top = world.mount(b"none,name=a,release_agent=/\xff=\xc3");
    for refused in [&b"none,name=b\xff"[..], b"none,name=b,\xff", b"none,name=b,release_agent=/\0"] {
        assert_eq!(world.try_mount(refused), Err(Errno::EINVAL), "{}", refused.escape_ascii());
    }
    assert_eq!(world.engine.show_options(top).unwrap(), b"release_agent=/\xff=\xc3,name=a");
    world.remount(top, b"none,release_agent=\xa0\xfe,name=a");
    assert_eq!(world.engine.show_options(top).unwrap(), b"release_agent=\xa0\xfe,name=a");
    assert_eq!(world.try_mount_cpuset(b"\xff"), Err(Errno::EINVAL));
}

/// A3.4, A3.5: while no subsystem is bound.
#[test]
fn no_option_means_every_loaded_subsystem() {
    for options in ["", "all", "ro", ","] {
        let mut world = world_with(&["a", "b"]);
        let root = world.mount(options);
        assert_eq!(world.show_options(root), "a,b");
    }
    assert_eq!(SimWorld::new().try_mount("all"), Err(Errno::EINVAL));
    assert_eq!(SimWorld::new().try_mount(""), Err(Errno::EINVAL));
}

/// T1, where 6.x says `EINVAL` for an unknown name.
#[test]
fn equal_sets_share_a_hierarchy_and_others_are_busy() {
    let mut world = world_with(&["cpuset", "cpuacct", "freezer"]);
    let both = world.mount("cpuset,cpuacct");
    assert_eq!(world.try_mount("cpuacct,cpuset"), Ok(both));
    assert_eq!(world.try_mount("cpuset"), Err(Errno::EBUSY));
    assert_eq!(world.try_mount("foo"), Err(Errno::EINVAL));
    assert_eq!(world.try_mount("none"), Err(Errno::EINVAL));
    let named = world.mount("none,name=x");
    assert_ne!(named, both);
    assert_eq!(world.try_mount("none,name=x,freezer"), Err(Errno::EINVAL));
    assert_eq!(world.try_mount("freezer,name=x"), Err(Errno::EBUSY));
    assert_eq!(world.engine.tree().hierarchy_of(both).mounts, 2);
}

/// T2, where 6.x skips empty words.
#[test]
fn name_finds_its_hierarchy_and_must_be_well_formed() {
    let mut world = world_with(&["cpuset", "cpuacct"]);
    let named = world.mount("none,name=x");
    assert_eq!(world.try_mount("name=x"), Ok(named));
    for options in
        ["name=y", "name=", "name=a/b", "name=a,name=b", "cpuset,release_agent=/x,release_agent=/y"]
    {
        assert_eq!(world.try_mount(options), Err(Errno::EINVAL), "{options}");
    }
    assert!(world.try_mount("cpuset,,cpuacct").is_ok());
}

/// T3, A5.8.
#[test]
fn unmounted_hierarchy_with_children_goes_on() {
    let mut world = world_with(&["cpuset", "cpuacct"]);
    let task = world.spawn();
    let top = world.mount("cpuset,cpuacct");
    world.mount("cpuset,cpuacct");
    let child = world.mkdir(top, "g");
    world.unmount(top);
    world.unmount(top);
    assert_eq!(world.proc_cgroup(task), "1:cpuset,cpuacct:/\n");
    assert_eq!(world.try_mount("cpuset"), Err(Errno::EBUSY));
    assert!(world.try_unmount(top).is_err(), "it is not mounted");
    let again = world.mount("cpuset,cpuacct");
    assert_eq!((again, world.children(again)), (top, vec!["g".to_owned()]));
    world.unmount(top);
    world.rmdir(child);
    assert_eq!(world.proc_cgroup(task), "", "the last child took the hierarchy with it");
    assert!(world.try_mount("cpuset").is_ok());
}

/// T4, A5.2, A5.3: also a remount that would change nothing.
#[test]
fn remount_needs_a_hierarchy_without_children() {
    let mut world = world_with(&["net_cls", "net_prio", "cpu"]);
    world.mount("cpu");
    let top = world.mount("net_cls,name=r,release_agent=/first");
    let child = world.mkdir(top, "g");
    for options in ["net_cls,name=r", "name=r", "net_cls,name=r,release_agent=/third", "net_cls,net_prio"] {
        assert_eq!(world.try_remount(top, options), Err(Errno::EBUSY), "{options}");
    }
    assert_eq!(world.try_remount(top, "none,name=x"), Err(Errno::EINVAL), "the name is looked at first");
    world.rmdir(child);
    assert_eq!(world.try_remount(top, "net_cls,release_agent=/second"), Ok(()));
    assert_eq!(world.show_options(top), "net_cls,release_agent=/second,name=r");
}

/// A5.2: the measured remounts of a hierarchy without children, in this order.
#[test]
fn remount_binds_and_unbinds() {
    use Errno::{EBUSY, EINVAL};
    let mut world = world_with(&["net_cls", "cpu"]);
    world.mount("cpu");
    let top = world.mount("none,name=r,release_agent=/first");
    let vectors: &[(&str, Result<(), Errno>, &str)] = &[
        ("none,name=r", Ok(()), "release_agent=/first,name=r"),
        ("name=r", Ok(()), "release_agent=/first,name=r"),
        ("none", Err(EINVAL), "release_agent=/first,name=r"),
        ("", Err(EBUSY), "release_agent=/first,name=r"),
        ("none,name=other", Err(EINVAL), "release_agent=/first,name=r"),
        ("none,name=r,release_agent=/second", Ok(()), "release_agent=/second,name=r"),
        ("none,name=r,release_agent=", Err(EINVAL), "release_agent=/second,name=r"),
        ("none,name=r,clone_children", Ok(()), "release_agent=/second,name=r"),
        ("none,name=r,xattr", Err(EINVAL), "release_agent=/second,name=r"),
        ("none,name=r,cpuset_v2_mode", Err(EINVAL), "release_agent=/second,name=r"),
        ("none,name=r,noprefix", Err(EINVAL), "release_agent=/second,name=r"),
        ("none,name=r,favordynmods", Err(EINVAL), "release_agent=/second,name=r"),
        ("net_cls", Ok(()), "net_cls,release_agent=/second,name=r"),
        ("net_cls,name=r", Ok(()), "net_cls,release_agent=/second,name=r"),
        ("name=r", Ok(()), "release_agent=/second,name=r"),
        ("cpu,name=r", Err(EBUSY), "release_agent=/second,name=r"),
        ("all", Err(EBUSY), "release_agent=/second,name=r"),
        ("foo", Err(EINVAL), "release_agent=/second,name=r"),
        ("name=r,name=r", Err(EINVAL), "release_agent=/second,name=r"),
    ];
    for (options, expected, shown) in vectors {
        assert_eq!(world.try_remount(top, options), *expected, "remount -o {options:?}");
        assert_eq!(world.show_options(top), *shown, "after {options:?}");
        let has_files = world.files(top).iter().any(|file| file == "net_cls.value");
        assert_eq!(has_files, shown.starts_with("net_cls"));
    }
    assert_eq!(world.read(top, "cgroup.clone_children"), "0\n", "ignored at a remount");
}

/// A4.2: flags and agents in the options of a second mount are ignored.
#[test]
fn second_mount_changes_nothing() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=a");
    for options in ["none,name=a,clone_children", "none,name=a,release_agent=/zz", "name=a,xattr,noprefix"] {
        assert_eq!(world.try_mount(options), Ok(top), "{options}");
    }
    assert_eq!(world.show_options(top), "name=a");
}

/// A5.7: the state of a root moves with its subsystem from hierarchy to hierarchy, and `bind` runs each time.
#[test]
fn state_of_a_root_survives_its_hierarchy() {
    let (probe, handle) = Probe::new("net_cls", Callbacks::BIND, &[]);
    let mut world = world_with(&["perf_event"]);
    world.load(probe);
    let first = world.mount("net_cls");
    world.write(first, "net_cls.value", "9");
    world.unmount(first);
    let second = world.mount("net_cls,perf_event");
    assert_eq!(world.read(second, "net_cls.value"), "9\n");
    world.remount(second, "perf_event");
    assert_eq!(
        handle.take_log(),
        ["net_cls.create /", "net_cls.bind 1", "net_cls.bind 0", "net_cls.bind 2", "net_cls.bind 0"]
    );
    assert_eq!(handle.counts().create, 1);
}

/// A6.4: the number of a dead hierarchy is not used again, and a shared mount takes no number.
#[test]
fn hierarchy_numbers_only_grow() {
    let mut world = SimWorld::new();
    let id = |world: &SimWorld, root| world.engine.tree().hierarchy_of(root).id;
    let a = world.mount("none,name=a");
    world.mount("name=a");
    let b = world.mount("none,name=b");
    assert_eq!((id(&world, a), id(&world, b)), (1, 2));
    world.unmount(b);
    let c = world.mount("none,name=c");
    assert_eq!(id(&world, c), 3);
    assert_eq!(world.engine.find_hierarchy("c"), Some(c));
    assert_eq!(world.engine.find_hierarchy("3"), Some(c));
    assert_eq!(world.engine.find_hierarchy("2"), None);
}

/// A7: the legacy type.
#[test]
fn cpuset_type_has_bare_names_unless_already_mounted() {
    let mut world = SimWorld::new();
    assert_eq!(world.try_mount_cpuset(""), Err(Errno::ENODEV));
    world.load(Probe::plain("cpuset"));
    for options in ["foo", "cpuset", "noprefix"] {
        assert_eq!(world.try_mount_cpuset(options), Err(Errno::EINVAL), "{options}");
    }
    let top = world.try_mount_cpuset("ro").unwrap();
    assert_eq!(world.show_options(top), "cpuset,noprefix,release_agent=/sbin/cpuset_release_agent");
    assert!(world.files(top).contains(&"value".to_owned()));
    assert_eq!(world.try_mkdir(top, "value"), Err(Errno::EEXIST), "bare names are taken");
    world.unmount(top);
    let prefixed = world.mount("cpuset");
    assert_eq!(world.try_mount_cpuset(""), Ok(prefixed));
    assert!(world.files(prefixed).contains(&"cpuset.value".to_owned()));
}

/// A3.13: the refusal comes before the options are read.
#[test]
fn unprivileged_user_may_not_mount() {
    let mut world = SimWorld::new();
    let stranger = Caller::user(Tid(1), 65534, 65534);
    for options in ["none,name=z", "foo"] {
        assert_eq!(world.as_caller(&stranger, |world| world.try_mount(options)), Err(Errno::EPERM));
    }
    let top = world.mount("none,name=z");
    assert_eq!(world.as_caller(&stranger, |world| world.try_remount(top, "foo")), Err(Errno::EPERM));
}
