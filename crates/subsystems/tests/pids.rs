//! pids on the simulated host: the facts of Linux 6.18.

mod common;

use common::World;
use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, Engine, Errno, Event, MoveScope, Tid, simulated::ChildKind};
use penfold_subsystems::Pids;

#[test]
fn refusal_by_an_ancestor_counts_in_the_forking_cgroup() {
    let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(2));
    engine.load(&mut host, Pids).unwrap();
    let root = Caller::root(Tid(1));
    let shell = host.spawn(&mut engine, 0);
    let top = engine.session(&mut host, &root).mount("pids").unwrap().root;
    let parent = engine.session(&mut host, &root).mkdir(top, b"g", 0o755).unwrap();
    let child = engine.session(&mut host, &root).mkdir(parent, b"c", 0o755).unwrap();
    engine.session(&mut host, &root).attach(child, shell, MoveScope::Task).unwrap();
    let max = engine.find_file(parent, "pids.max").unwrap();
    engine.session(&mut host, &root).write(parent, max, b"2\n").unwrap();

    let second = host.fork(&mut engine, shell, ChildKind::Process).unwrap();
    assert_eq!(host.fork(&mut engine, shell, ChildKind::Thread).unwrap_err().errno(), Errno::EAGAIN);

    let mut read = |cgroup, name: &str| {
        let file = engine.find_file(cgroup, name).unwrap();
        String::from_utf8(engine.session(&mut host, &root).read(cgroup, file).unwrap()).unwrap()
    };
    assert_eq!((read(child, "pids.current"), read(child, "pids.peak")), ("2\n".into(), "3\n".into()));
    assert_eq!(
        (read(child, "pids.events"), read(parent, "pids.events")),
        ("max 1\n".into(), "max 0\n".into())
    );
    host.exit(&mut engine, second);
    assert!(host.fork(&mut engine, shell, ChildKind::Process).is_ok());
}

#[test]
fn refusal_names_the_cgroup_whose_limit_refuses() {
    let mut world = World::of(1, Pids);
    let parent = world.mkdir(world.top, "parent");
    let child = world.mkdir(parent, "child");
    world.write(parent, "max", "1").unwrap();
    let task = world.spawn_in(child);
    world.engine.watch(true);
    for _ in 0..3 {
        world.host.fork(&mut world.engine, task, ChildKind::Process).unwrap_err();
    }
    let hit = world.engine.take_event();
    let Some(Event::LimitHit { path, file, count, cgroup, hierarchy }) = hit else { panic!("{hit:?}") };
    assert_eq!((path.as_slice(), file.as_str(), count), (&b"/parent"[..], "pids.max", 3));
    assert_eq!((cgroup, hierarchy), (parent, 1));
    assert_eq!(world.engine.take_event(), None);
    world.write(child, "max", "1").unwrap();
    world.host.fork(&mut world.engine, task, ChildKind::Process).unwrap_err();
    let hit = world.engine.take_event();
    assert!(matches!(&hit, Some(Event::LimitHit { path, .. }) if path == b"/parent/child"), "{hit:?}");
}
