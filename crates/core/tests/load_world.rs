//! Loading and unloading in a world that is full: hierarchies, directories, values, owners, limits, tasks everywhere,
//! forks in flight. Everything that can be observed is written down before and after.

mod common;

use std::fmt::Write as _;

use common::{Probe, World};
use penfold_core::{
    CgroupId, Errno, ForkCharge, Owner, Tid,
    host::HostView as _,
    subsystem::{Callbacks, CpuTime, Resource},
};

/// The name of the subsystem that comes and goes; of all others everything is written down.
const LATE: &str = "late";

fn cgroup_text(world: &mut World, cgroup: CgroupId, text: &mut String) {
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
        let content = world.read(cgroup, &entry.name);
        writeln!(text, "  {:?} {} {:?} {content:?}", entry.id, entry.name, entry.owner).unwrap();
    }
    let children: Vec<CgroupId> = world.engine.tree().children(cgroup).collect();
    for child in children {
        cgroup_text(world, child, text);
    }
}

/// All that anybody can see, less the row of [`LATE`].
fn everything(world: &mut World) -> String {
    let mut text = String::new();
    let engine = &world.engine;
    let names: Vec<&str> = engine.subsystems().filter(|name| *name != LATE).collect();
    writeln!(text, "{names:?} {:?} {}", engine.interest(), engine.can_refuse_fork()).unwrap();
    for row in engine.proc_cgroups().lines().filter(|row| !row.starts_with(&format!("{LATE}\t"))) {
        writeln!(text, "{row}").unwrap();
    }
    // by what they are linked to: a css_set that is empty for a moment comes back under another number
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
        writeln!(text, "{task} {passes:?} {}", world.proc(task)).unwrap();
    }
    text
}

/// Says only what differs: the texts are long.
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
fn full() -> (World, Vec<ForkCharge>) {
    let mut world = World::new();
    world.load(Probe::new("a", Callbacks::all(), &[Resource::Tasks, Resource::CpuTime]).0).unwrap();
    world.load(Probe::plain("hole")).unwrap();
    world.load(Probe::new("b", Callbacks::FORK, &[Resource::Forks]).0).unwrap();
    world.load(Probe::plain("free")).unwrap();
    let tasks: Vec<Tid> = (0..40).map(|_| world.spawn()).collect();
    let one = world.mount("a,name=one,release_agent=/agent").unwrap();
    let two = world.mount("b").unwrap();
    let three = world.mount("none,name=three").unwrap();
    let mut cgroups = Vec::new();
    for root in [one, two, three] {
        for outer in 0..3 {
            let outer = world.mkdir(root, &format!("d{outer}")).unwrap();
            cgroups.push(outer);
            cgroups.push(world.mkdir(outer, "inner").unwrap());
        }
    }
    for (number, &task) in tasks.iter().enumerate() {
        for root in 0..3 {
            world.attach(cgroups[root * 6 + number / (root + 1) % 6], task).unwrap();
        }
        world.host.run(task, number % 2, CpuTime { user: number as u64, system: 1 });
    }
    world.write(cgroups[0], "a.value", "77").unwrap();
    world.write(cgroups[1], "a.limit", "0 9").unwrap();
    world.write(cgroups[6], "b.limit", "0 1000").unwrap();
    world.write(cgroups[12], "notify_on_release", "1").unwrap();
    let file = world.engine.find_file(cgroups[0], "a.value").unwrap();
    world
        .engine
        .set_file_owner(&world.root, cgroups[0], file, Owner { uid: 7, gid: 8, mode: 0o604 })
        .unwrap();
    world.unmount(two);
    world.unload("hole").unwrap();
    let flights = [tasks[3], tasks[4]].map(|task| {
        let set = world.host.css_set(task).unwrap();
        world.engine.charge_fork(&mut world.host, task, set).unwrap()
    });
    world.engine.sample_cpu(&mut world.host);
    (world, flights.into())
}

/// E5.4, E2.9, E3.3: a load changes nothing but that it is there, and an unload puts everything back.
#[test]
fn load_and_unload_in_a_full_world_change_nothing_else() {
    let (mut world, flights) = full();
    let before = everything(&mut world);
    assert!(before.matches("css_set").count() > 10 && before.contains("mounts 0"));
    for callbacks in [Callbacks::empty(), Callbacks::ATTACH | Callbacks::BIND] {
        world.load(Probe::new(LATE, callbacks, &[Resource::Sockets]).0).unwrap();
        assert_ne!(world.engine.interest(), penfold_core::host::EventMask::empty());
        world.unload(LATE).unwrap();
        assert_same(&before, &everything(&mut world));
    }
    // One with every callback and every rule: while it is there only what a host arranges for differs.
    let (probe, desk) =
        Probe::new(LATE, Callbacks::all(), &[Resource::Tasks, Resource::Forks, Resource::CpuTime]);
    world.load(probe).unwrap();
    let rows = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_same(&rows(&before), &rows(&everything(&mut world)));
    assert_eq!(desk.counts().fork, 40, "each task once, wherever it is");
    world.unload(LATE).unwrap();
    assert_same(&before, &everything(&mut world));
    for charge in flights {
        world.engine.cancel_fork(&mut world.host, charge);
    }
}

