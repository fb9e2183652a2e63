//! The services that a subsystem's callbacks have, with an engine and the simulated host.

mod common;

use std::sync::{Arc, Mutex};

use common::{Probe, world_with};
use penfold_core::{
    Caller, CgroupId, Errno, Error, Result, Tid,
    control_file::ControlFile,
    host::{Capability, ExistingPages, HostView as _, IndexSet},
    subsystem::{Callbacks, Context, Counter, CpuTime, Css, Resource, Rule, Subsystem, UNLIMITED},
    tree::HierarchyFlags,
};
use penfold_testkit::SimWorld;

type Ctx<'a> = Context<'a, Asked>;
type Question = Box<dyn FnOnce(&mut Ctx<'_>) + Send>;

/// A subsystem whose file `ask` runs the next question in its cgroup.
struct Asked {
    next: Arc<Mutex<Option<Question>>>,
}

const TASKS: usize = 0;
const CPU: usize = 1;

impl Subsystem for Asked {
    /// The path when the css was made.
    type State = String;

    const NAME: &'static str = "asked";
    const RULES: &'static [Rule] = &[Rule::limited_by(Resource::Tasks, "max"), Rule::new(Resource::CpuTime)];
    const CALLBACKS: Callbacks = Callbacks::CAN_FORK;
    const REFUSAL_FILE: &'static str = "refuse";
    const FILES: &'static [ControlFile<Asked>] =
        &[ControlFile::new("ask").trigger(ask), ControlFile::new("seven").private(7).trigger(ask)];

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<String> {
        Ok(ctx.path_of(ctx.css()))
    }

    fn destroy(&mut self, _: &mut Ctx<'_>) {}
}

fn ask(asked: &mut Asked, ctx: &mut Ctx<'_>) -> Result<()> {
    let question = asked.next.lock().unwrap().take().expect("a question");
    question(ctx);
    Ok(())
}

struct Asking {
    world: SimWorld,
    next: Arc<Mutex<Option<Question>>>,
    top: CgroupId,
}

impl Asking {
    fn new() -> Asking {
        let mut world = SimWorld::new();
        let next: Arc<Mutex<Option<Question>>> = Arc::default();
        world.load(Asked { next: next.clone() });
        let top = world.mount("asked,xattr");
        Asking { world, next, top }
    }

    /// Runs the question in a callback about that cgroup.
    fn ask<R: Send + 'static>(
        &mut self,
        cgroup: CgroupId,
        question: impl FnOnce(&mut Ctx<'_>) -> R + Send + 'static,
    ) -> R {
        self.ask_through("asked.ask", cgroup, question)
    }

    fn ask_through<R: Send + 'static>(
        &mut self,
        file: &str,
        cgroup: CgroupId,
        question: impl FnOnce(&mut Ctx<'_>) -> R + Send + 'static,
    ) -> R {
        let answer = Arc::new(Mutex::new(None));
        let kept = answer.clone();
        let question: Question = Box::new(move |ctx| *kept.lock().unwrap() = Some(question(ctx)));
        *self.next.lock().unwrap() = Some(question);
        self.world.write(cgroup, file, "1");
        answer.lock().unwrap().take().expect("answered")
    }

    /// `/a`, `/a/b`, `/c`
    fn tree(&mut self) -> [CgroupId; 3] {
        let a = self.world.mkdir(self.top, "a");
        let b = self.world.mkdir(a, "b");
        [a, b, self.world.mkdir(self.top, "c")]
    }
}

#[test]
fn callback_sees_the_tree_around_its_css() {
    let mut asking = Asking::new();
    let [a, b, _] = asking.tree();
    let (parent, grandparent) = asking.ask(b, |ctx| {
        let parent = ctx.parent().unwrap();
        (ctx.path_of(parent), ctx.parent_of(parent).map(|top| ctx.path_of(top)))
    });
    assert_eq!((&*parent, grandparent.as_deref()), ("/a", Some("/")));
    let (children, roots_parent, is_root) = asking.ask(asking.top, |ctx| {
        let children = ctx.children_of(ctx.css());
        (children.iter().map(|&child| ctx.path_of(child)).collect::<Vec<_>>(), ctx.parent(), ctx.is_root())
    });
    assert_eq!((children, roots_parent, is_root), (vec!["/a".into(), "/c".into()], None, true));
    assert!(!asking.ask(a, |ctx| ctx.is_root()));
    let below = |ctx: &mut Ctx<'_>| {
        let all = ctx.subtree_of(ctx.css());
        all.iter().map(|&css| ctx.path_of(css)).collect::<Vec<_>>()
    };
    assert_eq!(asking.ask(asking.top, below), ["/", "/a", "/c", "/a/b"], "parents before children");
    assert_eq!(asking.ask(b, below), ["/a/b"]);
}

#[test]
fn css_is_alive_from_create_to_destroy() {
    let mut asking = Asking::new();
    let [_, b, c] = asking.tree();
    let css = asking.ask(b, |ctx| ctx.css());
    assert!(asking.ask(c, move |ctx| ctx.host().is_alive(css)));
    asking.world.rmdir(b);
    assert!(!asking.ask(c, move |ctx| ctx.host().is_alive(css)));
    assert!(!asking.ask(c, |ctx| ctx.host().is_alive(Css::from_number(1000))));
}

#[test]
fn states_of_other_css_can_be_read_and_changed() {
    let mut asking = Asking::new();
    let [a, b, _] = asking.tree();
    let (own, above) = asking.ask(b, |ctx| {
        let parent = ctx.parent().unwrap();
        ctx.state_of_mut(parent).push('!');
        ctx.state_mut().push('?');
        (ctx.state().clone(), ctx.state_of(parent).clone())
    });
    assert_eq!((&*own, &*above), ("/a/b?", "/a!"));
    assert_eq!(asking.ask(a, |ctx| ctx.state().clone()), "/a!");
}

#[test]
fn callback_sees_the_members_of_any_css() {
    let mut asking = Asking::new();
    let [a, b, c] = asking.tree();
    let (first, second) = (asking.world.spawn(), asking.world.spawn());
    asking.world.attach(b, second);
    asking.world.attach(b, first);
    let members = |ctx: &mut Ctx<'_>| (ctx.tasks_of(ctx.css()), ctx.has_tasks(ctx.css()));
    assert_eq!(asking.ask(b, members), (vec![first, second], true));
    assert_eq!(asking.ask(a, members), (vec![], false), "not those below");
    assert_eq!(asking.ask(c, members), (vec![], false));
}

#[test]
fn callback_sees_the_flags_of_its_hierarchy() {
    let mut asking = Asking::new();
    assert_eq!(asking.ask(asking.top, |ctx| ctx.hierarchy_flags()), HierarchyFlags::XATTR);
}

#[test]
fn callback_sees_its_caller_and_its_files_private_value() {
    let mut asking = Asking::new();
    let caller = asking.ask(asking.top, |ctx| ctx.caller().cloned());
    assert_eq!(caller, Some(Caller::root(Tid(1))));
    assert_eq!(asking.ask_through("asked.seven", asking.top, |ctx| ctx.private()), 7);
    assert_eq!(asking.ask(asking.top, |ctx| ctx.private()), 0);
}

#[test]
fn callback_sees_the_engine_from_inside() {
    let mut asking = Asking::new();
    let [_, b, _] = asking.tree();
    let task = asking.world.spawn();
    let found = asking.ask(b, move |ctx| {
        let inside = ctx.engine_view().unwrap();
        (inside.cgroup, inside.tree.path(inside.cgroup), inside.host.task(task).map(|facts| facts.group))
    });
    assert_eq!(found, (b, b"/a/b".to_vec(), Some(task)));
}

#[test]
fn counters_are_one_for_each_rule_and_css() {
    let mut asking = Asking::new();
    let [a, b, c] = asking.tree();
    assert_eq!(asking.ask(a, |ctx| ctx.host().rule_count()), 2);
    let task = asking.world.spawn();
    asking.world.attach(b, task);
    asking.ask(b, |ctx| ctx.set_limit(ctx.css(), TASKS, 5)).unwrap();
    let counter = |rule| move |ctx: &mut Ctx<'_>| ctx.counter(ctx.css(), rule);
    let one = Counter { usage: 1, peak: 1, ..Counter::default() };
    assert_eq!(asking.ask(b, counter(TASKS)), Counter { limit: 5, ..one });
    assert_eq!(asking.ask(a, counter(TASKS)), one);
    assert_eq!(asking.ask(c, counter(TASKS)), Counter::default());
    assert_eq!(asking.ask(b, counter(CPU)), Counter::default());
    asking.world.attach(c, task);
    assert_eq!(asking.ask(b, counter(TASKS)).peak, 1);
    let css = asking.ask(b, |ctx| ctx.css());
    asking.ask(c, move |ctx| ctx.reset_peak(css, TASKS));
    assert_eq!(asking.ask(b, counter(TASKS)), Counter { limit: 5, ..Counter::default() });
    assert_eq!(asking.ask(a, counter(TASKS)).peak, 1, "only that css");
}

#[test]
fn cpu_time_is_one_sum_or_by_cpu_and_can_be_forgotten() {
    let mut asking = Asking::new();
    let [a, b, _] = asking.tree();
    let task = asking.world.spawn();
    asking.world.attach(b, task);
    asking.world.host.run(task, 0, CpuTime { user: 3, system: 4 });
    asking.world.host.run(task, 1, CpuTime { user: 10, system: 20 });
    let time = |ctx: &mut Ctx<'_>| ctx.cpu_time(ctx.css());
    assert_eq!(asking.ask(b, time), CpuTime { user: 13, system: 24 });
    assert_eq!(asking.ask(b, |ctx| ctx.cpu_usage(ctx.css()).on(1)), CpuTime { user: 10, system: 20 });
    assert_eq!(asking.ask(b, |ctx| ctx.cpu_usage(ctx.css()).on(2)), CpuTime::default());
    assert_eq!(asking.world.engine.cpu_usage(b), Some(CpuTime { user: 13, system: 24 }));
    asking.ask(b, |ctx| ctx.reset_cpu_usage(ctx.css()));
    assert_eq!(asking.ask(b, time), CpuTime::default());
    assert_eq!(asking.ask(a, time), CpuTime { user: 13, system: 24 }, "the parent keeps it");
}

#[test]
fn cpu_usage_of_a_cgroup_without_a_counter_is_none() {
    let mut asking = Asking::new();
    let [_, b, _] = asking.tree();
    let other = asking.world.mount("none,name=other");
    assert_eq!(asking.world.engine.cpu_usage(other), None);
    assert_eq!(asking.world.engine.cpu_usage(b), Some(CpuTime::default()));
    asking.world.rmdir(b);
    assert_eq!(asking.world.engine.cpu_usage(b), None);
}

#[test]
fn cpu_usage_is_that_of_the_first_subsystem_that_counts() {
    let mut world = world_with(&["before"]);
    for name in ["p", "q"] {
        world.load(Probe::new(name, Callbacks::empty(), &[Resource::CpuTime]).0);
    }
    let top = world.mount("all");
    let task = world.spawn();
    let time = CpuTime { user: 5, system: 6 };
    world.host.run(task, 1, time);
    world.engine.sample_cpu(&mut world.host);
    assert_eq!(world.engine.cpu_usage(top), Some(time));
}

#[test]
fn callback_sees_what_the_host_has() {
    let mut asking = Asking::new();
    let leader = asking.world.host.spawn(&mut asking.world.engine, 42);
    let thread = asking.world.thread(leader);
    asking.world.host.clock = 12_345;
    asking.world.host.nodes = [0, 2].into_iter().collect();
    let (cpus, nodes, cpu_limit, node_limit, now) = asking.ask(asking.top, |ctx| {
        let host = ctx.host();
        (host.cpus(), host.memory_nodes(), host.cpu_limit(), host.node_limit(), host.now())
    });
    assert_eq!((cpus, nodes), (IndexSet::first(2), [0, 2].into_iter().collect()));
    assert_eq!((cpu_limit, node_limit, now), (2, 1024, 12_345));
    let (facts, threads, nobody) = asking.ask(asking.top, move |ctx| {
        (ctx.host().task(thread), ctx.host().threads_of(leader), ctx.host().task(Tid(9999)))
    });
    let facts = facts.unwrap();
    assert_eq!((facts.group, facts.real_uid, threads), (leader, 42, vec![leader, thread]));
    assert_eq!(nobody, None);
}

#[test]
fn callback_acts_on_tasks_through_the_host() {
    let mut asking = Asking::new();
    let task = asking.world.spawn();
    asking.ask(asking.top, move |ctx| {
        let host = ctx.host();
        host.set_affinity(task, &IndexSet::single(1)).unwrap();
        host.set_memory_nodes(task, &IndexSet::single(0), &IndexSet::single(3), ExistingPages::Move).unwrap();
        host.set_socket_class(task, 77).unwrap();
        host.signal(task, 15).unwrap();
        assert!(!host.is_frozen(task));
        host.freeze(task);
        assert!(host.is_frozen(task));
    });
    let record = asking.world.host.get(task).unwrap().clone();
    assert_eq!((record.affinity, record.memory), (IndexSet::single(1), IndexSet::single(3)));
    assert_eq!(record.migrated_from, Some(IndexSet::single(0)));
    assert_eq!((record.socket_class, record.signals, record.frozen), (77, vec![15], true));
    asking.ask(asking.top, move |ctx| ctx.host().thaw(task));
    assert!(!asking.world.host.is_frozen(task));
}

#[test]
fn host_answers_esrch_for_a_task_that_is_gone() {
    let mut asking = Asking::new();
    let gone = Tid(9999);
    let answers = asking.ask(asking.top, move |ctx| {
        let host = ctx.host();
        let (zero, one) = (IndexSet::single(0), IndexSet::single(1));
        [
            host.set_affinity(gone, &zero),
            host.set_memory_nodes(gone, &zero, &one, ExistingPages::Leave),
            host.set_socket_class(gone, 1),
            host.signal(gone, 9),
        ]
    });
    assert_eq!(answers, [Err(Errno::ESRCH); 4]);
}

#[test]
fn need_that_the_host_lacks_is_refused_with_its_reason() {
    let mut asking = Asking::new();
    assert!(asking.ask(asking.top, |ctx| ctx.require(Capability::Freeze)).is_ok());
    for need in [
        Capability::ForkVeto,
        Capability::Affinity,
        Capability::MemoryNodes,
        Capability::Freeze,
        Capability::SocketClass,
    ] {
        asking.world.host.cannot = vec![need];
        let error = asking.ask(asking.top, move |ctx| ctx.require(need)).unwrap_err();
        assert_eq!(error.errno(), Errno::EOPNOTSUPP);
        let Error::HostCannot { host, capability: named, reason, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*host, *named), ("simulated", need));
        assert!(!reason.is_empty() && error.to_string().contains(&need.to_string()), "{error}");
        assert!(need.to_string().len() > 5, "{need}");
    }
}

