//! The effects of a cpuset on tasks.

use penfold_core::{
    Errno,
    host::{Capability, IndexSet},
};
use penfold_testkit::SimWorld;

use super::{Cpusets as _, world, world_with};

/// T5
#[test]
fn empty_cpuset_takes_no_task_and_tasks_keep_it_filled() {
    let mut w = world();
    let g = w.mkdir(w.top, "g");
    let task = w.spawn();
    assert_eq!(w.try_attach(g, task), Err(Errno::ENOSPC));
    w.write(g, "cpus", "0");
    assert_eq!(w.try_attach(g, task), Err(Errno::ENOSPC));
    w.write(g, "mems", "0");
    assert_eq!(w.try_attach(g, task), Ok(()));
    assert_eq!(w.try_write(g, "cpus", "\n"), Err(Errno::ENOSPC));
    assert_eq!(w.try_write(g, "mems", "\n"), Err(Errno::ENOSPC));
    assert_eq!((w.read(g, "cpus"), w.read(g, "mems")), ("0\n".into(), "0\n".into()));
    w.attach(w.top, task);
    assert_eq!((w.try_write(g, "cpus", "\n"), w.try_write(g, "mems", "\n")), (Ok(()), Ok(())));
    assert_eq!(w.read(g, "cpus"), "\n");
}

#[test]
fn a_cpuset_can_be_emptied_when_its_last_task_has_died() {
    let mut w = world();
    let g = w.cpuset(w.top, "g", "0");
    let task = w.spawn();
    w.attach(g, task);
    w.exit(task);
    assert_eq!(w.try_write(g, "cpus", "\n"), Ok(()));
}

#[test]
fn members_follow_the_cpus_at_a_move_and_at_a_change() {
    let mut w = world();
    let g = w.cpuset(w.top, "g", "0");
    let process = w.spawn();
    let thread = w.thread(process);
    let stranger = w.spawn();
    w.attach_group(g, process);
    assert_eq!((w.affinity(process), w.affinity(thread)), ("0".into(), "0".into()));
    w.write(g, "cpus", "1");
    assert_eq!((w.affinity(process), w.affinity(thread)), ("1".into(), "1".into()));
    let child = w.fork(thread);
    assert_eq!(w.affinity(child), "1", "inherited");
    w.attach(w.top, thread);
    assert_eq!((w.affinity(process), w.affinity(thread)), ("1".into(), "0-1".into()));
    assert_eq!(w.affinity(stranger), "0-1");
}

#[test]
fn write_of_the_same_cpus_leaves_members_alone() {
    let mut w = world();
    let g = w.cpuset(w.top, "g", "0-1");
    let task = w.spawn();
    w.attach(g, task);
    w.host.get_mut(task).unwrap().affinity = IndexSet::single(1);
    w.write(g, "cpus", "0-1");
    assert_eq!(w.affinity(task), "1");
    let narrow = w.cpuset(w.top, "narrow", "0");
    w.host.cannot = vec![Capability::Affinity];
    assert_eq!(w.try_write(narrow, "cpus", "0"), Ok(()), "nothing is asked of the host");
}

#[test]
fn memory_follows_only_with_memory_migrate() {
    let mut w = world();
    w.host.nodes = IndexSet::first(2);
    // The root gets the nodes when it is mounted again.
    w.unmount(w.top);
    w.top = w.mount("cpuset");
    let g = w.cpuset(w.top, "g", "0");
    let (first, second) = (w.spawn(), w.spawn());
    let thread = w.thread(second);
    w.attach(g, first);
    assert_eq!(w.memory(first), "0");
    assert_eq!(w.host.get(first).unwrap().migrated_from, None);
    w.write(g, "memory_migrate", "1");
    w.attach_group(g, second);
    assert_eq!(w.host.get(second).unwrap().migrated_from, Some(IndexSet::first(2)));
    assert_eq!(w.host.get(thread).unwrap().migrated_from, None, "once for the process");
    w.write(g, "mems", "1");
    assert_eq!(w.host.get(first).unwrap().migrated_from, Some(IndexSet::single(0)));
    assert_eq!((w.memory(first), w.memory(thread)), ("1".into(), "1".into()));
}

