//! The simulated host keeps what it promises to tests: numbers, members, deaths, affinity.

mod common;

use penfold_core::simulated::SimulatedHost;
use penfold_core::{
    Errno, Tid,
    host::{ExistingPages, Host as _, HostView as _, IndexSet},
    subsystem::CpuTime,
};
use penfold_testkit::SimWorld;

fn set(numbers: &[usize]) -> IndexSet {
    numbers.iter().copied().collect()
}

#[test]
fn tasks_are_numbered_from_one_upward() {
    let mut world = SimWorld::new();
    let (first, second) = (world.spawn(), world.spawn());
    let (thread, child) = (world.thread(first), world.fork(first));
    assert_eq!([first, second, thread, child], [Tid(1), Tid(2), Tid(3), Tid(4)]);
    assert_eq!(world.host.tids(), [first, second, thread, child]);
    let group = |task| world.host.task(task).unwrap().group;
    assert_eq!((group(thread), group(child)), (first, child));
    assert!(world.host.task(Tid(5)).is_none() && world.host.get(Tid(5)).is_none());
}

#[test]
fn zombie_keeps_its_number_until_it_is_reaped() {
    let mut world = SimWorld::new();
    let (leader, other) = (world.spawn(), world.spawn());
    let thread = world.thread(leader);
    world.host.exit_to_zombie(&mut world.engine, leader);
    world.host.reap(other);
    assert_eq!(world.host.tids(), [leader, other, thread], "only the dead can be reaped");
    assert_eq!((world.host.css_set(leader), world.host.task(leader).unwrap().exiting), (None, true));
    let mut threads = Vec::new();
    world.host.for_each_thread(leader, &mut |task| threads.push(task));
    assert_eq!(threads, [thread], "neither the dead nor other groups");
    world.host.reap(leader);
    assert_eq!(world.host.tids(), [other, thread]);
}

#[test]
fn members_follow_their_css_set_and_leave_at_exit() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let g = world.mkdir(top, "g");
    let (task, other) = (world.spawn(), world.spawn());
    let members = |world: &SimWorld, set| {
        let mut members = Vec::new();
        world.host.for_each_task(set, &mut |task| members.push(task));
        members
    };
    let root_set = world.css_set(task);
    assert_eq!(members(&world, root_set), [task, other]);
    world.attach(g, task);
    let set = world.css_set(task);
    assert_eq!((members(&world, root_set), members(&world, set)), (vec![other], vec![task]));
    world.exit(task);
    assert_eq!(members(&world, set), []);
    world.exit(task);
    assert_eq!(world.host.tids(), [other], "a second death is none");
}

#[test]
fn wish_for_cpus_is_kept_and_in_force_where_it_fits() {
    let mut world = SimWorld::with_cpus(4);
    let task = world.spawn();
    world.host.set_affinity(task, &set(&[0, 1])).unwrap();
    let affinity = |world: &SimWorld| world.host.get(task).unwrap().affinity.clone();
    assert_eq!(
        world.host.sched_setaffinity(task, set(&[2, 3])),
        Err(Errno::EINVAL),
        "nothing of it is allowed"
    );
    assert_eq!((affinity(&world), world.host.get(task).unwrap().wish.clone()), (set(&[0, 1]), None));
    assert_eq!(world.host.sched_setaffinity(task, set(&[1, 2])), Ok(()));
    assert_eq!(affinity(&world), set(&[1]));
    world.host.set_affinity(task, &set(&[3])).unwrap();
    assert_eq!(affinity(&world), set(&[3]), "the wish does not fit");
    world.host.set_affinity(task, &set(&[2, 3])).unwrap();
    assert_eq!(affinity(&world), set(&[2]), "it was kept");
    assert_eq!(world.host.sched_setaffinity(Tid(99), set(&[1])), Err(Errno::ESRCH));
    world.host.unbindable.insert(task);
    assert_eq!(world.host.set_affinity(task, &set(&[0])), Err(Errno::EPERM));
    assert_eq!(affinity(&world), set(&[2]));
}

#[test]
fn unmarkable_task_keeps_its_socket_class() {
    let mut world = SimWorld::new();
    let task = world.spawn();
    assert_eq!(world.host.set_socket_class(task, 5), Ok(()));
    world.host.unmarkable.insert(task, Errno::EPERM);
    assert_eq!(world.host.set_socket_class(task, 6), Err(Errno::EPERM));
    assert_eq!(world.host.get(task).unwrap().socket_class, 5);
}

#[test]
fn child_inherits_what_a_process_inherits() {
    let mut world = SimWorld::with_cpus(4);
    let parent = world.host.spawn(&mut world.engine, 7);
    world.host.set_affinity(parent, &set(&[1])).unwrap();
    world.host.set_memory_nodes(parent, &set(&[0]), &set(&[2]), ExistingPages::Move).unwrap();
    world.host.freeze(parent);
    world.host.run(parent, 0, CpuTime { user: 1, system: 1 });
    let child = world.fork(parent);
    let record = world.host.get(child).unwrap().clone();
    assert_eq!((record.facts.real_uid, record.affinity, record.memory), (7, set(&[1]), set(&[2])));
    assert!(!record.frozen && record.migrated_from.is_none() && record.unreported.is_empty());
}

#[test]
fn host_has_one_memory_node_unless_given_more() {
    let mut host = SimulatedHost::new(3);
    assert_eq!((host.cpus(), host.memory_nodes()), (IndexSet::first(3), IndexSet::single(0)));
    host.nodes = set(&[0, 1]);
    assert_eq!(host.memory_nodes(), set(&[0, 1]));
    assert!(host.is_frozen(Tid(1)), "a task that is gone can't run");
}
