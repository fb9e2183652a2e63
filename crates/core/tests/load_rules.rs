//! The rules of loadable subsystems that `load.rs` does not show: what pins one, what `all` and `mount` make of it, and a
//! regression test for each bug that Linux had (E6), as far as core alone is concerned.

mod common;

use common::{Probe, World};
use penfold_core::{
    Access, Errno, Error,
    subsystem::{Callbacks, Resource},
};

/// E5.1, E5.2: a loaded subsystem is in /proc/cgroups, in no /proc/PID/cgroup, can be mounted and is part of `all`.
#[test]
fn e5_1_a_loaded_subsystem_is_listed_mounted_by_name_and_part_of_all() {
    let mut world = World::with(&["a", "b"]);
    let task = world.spawn();
    let (before, cgroups) = (world.proc(task), world.engine.proc_cgroups());
    world.load(Probe::plain("late")).unwrap();
    assert_eq!(world.engine.proc_cgroups(), format!("{cgroups}late\t0\t1\t1\n"));
    assert_eq!(world.proc(task), before);
    let top = world.mount("all").unwrap();
    assert_eq!(world.show_options(top), "a,b,late");
    world.unmount(top);
    let top = world.mount("late").unwrap();
    assert!(world.files(top).contains(&"late.value".to_owned()));
    world.unmount(top);
    world.unload("late").unwrap();
    assert_eq!(world.engine.proc_cgroups(), cgroups);
    let gone = world.engine.session(&mut world.host, &world.root).mount("late").unwrap_err();
    assert!(gone.to_string().contains("loaded are a, b"), "{gone}");
    let all = world.mount("all").unwrap();
    assert_eq!(world.show_options(all), "a,b");
}

/// E1, E3.2: a slot is free at once, and the order of `all` is the order of the slots.
#[test]
fn e3_2_a_slot_is_free_at_once() {
    let mut world = World::with(&["a", "b", "c"]);
    world.unload("b").unwrap();
    world.load(Probe::plain("z")).unwrap();
    world.load(Probe::plain("b")).unwrap();
    let top = world.mount("all").unwrap();
    assert_eq!(world.show_options(top), "a,z,c,b");
}

/// E4.3, E5b: a remount that fails pins nothing and lets go of nothing.
#[test]
fn e4_3_a_remount_that_fails_pins_nothing() {
    let mut world = World::with(&["a", "b", "late"]);
    let top = world.mount("a,name=x").unwrap();
    let elsewhere = world.mount("b").unwrap();
    assert_eq!(world.remount(top, "a,b,late"), Err(Errno::EBUSY), "b is bound elsewhere");
    assert_eq!(world.remount(top, "late,foo"), Err(Errno::EINVAL));
    assert_eq!(world.remount(top, "late,noprefix"), Err(Errno::EINVAL));
    let child = world.mkdir(top, "child").unwrap();
    assert_eq!(world.remount(top, "late"), Err(Errno::EBUSY), "it has children");
    assert_eq!(world.unload("late"), Ok(()));
    assert_eq!(world.unload("a"), Err(Errno::EBUSY), "which is still where it was");
    world.rmdir(child).unwrap();
    world.unmount(elsewhere);
    assert_eq!(world.unload("b"), Ok(()));
}

/// E4.4: what a remount takes out is not pinned any more, what it puts in is.
#[test]
fn e4_4_a_remount_moves_the_pin() {
    let mut world = World::with(&["a", "b"]);
    let top = world.mount("a,name=x").unwrap();
    world.remount(top, "b").unwrap();
    assert_eq!(world.unload("b"), Err(Errno::EBUSY));
    assert_eq!(world.unload("a"), Ok(()));
}

/// E6.1, E6.6: a load that fails in its middle leaves no state, no file, no row, no count, in a slot of the middle too.
#[test]
fn e6_1_a_load_that_fails_after_it_has_begun_leaves_nothing() {
    let mut world = World::with(&["a", "gone", "b"]);
    world.unload("gone").unwrap();
    let tasks: Vec<_> = (0..4).map(|_| world.spawn()).collect();
    let top = world.mount("a").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    world.attach(g, tasks[0]).unwrap();
    let (probe, desk) = Probe::new("late", Callbacks::all(), &[Resource::Tasks]);
    {
        let knobs = &mut desk.records().knobs;
        (knobs.fail_create, knobs.limit_at_create, knobs.refuse_at_create) = (1, Some(1), true);
    }
    let (cgroups, sets) = (world.engine.proc_cgroups(), world.engine.css_set_count());
    let failed = world.load(probe).unwrap_err();
    assert_eq!(failed.errno(), Errno::ENOMEM);
    assert_eq!((world.engine.proc_cgroups(), world.engine.css_set_count()), (cgroups, sets));
    assert!(!world.engine.can_refuse_fork() && world.engine.event_mask().is_empty());
    assert_eq!((desk.counts().alive, desk.counts().destroy, desk.counts().pre_destroy), (0, 0, 0));
    assert_eq!(world.unload("late"), Err(Errno::ENOENT), "E6.6: there is nothing to unload");
    let child = world.fork(tasks[0]).unwrap();
    world.attach(top, child).unwrap();
    world.exit(child);
    desk.take_log();
    world.load(Probe::at(&desk, "late", Callbacks::all(), &[Resource::Tasks])).unwrap();
    assert_eq!(
        world.engine.subsystems().collect::<Vec<_>>(),
        ["a", "late", "b"],
        "in the slot that was free"
    );
    assert_eq!(desk.counts().fork, 4, "each of the four once");
}

