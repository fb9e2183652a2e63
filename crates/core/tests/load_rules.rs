//! More rules of loadable subsystems than in `load.rs`: pins, `all`, mounts by name. Each bug that Linux had (E6) has a
//! regression test here, as far as core alone is concerned.

mod common;

use common::{Probe, world_with};
use penfold_core::{
    Access, Errno, Error,
    subsystem::{Callbacks, Resource},
};
use penfold_testkit::SimWorld;

/// E5.1, E5.2: a loaded subsystem is in /proc/cgroups, in no /proc/PID/cgroup, can be mounted and is part of `all`.
#[test]
fn loaded_subsystem_is_listed_mountable_and_part_of_all() {
    let mut world = world_with(&["a", "b"]);
    let task = world.spawn();
    let (before, cgroups) = (world.proc_cgroup(task), world.engine.proc_cgroups());
    world.load(Probe::plain("late"));
    assert_eq!(world.engine.proc_cgroups(), format!("{cgroups}late\t0\t1\t1\n"));
    assert_eq!(world.proc_cgroup(task), before);
    let top = world.mount("all");
    assert_eq!(world.show_options(top), "a,b,late");
    world.unmount(top);
    let top = world.mount("late");
    assert!(world.files(top).contains(&"late.value".to_owned()));
    world.unmount(top);
    world.unload("late");
    assert_eq!(world.engine.proc_cgroups(), cgroups);
    assert_eq!(world.try_mount("late"), Err(Errno::EINVAL));
    let gone = world.last_error();
    assert!(gone.to_string().contains("loaded are a, b"), "{gone}");
    let all = world.mount("all");
    assert_eq!(world.show_options(all), "a,b");
}

/// E1, E3.2: an unloaded slot is free at once, and the order of `all` is the order of the slots.
#[test]
fn slot_is_free_right_after_an_unload() {
    let mut world = world_with(&["a", "b", "c"]);
    world.unload("b");
    world.load(Probe::plain("z"));
    world.load(Probe::plain("b"));
    let top = world.mount("all");
    assert_eq!(world.show_options(top), "a,z,c,b");
}

/// E4.3, E5b: a failed remount pins nothing and unpins nothing.
#[test]
fn failed_remount_pins_no_subsystem() {
    let mut world = world_with(&["a", "b", "late"]);
    let top = world.mount("a,name=x");
    let elsewhere = world.mount("b");
    assert_eq!(world.try_remount(top, "a,b,late"), Err(Errno::EBUSY), "b is bound elsewhere");
    assert_eq!(world.try_remount(top, "late,foo"), Err(Errno::EINVAL));
    assert_eq!(world.try_remount(top, "late,noprefix"), Err(Errno::EINVAL));
    let child = world.mkdir(top, "child");
    assert_eq!(world.try_remount(top, "late"), Err(Errno::EBUSY), "it has children");
    assert_eq!(world.try_unload("late"), Ok(()));
    assert_eq!(world.try_unload("a"), Err(Errno::EBUSY), "which is still where it was");
    world.rmdir(child);
    world.unmount(elsewhere);
    assert_eq!(world.try_unload("b"), Ok(()));
}

/// E4.4: a remount unpins the subsystems that it takes out, and pins those that it adds.
#[test]
fn remount_moves_the_pin() {
    let mut world = world_with(&["a", "b"]);
    let top = world.mount("a,name=x");
    world.remount(top, "b");
    assert_eq!(world.try_unload("b"), Err(Errno::EBUSY));
    assert_eq!(world.try_unload("a"), Ok(()));
}

