//! Fork and exit: charges, vetoes, guards, interest masks (C3, C4, C5, F3.16 for the counters).

mod common;

use common::Probe;
use penfold_core::{
    Errno, Error, ForkCharge, Tid,
    host::EventMask,
    subsystem::{Callbacks, CpuTime, Resource},
};
use penfold_testkit::SimWorld;

fn begin(world: &mut SimWorld, parent: Tid) -> Result<ForkCharge, Error> {
    let set = world.css_set(parent);
    world.engine.charge_fork(&mut world.host, parent, set)
}

fn commit(world: &mut SimWorld, charge: ForkCharge) -> Tid {
    let child = world.host.create(None, 0);
    world.engine.commit_fork(&mut world.host, charge, child);
    child
}

fn usage(world: &mut SimWorld, cgroup: penfold_core::CgroupId, name: &str) -> String {
    world.read(cgroup, &format!("{name}.usage"))
}

/// The measured sequence of Linux 6.18's pids: usage, peaks and failures in every cgroup of a path.
#[test]
fn charge_walks_to_the_root_and_rolls_back() {
    let mut world = SimWorld::new();
    world.load(Probe::new("p", Callbacks::empty(), &[Resource::Tasks]).0);
    let task = world.spawn();
    let top = world.mount("p");
    let g = world.mkdir(top, "g");
    let c = world.mkdir(g, "c");
    world.attach(c, task);
    world.write(g, "p.limit", "0 2");
    let second = world.fork(task);
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    assert_eq!(
        usage(&mut world, c, "p"),
        "2 -1 3 0 1\n",
        "the peak stays, the refusal is counted where it began"
    );
    assert_eq!(usage(&mut world, g, "p"), "2 2 2 1 0\n", "the failure where the limit is");
    assert_eq!(usage(&mut world, top, "p"), "2 -1 2 0 0\n");
    world.write(c, "p.limit", "0 2");
    world.write(g, "p.limit", "0 max");
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    assert_eq!(usage(&mut world, c, "p"), "2 2 3 1 2\n");
    // A move is never refused, and a limit may be lower than the usage.
    let third = world.spawn();
    world.attach(c, third);
    world.write(c, "p.limit", "0 1");
    assert_eq!(usage(&mut world, c, "p"), "3 1 3 1 2\n");
    world.exit(second);
    world.exit(third);
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN), "1 of 1");
    world.exit(task);
    assert_eq!(usage(&mut world, c, "p").split(' ').next(), Some("0"));
    assert_eq!(usage(&mut world, top, "p").split(' ').next(), Some("0"));
}

