//! The limits of a cgroup and their refusals: the listings, and the events for watchers.

mod common;

use common::{Probe, ProbeHandle, world_with};
use penfold_core::{
    CgroupId, Errno, Event, LimitHit, LimitState, Tid,
    host::Capability,
    subsystem::{Callbacks, Resource, Rule, UNLIMITED},
};
use penfold_testkit::SimWorld;

/// Two rules on tasks and forks with files of their own, one without.
fn probe() -> (Probe, ProbeHandle) {
    let (mut probe, handle) = Probe::new("p", Callbacks::CAN_FORK, &[]);
    probe.rules = vec![
        Rule::limited_by(Resource::Tasks, "max"),
        Rule::limited_by(Resource::Forks, "forks").refused_with(Errno::ENOMEM),
        Rule::new(Resource::Tasks),
    ];
    (probe, handle)
}

/// `/a/b` with one task, and `/c`; the probe is the second of three subsystems.
fn world() -> (SimWorld, ProbeHandle, [CgroupId; 4], Tid) {
    let mut world = world_with(&["before"]);
    let (probe, handle) = probe();
    world.load(probe);
    world.load(Probe::plain("after"));
    let top = world.mount("all");
    let a = world.mkdir(top, "a");
    let b = world.mkdir(a, "b");
    let c = world.mkdir(top, "c");
    let task = world.spawn();
    world.attach(b, task);
    (world, handle, [top, a, b, c], task)
}

fn hits(world: &SimWorld, cgroup: CgroupId) -> Vec<(String, String, Option<u64>, u64)> {
    let shown = |hit: LimitHit| {
        assert_eq!(world.engine.tree().path(hit.cgroup), hit.path);
        (String::from_utf8(hit.path).unwrap(), hit.file, hit.limit, hit.failures)
    };
    world.engine.limits_hit(cgroup).into_iter().map(shown).collect()
}

fn hit(path: &str, file: &str, limit: Option<u64>, failures: u64) -> (String, String, Option<u64>, u64) {
    (path.into(), file.into(), limit, failures)
}

#[test]
fn limit_hit_is_found_from_its_cgroup_above_and_below() {
    let (mut world, _, [top, a, b, c], task) = world();
    assert_eq!(hits(&world, top), []);
    world.write(a, "p.limit", "0 1");
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    let expected = [hit("/a", "p.max", Some(1), 2)];
    for cgroup in [top, a, b] {
        assert_eq!(hits(&world, cgroup), expected);
    }
    assert_eq!(hits(&world, c), [], "beside it");
}

#[test]
fn limits_hit_are_listed_from_above_downward() {
    let (mut world, handle, [top, a, b, c], task) = world();
    world.write(b, "p.limit", "1 0");
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM), "the errno of the rule");
    world.write(b, "p.limit", "1 max");
    world.write(a, "p.limit", "2 1");
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    world.write(a, "p.limit", "2 max");
    handle.records().faults.veto_fork = true;
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM));
    world.attach(c, task);
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM));
    let expected = [
        hit("/a", "p", Some(UNLIMITED), 1),
        hit("/c", "p", None, 1),
        hit("/a/b", "p.forks", Some(UNLIMITED), 1),
        hit("/a/b", "p", None, 1),
    ];
    assert_eq!(hits(&world, top), expected);
    assert_eq!(hits(&world, b), [expected[0].clone(), expected[2].clone(), expected[3].clone()]);
    world.attach(top, task);
    world.rmdir(b);
    assert_eq!(hits(&world, b), [], "a removed cgroup");
    assert_eq!(hits(&world, a), expected[..1]);
}

/// File, limit, use, peak and failures of each limit.
fn limits(world: &SimWorld, cgroup: CgroupId) -> Vec<(String, Option<u64>, u64, u64, u64)> {
    let fields = |state: LimitState| (state.file, state.limit, state.used, state.peak, state.failures);
    world.engine.limits(cgroup).into_iter().map(fields).collect()
}