/// E6.1, E6.6: a load that fails midway leaves no state, no file, no row, no count, also in a slot between others.
#[test]
fn load_that_fails_midway_leaves_nothing() {
    let mut world = world_with(&["a", "gone", "b"]);
    world.unload("gone");
    let tasks: Vec<_> = (0..4).map(|_| world.spawn()).collect();
    let top = world.mount("a");
    let g = world.mkdir(top, "g");
    world.attach(g, tasks[0]);
    let (probe, handle) = Probe::new("late", Callbacks::all(), &[Resource::Tasks]);
    {
        let faults = &mut handle.records().faults;
        (faults.fail_create, faults.limit_at_create, faults.refuse_at_create) = (1, Some(1), true);
    }
    let (cgroups, sets) = (world.engine.proc_cgroups(), world.engine.css_set_count());
    assert_eq!(world.try_load(probe), Err(Errno::ENOMEM));
    assert_eq!((world.engine.proc_cgroups(), world.engine.css_set_count()), (cgroups, sets));
    assert!(!world.engine.can_refuse_fork() && world.engine.event_mask().is_empty());
    assert_eq!((handle.counts().alive, handle.counts().destroy, handle.counts().pre_destroy), (0, 0, 0));
    assert_eq!(world.try_unload("late"), Err(Errno::ENOENT), "E6.6: there is nothing to unload");
    let child = world.fork(tasks[0]);
    world.attach(top, child);
    world.exit(child);
    handle.take_log();
    world.load(Probe::at(&handle, "late", Callbacks::all(), &[Resource::Tasks]));
    assert_eq!(
        world.engine.subsystems().collect::<Vec<_>>(),
        ["a", "late", "b"],
        "in the slot that was free"
    );
    assert_eq!(handle.counts().fork, 4, "each of the four once");
}

/// E6.2: unload runs `pre_destroy` for the last state, and `destroy` still finds that state.
#[test]
fn pre_destroy_can_refuse_an_unload() {
    let (probe, handle) = Probe::new("late", Callbacks::all(), &[Resource::Tasks]);
    let mut world = SimWorld::new();
    world.load(probe);
    let task = world.spawn();
    handle.take_log();
    handle.records().faults.veto_destroy = true;
    assert_eq!(world.try_unload("late"), Err(Errno::EIO));
    assert_eq!(world.last_error().to_string(), "late: told to");
    assert!(matches!(world.last_error(), Error::Subsystem { .. }));
    // Everything is still there, as after a refused rmdir.
    let child = world.fork(task);
    let top = world.mount("late");
    assert_eq!(world.read(top, "late.usage"), "2 -1 2 0 0\n");
    world.unmount(top);
    assert_eq!(
        handle.take_log(),
        [
            "late.pre_destroy /",
            &format!("late.can_fork {task}"),
            &format!("late.fork {child}"),
            "late.bind 1",
            "late.bind 0"
        ]
    );
    handle.records().faults.veto_destroy = false;
    world.unload("late");
    assert_eq!(handle.take_log(), ["late.pre_destroy /", "late.destroy 0"]);
    assert_eq!(handle.counts().alive, 0);
}

/// E6.2: no later event reaches an unloaded subsystem, whichever event that is.
#[test]
fn unloaded_subsystem_is_called_no_more() {
    let (probe, handle) =
        Probe::new("late", Callbacks::all(), &[Resource::Tasks, Resource::Forks, Resource::CpuTime]);
    let mut world = world_with(&["a"]);
    world.load(probe);
    let task = world.spawn();
    world.host.run(task, 0, penfold_core::subsystem::CpuTime { user: 5, system: 5 });
    world.unload("late");
    let unloaded = (handle.counts(), handle.take_log());
    let top = world.mount("all,clone_children");
    let g = world.mkdir(top, "g");
    world.attach(g, task);
    let child = world.fork(task);
    world.thread(child);
    world.engine.sample_cpu(&mut world.host);
    world.exit(child);
    world.attach(top, task);
    assert_eq!(world.try_rmdir(g), Err(Errno::EBUSY), "the thread is there");
    world.exit(task);
    assert_eq!((handle.counts(), handle.take_log()), (unloaded.0, Vec::new()));
    assert!(!unloaded.1.is_empty());
}