/// A refused fork leaves every counter's usage as it was, whichever rule or subsystem refused.
#[test]
fn refused_fork_gives_back_earlier_charges() {
    let (a, first) =
        Probe::new("a", Callbacks::CAN_FORK | Callbacks::FORK, &[Resource::Tasks, Resource::Forks]);
    let second = first.with_same_log();
    let mut world = SimWorld::new();
    world.load(a);
    let rules = [Resource::CpuTime, Resource::Forks, Resource::Tasks];
    world.load(Probe::at(&second, "b", Callbacks::CAN_FORK, &rules));
    let task = world.spawn();
    let top = world.mount("all");
    let g = world.mkdir(top, "g");
    world.attach(g, task);
    let used = |world: &mut SimWorld| {
        let text = format!("{}{}", usage(world, g, "a"), usage(world, g, "b"));
        text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = used(&mut world);
    first.take_log();
    // The last rule of the last subsystem refuses: no `can_fork` has run.
    world.write(g, "b.limit", "2 1");
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    assert_eq!((used(&mut world), first.take_log()), (before.clone(), vec![]));
    // The second `can_fork` refuses: `cancel_fork` runs for the first.
    world.write(g, "b.limit", "2 max");
    second.records().faults.veto_fork = true;
    let refused = begin(&mut world, task).unwrap_err();
    assert_eq!((refused.errno(), refused.to_string()), (Errno::ENOMEM, "b: refuses the fork".into()));
    assert_eq!(used(&mut world), before);
    let asked = [format!("a.can_fork {task}"), format!("b.can_fork {task}"), "a.cancel_fork /g".into()];
    assert_eq!(first.take_log(), asked);
    assert_eq!(first.counts().fork, 1, "the spawn");
    assert_eq!(world.engine.css_set_count(), 2);
    // both refusals are listed: the rule's with its limit, the subsystem's own without
    let hits =
        world.engine.limits_hit(g).into_iter().map(|hit| (hit.cgroup, hit.file, hit.limit, hit.failures));
    let expected = [(g, "b".into(), Some(u64::MAX), 1), (g, "b".into(), None, 1)];
    assert_eq!(hits.collect::<Vec<_>>(), expected);
    let own = world.engine.limits(g).pop().unwrap();
    assert_eq!((&*own.file, own.limit, own.failures), ("b", None, 1));
}

#[test]
fn dropped_fork_guard_cancels_and_committed_does_not() {
    let (probe, handle) = Probe::new("p", Callbacks::CAN_FORK, &[Resource::Tasks, Resource::Forks]);
    let mut world = SimWorld::new();
    world.load(probe);
    let task = world.spawn();
    let top = world.mount("p");
    let set = world.css_set(task);
    {
        let _guard = world.engine.forking(&mut world.host, task, set).unwrap();
    }
    assert_eq!(handle.counts().cancel_fork, 1);
    assert_eq!(usage(&mut world, top, "p"), "1 -1 2 0 0\n0 -1 1 0 0\n");
    let mut guard = world.engine.forking(&mut world.host, task, set).unwrap();
    let child = guard.host().create(None, 0);
    assert_eq!(guard.commit(child), set);
    assert_eq!(handle.counts().cancel_fork, 1);
    assert_eq!(usage(&mut world, top, "p"), "2 -1 2 0 0\n1 -1 1 0 0\n");
    world.exit(child);
    assert_eq!(usage(&mut world, top, "p"), "1 -1 2 0 0\n1 -1 1 0 0\n", "forks are never given back");
}

/// C3.3: the child gets the cgroup that its parent had at `charge_fork`. That cgroup can't be removed in between.
#[test]
fn fork_in_flight_keeps_its_cgroup() {
    let mut world = SimWorld::new();
    world.load(Probe::new("p", Callbacks::empty(), &[Resource::Tasks]).0);
    let parent = world.spawn();
    let top = world.mount("p");
    let (g, h) = (world.mkdir(top, "g"), world.mkdir(top, "h"));
    world.attach(g, parent);
    let (first, second) = (begin(&mut world, parent).unwrap(), begin(&mut world, parent).unwrap());
    world.attach(h, parent);
    assert_eq!(world.tasks(g), [0; 0]);
    assert_eq!(world.try_rmdir(g), Err(Errno::EBUSY));
    assert_eq!(usage(&mut world, g, "p").split(' ').next(), Some("2"));
    // In a hierarchy that is mounted in between, the child is in the root.
    let late = world.mount("none,name=late");
    let child = commit(&mut world, first);
    assert_eq!((world.tasks(g), world.tasks(h)), (vec![child.0], vec![parent.0]));
    assert_eq!(world.tasks(late), [parent.0, child.0]);
    world.exit(child);
    world.engine.cancel_fork(&mut world.host, second);
    assert_eq!(world.try_rmdir(g), Ok(()));
    // A host that marks the parent as forking has no moves in between: they are refused.
    world.host.get_mut(parent).unwrap().facts.forking = true;
    assert_eq!(world.try_attach(top, parent), Err(Errno::EAGAIN));
    assert_eq!(world.try_attach(h, parent), Ok(()), "it is there already");
}

/// A subsystem that is loaded while forks are in flight counts each child once, committed or cancelled.
#[test]
fn fork_in_flight_over_a_load_counts_once() {
    let mut world = SimWorld::new();
    let task = world.spawn();
    let (early, other) = (begin(&mut world, task).unwrap(), begin(&mut world, task).unwrap());
    let all = Callbacks::CAN_FORK | Callbacks::FORK;
    let (probe, handle) = Probe::new("late", all, &[Resource::Tasks]);
    world.load(probe);
    let top = world.mount("late");
    assert_eq!(usage(&mut world, top, "late"), "1 -1 1 0 0\n", "the tasks that exist");
    commit(&mut world, early);
    assert_eq!(usage(&mut world, top, "late"), "2 -1 2 0 0\n");
    world.engine.cancel_fork(&mut world.host, other);
    assert_eq!(usage(&mut world, top, "late"), "2 -1 2 0 0\n");
    assert_eq!((handle.counts().can_fork, handle.counts().cancel_fork, handle.counts().fork), (0, 0, 2));
}

/// A new subsystem in the same slot: the charge of the old one is not given back to the new one.
#[test]
fn fork_in_flight_is_not_uncharged_from_a_reused_slot() {
    let all = Callbacks::CAN_FORK | Callbacks::FORK;
    for same in [false, true] {
        let (old, before) = Probe::new("old", all, &[Resource::Tasks]);
        let mut world = SimWorld::new();
        world.load(old);
        let task = world.spawn();
        let (one, two) = (begin(&mut world, task).unwrap(), begin(&mut world, task).unwrap());
        world.unload("old");
        let name = if same { "old" } else { "new" };
        let (new, after) = Probe::new(name, all, &[Resource::Tasks]);
        world.load(new);
        let three = begin(&mut world, task).unwrap();
        let top = world.mount(name);
        assert_eq!(usage(&mut world, top, name), "2 -1 2 0 0\n");
        world.engine.cancel_fork(&mut world.host, one);
        assert_eq!(usage(&mut world, top, name), "2 -1 2 0 0\n", "it had never been charged here");
        commit(&mut world, two);
        assert_eq!(usage(&mut world, top, name), "3 -1 3 0 0\n");
        world.engine.cancel_fork(&mut world.host, three);
        assert_eq!(usage(&mut world, top, name), "2 -1 3 0 0\n");
        assert_eq!((before.counts().cancel_fork, after.counts().cancel_fork), (0, 1));
        assert_eq!((before.counts().fork, after.counts().fork), (1, 2));
    }
}

#[test]
fn fork_in_flight_over_an_unload_ends_without_it() {
    let mut world = SimWorld::new();
    world.load(Probe::new("p", Callbacks::CAN_FORK, &[Resource::Tasks]).0);
    let task = world.spawn();
    let (one, two) = (begin(&mut world, task).unwrap(), begin(&mut world, task).unwrap());
    world.unload("p");
    commit(&mut world, one);
    world.engine.cancel_fork(&mut world.host, two);
    assert_eq!(world.engine.css_set_count(), 1);
}

/// C5.1: without an interested subsystem a fork runs no callback, and the host can see that.
#[test]
fn interest_follows_the_loaded_subsystems() {
    let mut world = SimWorld::new();
    assert_eq!(world.engine.event_mask(), EventMask::empty());
    let (none, none_desk) = Probe::new("none-of-it", Callbacks::ATTACH | Callbacks::BIND, &[]);
    world.load(none);
    assert_eq!(world.engine.event_mask(), EventMask::empty());
    let (fork, veto) = (EventMask::FORK, EventMask::MAY_REFUSE_FORK);
    let vectors: &[(Callbacks, &[Resource], EventMask)] = &[
        (Callbacks::FORK, &[], fork),
        (Callbacks::EXIT, &[], EventMask::EXIT),
        (Callbacks::CAN_FORK, &[], fork.union(veto)),
        (Callbacks::empty(), &[Resource::Tasks], fork.union(veto).union(EventMask::EXIT)),
        (Callbacks::empty(), &[Resource::CpuTime], EventMask::CPU_TIME),
        (Callbacks::empty(), &[Resource::Sockets], EventMask::SOCKETS),
    ];
    let task = world.spawn();
    for &(callbacks, resources, expected) in vectors {
        world.load(Probe::new("p", callbacks, resources).0);
        assert_eq!(world.engine.event_mask(), expected, "{callbacks:?} {resources:?}");
        world.unload("p");
        assert_eq!(world.engine.event_mask(), EventMask::empty());
    }
    let child = world.fork(task);
    world.exit(child);
    let calls = ["none-of-it.create /", "none-of-it.attach 1 / /"];
    assert_eq!(none_desk.take_log(), calls, "of the first place, but neither of a fork nor of an exit");
}

/// A host arranges for vetoes only while one is possible.
#[test]
fn fork_can_be_refused_only_while_a_limit_is_set() {
    let mut world = SimWorld::new();
    world.load(Probe::new("p", Callbacks::empty(), &[Resource::Tasks, Resource::Sockets]).0);
    let top = world.mount("p");
    let (g, h) = (world.mkdir(top, "g"), world.mkdir(top, "h"));
    assert!(!world.engine.can_refuse_fork());
    world.write(g, "p.limit", "1 5");
    assert!(!world.engine.can_refuse_fork(), "sockets are not forks");
    for text in ["0 5", "0 6", "0 max", "0 7"] {
        world.write(g, "p.limit", text);
        assert_eq!(world.engine.can_refuse_fork(), text != "0 max");
    }
    world.write(h, "p.limit", "0 7");
    world.rmdir(g);
    assert!(world.engine.can_refuse_fork());
    world.rmdir(h);
    assert!(!world.engine.can_refuse_fork(), "the last limit went with its cgroup");
    world.host.cannot.push(penfold_core::host::Capability::ForkVeto);
    assert_eq!(world.try_write(top, "p.limit", "0 7"), Err(Errno::EOPNOTSUPP));
    assert_eq!(world.try_write(top, "p.limit", "0 max"), Ok(()), "which needs no veto");
    assert!(!world.engine.can_refuse_fork());
}

/// C4.2: `exit` runs with the cgroup that the task was in, after its CPU time was charged there.
#[test]
fn exit_gives_back_and_reports_usage() {
    let (probe, handle) = Probe::new("p", Callbacks::EXIT, &[Resource::Tasks, Resource::CpuTime]);
    let mut world = SimWorld::new();
    world.load(probe);
    let (task, top) = (world.spawn(), world.mount("p"));
    let g = world.mkdir(top, "g");
    world.attach(g, task);
    handle.take_log();
    world.host.run(task, 0, CpuTime { user: 5, system: 1 });
    assert_eq!(
        usage(&mut world, g, "p"),
        "1 -1 1 0 0\n6 -1 6 0 0\ncpu0 5 1\ncpu1 0 0\n",
        "sampled by the read"
    );
    world.host.run(task, 1, CpuTime { user: 1, system: 1 });
    world.exit(task);
    assert_eq!(handle.take_log(), [format!("p.exit {task}")]);
    for cgroup in [g, top] {
        let text = usage(&mut world, cgroup, "p");
        assert!(text.starts_with("0 -1") && text.ends_with("\n8 -1 8 0 0\ncpu0 5 1\ncpu1 1 1\n"), "{text}");
    }
}