#[test]
fn host_that_can_not_bind_refuses_only_narrower_sets() {
    let mut w = world();
    w.host.cannot = vec![Capability::Affinity];
    let g = w.mkdir(w.top, "g");
    assert_eq!(w.try_write(g, "cpus", "0"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.read(g, "cpus"), "\n");
    assert_eq!(w.try_write(g, "cpus", "0-1"), Ok(()));
    assert_eq!(w.try_write(g, "cpus", "7"), Err(Errno::ERANGE), "what is wrong anyway comes first");
    w.host.nodes = IndexSet::first(2);
    w.host.cannot = vec![Capability::MemoryNodes];
    assert_eq!(w.try_write(g, "mems", "0"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.try_write(g, "cpus", "0"), Ok(()));
}

#[test]
fn member_that_can_not_be_bound_undoes_the_change() {
    let mut w = world();
    let g = w.cpuset(w.top, "g", "0");
    let tasks = [w.spawn(), w.spawn(), w.spawn()];
    for task in tasks {
        w.attach(g, task);
    }
    w.host.unbindable.insert(tasks[1]);
    assert_eq!(w.try_write(g, "cpus", "1"), Err(Errno::EPERM));
    assert_eq!(w.read(g, "cpus"), "0\n");
    assert_eq!(tasks.map(|task| w.affinity(task)), ["0", "0", "0"]);
}

#[test]
fn loading_late_and_binding_again_disturb_no_task() {
    let mut w = SimWorld::with_cpus(4);
    let task = w.spawn();
    w.host.get_mut(task).unwrap().affinity = IndexSet::single(3);
    w.load(crate::subject::cpuset());
    for _ in 0..2 {
        let root = w.mount("cpuset");
        w.unmount(root);
    }
    w.unload("cpuset");
    assert_eq!(w.host.get(task).unwrap().affinity, IndexSet::single(3));
}

#[test]
fn move_between_equal_cpusets_keeps_a_tasks_own_affinity() {
    let mut w = world();
    let (g, h) = (w.cpuset(w.top, "g", "0-1"), w.cpuset(w.top, "h", "0-1"));
    let task = w.spawn();
    w.attach(g, task);
    w.host.get_mut(task).unwrap().affinity = IndexSet::single(1);
    w.attach(h, task);
    assert_eq!(w.affinity(task), "1");
}

#[test]
fn adopted_task_is_bound_to_its_first_cpuset() {
    let mut w = world();
    let g = w.cpuset(w.top, "g", "0-1");
    let member = w.spawn();
    w.attach(g, member);
    let set = w.css_set(member);
    let adopted = w.host.create(None, 0);
    w.engine.adopt_into(&mut w.host, adopted, set);
    assert_eq!(w.affinity(adopted), "0-1");
    let outside = w.host.create(None, 0);
    w.host.get_mut(outside).unwrap().affinity = IndexSet::single(1);
    w.engine.adopt(&mut w.host, outside);
    assert_eq!(w.affinity(outside), "1", "the root leaves a task its own");
}

#[test]
fn v2_mode_keeps_configured_and_effective_lists_apart() {
    let mut w = world_with(4, "cpuset,cpuset_v2_mode");
    let parent = w.mkdir(w.top, "B");
    let child = w.mkdir(parent, "c");
    assert_eq!(w.read(child, "effective_cpus"), "0-3\n");
    let task = w.spawn();
    w.attach(child, task);
    w.write(parent, "cpus", "0-1");
    assert_eq!(w.affinity(task), "0-1", "the change reaches the tasks below");
    w.write(child, "cpus", "1-2");
    assert_eq!((w.read(child, "cpus"), w.read(child, "effective_cpus")), ("1-2\n".into(), "1\n".into()));
    assert_eq!(w.affinity(task), "1");
    w.write(parent, "cpus", "3");
    assert_eq!((w.read(child, "effective_cpus"), w.affinity(task)), ("3\n".into(), "3".into()));
}