/// E6.3, E6.8: limits and refusals go with the subsystem that has set them, also those from `create`.
#[test]
fn limit_and_refusal_go_with_their_subsystem() {
    let mut world = SimWorld::new();
    let (probe, handle) = Probe::new("late", Callbacks::CAN_FORK, &[Resource::Tasks]);
    {
        let faults = &mut handle.records().faults;
        (faults.limit_at_create, faults.refuse_at_create, faults.veto_fork) = (Some(2), true, true);
    }
    let task = world.spawn();
    world.load(probe);
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM), "it refuses");
    world.unload("late");
    assert!(!world.engine.can_refuse_fork());
    for _ in 0..5 {
        world.fork(task);
    }
}

/// E6.4, E6.5: only a binding pins. A mount that names a subsystem which is gone binds none of the others.
#[test]
fn mount_that_names_a_gone_subsystem_binds_none() {
    let mut world = world_with(&["a", "late", "b"]);
    let top = world.mount("none,name=x");
    world.unload("late");
    for options in ["a,late,b", "late", "a,b,late"] {
        assert_eq!(world.try_mount(options), Err(Errno::EINVAL), "{options}");
        assert_eq!(world.try_remount(top, options), Err(Errno::EINVAL), "{options}");
    }
    assert_eq!(world.engine.proc_cgroups().lines().filter(|line| line.contains("\t0\t1\t1")).count(), 2);
    assert_eq!((world.try_unload("a"), world.try_unload("b")), (Ok(()), Ok(())));
}

/// E6.7: a file opened before an unload does not reach a new subsystem with the same slot and name.
#[test]
fn file_opened_before_an_unload_answers_enodev() {
    let mut world = SimWorld::new();
    let (probe, first) = Probe::new("late", Callbacks::empty(), &[]);
    world.load(probe);
    let top = world.mount("none,name=x");
    world.remount(top, "late");
    let file = world.try_open(top, "late.value", Access::READ | Access::WRITE).unwrap();
    let kick = world.try_open(top, "late.kick", Access::WRITE).unwrap();
    world.remount(top, "name=x");
    world.unload("late");
    // The same name in the same slot, bound where the old one was.
    let (probe, second) = Probe::new("late", Callbacks::empty(), &[]);
    world.load(probe);
    world.remount(top, "late");
    assert_eq!(world.try_read_opened(top, file), Err(Errno::ENODEV));
    assert_eq!(world.try_write_opened(top, file, "7"), Err(Errno::ENODEV));
    assert_eq!(world.try_write_opened(top, kick, "1"), Err(Errno::ENODEV));
    assert!(!world.engine.is_setting(file) && world.file(top, "late.value") != file);
    assert_eq!(world.read(top, "late.value"), "0\n");
    assert_eq!((first.counts().alive, second.counts().alive), (0, 1));
}

/// E6.8, L6: until its `create` has returned, a subsystem is not listed, can't be mounted and gets no callback. If `create`
/// fails, nothing has seen the subsystem. Here `create` itself looks.
#[test]
fn subsystem_is_unseen_until_its_create_returns() {
    use penfold_core::{
        Result,
        subsystem::{Context, Subsystem},
    };
    struct Curious;
    impl Subsystem for Curious {
        type State = ();
        const NAME: &'static str = "curious";
        const CALLBACKS: Callbacks = Callbacks::FORK.union(Callbacks::EXIT);
        fn create(&mut self, ctx: &mut Context<'_, Curious>) -> Result<()> {
            let css = ctx.css();
            let inside = ctx.engine_view().expect("compiled in");
            let sets: Vec<_> = inside.tree.css_sets().collect();
            assert!(!sets.is_empty());
            assert!(ctx.children_of(css).is_empty() && ctx.is_root());
            Err(Error::refused(Errno::ENOMEM, "on purpose"))
        }
        fn destroy(&mut self, _: &mut Context<'_, Curious>) {
            panic!("of a state that was never made");
        }
        fn fork(&mut self, _: &mut Context<'_, Curious>, _: penfold_core::Tid) {
            panic!("told before it was loaded");
        }
    }
    let mut world = SimWorld::new();
    let task = world.spawn();
    for _ in 0..3 {
        assert_eq!(world.try_load(Curious), Err(Errno::ENOMEM));
        assert_eq!(world.try_mount("curious"), Err(Errno::EINVAL));
        let child = world.fork(task);
        world.exit(child);
    }
}