#[test]
fn limits_of_a_cgroup_show_usage_peak_and_refusals() {
    let (mut world, handle, [top, a, b, c], task) = world();
    let second = world.fork(task);
    world.exit(second);
    world.write(a, "p.limit", "0 1");
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    let state = |file: &str, limit, used, peak, failures| (file.to_owned(), limit, used, peak, failures);
    let expected = [state("p.max", Some(1), 1, 2, 1), state("p.forks", None, 1, 1, 0)];
    assert_eq!(limits(&world, a), expected, "a rule without a file has no limit to be set");
    // charged before the limit above refused
    assert_eq!(limits(&world, b), [state("p.max", None, 1, 2, 0), state("p.forks", None, 1, 1, 0)]);
    assert_eq!(limits(&world, c), [state("p.max", None, 0, 0, 0), state("p.forks", None, 0, 0, 0)]);
    assert_eq!(limits(&world, top), [], "a root has no files of limits");
    world.write(a, "p.limit", "0 max");
    handle.records().faults.veto_fork = true;
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM));
    assert_eq!(limits(&world, b).pop(), Some(state("p", None, 0, 0, 1)), "the subsystem's own refusal");
    world.rmdir(c);
    assert_eq!(limits(&world, c), []);
}

/// Takes all events, and returns those about limits.
fn refusals(world: &mut SimWorld) -> Vec<(String, String, u64)> {
    let shown = world.events().into_iter().filter_map(|event| match event {
        Event::LimitHit { hierarchy, path, file, count, cgroup } => {
            assert_eq!((hierarchy, world.engine.tree().path(cgroup)), (1, path.clone()));
            Some((String::from_utf8(path).unwrap(), file, count))
        }
        Event::Populated { .. } => None,
        other => panic!("{other:?}"),
    });
    shown.collect()
}

fn refusal(path: &str, file: &str, count: u64) -> (String, String, u64) {
    (path.into(), file.into(), count)
}

#[test]
fn event_names_the_limit_that_refused() {
    let (mut world, _, [_, a, b, _], task) = world();
    world.engine.watch(true);
    world.write(a, "p.limit", "0 1");
    world.write(b, "p.limit", "0 5");
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    assert!(world.engine.has_notifications());
    assert_eq!(refusals(&mut world), [refusal("/a", "p.max", 1)], "the full one, not the nearest");
    assert!(!world.engine.has_notifications());
    world.write(b, "p.limit", "0 1");
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    assert_eq!(refusals(&mut world), [refusal("/a/b", "p.max", 1)], "the nearest of two that are full");
    world.write(b, "p.limit", "0 max");
    world.write(a, "p.limit", "0 max");
    world.write(a, "p.limit", "1 0");
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM));
    assert_eq!(refusals(&mut world), [refusal("/a", "p.forks", 1)]);
}

#[test]
fn refusals_in_a_row_are_one_event() {
    let (mut world, _, [_, a, b, _], task) = world();
    world.engine.watch(true);
    world.write(a, "p.limit", "0 1");
    for _ in 0..3 {
        assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    }
    world.write(a, "p.limit", "1 0");
    world.write(a, "p.limit", "0 max");
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM));
    world.write(b, "p.limit", "1 0");
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM));
    let expected = [refusal("/a", "p.max", 3), refusal("/a", "p.forks", 1), refusal("/a/b", "p.forks", 1)];
    assert_eq!(refusals(&mut world), expected, "another file or another cgroup is another event");
}

#[test]
fn subsystems_own_refusal_is_an_event() {
    let (mut world, handle, _, task) = world();
    handle.records().faults.veto_fork = true;
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM));
    assert_eq!(world.engine.take_event(), None, "nobody watches yet");
    world.engine.watch(true);
    assert_eq!(world.try_fork(task), Err(Errno::ENOMEM));
    assert_eq!(refusals(&mut world), [refusal("/a/b", "p", 1)]);
}

