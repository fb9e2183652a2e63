//! A host that implements only what it must, and that can refuse forks of some tasks only.

mod common;

use common::Probe;
use penfold_core::{
    CgroupId, CssSetId, Errno, Tid,
    host::{ExistingPages, Host as _, HostView as _, IndexSet},
    subsystem::{Callbacks, CpuTime, Resource},
};
use penfold_testkit::{PlainHost, SimWorld};

/// `/free` and `/limited/below`, the latter limited to nine tasks above, and two tasks at the root.
fn limited() -> (SimWorld<PlainHost>, [CgroupId; 3], [Tid; 2]) {
    let mut world = SimWorld::with_host(PlainHost::with_capacity(3));
    world.load(Probe::new("p", Callbacks::CAN_FORK, &[Resource::Tasks]).0);
    let top = world.mount("p");
    let (free, limited) = (world.mkdir(top, "free"), world.mkdir(top, "limited"));
    let below = world.mkdir(limited, "below");
    world.write(limited, "p.limit", "0 9");
    let tasks = [world.spawn(), world.spawn()];
    (world, [free, limited, below], tasks)
}

#[test]
fn task_beyond_refusal_is_let_into_no_limited_cgroup() {
    let (mut world, [free, limited, below], [task, other]) = limited();
    world.host.without_fork_veto = vec![task];
    assert_eq!(world.try_attach(below, task), Err(Errno::EOPNOTSUPP), "the limit above counts");
    assert_eq!(world.try_attach(limited, task), Err(Errno::EOPNOTSUPP));
    assert_eq!(world.engine.tree().task_count(below), 0);
    assert_eq!(world.try_attach(free, task), Ok(()));
    assert_eq!(world.try_attach(below, other), Ok(()));
    assert_eq!(world.host.with_fork_veto, [other], "from the move on its forks can be refused, and only its");
}

#[test]
fn limit_is_refused_where_a_member_is_beyond_it() {
    let (mut world, [free, limited, below], [task, other]) = limited();
    world.attach(free, task);
    world.attach(below, other);
    world.host.with_fork_veto.clear();
    world.host.without_fork_veto = vec![task];
    assert_eq!(world.try_write(free, "p.limit", "0 5"), Err(Errno::EOPNOTSUPP));
    assert_eq!(world.try_write(free, "p.refuse", "1"), Err(Errno::EOPNOTSUPP), "any fork, so every member");
    assert_eq!(world.host.with_fork_veto, []);
    assert_eq!(world.try_write(limited, "p.limit", "0 8"), Ok(()));
    assert_eq!(world.host.with_fork_veto, [other], "also a member further down");
    world.host.without_fork_veto.clear();
    world.host.with_fork_veto.clear();
    assert_eq!(world.try_write(below, "p.refuse", "1"), Ok(()));
    assert_eq!(world.host.with_fork_veto, [task, other]);
}

#[test]
fn subsystem_that_may_refuse_limits_every_cgroup() {
    let (mut world, [free, ..], [task, _]) = limited();
    world.write(free, "p.refuse", "1");
    world.host.without_fork_veto = vec![task];
    assert_eq!(world.try_attach(free, task), Err(Errno::EOPNOTSUPP));
    world.write(free, "p.refuse", "0");
    assert_eq!(world.try_attach(free, task), Ok(()));
}

#[test]
fn host_without_nodes_classes_and_signals_has_defaults() {
    let (mut world, _, [task, _]) = limited();
    let host = &mut world.host;
    assert_eq!((host.memory_nodes(), host.cpu_limit(), host.node_limit()), (IndexSet::single(0), 2, 1024));
    assert_eq!((host.group(task), host.group(Tid(9999))), (Some(task), None));
    assert_eq!(
        host.set_memory_nodes(task, &IndexSet::single(0), &IndexSet::single(1), ExistingPages::Move),
        Ok(())
    );
    assert_eq!(host.set_socket_class(task, 1), Ok(()));
    assert_eq!(host.signal(task, 15), Err(Errno::EOPNOTSUPP));
}

/// The simulated host keeps the default of the trait, which the plain one replaces.
#[test]
fn every_task_is_visited_set_by_set_by_default() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let g = world.mkdir(top, "g");
    let tasks = [world.spawn(), world.spawn_in(g)];
    let sets: Vec<CssSetId> = world.engine.tree().css_sets().collect();
    let mut every = Vec::new();
    world.host.for_every_task(&sets, &mut |task| every.push(task));
    every.sort_unstable();
    assert_eq!(every, tasks);
}

#[test]
fn one_tasks_time_is_sampled_with_all_by_default() {
    let (mut world, _, [task, _]) = limited();
    let time = CpuTime { user: 2, system: 3 };
    world.host.run(task, 1, time);
    let mut sampled = Vec::new();
    world.host.sample_task(task, &mut |_, cpu, time| sampled.push((cpu, time)));
    assert_eq!(sampled, [(1, time)]);
}
