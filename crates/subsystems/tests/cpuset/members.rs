//! The effects of a cpuset on tasks.

use penfold_core::simulated::SimulatedHost;
use penfold_core::{
    Engine, Errno, MoveScope,
    host::{Capability, IndexSet},
    simulated::ChildKind,
};
use penfold_subsystems::Cpuset;

use crate::{World, administrator};

/// T5
#[test]
fn empty_cpuset_takes_no_task_and_tasks_keep_it_filled() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    let task = w.spawn();
    assert_eq!(w.attach(g, task), Err(Errno::ENOSPC));
    w.write(g, "cpus", "0").unwrap();
    assert_eq!(w.attach(g, task), Err(Errno::ENOSPC));
    w.write(g, "mems", "0").unwrap();
    assert_eq!(w.attach(g, task), Ok(()));
    assert_eq!(w.write(g, "cpus", "\n"), Err(Errno::ENOSPC));
    assert_eq!(w.write(g, "mems", "\n"), Err(Errno::ENOSPC));
    assert_eq!((w.read(g, "cpus"), w.read(g, "mems")), ("0\n".into(), "0\n".into()));
    w.attach(w.root, task).unwrap();
    assert_eq!((w.write(g, "cpus", "\n"), w.write(g, "mems", "\n")), (Ok(()), Ok(())));
    assert_eq!(w.read(g, "cpus"), "\n");
}

#[test]
fn a_cpuset_can_be_emptied_when_its_last_task_has_died() {
    let mut w = World::new();
    let g = w.cpuset(w.root, "g", "0");
    let task = w.spawn();
    w.attach(g, task).unwrap();
    w.host.exit(&mut w.engine, task);
    assert_eq!(w.write(g, "cpus", "\n"), Ok(()));
}

#[test]
fn members_follow_the_cpus_at_a_move_and_at_a_change() {
    let mut w = World::new();
    let g = w.cpuset(w.root, "g", "0");
    let process = w.spawn();
    let thread = w.host.fork(&mut w.engine, process, ChildKind::Thread).unwrap();
    let stranger = w.spawn();
    w.engine.session(&mut w.host, &administrator()).attach(g, process, MoveScope::ThreadGroup).unwrap();
    assert_eq!((w.affinity(process), w.affinity(thread)), ("0".into(), "0".into()));
    w.write(g, "cpus", "1").unwrap();
    assert_eq!((w.affinity(process), w.affinity(thread)), ("1".into(), "1".into()));
    let child = w.host.fork(&mut w.engine, thread, ChildKind::Process).unwrap();
    assert_eq!(w.affinity(child), "1", "inherited");
    w.attach(w.root, thread).unwrap();
    assert_eq!((w.affinity(process), w.affinity(thread)), ("1".into(), "0-1".into()));
    assert_eq!(w.affinity(stranger), "0-1");
}

#[test]
fn write_of_the_same_cpus_leaves_members_alone() {
    let mut w = World::new();
    let g = w.cpuset(w.root, "g", "0-1");
    let task = w.spawn();
    w.attach(g, task).unwrap();
    w.host.get_mut(task).unwrap().affinity = IndexSet::single(1);
    w.write(g, "cpus", "0-1").unwrap();
    assert_eq!(w.affinity(task), "1");
    let narrow = w.cpuset(w.root, "narrow", "0");
    w.host.cannot = vec![Capability::Affinity];
    assert_eq!(w.write(narrow, "cpus", "0"), Ok(()), "nothing is asked of the host");
}