#[test]
fn release_waits_to_be_taken_as_an_event_does() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x,release_agent=/agent");
    let g = world.mkdir(top, "g");
    let task = world.spawn();
    world.write(g, "notify_on_release", "1");
    world.attach(g, task);
    assert!(!world.engine.has_notifications());
    world.exit(task);
    assert!(world.engine.has_notifications());
    assert_eq!(world.releases(), [("/agent".into(), "/g".into())]);
    assert!(!world.engine.has_notifications());
}

#[test]
fn fork_would_pass_says_what_a_fork_would_answer() {
    let (mut world, _, [_, a, b, _], task) = world();
    let set = world.css_set(task);
    assert!(world.engine.fork_would_pass(set));
    for (cgroup, limit, passes) in [
        (a, "0 1", false),
        (a, "0 2", true),
        (b, "1 0", false),
        (b, "1 1", true),
        (a, "2 1", false),
        (a, "2 max", true),
    ] {
        world.write(cgroup, "p.limit", limit);
        assert_eq!(world.engine.fork_would_pass(set), passes, "{limit}");
    }
    assert_eq!(hits(&world, a), [], "asking counts as no refusal");
    let child = world.fork(task);
    assert!(!world.engine.fork_would_pass(set), "both limits are reached");
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    world.exit(child);
}

#[test]
fn fork_would_pass_whatever_limits_other_resources() {
    let mut world = SimWorld::new();
    let resources = [Resource::Sockets, Resource::CpuTime, Resource::Tasks];
    world.load(Probe::new("p", Callbacks::empty(), &resources).0);
    let top = world.mount("p");
    world.write(top, "p.limit", "0 0");
    world.write(top, "p.limit", "1 0");
    let task = world.spawn();
    let set = world.css_set(task);
    assert!(world.engine.fork_would_pass(set));
    assert!(world.try_fork(task).is_ok());
    assert!(!world.engine.limits_forks(set));
}

#[test]
fn tasks_forks_are_limited_where_a_limit_stands_above() {
    let (mut world, handle, [top, a, b, c], task) = world();
    let other = world.spawn();
    world.attach(c, other);
    let sets = |world: &SimWorld| {
        let set = |task| world.css_set(task);
        (world.engine.limits_forks(set(task)), world.engine.limits_forks(set(other)))
    };
    assert_eq!(sets(&world), (false, false));
    world.write(a, "p.limit", "1 9");
    assert_eq!(sets(&world), (true, false));
    world.write(a, "p.limit", "1 max");
    world.write(top, "p.limit", "0 9");
    assert_eq!(sets(&world), (true, true));
    world.write(top, "p.limit", "0 max");
    assert_eq!(sets(&world), (false, false));
    world.write(b, "p.refuse", "1");
    assert_eq!(sets(&world), (true, true), "a subsystem refuses anywhere");
    drop(handle);
}

#[test]
fn counter_keeps_its_peak_and_refuses_only_above_its_limit() {
    let mut counter = penfold_core::subsystem::Counter { limit: 3, ..Default::default() };
    assert!(counter.try_charge(3));
    assert!(!counter.try_charge(1));
    assert_eq!((counter.usage, counter.peak, counter.failures), (3, 3, 1));
    counter.uncharge(2);
    assert_eq!((counter.usage, counter.peak), (1, 3));
    assert!(!counter.try_charge(u64::MAX), "an overflow is above every limit but none");
    counter.charge(9);
    assert_eq!((counter.usage, counter.peak, counter.failures), (10, 10, 2));
    counter.uncharge(10);
    assert_eq!(counter.usage, 0);
}

#[test]
fn rule_refuses_with_eagain_unless_it_says_otherwise() {
    let rule = Rule::limited_by(Resource::Forks, "max");
    assert_eq!((rule.errno, &*rule.limit_file), (Errno::EAGAIN, "max"));
    let other = rule.clone().refused_with(Errno::EPERM);
    assert_eq!(other, Rule { errno: Errno::EPERM, ..rule });
    assert_eq!(Rule::new(Resource::Forks).limit_file, "");
    assert_eq!(Capability::ForkVeto.to_string(), "refusal of forks");
}