/// E6.2: unload asks `pre_destroy` of the last state, and destroy still finds that state.
#[test]
fn e6_2_unload_runs_pre_destroy_and_it_can_refuse() {
    let (probe, desk) = Probe::new("late", Callbacks::all(), &[Resource::Tasks]);
    let mut world = World::new();
    world.load(probe).unwrap();
    let task = world.spawn();
    desk.take_log();
    desk.records().knobs.veto_destroy = true;
    let refused = world.engine.unload(&mut world.host, "late").unwrap_err();
    assert_eq!((refused.errno(), refused.to_string()), (Errno::EIO, "late: told to".into()));
    assert!(matches!(refused, Error::Subsystem { .. }));
    // It is all there still, as after a rmdir that was refused.
    let child = world.fork(task).unwrap();
    let top = world.mount("late").unwrap();
    assert_eq!(world.read(top, "late.usage").unwrap(), "2 -1 2 0 0\n");
    world.unmount(top);
    assert_eq!(
        desk.take_log(),
        [
            "late.pre_destroy /",
            &format!("late.can_fork {task}"),
            &format!("late.fork {child}"),
            "late.bind 1",
            "late.bind 0"
        ]
    );
    desk.records().knobs.veto_destroy = false;
    world.unload("late").unwrap();
    assert_eq!(desk.take_log(), ["late.pre_destroy /", "late.destroy 0"]);
    assert_eq!(desk.counts().alive, 0);
}

/// E6.2: an unloaded subsystem is not active: nothing that happens later reaches it, whichever event it is.
#[test]
fn e6_2_an_unloaded_subsystem_is_not_called_any_more() {
    let (probe, desk) =
        Probe::new("late", Callbacks::all(), &[Resource::Tasks, Resource::Forks, Resource::CpuTime]);
    let mut world = World::with(&["a"]);
    world.load(probe).unwrap();
    let task = world.spawn();
    world.host.run(task, 0, penfold_core::subsystem::CpuTime { user: 5, system: 5 });
    world.unload("late").unwrap();
    let unloaded = (desk.counts(), desk.take_log());
    let top = world.mount("all,clone_children").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    world.attach(g, task).unwrap();
    let child = world.fork(task).unwrap();
    world.thread(child);
    world.engine.sample_cpu(&mut world.host);
    world.exit(child);
    world.attach(top, task).unwrap();
    assert_eq!(world.rmdir(g), Err(Errno::EBUSY), "the thread is there");
    world.exit(task);
    assert_eq!((desk.counts(), desk.take_log()), (unloaded.0, Vec::new()));
    assert!(!unloaded.1.is_empty());
}

/// E6.3, E6.8: what a subsystem has set while it was loaded goes with it, also what its create set.
#[test]
fn e6_3_no_limit_and_no_refusal_outlives_its_subsystem() {
    let mut world = World::new();
    let (probe, desk) = Probe::new("late", Callbacks::CAN_FORK, &[Resource::Tasks]);
    {
        let knobs = &mut desk.records().knobs;
        (knobs.limit_at_create, knobs.refuse_at_create, knobs.veto_fork) = (Some(2), true, true);
    }
    let task = world.spawn();
    world.load(probe).unwrap();
    assert_eq!(world.fork(task), Err(Errno::ENOMEM), "it refuses");
    world.unload("late").unwrap();
    assert!(!world.engine.can_refuse_fork());
    for _ in 0..5 {
        world.fork(task).unwrap();
    }
}

/// E6.4, E6.5: binding alone pins. A mount that names one subsystem which is gone binds none of the others.
#[test]
fn e6_5_a_mount_that_names_a_subsystem_which_is_gone_binds_none() {
    let mut world = World::with(&["a", "late", "b"]);
    let top = world.mount("none,name=x").unwrap();
    world.unload("late").unwrap();
    for options in ["a,late,b", "late", "a,b,late"] {
        assert_eq!(world.mount(options), Err(Errno::EINVAL), "{options}");
        assert_eq!(world.remount(top, options), Err(Errno::EINVAL), "{options}");
    }
    assert_eq!(world.engine.proc_cgroups().lines().filter(|line| line.contains("\t0\t1\t1")).count(), 2);
    assert_eq!((world.unload("a"), world.unload("b")), (Ok(()), Ok(())));
}

