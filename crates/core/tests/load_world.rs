//! Loading and unloading in a world that is full: hierarchies, directories, values, owners, limits, tasks everywhere,
//! forks in flight. Everything that can be observed is written down before and after.

mod common;

use std::fmt::Write as _;

use common::{Probe, world_with};
use penfold_core::{
    CgroupId, Errno, ForkCharge, Owner, Tid,
    host::HostView as _,
    subsystem::{Callbacks, CpuTime, Resource},
};
use penfold_testkit::SimWorld;

/// The name of the subsystem that comes and goes. The texts of this test leave only that one out.
const LATE: &str = "late";

fn cgroup_text(world: &mut SimWorld, cgroup: CgroupId, text: &mut String) {
    let node = &world.engine.tree()[cgroup];
    let path = String::from_utf8(world.engine.tree().path(cgroup)).unwrap();
    writeln!(
        text,
        "{path} #{} {:?} {:?} notify {} clone {} populated {} {} tasks {:?}",
        node.number(),
        node.owner(),
        node.creator(),
        node.notifies_on_release(),
        node.clones_children(),
        node.has_tasks(),
        node.is_populated(),
        world.tasks(cgroup),
    )
    .unwrap();
    for entry in world.engine.files(cgroup).unwrap() {
        let content = world.try_read(cgroup, &entry.name);
        writeln!(text, "  {:?} {} {:?} {content:?}", entry.id, entry.name, entry.owner).unwrap();
    }
    let children: Vec<CgroupId> = world.engine.tree().children(cgroup).collect();
    for child in children {
        cgroup_text(world, child, text);
    }
}

/// The whole observable state, without the row of [`LATE`].
fn everything(world: &mut SimWorld) -> String {
    let mut text = String::new();
    let engine = &world.engine;
    let names: Vec<&str> = engine.subsystems().filter(|name| *name != LATE).collect();
    writeln!(text, "{names:?} {:?} {}", engine.event_mask(), engine.can_refuse_fork()).unwrap();
    for row in engine.proc_cgroups().lines().filter(|row| !row.starts_with(&format!("{LATE}\t"))) {
        writeln!(text, "{row}").unwrap();
    }
    // by their links: a css_set that is empty for a moment comes back under another number
    let mut sets: Vec<String> = engine
        .tree()
        .css_sets()
        .map(|set| {
            let entry = engine.tree().css_set(set).unwrap();
            let cgroups: Vec<_> = entry.cgroups().map(CgroupId::number).collect();
            format!("css_set {cgroups:?} {} {}\n", entry.tasks(), entry.references())
        })
        .collect();
    sets.sort();
    text.extend(sets);
    let roots: Vec<CgroupId> = engine.tree().hierarchies().map(|hierarchy| hierarchy.root).collect();
    for root in roots {
        let hierarchy = world.engine.tree().hierarchy_of(root).clone();
        let options = world.show_options(root);
        writeln!(
            text,
            "hierarchy {} {} {:?} {} mounts {} cgroups {} {options}",
            hierarchy.id,
            hierarchy.name,
            hierarchy.flags,
            hierarchy.release_agent.escape_ascii(),
            hierarchy.mounts,
            hierarchy.cgroups
        )
        .unwrap();
        cgroup_text(world, root, &mut text);
        writeln!(text, "hit {:?} limits {:?}", world.engine.limits_hit(root), world.engine.limits(root))
            .unwrap();
    }
    for task in world.host.tids() {
        let set = world.host.css_set(task);
        let passes = set.map(|set| world.engine.fork_would_pass(set));
        writeln!(text, "{task} {passes:?} {}", world.proc_cgroup(task)).unwrap();
    }
    text
}

/// Compares line by line: the texts are long.
fn assert_same(before: &str, after: &str) {
    let (mut before, mut after) = (before.lines(), after.lines());
    loop {
        let (was, is) = (before.next(), after.next());
        assert_eq!(was, is);
        if was.is_none() {
            return;
        }
    }
}