/// Clashes with the files of every cgroup, with cpuset's bare names, with itself; and names that are none.
#[test]
fn file_that_clashes_is_refused_with_a_reason() {
    let mut world = SimWorld::new();
    let with = |name: &str, files: &[&'static str]| {
        let mut probe = Probe::plain(name);
        probe.more_files = files.to_vec();
        probe
    };
    for (name, file, says) in [
        ("cgroup", "procs", "clashes"),
        ("cgroup", "clone_children", "clashes"),
        ("cpuset", "tasks", "clashes"),
        ("cpuset", "notify_on_release", "clashes"),
        ("p", "value", "twice"),
        ("p", "", "empty"),
        ("p", "a/b", "illegal"),
        ("p", "a\nb", "illegal"),
    ] {
        assert_eq!(world.try_load(with(name, &[file])), Err(Errno::EINVAL), "{name}.{file}");
        let refused = world.last_error();
        assert!(refused.to_string().contains(says), "{refused}");
    }
    // With a prefix the same names do not clash.
    world.load(with("p", &["tasks", "procs"]));
    let top = world.mount("p");
    assert!(world.files(top).contains(&"p.tasks".to_owned()));
}

/// B1.1, D2: in a mkdir over five controllers each `create` fails in turn. States, counters, limits and css_sets are then as
/// before, and each state that was made is destroyed once.
#[test]
fn create_failing_at_any_of_five_leaves_nothing() {
    let names = ["c0", "c1", "c2", "c3", "c4"];
    let mut world = SimWorld::new();
    let handles: Vec<_> = names
        .iter()
        .map(|name| {
            let (probe, handle) = Probe::new(name, Callbacks::all(), &[Resource::Tasks]);
            world.load(probe);
            handle
        })
        .collect();
    let (task, top) = (world.spawn(), world.mount("all,clone_children"));
    for failing in 0..names.len() {
        for handle in &handles {
            // each sets a limit before the failure
            handle.records().faults.limit_at_create = Some(10);
        }
        handles[failing].records().faults.fail_create = 1;
        let before: Vec<_> = handles.iter().map(common::ProbeHandle::counts).collect();
        let sets = world.engine.css_set_count();
        assert_eq!(world.try_mkdir(top, "g"), Err(Errno::ENOMEM));
        for (number, (handle, before)) in handles.iter().zip(&before).enumerate() {
            let after = handle.counts();
            assert_eq!(after.alive, before.alive, "{number}, where {failing} failed");
            assert_eq!(after.create - before.create, u64::from(number <= failing));
            assert_eq!(after.destroy - before.destroy, u64::from(number < failing));
        }
        assert!(!world.engine.can_refuse_fork(), "no limit is left");
        assert_eq!((world.engine.css_set_count(), world.children(top).len()), (sets, 0));
        let child = world.fork(task);
        world.exit(child);
        // The same name can be made now, and the new cgroup has nothing of the failed one.
        for handle in &handles {
            handle.records().faults.limit_at_create = None;
        }
        let g = world.mkdir(top, "g");
        for name in names {
            assert_eq!(world.read(g, &format!("{name}.usage")), "0 -1 0 0 0\n");
        }
        world.rmdir(g);
    }
    assert!(handles.iter().all(|handle| handle.counts().alive == 1));
}