/// E6.7: nothing that was opened before an unload reaches the state of what has the slot and the name now.
#[test]
fn e6_7_what_was_open_before_an_unload_answers_enodev() {
    let mut world = World::new();
    let (probe, first) = Probe::new("late", Callbacks::empty(), &[]);
    world.load(probe).unwrap();
    let top = world.mount("none,name=x").unwrap();
    world.remount(top, "late").unwrap();
    let file = world.engine.open(&world.root, top, "late.value", Access::READ | Access::WRITE).unwrap();
    let kick = world.engine.open(&world.root, top, "late.kick", Access::WRITE).unwrap();
    world.remount(top, "name=x").unwrap();
    world.unload("late").unwrap();
    // The same name in the same slot, bound where the old one was.
    let (probe, second) = Probe::new("late", Callbacks::empty(), &[]);
    world.load(probe).unwrap();
    world.remount(top, "late").unwrap();
    let World { engine, host, root } = &mut world;
    assert_eq!(engine.session(host, root).read(top, file).unwrap_err().errno(), Errno::ENODEV);
    assert_eq!(engine.session(host, root).write(top, file, b"7").unwrap_err().errno(), Errno::ENODEV);
    assert_eq!(engine.session(host, root).write(top, kick, b"1").unwrap_err().errno(), Errno::ENODEV);
    assert!(!engine.is_setting(file) && engine.find_file(top, "late.value") != Some(file));
    assert_eq!(world.read(top, "late.value").unwrap(), "0\n");
    assert_eq!((first.counts().alive, second.counts().alive), (0, 1));
}

/// E6.8, L6: a subsystem whose create has not returned can't be met: it is neither listed nor mountable nor asked, and if
/// the create fails nobody has seen it. Here create itself looks.
#[test]
fn e6_8_a_subsystem_is_not_there_before_its_create_has_returned() {
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
    let mut world = World::new();
    let task = world.spawn();
    for _ in 0..3 {
        assert_eq!(world.engine.load(&mut world.host, Curious).unwrap_err().errno(), Errno::ENOMEM);
        assert_eq!(world.mount("curious"), Err(Errno::EINVAL));
        let child = world.fork(task).unwrap();
        world.exit(child);
    }
}

/// Clashing files: of every cgroup, of cpuset's bare names, twice the same, no name at all.
#[test]
fn a_file_that_clashes_is_refused() {
    let mut world = World::new();
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
        let refused = world.load(with(name, &[file])).unwrap_err();
        assert_eq!(refused.errno(), Errno::EINVAL, "{name}.{file}");
        assert!(refused.to_string().contains(says), "{refused}");
    }
    // Where there is no clash: a prefix makes the difference.
    world.load(with("p", &["tasks", "procs"])).unwrap();
    let top = world.mount("p").unwrap();
    assert!(world.files(top).contains(&"p.tasks".to_owned()));
}

/// B1.1, D2: a create that fails anywhere in a mkdir over five controllers, at each in turn: states, counters, limits and
/// css_sets are as before, and those that had agreed are destroyed, each once.
#[test]
fn a_create_that_fails_at_any_of_five_controllers_leaves_nothing() {
    let names = ["c0", "c1", "c2", "c3", "c4"];
    let mut world = World::new();
    let desks: Vec<_> = names
        .iter()
        .map(|name| {
            let (probe, desk) = Probe::new(name, Callbacks::all(), &[Resource::Tasks]);
            world.load(probe).unwrap();
            desk
        })
        .collect();
    let (task, top) = (world.spawn(), world.mount("all,clone_children").unwrap());
    for failing in 0..names.len() {
        for desk in &desks {
            // every one sets a limit before anything fails
            desk.records().knobs.limit_at_create = Some(10);
        }
        desks[failing].records().knobs.fail_create = 1;
        let before: Vec<_> = desks.iter().map(common::Desk::counts).collect();
        let sets = world.engine.css_set_count();
        assert_eq!(world.mkdir(top, "g"), Err(Errno::ENOMEM));
        for (number, (desk, before)) in desks.iter().zip(&before).enumerate() {
            let after = desk.counts();
            assert_eq!(after.alive, before.alive, "{number}, where {failing} failed");
            assert_eq!(after.create - before.create, u64::from(number <= failing));
            assert_eq!(after.destroy - before.destroy, u64::from(number < failing));
        }
        assert!(!world.engine.can_refuse_fork(), "no limit is left");
        assert_eq!((world.engine.css_set_count(), world.children(top).len()), (sets, 0));
        let child = world.fork(task).unwrap();
        world.exit(child);
        // The same name can be made now, and has nothing of the failed one.
        for desk in &desks {
            desk.records().knobs.limit_at_create = None;
        }
        let g = world.mkdir(top, "g").unwrap();
        for name in names {
            assert_eq!(world.read(g, &format!("{name}.usage")).unwrap(), "0 -1 0 0 0\n");
        }
        world.rmdir(g).unwrap();
    }
    assert!(desks.iter().all(|desk| desk.counts().alive == 1));
}