/// Hierarchies with and without subsystems, one unmounted with children, values, limits, owners, tasks, forks in flight.
fn full() -> (SimWorld, Vec<ForkCharge>) {
    let mut world = SimWorld::new();
    world.load(Probe::new("a", Callbacks::all(), &[Resource::Tasks, Resource::CpuTime]).0);
    world.load(Probe::plain("hole"));
    world.load(Probe::new("b", Callbacks::FORK, &[Resource::Forks]).0);
    world.load(Probe::plain("free"));
    let tasks: Vec<Tid> = (0..40).map(|_| world.spawn()).collect();
    let one = world.mount("a,name=one,release_agent=/agent");
    let two = world.mount("b");
    let three = world.mount("none,name=three");
    let mut cgroups = Vec::new();
    for root in [one, two, three] {
        for outer in 0..3 {
            let outer = world.mkdir(root, format!("d{outer}"));
            cgroups.push(outer);
            cgroups.push(world.mkdir(outer, "inner"));
        }
    }
    for (number, &task) in tasks.iter().enumerate() {
        for root in 0..3 {
            world.attach(cgroups[root * 6 + number / (root + 1) % 6], task);
        }
        world.host.run(task, number % 2, CpuTime { user: number as u64, system: 1 });
    }
    world.write(cgroups[0], "a.value", "77");
    world.write(cgroups[1], "a.limit", "0 9");
    world.write(cgroups[6], "b.limit", "0 1000");
    world.write(cgroups[12], "notify_on_release", "1");
    world.set_file_owner(cgroups[0], "a.value", Owner { uid: 7, gid: 8, mode: 0o604 });
    world.unmount(two);
    world.unload("hole");
    let flights = [tasks[3], tasks[4]].map(|task| {
        let set = world.css_set(task);
        world.engine.charge_fork(&mut world.host, task, set).unwrap()
    });
    world.engine.sample_cpu(&mut world.host);
    (world, flights.into())
}

/// E5.4, E2 step 9, E3 step 3: a load changes nothing else, and an unload restores everything.
#[test]
fn load_and_unload_in_a_full_world_change_nothing_else() {
    let (mut world, flights) = full();
    let before = everything(&mut world);
    assert!(before.matches("css_set").count() > 10 && before.contains("mounts 0"));
    for callbacks in [Callbacks::empty(), Callbacks::ATTACH | Callbacks::BIND] {
        world.load(Probe::new(LATE, callbacks, &[Resource::Sockets]).0);
        assert_ne!(world.engine.event_mask(), penfold_core::host::EventMask::empty());
        world.unload(LATE);
        assert_same(&before, &everything(&mut world));
    }
    // With every callback and every rule, only the first line differs: the events that the host arranges for.
    let (probe, handle) =
        Probe::new(LATE, Callbacks::all(), &[Resource::Tasks, Resource::Forks, Resource::CpuTime]);
    world.load(probe);
    let rows = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_same(&rows(&before), &rows(&everything(&mut world)));
    assert_eq!(handle.counts().fork, 40, "each task once, wherever it is");
    world.unload(LATE);
    assert_same(&before, &everything(&mut world));
    for charge in flights {
        world.engine.cancel_fork(&mut world.host, charge);
    }
}

/// E2 step 9: every css_set has the new state, also one that is made later: forks, deaths and moves of all tasks are counted.
#[test]
fn every_css_set_gets_the_state_of_a_late_subsystem() {
    let (mut world, flights) = full();
    let (probe, handle) =
        Probe::new(LATE, Callbacks::FORK | Callbacks::EXIT, &[Resource::Tasks, Resource::Forks]);
    world.load(probe);
    let tasks: Vec<Tid> = world.host.tids();
    let mut usage = 40;
    let late = world.mount(LATE);
    for (number, &task) in tasks.iter().enumerate() {
        let child = match world.try_fork(task) {
            Ok(child) => child,
            // the limit of 9 on one cgroup of `a` refuses, and the charge of the late subsystem is given back
            Err(errno) => {
                assert_eq!(errno, Errno::EAGAIN);
                continue;
            }
        };
        usage += 1;
        if number % 3 == 0 {
            world.exit(child);
            usage -= 1;
        }
    }
    let text = world.read(late, "late.usage");
    assert!(text.starts_with(&format!("{usage} ")), "{usage}: {text}");
    assert_eq!(u64::try_from(usage).unwrap(), handle.counts().fork - handle.counts().exit);
    // Every task moves from a css_set older than the load into one made after it.
    let g = world.mkdir(late, "g");
    let tasks = world.host.tids();
    for &task in &tasks {
        world.attach(g, task);
    }
    let text = world.read(g, "late.usage");
    assert!(text.starts_with(&format!("{} ", tasks.len())), "{text}");
    for charge in flights {
        world.engine.cancel_fork(&mut world.host, charge);
    }
}