/// E2.9: every css_set has the new state: whichever task forks, dies or moves, it is counted, and in sets that are made
/// later too.
#[test]
fn every_css_set_gets_the_state_of_a_late_subsystem() {
    let (mut world, flights) = full();
    let (probe, desk) =
        Probe::new(LATE, Callbacks::FORK | Callbacks::EXIT, &[Resource::Tasks, Resource::Forks]);
    world.load(probe).unwrap();
    let tasks: Vec<Tid> = world.host.tids();
    let mut usage = 40;
    let late = world.mount(LATE).unwrap();
    for (number, &task) in tasks.iter().enumerate() {
        let child = match world.fork(task) {
            Ok(child) => child,
            // the limit of 9 on one cgroup: refused by `a`, and nothing of the late one's is left charged
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
    let text = world.read(late, "late.usage").unwrap();
    assert!(text.starts_with(&format!("{usage} ")), "{usage}: {text}");
    assert_eq!(u64::try_from(usage).unwrap(), desk.counts().fork - desk.counts().exit);
    // Every one of them moves: out of a css_set that was there before the load, into one made after it.
    let g = world.mkdir(late, "g").unwrap();
    let tasks = world.host.tids();
    for &task in &tasks {
        world.attach(g, task).unwrap();
    }
    let text = world.read(g, "late.usage").unwrap();
    assert!(text.starts_with(&format!("{} ", tasks.len())), "{text}");
    for charge in flights {
        world.engine.cancel_fork(&mut world.host, charge);
    }
}

/// E3.2: a second load starts from defaults, and the first has left nothing anywhere.
#[test]
fn a_second_load_starts_from_defaults() {
    let (mut world, flights) = full();
    for charge in flights {
        world.engine.cancel_fork(&mut world.host, charge);
    }
    let mut before = None;
    for round in 0..20 {
        let (probe, desk) = Probe::new(LATE, Callbacks::all(), &[Resource::Tasks]);
        world.load(probe).unwrap();
        let late = world.mount(LATE).unwrap();
        assert_eq!(world.read(late, "late.value").unwrap(), "0\n", "round {round}");
        assert_eq!(world.read(late, "late.usage").unwrap(), "40 -1 40 0 0\n");
        world.write(late, "late.value", "5").unwrap();
        let g = world.mkdir(late, "g").unwrap();
        let tasks = world.host.tids();
        for &task in &tasks[..10] {
            world.attach(g, task).unwrap();
        }
        world.write(g, "late.limit", "0 3").unwrap();
        assert_eq!(world.fork(tasks[0]), Err(Errno::EAGAIN));
        assert_eq!(world.unload(LATE), Err(Errno::EBUSY));
        for &task in &tasks[..10] {
            world.attach(late, task).unwrap();
        }
        world.rmdir(g).unwrap();
        world.unmount(late);
        world.unload(LATE).unwrap();
        assert_eq!(desk.counts().alive, 0);
        // The first round leaves a trace that is meant to be: the fork that was refused has raised a peak of `a`.
        let after = everything(&mut world);
        assert_same(before.get_or_insert_with(|| after.clone()), &after);
    }
}

/// E3, E4.4: unbound it goes while ten thousand tasks run; bound it stays, and who holds it is named.
#[test]
fn unload_among_ten_thousand_tasks() {
    const TASKS: usize = 10_000;
    let mut world = World::with(&["a"]);
    let top = world.mount("a").unwrap();
    let cgroups: Vec<_> = (0..100).map(|number| world.mkdir(top, &format!("g{number}")).unwrap()).collect();
    let tasks: Vec<Tid> = (0..TASKS).map(|_| world.spawn()).collect();
    for (number, &task) in tasks.iter().enumerate() {
        world.attach(cgroups[number % 100], task).unwrap();
    }
    let (probe, desk) = Probe::new(LATE, Callbacks::FORK | Callbacks::EXIT, &[Resource::Tasks]);
    world.load(probe).unwrap();
    assert_eq!(desk.counts().fork, TASKS as u64);
    let late = world.mount("late,name=holder").unwrap();
    let child = world.mkdir(late, "child").unwrap();
    for &task in &tasks[..TASKS / 2] {
        world.attach(child, task).unwrap();
    }
    let busy = |world: &mut World| world.engine.unload(&mut world.host, LATE).unwrap_err().to_string();
    assert!(busy(&mut world).contains("(with name=holder)"));
    world.unmount(late);
    let held = busy(&mut world);
    assert!(held.contains("name=holder") && held.contains("unmounted but with children"), "{held}");
    for &task in &tasks[..TASKS / 2] {
        world.attach(late, task).unwrap();
    }
    world.rmdir(child).unwrap();
    let sets = world.engine.css_set_count();
    world.unload(LATE).unwrap();
    assert_eq!((world.engine.css_set_count(), desk.counts().alive), (sets, 0));
    for task in tasks {
        world.exit(task);
    }
    assert_eq!((desk.counts().exit, world.engine.css_set_count()), (0, 1));
}