#[test]
fn memory_follows_only_with_memory_migrate() {
    let mut w = World::new();
    w.host.nodes = IndexSet::first(2);
    let mut w = {
        // The root gets the nodes when it is mounted again.
        w.engine.unmount(&mut w.host, w.root).unwrap();
        let root = w.engine.session(&mut w.host, &administrator()).mount("cpuset").unwrap().root;
        World { root, ..w }
    };
    let g = w.cpuset(w.root, "g", "0");
    let (first, second) = (w.spawn(), w.spawn());
    let thread = w.host.fork(&mut w.engine, second, ChildKind::Thread).unwrap();
    w.attach(g, first).unwrap();
    assert_eq!(w.memory(first), "0");
    assert_eq!(w.host.get(first).unwrap().migrated_from, None);
    w.write(g, "memory_migrate", "1").unwrap();
    w.engine.session(&mut w.host, &administrator()).attach(g, second, MoveScope::ThreadGroup).unwrap();
    assert_eq!(w.host.get(second).unwrap().migrated_from, Some(IndexSet::first(2)));
    assert_eq!(w.host.get(thread).unwrap().migrated_from, None, "once for the process");
    w.write(g, "mems", "1").unwrap();
    assert_eq!(w.host.get(first).unwrap().migrated_from, Some(IndexSet::single(0)));
    assert_eq!((w.memory(first), w.memory(thread)), ("1".into(), "1".into()));
}

#[test]
fn host_that_can_not_bind_refuses_only_narrower_sets() {
    let mut w = World::new();
    w.host.cannot = vec![Capability::Affinity];
    let g = w.mkdir(w.root, "g");
    assert_eq!(w.write(g, "cpus", "0"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.read(g, "cpus"), "\n");
    assert_eq!(w.write(g, "cpus", "0-1"), Ok(()));
    assert_eq!(w.write(g, "cpus", "7"), Err(Errno::ERANGE), "what is wrong anyway comes first");
    w.host.nodes = IndexSet::first(2);
    w.host.cannot = vec![Capability::MemoryNodes];
    assert_eq!(w.write(g, "mems", "0"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.write(g, "cpus", "0"), Ok(()));
}

#[test]
fn member_that_can_not_be_bound_undoes_the_change() {
    let mut w = World::new();
    let g = w.cpuset(w.root, "g", "0");
    let tasks = [w.spawn(), w.spawn(), w.spawn()];
    for task in tasks {
        w.attach(g, task).unwrap();
    }
    w.host.unbindable.insert(tasks[1]);
    assert_eq!(w.write(g, "cpus", "1"), Err(Errno::EPERM));
    assert_eq!(w.read(g, "cpus"), "0\n");
    assert_eq!(tasks.map(|task| w.affinity(task)), ["0", "0", "0"]);
}

#[test]
fn loading_late_and_binding_again_disturb_no_task() {
    let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(4));
    let task = host.spawn(&mut engine, 0);
    host.get_mut(task).unwrap().affinity = IndexSet::single(3);
    engine.load(&mut host, Cpuset::default()).unwrap();
    for _ in 0..2 {
        let root = engine.session(&mut host, &administrator()).mount("cpuset").unwrap().root;
        engine.unmount(&mut host, root).unwrap();
    }
    engine.unload(&mut host, "cpuset").unwrap();
    assert_eq!(host.get(task).unwrap().affinity, IndexSet::single(3));
}

#[test]
fn move_between_equal_cpusets_keeps_a_tasks_own_affinity() {
    let mut w = World::new();
    let (g, h) = (w.cpuset(w.root, "g", "0-1"), w.cpuset(w.root, "h", "0-1"));
    let task = w.spawn();
    w.attach(g, task).unwrap();
    w.host.get_mut(task).unwrap().affinity = IndexSet::single(1);
    w.attach(h, task).unwrap();
    assert_eq!(w.affinity(task), "1");
}

#[test]
fn v2_mode_keeps_configured_and_effective_lists_apart() {
    let mut w = World::with(4, "cpuset,cpuset_v2_mode");
    let parent = w.mkdir(w.root, "B");
    let child = w.mkdir(parent, "c");
    assert_eq!(w.read(child, "effective_cpus"), "0-3\n");
    let task = w.spawn();
    w.attach(child, task).unwrap();
    w.write(parent, "cpus", "0-1").unwrap();
    assert_eq!(w.affinity(task), "0-1", "the change reaches the tasks below");
    w.write(child, "cpus", "1-2").unwrap();
    assert_eq!((w.read(child, "cpus"), w.read(child, "effective_cpus")), ("1-2\n".into(), "1\n".into()));
    assert_eq!(w.affinity(task), "1");
    w.write(parent, "cpus", "3").unwrap();
    assert_eq!((w.read(child, "effective_cpus"), w.affinity(task)), ("3\n".into(), "3".into()));
}