/// E3.2: a second load starts from defaults, and the first has left nothing anywhere.
#[test]
fn second_load_starts_from_defaults() {
    let (mut world, flights) = full();
    for charge in flights {
        world.engine.cancel_fork(&mut world.host, charge);
    }
    let mut before = None;
    for round in 0..20 {
        let (probe, handle) = Probe::new(LATE, Callbacks::all(), &[Resource::Tasks]);
        world.load(probe);
        let late = world.mount(LATE);
        assert_eq!(world.read(late, "late.value"), "0\n", "round {round}");
        assert_eq!(world.read(late, "late.usage"), "40 -1 40 0 0\n");
        world.write(late, "late.value", "5");
        let g = world.mkdir(late, "g");
        let tasks = world.host.tids();
        for &task in &tasks[..10] {
            world.attach(g, task);
        }
        world.write(g, "late.limit", "0 3");
        assert_eq!(world.try_fork(tasks[0]), Err(Errno::EAGAIN));
        assert_eq!(world.try_unload(LATE), Err(Errno::EBUSY));
        for &task in &tasks[..10] {
            world.attach(late, task);
        }
        world.rmdir(g);
        world.unmount(late);
        world.unload(LATE);
        assert_eq!(handle.counts().alive, 0);
        // The first round leaves one trace, on purpose: the refused fork has raised a peak of `a`.
        let after = everything(&mut world);
        assert_same(before.get_or_insert_with(|| after.clone()), &after);
    }
}

/// E3, E4.4: ten thousand tasks do not hold an unbound subsystem. A bound one stays, and the refusal names the holder.
#[test]
fn unload_works_among_ten_thousand_tasks() {
    const TASKS: usize = 10_000;
    let mut world = world_with(&["a"]);
    let top = world.mount("a");
    let cgroups: Vec<_> = (0..100).map(|number| world.mkdir(top, format!("g{number}"))).collect();
    let tasks: Vec<Tid> = (0..TASKS).map(|_| world.spawn()).collect();
    for (number, &task) in tasks.iter().enumerate() {
        world.attach(cgroups[number % 100], task);
    }
    let (probe, handle) = Probe::new(LATE, Callbacks::FORK | Callbacks::EXIT, &[Resource::Tasks]);
    world.load(probe);
    assert_eq!(handle.counts().fork, TASKS as u64);
    let late = world.mount("late,name=holder");
    let child = world.mkdir(late, "child");
    for &task in &tasks[..TASKS / 2] {
        world.attach(child, task);
    }
    let busy = |world: &mut SimWorld| {
        assert_eq!(world.try_unload(LATE), Err(Errno::EBUSY));
        world.last_error().to_string()
    };
    assert!(busy(&mut world).contains("(with name=holder)"));
    world.unmount(late);
    let held = busy(&mut world);
    assert!(held.contains("name=holder") && held.contains("unmounted but with children"), "{held}");
    for &task in &tasks[..TASKS / 2] {
        world.attach(late, task);
    }
    world.rmdir(child);
    let sets = world.engine.css_set_count();
    world.unload(LATE);
    assert_eq!((world.engine.css_set_count(), handle.counts().alive), (sets, 0));
    for task in tasks {
        world.exit(task);
    }
    assert_eq!((handle.counts().exit, world.engine.css_set_count()), (0, 1));
}
