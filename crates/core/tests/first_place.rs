//! A task that the engine begins to know is given what its css says: once, and for every subsystem.

mod common;

use std::collections::BTreeMap;

use common::Probe;
use penfold_core::{
    CgroupId, Result, Tid,
    subsystem::{Callbacks, Context, Migration, Subsystem},
};
use penfold_testkit::SimWorld;
use proptest::prelude::*;

/// Acts in `attach` only: gives each member the number of its css as the class of its sockets.
#[derive(Default)]
struct Stamp {
    made: u32,
}

impl Subsystem for Stamp {
    type State = u32;

    const NAME: &'static str = "stamp";
    const CALLBACKS: Callbacks = Callbacks::ATTACH;
    const FILES: &'static [penfold_core::control_file::ControlFile<Self>] =
        &[penfold_core::control_file::ControlFile::new("number")
            .read_u64(|_, ctx| Ok(u64::from(*ctx.state())))];

    fn create(&mut self, _: &mut Context<'_, Self>) -> Result<u32> {
        self.made += 1;
        Ok(self.made)
    }

    fn destroy(&mut self, _: &mut Context<'_, Self>) {}

    fn attach(&mut self, ctx: &mut Context<'_, Self>, tasks: &[Migration]) {
        for moved in tasks {
            let class = *ctx.state_of(moved.to);
            let _ = ctx.host().set_socket_class(moved.task, class);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Launch,
    AdoptBeside(u8),
    Fork(u8),
    Thread(u8),
    Move(u8, u8),
    Exit(u8),
    Remount,
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Launch),
        3 => any::<u8>().prop_map(Step::AdoptBeside),
        2 => any::<u8>().prop_map(Step::Fork),
        1 => any::<u8>().prop_map(Step::Thread),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(at, task)| Step::Move(at, task)),
        1 => any::<u8>().prop_map(Step::Exit),
        1 => Just(Step::Remount),
        1 => Just(Step::Reload),
    ]
}

/// The naive model: each task's directory. The effect of a directory is its number.
struct Tasks {
    world: SimWorld,
    /// The directories while the subsystem is mounted: the root, and two below it.
    groups: Vec<CgroupId>,
    place: BTreeMap<Tid, usize>,
}

impl Tasks {
    fn new() -> Tasks {
        let mut tasks = Tasks { world: SimWorld::new(), groups: Vec::new(), place: BTreeMap::new() };
        tasks.world.load(Stamp::default());
        tasks.mount();
        tasks
    }

    fn mount(&mut self) {
        let top = self.world.mount("stamp");
        self.groups = vec![top, self.world.mkdir(top, "a"), self.world.mkdir(top, "b")];
    }

    fn unmount(&mut self) {
        for (&task, place) in &mut self.place {
            self.world.attach(self.groups[0], task);
            *place = 0;
        }
        self.world.rmdir(self.groups[1]);
        self.world.rmdir(self.groups[2]);
        self.world.unmount(self.groups[0]);
    }

    fn pick(&self, number: u8) -> Option<(Tid, usize)> {
        let count = self.place.len().max(1);
        self.place.iter().nth(usize::from(number) % count).map(|(&task, &place)| (task, place))
    }

    fn step(&mut self, step: &Step) {
        let target = match *step {
            Step::AdoptBeside(task)
            | Step::Fork(task)
            | Step::Thread(task)
            | Step::Exit(task)
            | Step::Move(_, task) => {
                let Some(target) = self.pick(task) else { return };
                target
            }
            _ => (Tid(0), 0),
        };
        let (task, place) = target;
        let world = &mut self.world;
        match *step {
            Step::Launch => _ = self.place.insert(world.spawn(), 0),
            Step::AdoptBeside(_) => {
                let (set, adopted) = (world.css_set(task), world.host.create(None, 0));
                world.engine.adopt_into(&mut world.host, adopted, set);
                self.place.insert(adopted, place);
            }
            Step::Fork(_) => _ = self.place.insert(world.fork(task), place),
            Step::Thread(_) => _ = self.place.insert(world.thread(task), place),
            Step::Move(at, _) => {
                let at = usize::from(at) % self.groups.len();
                world.attach(self.groups[at], task);
                self.place.insert(task, at);
            }
            Step::Exit(_) => {
                world.exit(task);
                self.place.remove(&task);
            }
            Step::Remount => {
                self.unmount();
                self.check(&[]);
                self.mount();
            }
            Step::Reload => {
                self.unmount();
                self.world.unload("stamp");
                self.world.load(Stamp { made: 100 });
                self.mount();
            }
        }
    }

    /// Every task has the effect of its directory; without directories every task has the same.
    fn check(&mut self, groups: &[CgroupId]) {
        let numbers: Vec<u32> = groups
            .iter()
            .map(|&group| self.world.read(group, "stamp.number").trim().parse().unwrap())
            .collect();
        let class = |task: Tid| self.world.host.get(task).unwrap().socket_class;
        let first = self.place.keys().next().map_or(0, |&task| class(task));
        for (&task, &place) in &self.place {
            assert_eq!(class(task), numbers.get(place).copied().unwrap_or(first), "task {task}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_task_has_what_its_css_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut tasks = Tasks::new();
        for step in &steps {
            tasks.step(step);
            let groups = tasks.groups.clone();
            tasks.check(&groups);
        }
    }
}

#[test]
fn first_place_is_reported_once_as_attach_or_fork() {
    let mut world = SimWorld::new();
    let (attach, attach_calls) = Probe::new("moves", Callbacks::ATTACH | Callbacks::CAN_ATTACH, &[]);
    let (both, both_calls) = Probe::new("both", Callbacks::ATTACH | Callbacks::FORK, &[]);
    world.load(attach);
    world.load(both);
    let task = world.spawn();
    let (attach_log, both_log) = (attach_calls.take_log(), both_calls.take_log());
    assert_eq!(attach_log[1..], [format!("moves.attach {task} / /")], "and no can_attach");
    assert_eq!(both_log[1..], [format!("both.fork {task}")]);
    let child = world.fork(task);
    assert_eq!(attach_calls.take_log(), [""; 0], "a child has what its parent has");
    assert_eq!(both_calls.take_log(), [format!("both.fork {child}")]);
    let uncharged = world.host.create(None, 0);
    let set = world.css_set(task);
    world.engine.join(&mut world.host, uncharged, set);
    assert_eq!(attach_calls.take_log(), [""; 0], "even if its fork was not charged");
}

#[test]
fn load_reports_the_tasks_that_the_host_has_once() {
    let mut world = SimWorld::new();
    let tasks = [world.spawn(), world.spawn()];
    let (attach, calls) = Probe::new("moves", Callbacks::ATTACH, &[]);
    world.load(attach);
    let expected = tasks.map(|task| format!("moves.attach {task} / /"));
    assert_eq!(calls.take_log()[1..], expected);
    world.mount("moves");
    assert_eq!(calls.take_log(), [""; 0], "a mount changes no css");
}