#[test]
fn limit_that_the_host_cannot_keep_changes_nothing() {
    let mut asking = Asking::new();
    asking.world.host.cannot = vec![Capability::ForkVeto];
    let (limit, refusing) = asking.ask(asking.top, |ctx| {
        (ctx.set_limit(ctx.css(), TASKS, 3).unwrap_err(), ctx.set_may_refuse_fork(true).unwrap_err())
    });
    assert_eq!((limit.errno(), refusing.errno()), (Errno::EOPNOTSUPP, Errno::EOPNOTSUPP));
    assert_eq!(asking.ask(asking.top, |ctx| ctx.counter(ctx.css(), TASKS).limit), UNLIMITED);
    assert!(!asking.world.engine.can_refuse_fork());
    assert!(asking.ask(asking.top, |ctx| ctx.set_limit(ctx.css(), TASKS, UNLIMITED)).is_ok());
    assert!(asking.ask(asking.top, |ctx| ctx.set_limit(ctx.css(), CPU, 3)).is_ok(), "it refuses no fork");
    assert!(asking.ask(asking.top, |ctx| ctx.set_may_refuse_fork(false)).is_ok());
    assert!(!asking.world.engine.can_refuse_fork());
}

#[test]
fn fork_can_be_refused_while_any_limit_or_subsystem_may() {
    let mut asking = Asking::new();
    let [a, b, _] = asking.tree();
    let can = |asking: &Asking| asking.world.engine.can_refuse_fork();
    let limit = |asking: &mut Asking, cgroup, limit| {
        asking.ask(cgroup, move |ctx| ctx.set_limit(ctx.css(), TASKS, limit)).unwrap();
    };
    limit(&mut asking, a, 5);
    limit(&mut asking, b, 5);
    limit(&mut asking, a, 6);
    limit(&mut asking, a, UNLIMITED);
    assert!(can(&asking), "b has one still");
    asking.ask(a, |ctx| ctx.set_may_refuse_fork(true)).unwrap();
    asking.ask(b, |ctx| ctx.set_may_refuse_fork(true)).unwrap();
    limit(&mut asking, b, UNLIMITED);
    assert!(can(&asking), "the subsystem may");
    asking.ask(a, |ctx| ctx.set_may_refuse_fork(false)).unwrap();
    assert!(!can(&asking));
    limit(&mut asking, b, 1);
    asking.world.rmdir(b);
    assert!(!can(&asking), "a limit goes with its cgroup");
}
