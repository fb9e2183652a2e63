//! The core alone, on a host that only stores css_sets: what fork, exit, attach, mkdir, rmdir, load and unload cost.

use std::fmt;
use std::hint::black_box;

use divan::Bencher;
use penfold_benches::controllers::Controllers;
use penfold_benches::world::{BenchWorld, Shape};
use penfold_core::{
    Result,
    host::Host,
    subsystem::{Context, Subsystem},
};
use penfold_subsystems::Pids;

/// css_sets while subsystems come and go, and while css_sets are looked for.
const MANY_SETS: Shape = if cfg!(debug_assertions) {
    Shape { directories: 10, in_each: 10 }
} else {
    Shape { directories: 100, in_each: 1_000 }
};

fn main() {
    divan::main();
}

/// One line of a benchmark: which controllers, among how many cgroups.
#[derive(Debug, Clone, Copy)]
struct BenchCase {
    controllers: Controllers,
    shape: Shape,
}

impl BenchCase {
    fn world(self, tasks: usize) -> BenchWorld {
        BenchWorld::of(self.controllers, self.shape, tasks)
    }
}

impl fmt::Display for BenchCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { directories, in_each } = self.shape;
        write!(f, "{}, {directories} x {in_each}", self.controllers)
    }
}

/// All controllers in all of these shapes.
fn settings(shapes: &[Shape]) -> Vec<BenchCase> {
    let all = [Controllers::None, Controllers::Pids, Controllers::All];
    let of = |controllers| shapes.iter().map(move |&shape| BenchCase { controllers, shape });
    all.into_iter().flat_map(of).collect()
}

/// The measure for the framework: the host stores one css_set, as a fork must in any case.
#[divan::bench]
fn pointer_copy(bencher: Bencher<'_, '_>) {
    let mut world = BenchWorld::of(Controllers::None, Shape::ONE, 2);
    let (_, set) = world.spawn(world.cgroups[0]);
    let child = world.sim.host.new_task();
    bencher.bench_local(|| black_box(&mut world.sim.host).place(black_box(child), black_box(set)));
}

/// `charge_fork`, `commit_fork` and `exit` of a child whose parent stays.
#[divan::bench(args = settings(&[Shape::ONE, Shape::MANY]))]
fn fork_exit(bencher: Bencher<'_, '_>, setting: &BenchCase) {
    let mut world = setting.world(2);
    let (parent, set) = world.spawn(world.cgroups[world.cgroups.len() / 2]);
    let child = world.sim.host.new_task();
    bencher.bench_local(|| world.sim.fork_and_exit(black_box(parent), set, child));
}

/// The same, each time in another of many css_sets, so that little of it is in the caches.
#[divan::bench(args = settings(&[MANY_SETS]))]
fn fork_exit_scattered(bencher: Bencher<'_, '_>, setting: &BenchCase) {
    let mut world = setting.world(setting.shape.cgroups() + 1);
    let cgroups = world.cgroups.clone();
    let tasks: Vec<_> = cgroups.into_iter().map(|cgroup| world.spawn(cgroup)).collect();
    let child = world.sim.host.new_task();
    let mut at = 0;
    bencher.bench_local(|| {
        // A prime that does not divide their number: every task is visited, none near the last one.
        at = (at + 54_773) % tasks.len();
        let (parent, set) = tasks[at];
        world.sim.fork_and_exit(parent, set, child);
    });
}

/// Moves a task to and fro between two cgroups that have other members: the css_sets are there.
#[divan::bench(args = settings(&[Shape::ONE, Shape::MANY]))]
fn attach(bencher: Bencher<'_, '_>, setting: &BenchCase) {
    let mut world = setting.world(3);
    let ends = [world.directories[0], world.cgroups[0]];
    for end in ends {
        world.spawn(end);
    }
    let (task, _) = world.spawn(ends[0]);
    let mut at = 0;
    bencher.bench_local(|| {
        at = 1 - at;
        world.sim.attach(ends[at], task);
    });
}

/// An attach without controllers that finds its css_set among many.
#[divan::bench(args = settings(&[MANY_SETS]).into_iter().take(1))]
fn find_css_set_hit(bencher: Bencher<'_, '_>, setting: &BenchCase) {
    let mut world = full(setting);
    let cgroups = world.cgroups.clone();
    let (task, _) = world.spawn(cgroups[0]);
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 54_773) % cgroups.len();
        world.sim.attach(cgroups[at], task);
    });
}

/// An attach without controllers that finds no css_set, makes one among many others, and drops the old css_set.
#[divan::bench(args = settings(&[MANY_SETS]).into_iter().take(1))]
fn find_css_set_miss(bencher: Bencher<'_, '_>, setting: &BenchCase) {
    let mut world = full(setting);
    let ends = [world.sim.mkdir(world.root, "one"), world.sim.mkdir(world.root, "other")];
    let (task, _) = world.spawn(ends[0]);
    let mut at = 0;
    bencher.bench_local(|| {
        at = 1 - at;
        world.sim.attach(ends[at], task);
    });
}

/// A world with one task, and so one css_set, in every cgroup.
fn full(setting: &BenchCase) -> BenchWorld {
    let mut world = setting.world(setting.shape.cgroups() + 1);
    let cgroups = world.cgroups.clone();
    for cgroup in cgroups {
        world.spawn(cgroup);
    }
    world
}

/// mkdir + rmdir, each time with another name.
#[divan::bench(args = settings(&[Shape::ONE, Shape::MANY, Shape::SIBLINGS]))]
fn mkdir_rmdir(bencher: Bencher<'_, '_>, setting: &BenchCase) {
    let mut world = setting.world(1);
    let parent = world.directories[world.directories.len() / 2];
    let names: Vec<String> = (0..1_024).map(|number| format!("new{number:04}")).collect();
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 1) % names.len();
        world.make_and_remove(parent, names[at].as_bytes());
    });
}

/// A subsystem that has states and nothing else.
struct Idle;

impl Subsystem for Idle {
    type State = ();

    const NAME: &'static str = "idle";
    fn create(&mut self, _: &mut Context<'_, Idle>) -> Result<()> {
        Ok(())
    }

    fn destroy(&mut self, _: &mut Context<'_, Idle>) {}
}

/// load + unload of a subsystem without rules, while many css_sets exist.
#[divan::bench(args = settings(&[Shape::ONE, MANY_SETS]).into_iter().take(2))]
fn load_unload_idle(bencher: Bencher<'_, '_>, setting: &BenchCase) {
    let mut world = full(setting);
    bencher.bench_local(|| {
        world.sim.load(Idle);
        world.sim.unload("idle");
    });
}

/// load + unload of `pids`, which counts every task.
#[divan::bench(args = settings(&[Shape::ONE, MANY_SETS]).into_iter().take(2))]
fn load_unload_pids(bencher: Bencher<'_, '_>, setting: &BenchCase) {
    let mut world = full(setting);
    bencher.bench_local(|| {
        world.sim.load(Pids);
        world.sim.unload("pids");
    });
}
